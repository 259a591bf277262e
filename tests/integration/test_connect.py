"""CONNECT through the real daemon: curl's tunnel to a server of TLS, and a client that speaks first or last."""

import shutil
import socket
import subprocess

import pytest

from meshd.http.head import RequestHead
from meshd.http.headers import Headers
from tests.integration.harness.app import standard
from tests.integration.harness.client import ask, dial, read_to_end, read_until
from tests.integration.harness.daemon import Daemon, document
from tests.integration.harness.h2 import H2Client
from tests.integration.process import wait_for
from tests.integration.test_tcp import Server

CURL = shutil.which("curl")


def taking(address):
    """Return a configuration that takes CONNECT, and requests beside it."""
    routes = [{"match": {"connect": True}, "cluster": "up", "upgrades": ["CONNECT"],
               "connect_config": {}},
              {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": "plain"}}]
    made = document(routes, [{"name": "up", "endpoints": [{"address": address}]}])
    made["listeners"][0]["http"] = {"upgrades": ["CONNECT"]}
    return made


@pytest.mark.skipif(CURL is None, reason="curl is not installed")
def test_curl_uses_it_as_its_proxy(tmp_path):
    (tmp_path / "page").write_text("from behind")
    with standard(tmp_path) as address, Daemon(taking(address)) as daemon:
        command = [CURL, "-sS", "--max-time", "20", "--proxytunnel", "-x", f"http://127.0.0.1:{daemon.port}",
                   "http://web.test:80/page"]
        assert subprocess.check_output(command) == b"from behind"
        assert ask(daemon.port)[2] == b"plain"
        row = daemon.access(method="CONNECT")
        assert (row["status"], row["details"], row["upstream"]) == (200, "via_upstream", address)


def test_a_server_that_speaks_first_and_much():
    def talk(sock):
        sock.sendall(b"220 ready\r\n")
        total = 0
        while data := sock.recv(65536):
            total += len(data)
        sock.sendall(b"%d" % total)

    with Server(talk) as server, Daemon(taking(server.address)) as daemon:
        with dial(daemon.port, b"CONNECT a.test:1 HTTP/1.1\r\nhost: a.test:1\r\n\r\n") as sock:
            assert b"220 ready" in read_until(sock, b"220 ready\r\n")
            sock.sendall(b"x" * 5_000_000)
            sock.shutdown(socket.SHUT_WR)
            assert read_to_end(sock) == (b"5000000", False)


def test_many_tunnels_on_one_connection_of_http_2():
    def talk(sock):
        while data := sock.recv(65536):
            sock.sendall(data.upper())

    host = b"a.test:1"
    with Server(talk) as server, Daemon(taking(server.address)) as daemon, H2Client(daemon.port) as client:
        head = RequestHead(b"CONNECT", host, host, 20, Headers.of((b"host", host)))
        streams = [client.begin(head, False) for _ in range(20)]
        for number, stream in enumerate(streams):
            client.session.send(stream, b"hello %d" % number, True)
        client.flush()
        answers = client.wait(*streams)
        assert [(one.status, one.body) for one in answers] == [(200, b"HELLO %d" % n) for n in range(20)]
        assert len(wait_for(lambda: daemon.accesses(method="CONNECT")[19:] and daemon.accesses(), "entries")) == 20
        assert client.ask("/").body == b"plain"


def test_a_stopped_reader_of_http_2_costs_little():
    def talk(sock):
        while sock.send(b"x" * 65536):
            pass

    host = b"a.test:1"
    with Server(talk) as server, Daemon(taking(server.address)) as daemon:
        before = daemon.resident_bytes()
        with H2Client(daemon.port, consumes=False, keeps=False) as client:
            head = RequestHead(b"CONNECT", host, host, 20, Headers.of((b"host", host)))
            streams = [client.begin(head, False) for _ in range(10)]
            while sum(client.answers[one].size for one in streams) < 600_000:
                assert client.read()
            assert daemon.resident_bytes() - before < 24 << 20
