"""Endpoints by the DNS in a real daemon, under a load that never asks twice (reliability faults 13 and 14)."""

import time

import pytest

from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.dns import EMPTY, NXDOMAIN, SERVFAIL, SILENT, ScriptedDns
from tests.integration.harness.dnsmasq import PROGRAM, Dnsmasq
from tests.integration.harness.echo import Echo
from tests.integration.harness.loss import Loss
from tests.integration.process import wait_for

FAULT_S = 6.0
LOAD = {"rate": 200, "websockets": 4}


@pytest.fixture
def echo():
    """Yield an upstream that is behind every address of 127.0.0.0/8."""
    with Echo("0.0.0.0") as made:
        yield made


def mesh(echo, server, names=("up.test:%d",), **options):
    """Return a configuration whose cluster is found by the DNS."""
    dns = {"names": [name % echo.port if "%" in name else name for name in names], "resolvers": [server.address],
           "query_timeout": "200ms", "use_hosts_file": False, **options}
    made = one_cluster(cluster={"discovery": {"dns": dns}})
    del made["clusters"][0]["endpoints"]
    return made


def addresses(daemon):
    """Return the hosts that the cluster has."""
    (cluster,) = daemon.json("/clusters")["clusters"]
    return sorted(row["address"].rpartition(":")[0] for row in cluster["endpoints"])


def stale(daemon):
    """Return the gauge."""
    return daemon.metric("meshd_discovery_stale", cluster_name="up")


@pytest.mark.parametrize("trouble", [SERVFAIL, SILENT, EMPTY, NXDOMAIN])
def test_fault_13_the_last_good_addresses_serve_on(echo, trouble):
    with ScriptedDns(ttl=1) as server:
        server.answers["up.test", "A"] = ["127.0.0.2", "127.0.0.3"]
        with Daemon(mesh(echo, server)) as daemon, Loss(daemon.port, **LOAD) as load:
            assert addresses(daemon) == ["127.0.0.2", "127.0.0.3"]
            load.warm()
            server.trouble = trouble
            wait_for(lambda: stale(daemon) == 1, "the stale gauge")
            time.sleep(FAULT_S)  # how long the fault lasts
            assert addresses(daemon) == ["127.0.0.2", "127.0.0.3"]
            (row,) = daemon.json("/discovery")["discoveries"]
            assert row["state"] in ("stale", "held")
            if trouble in (SERVFAIL, SILENT):
                assert row["age_s"] > FAULT_S
                assert daemon.metric("meshd_discovery_failures_total", cluster_name="up") > 1
            server.trouble = None
            server.answers["up.test", "A"] = ["127.0.0.4"]
            wait_for(lambda: addresses(daemon) == ["127.0.0.4"], "the new address", 70)
            assert stale(daemon) == 0
            load.warm()
            result = load.stop()
            result.assert_nothing_lost()
            daemon.settled()


def test_fault_14_flapping_every_second_is_stable(echo):
    turns = [["127.0.0.2"], ["127.0.0.3"], ["127.0.0.2", "127.0.0.4"]]

    def flap(server):
        server.answers["up.test", "A"] = turns[int(time.monotonic()) % len(turns)]

    with ScriptedDns(ttl=0) as server:
        server.on_query = flap
        with Daemon(mesh(echo, server)) as daemon, Loss(daemon.port, **LOAD) as load:
            load.warm()
            began, before = time.monotonic(), daemon.metric("meshd_discovery_updates_total", cluster_name="up")
            time.sleep(10)  # how long it is watched
            changes = daemon.metric("meshd_discovery_updates_total", cluster_name="up") - before
            seconds = time.monotonic() - began
            result = load.stop()
            result.assert_nothing_lost()
            workers = len(daemon.pids)
            assert 3 <= changes / workers <= seconds + 1, (changes, seconds)
            daemon.settled()


def test_a_daemon_starts_with_the_addresses_and_serves_the_first_request(echo):
    with ScriptedDns() as server:
        server.answers["up.test", "A"] = ["127.0.0.2"]
        with Daemon(mesh(echo, server)) as daemon, Loss(daemon.port, rate=50, websockets=0) as load:
            load.warm(20)
            load.stop().assert_nothing_lost()


def test_a_reload_while_the_server_is_silent_loses_nothing(echo):
    with ScriptedDns(ttl=1) as server:
        server.answers["up.test", "A"] = ["127.0.0.2"]
        made = mesh(echo, server)
        with Daemon(made) as daemon, Loss(daemon.port, **LOAD) as load:
            load.warm()
            server.trouble = SILENT
            wait_for(lambda: stale(daemon) == 1, "the stale gauge")
            daemon.write({**made, "listeners": [{**made["listeners"][0], "address": f"127.0.0.1:{daemon.port}"}]})
            for _ in range(2):
                assert daemon.reload()["accepted"]
                load.warm()
            assert addresses(daemon) == ["127.0.0.2"]
            load.stop().assert_nothing_lost()


def test_a_name_that_is_an_endpoint_itself_is_served(echo):
    with ScriptedDns() as server:
        with Daemon(mesh(echo, server, names=("localhost:%d",), mode="logical")) as daemon, Loss(daemon.port) as load:
            load.warm()
            load.stop().assert_nothing_lost()
            assert addresses(daemon) == ["localhost"]


@pytest.mark.skipif(PROGRAM is None, reason="dnsmasq is not installed (Debian: dnsmasq-base)")
def test_a_real_server_with_many_addresses_srv_records_and_an_end(echo):
    many = [f"127.0.1.{number}" for number in range(1, 61)]
    srv = [f"--srv-host=_http._tcp.up.test,{name}.test,{echo.port},{more}" for name, more in
           (("one", "10,3"), ("two", "20"))]
    hosts = {"up.test": many, "one.test": ["127.0.0.2"], "two.test": ["127.0.0.3"]}
    with Dnsmasq(hosts, *srv) as server, Daemon(mesh(echo, server)) as daemon, Loss(daemon.port, **LOAD) as load:
        assert len(addresses(daemon)) == 60  # more than fit into a datagram: asked for over TCP
        load.warm()
        server.change({**hosts, "up.test": ["127.0.0.5"]})
        wait_for(lambda: addresses(daemon) == ["127.0.0.5"], "the change")
        server.stop()
        wait_for(lambda: stale(daemon) == 1, "the stale gauge")
        load.warm()
        server.start()
        wait_for(lambda: stale(daemon) == 0, "the server's return", 70)
        load.warm()
        load.stop().assert_nothing_lost()
        found = mesh(echo, server, names=("_http._tcp.up.test",))
        daemon.write({**found, "listeners": [{**found["listeners"][0], "address": f"127.0.0.1:{daemon.port}"}]})
        assert daemon.reload()["accepted"]
        (cluster,) = daemon.json("/clusters")["clusters"]
        assert [(row["address"], row["weight"], row["priority"], row["source"]) for row in cluster["endpoints"]] == [
            (f"127.0.0.2:{echo.port}", 3, 0, "dns _http._tcp.up.test"),
            (f"127.0.0.3:{echo.port}", 1, 1, "dns _http._tcp.up.test")]
