"""Istio's tasks "locality failover" and "locality weighted distribution": one instance in each of four localities.

The proxy stands in region1/zone1. As in the tasks, an instance that fails answers with errors, and one is enough.
"""

import collections
import contextlib

import pytest

from tests.integration.istio.bookinfo import GATEWAY, Bookinfo, Proxy
from tests.integration.process import wait_for

HERE = "region1/zone1"
PLACES = {"near": "region1/zone1", "zone": "region1/zone2", "over": "region2/zone3", "far": "region3/zone4"}
ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: hello}
spec:
  hosts: ["*"]
  gateways: [bookinfo-gateway]
  http:
  - route: [{destination: {host: hello}}]
"""
FAILOVER = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello}
spec:
  host: hello
  trafficPolicy:
    connectionPool:
      http: {maxRequestsPerConnection: 1}
    loadBalancer:
      simple: ROUND_ROBIN
      localityLbSetting:
        enabled: true
        failover:
        - {from: region1, to: region2}
    outlierDetection:
      consecutive5xxErrors: 1
      interval: 1s
      baseEjectionTime: %s
      maxEjectionPercent: 100
"""
"""The last line is not in the task: without it 10 % of four endpoints is none, in Envoy and here."""
DISTRIBUTE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello}
spec:
  host: hello
  trafficPolicy:
    loadBalancer:
      localityLbSetting:
        enabled: true
        distribute:
        - from: region1/zone1/*
          to:
            "region1/zone1/*": 70
            "region1/zone2/*": 20
            "region3/zone4/*": 10
    outlierDetection:
      consecutive5xxErrors: 100
      interval: 1s
      baseEjectionTime: 1m
"""


def entry(mesh):
    """Return the service with its instances where they are."""
    rows = [{"address": "127.0.0.1", "ports": {"http": server.server_port}, "locality": PLACES[version]}
            for (_, version), server in mesh.servers.items()]
    return {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "hello"}, "spec": {
        "hosts": ["hello"], "location": "MESH_INTERNAL", "resolution": "STATIC",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}], "endpoints": rows}}


@pytest.fixture
def hello():
    """Return the four instances."""
    with contextlib.closing(Bookinfo({"hello": tuple(PLACES)})) as mesh:
        yield mesh


def gateway(mesh, rule):
    """Return a gateway in region1/zone1."""
    return Proxy([GATEWAY, ROUTE, rule], [entry(mesh)], node={"locality": HERE})


def answers(proxy, count):
    """Return how many requests each instance has answered."""
    found = [proxy.get("/") for _ in range(count)]
    assert {status for status, _, _ in found} == {200}
    return collections.Counter(said["version"] for _, _, said in found)


def fail(proxy, mesh, name):
    """Let an instance answer with errors until it is ejected; one error is enough."""
    mesh.servers["hello", name].status = 503
    assert proxy.get("/")[0] == 503


def test_traffic_goes_to_the_nearest_that_is_left(hello):
    with gateway(hello, FAILOVER % "1m") as proxy:
        for name in ("near", "zone", "over"):
            assert set(answers(proxy, 20)) == {name}
            fail(proxy, hello, name)
        assert set(answers(proxy, 20)) == {"far"}


def test_it_comes_back_when_the_ejection_is_over(hello):
    with gateway(hello, FAILOVER % "1s") as proxy:
        fail(proxy, hello, "near")
        assert set(answers(proxy, 5)) == {"zone"}
        hello.servers["hello", "near"].status = 200
        wait_for(lambda: set(answers(proxy, 1)) == {"near"}, "the nearest to be asked again", 10)


def test_without_outlier_detection_nothing_is_failed_over(hello):
    text = (FAILOVER % "1m").partition("    outlierDetection")[0]
    with gateway(hello, text) as proxy:
        assert set(answers(proxy, 40)) == set(PLACES)
        assert "MSH0402" in proxy.log()


def test_shares_of_localities_are_kept(hello):
    with gateway(hello, DISTRIBUTE) as proxy:
        found = answers(proxy, 1000)
    assert set(found) == {"near", "zone", "far"}
    for name, share, tolerance in (("near", 700, 90), ("zone", 200, 78), ("far", 100, 58)):
        assert abs(found[name] - share) <= tolerance, (found, "six standard deviations")
