"""Istio's task "circuit breaking": one connection, one request that waits, 503 for the rest; who fails is left out."""

import concurrent.futures
import contextlib

from tests.integration.istio.bookinfo import GATEWAY, Bookinfo, Proxy
from tests.integration.istio.conftest import TASKS
from tests.integration.process import wait_for

CLUSTER = "outbound|9080||details"


def row(edge):
    """Return what the admin API says of the cluster."""
    return next(row for row in edge.json("/clusters")["clusters"] if row["name"] == CLUSTER)


def used(edge, name):
    """Return how much of a limit is used."""
    return row(edge)["circuit_breaker"][name]["used"]


def test_what_is_more_than_one_in_flight_and_one_waiting_is_refused(edge, mesh):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(edge.get, "/delay/1500", host="breaking.test")
        wait_for(lambda: mesh.servers["details", "v1"].active == 1, "the first request")
        second = pool.submit(edge.get, "/second", host="breaking.test")
        wait_for(lambda: used(edge, "pending") == 1, "the second to wait")
        status, headers, _ = edge.get("/third", host="breaking.test")
        assert (status, headers["x-envoy-overloaded"]) == (503, "true")
        assert [one.result()[0] for one in (first, second)] == [200, 200]
    assert edge.access(path="/third")["flags"] == "UO"
    assert mesh.servers["details", "v1"].most == 1


def shares(edge, clients, requests):
    """Send requests as so many clients that never pause; return (how many got 200, how many 503)."""
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(lambda place: edge.get(f"/delay/20?{place}", host="breaking.test")[0], range(requests)))
    assert set(found) <= {200, 503}
    return found.count(200), found.count(503)


def test_one_client_is_served_and_of_more_some_are_refused(edge):
    assert shares(edge, 1, 30) == (30, 0)
    for clients in (3, 6):
        served, refused = shares(edge, clients, 30)
        assert served >= 2 and refused > 0, (clients, served, refused)


def test_what_is_refused_is_counted_and_is_no_failure_of_the_endpoint(edge):
    before = edge.metric("envoy_cluster_upstream_rq_pending_overflow", cluster_name=CLUSTER)
    _, refused = shares(edge, 4, 24)
    after = edge.metric("envoy_cluster_upstream_rq_pending_overflow", cluster_name=CLUSTER)
    assert after - before == refused > 0
    assert [one["healthy"] for one in row(edge)["endpoints"]] == [True]


def test_an_endpoint_that_fails_once_is_ejected():
    with contextlib.closing(Bookinfo({"details": ("v1", "v2")})) as mesh:
        mesh.servers["details", "v1"].status = 500
        with Proxy([GATEWAY, (TASKS / "breaking.yaml").read_text()], mesh.entries()) as proxy:
            found = [proxy.get("/", host="breaking.test")[0] for _ in range(20)]
            assert (found.count(500), found.count(200)) == (1, 19)
            mesh.servers["details", "v2"].status = 500
            assert [proxy.get("/", host="breaking.test")[0] for _ in range(3)] == [500, 503, 503]
            assert proxy.access(status=503)["flags"] == "UH"


def test_under_load_some_get_through_and_some_are_refused(edge, mesh):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda place: edge.get(f"/delay/20?{place}", host="breaking.test")[0], range(64)))
    assert set(found) == {200, 503}
    assert mesh.servers["details", "v1"].most == 1


def test_one_client_alone_is_never_refused(edge):
    assert {edge.get("/alone", host="breaking.test")[0] for _ in range(10)} == {200}
