"""UDP through the daemon: a real DNS server, sessions over reloads and workers, and an end without loss."""

import contextlib
import os
import signal
import socket
import threading

import pytest
from twisted.names.dns import A, Message, Query

from tests.integration.harness.daemon import Daemon
from tests.integration.harness.dnsmasq import PROGRAM, Dnsmasq
from tests.integration.process import free_port, wait_for


class Echo:
    """A UDP server that answers with the sender's port and the data. ``address`` is where."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.sock.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                data, peer = self.sock.recvfrom(65535)
                if data != b"silent":
                    self.sock.sendto(b"%d %b" % (peer[1], data), peer)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.sock.close()


def udp_port():
    """Return a free UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def configuration(*addresses, port=None, cluster=(), **udp):
    """Return a configuration with one UDP listener."""
    return {
        "node": {"id": "test"},
        "listeners": [{"name": "datagrams", "address": f"127.0.0.1:{port or udp_port()}", "protocol": "udp",
                       "udp": {"cluster": "up", **udp}}],
        "clusters": [{"name": "up", "endpoints": [{"address": one} for one in addresses], **dict(cluster)}]}


class Client:
    """A UDP client of a daemon."""

    def __init__(self, daemon):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.settimeout(10)
        self.sock.connect(("127.0.0.1", daemon.ports["datagrams"]))

    def ask(self, data):
        """Return the answer."""
        self.sock.send(data)
        return self.sock.recv(65535)

    def seen(self):
        """Return the port that the server sees."""
        return int(self.ask(b"x").split()[0])


def names(client, name):
    """Return the addresses of a name by DNS."""
    query = Message(id=7)
    query.queries = [Query(name, A)]
    answer = Message()
    answer.fromStr(client.ask(query.toStr()))
    return [one.payload.dottedQuad() for one in answer.answers]


@pytest.mark.skipif(PROGRAM is None, reason="dnsmasq is not installed")
def test_a_real_dns_server():
    with Dnsmasq({"a.test": ["192.0.2.1", "192.0.2.2"]}) as dns, Daemon(configuration(dns.address)) as daemon:
        for _ in range(20):
            assert sorted(names(Client(daemon), "a.test")) == ["192.0.2.1", "192.0.2.2"]
        assert names(Client(daemon), "b.test") == []
        assert daemon.metric("envoy_udp_downstream_sess_total", listener="datagrams") == 21
        assert daemon.metric("envoy_cluster_udp_sess_rx_datagrams", cluster_name="up") == 21


def test_sessions_survive_reloads():
    with Echo() as echo, Daemon(configuration(echo.address)) as daemon:
        clients = [Client(daemon) for _ in range(10)]
        before = [client.seen() for client in clients]
        assert len(set(before)) == 10
        for number in range(3):
            daemon.write(configuration(echo.address, port=daemon.ports["datagrams"], idle_timeout=f"{number + 50}s"))
            assert daemon.reload()["accepted"]
            assert [client.seen() for client in clients] == before
        row, = daemon.json("/listeners")["listeners"]
        assert (row["protocol"], row["connections"], row["cluster"]) == ("udp", 10, "up")


def test_silence_ends_sessions_and_nothing_is_left():
    with Echo() as echo, Daemon(configuration(echo.address, idle_timeout="200ms")) as daemon:
        idle = daemon.fds()
        for client in [Client(daemon) for _ in range(50)]:
            client.seen()
        wait_for(lambda: daemon.metric("envoy_udp_idle_timeout") == 50, "the sessions' end")
        rows = wait_for(lambda: daemon.accesses()[49:] and daemon.accesses(), "the sessions' lines")
        assert [(row["status"], row["flags"], row["upstream"]) for row in rows] == [(0, "-", echo.address)] * 50
        assert min(row["received"] for row in rows) > 0 and min(row["sent"] for row in rows) > 0
        assert daemon.metric("istio_tcp_connections_closed_total") == 0
        assert daemon.metric("envoy_udp_downstream_sess_active") == 0
        wait_for(lambda: daemon.fds() == idle, "the descriptors")


