"""Hosts that requests name, looked up on demand in a real daemon, and the places that they may not lead to."""

import socket

import pytest

from tests.integration.harness.client import read_to_end
from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.dns import ScriptedDns
from tests.integration.harness.echo import Echo
from tests.integration.process import wait_for


@pytest.fixture
def server():
    """Yield a DNS server that knows a few names."""
    with ScriptedDns() as made:
        made.answers["good.test", "A"] = ["127.0.0.2"]
        made.answers["metadata.test", "A"] = ["169.254.169.254"]
        made.answers["loop.test", "A"] = ["127.0.0.1"]
        yield made


@pytest.fixture
def echo():
    """Yield an upstream that is behind every address of 127.0.0.0/8."""
    with Echo("0.0.0.0") as made:
        yield made


def mesh(server, **options):
    """Return a configuration that sends every request to the host that it names."""
    balancer = {"resolvers": [server.address], "use_hosts_file": False, "query_timeout": "300ms", **options}
    return one_cluster(cluster={"load_balancer": {"dynamic_host": balancer}})


def ask(daemon, host):
    """Return the whole answer to a request that names this host."""
    with socket.create_connection(("127.0.0.1", daemon.port), 10) as sock:
        sock.sendall(f"GET /x HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
        return read_to_end(sock)[0]


def test_requests_go_to_the_host_that_they_name(server, echo):
    with Daemon(mesh(server, hosts=["*.test"], allow=["127.0.0.2/32"])) as daemon:
        for _ in range(3):
            assert ask(daemon, f"good.test:{echo.port}").endswith(b"\r\n\r\n/x")
        assert server.count("good.test") == len(daemon.pids) or server.count("good.test") == 1
        assert daemon.access(status=200)["upstream"] == f"good.test:{echo.port}"
        assert b" 503 " in ask(daemon, "elsewhere.example")  # not among the hosts
        assert daemon.access(flags="UH")["reason"] == "no endpoint can be used"


def test_loopback_and_metadata_are_refused(server, echo):
    hosts = ("metadata.test", "loop.test", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]")
    with Daemon(mesh(server)) as daemon:
        for number, host in enumerate(hosts, 1):
            assert b" 503 " in ask(daemon, f"{host}:{echo.port}"), host
            rows = wait_for(lambda: len(found := daemon.accesses(status=503)) == number and found, "the log")
            assert "is not allowed" in rows[-1]["reason"], (host, rows[-1])
        daemon.settled()


def test_a_name_that_is_not_there_is_503_and_found_when_it_is(server, echo):
    with Daemon(mesh(server, allow=["127.0.0.0/8"])) as daemon:
        assert b" 503 " in ask(daemon, f"late.test:{echo.port}")
        assert "no such name" in daemon.access(status=503)["reason"]
        server.answers["late.test", "A"] = ["127.0.0.3"]
        wait_for(lambda: ask(daemon, f"late.test:{echo.port}").endswith(b"/x"), "the name")


def test_a_reload_keeps_it_working(server, echo):
    made = mesh(server, allow=["127.0.0.0/8"])
    with Daemon(made) as daemon:
        assert ask(daemon, f"good.test:{echo.port}").endswith(b"/x")
        for _ in range(2):
            daemon.write({**made, "listeners": [{**made["listeners"][0], "address": f"127.0.0.1:{daemon.port}"}]})
            assert daemon.reload()["accepted"]
            assert ask(daemon, f"good.test:{echo.port}").endswith(b"/x")
        daemon.settled()
