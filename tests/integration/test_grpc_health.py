"""gRPC's health protocol: the real daemon asks a real server (grpcio), about endpoints and about its own workload."""

import pytest

from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.grpc_server import GrpcServer, needs_grpc
from tests.integration.process import wait_for

pytestmark = needs_grpc
EVERY = {"interval": "100ms", "timeout": "2s", "no_traffic_interval": "100ms", "healthy_threshold": 1,
         "unhealthy_threshold": 1}


@pytest.fixture
def server():
    with GrpcServer() as found:
        yield found


def flags(daemon):
    """Return what /clusters says of the one endpoint."""
    return daemon.json("/clusters")["clusters"][0]["endpoints"][0]["health"]


def check(service):
    return {"health_checks": [{"checker": {"grpc": {"service_name": service}}, **EVERY}]}


def test_an_endpoint_is_used_while_its_service_serves(server):
    server.health.set("shop.Cart", server.states.SERVING)
    with Daemon(one_cluster(server.address, cluster=check("shop.Cart"))) as daemon:
        wait_for(lambda: flags(daemon) == "healthy", "the first check")
        server.health.set("shop.Cart", server.states.NOT_SERVING)
        wait_for(lambda: "failed_active_hc" in flags(daemon), "a check that fails")
        server.health.set("shop.Cart", server.states.SERVING)
        wait_for(lambda: flags(daemon) == "healthy", "a check that passes")


def test_a_service_that_is_not_there_is_not_well(server):
    with Daemon(one_cluster(server.address, cluster=check("shop.Unknown"))) as daemon:
        wait_for(lambda: "failed_active_hc" in flags(daemon), "a check that fails")
        text = str(daemon.json("/clusters"))
        assert "gRPC status NOT_FOUND" in text, text


def test_a_server_that_ends_fails_and_one_that_is_back_passes():
    with GrpcServer() as first:
        first.health.set("", first.states.SERVING)
        with Daemon(one_cluster(first.address, cluster=check(""))) as daemon:
            wait_for(lambda: flags(daemon) == "healthy", "the first check")
            first.server.stop(0).wait()
            wait_for(lambda: "failed_active_hc" in flags(daemon), "a check that fails")


def test_the_probe_of_the_workload(server):
    server.health.set("web", server.states.NOT_SERVING)
    probe = {"checker": {"grpc": {"service_name": "web"}}, "address": server.address, "period": "100ms",
             "failure_threshold": 1, "clusters": ["up"]}
    with Daemon(one_cluster(server.address, probe=probe)) as daemon:
        wait_for(lambda: "failed_local_probe" in flags(daemon), "a probe that fails")
        server.health.set("web", server.states.SERVING)
        wait_for(lambda: flags(daemon) == "healthy", "a probe that passes")