def test_the_same_client_address_goes_to_the_same_server():
    balancer = {"load_balancer": {"ring_hash": {"hash": [{"source_address": True}]}}}
    with Echo() as one, Echo() as two, Daemon(
            configuration(one.address, two.address, cluster=balancer)) as daemon:
        for _ in range(10):
            Client(daemon).seen()
        rows = daemon.json("/clusters")["clusters"][0]["endpoints"]
        assert sorted(row["active_requests"] for row in rows) == [0, 10]


def test_a_listener_of_tcp_and_one_of_udp_have_the_same_port():
    port = free_port()
    with Echo() as echo:
        both = configuration(echo.address, port=port)
        router = {"virtual_hosts": [{"name": "a", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "direct_response": {"status": 200}}]}]}
        both["listeners"].append({"name": "public", "address": f"127.0.0.1:{port}", "filters": [{"router": router}]})
        with Daemon(both) as daemon:
            assert daemon.ports == {"datagrams": port, "public": port}
            assert Client(daemon).ask(b"hello").endswith(b"hello")
            daemon.write({**both, "listeners": both["listeners"][1:]})
            assert daemon.reload()["accepted"]
            daemon.write(both)
            assert daemon.reload()["accepted"]
            assert Client(daemon).ask(b"again").endswith(b"again")


def test_answers_on_their_way_are_passed_on_at_the_end():
    asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asked.bind(("127.0.0.1", 0))
    asked.settimeout(10)
    with asked, Daemon(configuration("127.0.0.1:%d" % asked.getsockname()[1])) as daemon:
        client = Client(daemon)
        client.sock.send(b"question")
        data, peer = asked.recvfrom(100)
        daemon.signal("TERM")
        wait_for(lambda: "draining" in daemon.log(), "the drain")
        asked.sendto(b"answer", peer)
        assert client.sock.recv(100) == b"answer"


def test_each_client_stays_with_its_worker():
    with Echo() as echo, Daemon({**configuration(echo.address), "workers": 2}) as daemon:
        clients = [Client(daemon) for _ in range(40)]
        before = [client.seen() for client in clients]
        for _ in range(3):
            assert [client.seen() for client in clients] == before
        row, = daemon.json("/listeners")["listeners"]
        assert row["connections"] == 40
        workers = daemon.json("/server_info")["workers"]
        victim = next(one["pid"] for one in workers if one["index"] == 1)
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: victim not in daemon.carriers() and daemon.is_whole(), "another worker")
        after = [client.seen() for client in clients]
        kept = sum(one == other for one, other in zip(before, after))
        assert 0 < kept < 40, "those of the worker that lived keep their sessions, the others get new ones"
        daemon.pids = daemon.carriers()


@pytest.mark.parametrize("workers", (1, 2))
def test_a_socket_of_systemd_is_taken_by_its_address(workers):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handed, Echo() as echo:
        handed.bind(("127.0.0.1", 0))
        port = handed.getsockname()[1]
        made = {**configuration(echo.address, port=port), "workers": workers}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as early:
            early.settimeout(20)
            early.sendto(b"before the start", ("127.0.0.1", port))
            with Daemon(made, sockets=[("dns.socket", handed)]) as daemon:
                assert b"before the start" in early.recv(100)
                for client in [Client(daemon) for _ in range(8)]:
                    client.seen()
                assert "from systemd" not in daemon.log()
            handed.setblocking(False)
            early.sendto(b"after the end", ("127.0.0.1", port))
            assert handed.recv(100) == b"after the end"


def test_no_datagram_is_lost_in_an_upgrade():
    with Echo() as echo, Daemon(configuration(echo.address)) as daemon:
        stop, counts = threading.Event(), [0, 0]

        def run():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(20)
                sock.connect(("127.0.0.1", daemon.ports["datagrams"]))
                while not stop.is_set():
                    sock.send(b"%d" % counts[0])
                    counts[0] += 1
                    assert sock.recv(100).endswith(b"%d" % (counts[0] - 1))
                    counts[1] += 1

        thread = threading.Thread(target=run)
        thread.start()
        daemon.upgrade()
        wait_for(lambda: counts[1] > 100, "datagrams")
        stop.set()
        thread.join()
        assert counts[0] == counts[1]
