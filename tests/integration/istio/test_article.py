"""The two documents that this project grew from run as printed, at a gateway and in a sidecar."""

import contextlib
import time

import pytest

from tests.integration.istio.bookinfo import Bookinfo, Proxy
from tests.integration.process import wait_for

PRINTED = """\
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: routes}
spec:
  hosts: ["*"]
  http:
  - route:
    - destination: {host: example.com, port: {number: 80}, subset: v1}
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualGateway
metadata: {name: example}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http}, hosts: ["*"]}
"""
SIDECAR = """\
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default}
spec:
  egress:
  - {port: {number: 80, name: http, protocol: HTTP}, captureMode: NONE, hosts: ["*/*"]}
"""


def entries(mesh):
    """Return where example.com is: one endpoint of each version."""
    ports = {version: server.server_port for (_, version), server in mesh.servers.items()}
    yield {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "example"}, "spec": {
        "hosts": ["example.com"], "resolution": "STATIC", "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "endpoints": [{"address": "127.0.0.1", "ports": {"http": port}, "labels": {"version": version}}
                      for version, port in ports.items()]}}
    yield {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "example"}, "spec": {
        "host": "example.com", "subsets": [{"name": version, "labels": {"version": version}} for version in ports]}}


@pytest.mark.parametrize("role, more", [("ingress", []), ("sidecar", [SIDECAR])])
def test_every_request_is_answered_by_subset_v1(role, more):
    with contextlib.closing(Bookinfo({"example": ("v1", "v2")})) as mesh:
        with Proxy([PRINTED, *more], entries(mesh), role=role) as proxy:
            for path, host in (("/", "example.com"), ("/any?q=1", "other.test"), ("/deep/path", "example.com:80")):
                for _ in range(10):
                    status, _, found = proxy.get(path, host=host)
                    assert (status, found["version"], found["path"]) == (200, "v1", path)


LIMIT = """\
apiVersion: meshd.io/v1alpha1
kind: RateLimitPolicy
metadata: {name: edge}
spec:
  targetRef: {kind: Gateway, name: example}
  limits:
  - {requests: 5, per: 1s, burst: 20}
"""


def test_a_rate_limit_policy_on_the_gateway_holds_rate_and_burst():
    with contextlib.closing(Bookinfo({"example": ("v1", "v2")})) as mesh:
        with Proxy([PRINTED, LIMIT], entries(mesh)) as proxy:
            began = time.monotonic()
            found = [proxy.get("/", host="example.com") for _ in range(60)]
            passed = [status for status, _, _ in found].count(200)
            lasted_s = time.monotonic() - began
            assert 20 <= passed <= 21 + 5 * lasted_s, lasted_s
            refused = next(headers for status, headers, _ in found if status == 429)
            assert (refused["x-envoy-ratelimited"], refused["retry-after"]) == ("true", "1")
            assert proxy.accesses(flags="RL")
            wait_for(lambda: proxy.get("/", host="example.com")[0] == 200, "the next token", 5)
