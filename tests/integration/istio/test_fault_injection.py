"""Istio's task "fault injection": delays and aborts for one user, and what the caller's own time-outs make of them."""

import time

import pytest

from tests.integration.istio.conftest import TASKS

HOST, PAGE = "faults.test", "page.test"
JASON = {"end-user": "jason"}
CALLER = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: this-gateway}}
spec:
  hosts: [gateway.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: page}}
spec:
  hosts: [page.test]
  gateways: [bookinfo-gateway]
  http:
  - route: [{{destination: {{host: gateway.test}}}}]
    rewrite: {{authority: faults.test}}
    timeout: 600ms
    retries: {{attempts: 1, perTryTimeout: 300ms, retryOn: "5xx"}}
"""
"""The page's caller as in the task: 3 s and once more, here a tenth. It calls the service through the same gateway."""


@pytest.fixture(scope="module")
def page(edge):
    """Return the gateway with the page before the service that has the faults."""
    edge.apply("page", CALLER.format(port=edge.port))
    return edge


def timed(edge, headers, host=HOST, path="/ratings/7"):
    """Return (status, seconds, body)."""
    began = time.monotonic()
    status, _, body = edge.get(path, headers, host=host)
    return status, time.monotonic() - began, body


def test_one_user_s_requests_wait_and_are_answered(edge):
    status, took_s, body = timed(edge, JASON)
    assert (status, body["version"]) == (200, "v1")
    assert took_s >= 0.7
    assert edge.access(path="/ratings/7", flags="DI")["status"] == 200


def test_those_of_others_do_not(edge):
    assert timed(edge, {"end-user": "ann"}, path="/ratings/8")[0] == 200
    assert edge.access(path="/ratings/8")["flags"] == "-"  # no DI


def test_a_delay_longer_than_the_caller_s_attempts_is_an_error_there(page):
    status, took_s, _ = timed(page, JASON, PAGE, "/productpage")
    assert status == 504
    assert 0.5 <= took_s < 5
    assert timed(page, {}, PAGE, "/productpage")[0] == 200


def test_with_a_shorter_delay_it_is_well_again(page):
    text = (TASKS / "faults.yaml").read_text()
    page.apply("faults", text.replace("fixedDelay: 700ms", "fixedDelay: 200ms"))
    status, took_s, _ = timed(page, JASON, PAGE, "/productpage")
    assert (status, took_s >= 0.2) == (200, True)
    page.apply("faults", text)


def test_an_abort_is_answered_in_the_upstream_s_place(edge, mesh):
    before = mesh.servers["ratings", "v1"].asked
    assert edge.get("/abort/1", JASON, host=HOST)[0] == 500
    row = edge.access(path="/abort/1")
    assert (row["flags"], row["details"], row["upstream"]) == ("FI", "fault_filter_abort", None)
    assert mesh.servers["ratings", "v1"].asked == before
    assert edge.get("/abort/2", host=HOST)[0] == 200


def test_half_of_the_requests_are_half_of_them(edge):
    found = [edge.get("/half", host=HOST)[0] for _ in range(400)]
    assert set(found) == {200, 500}
    assert abs(found.count(500) - 200) <= 60, "six standard deviations"
