"""TCP through a real proxy behind us, Node's, that is asked by CONNECT."""

import shutil
import socket

import pytest

from tests.integration.harness.app import running
from tests.integration.harness.client import dial, read_to_end
from tests.integration.harness.daemon import Daemon
from tests.integration.process import free_port
from tests.integration.test_tcp import Server, document

NODE = """
const http = require('http'), net = require('net');
const server = http.createServer();
server.on('connect', (request, client, head) => {
  if (request.url.startsWith('forbidden')) { client.end('HTTP/1.1 403 Forbidden\\r\\n\\r\\n'); return; }
  const [host, port] = request.url.split(':');
  const target = net.connect(+port, host, () => {
    client.write('HTTP/1.1 200 Connection Established\\r\\n\\r\\n'); target.write(head);
    target.pipe(client); client.pipe(target); });
  target.on('error', () => client.destroy()); client.on('error', () => target.destroy());
});
server.listen(+process.argv[1], '127.0.0.1');
"""

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


@pytest.fixture
def proxy():
    """Yield the address of a proxy that knows CONNECT."""
    port = free_port()
    with running([shutil.which("node"), "-e", NODE, str(port)], port) as address:
        yield address


def through(address, host):
    """Return a configuration in which the endpoint is a proxy."""
    made = document(address)
    made["listeners"][0]["network_filters"][-1]["tcp_proxy"]["tunneling_config"] = {"hostname": host}
    return made


def echo(sock):
    """Greet, then give everything back."""
    sock.sendall(b"hello ")
    while data := sock.recv(65536):
        sock.sendall(data)


def test_a_server_behind_a_proxy(proxy):
    with Server(echo) as server, Daemon(through(proxy, server.address)) as daemon:
        data = b"x" * 3_000_000
        with dial(daemon.port) as sock:
            assert sock.recv(6, socket.MSG_WAITALL) == b"hello "
            sock.sendall(data[:1000])
            assert sock.recv(1000, socket.MSG_WAITALL) == data[:1000]
            sock.shutdown(socket.SHUT_WR)
            assert read_to_end(sock)[0] == b""


def test_a_proxy_that_refuses(proxy):
    with Daemon(through(proxy, "forbidden.test:1")) as daemon:
        with dial(daemon.port, b"hello") as sock:
            assert read_to_end(sock)[0] == b""
        row = daemon.access(upstream=proxy)
        assert row["flags"].startswith("UF")
        assert row["reason"] == "tunnel: the proxy answered 403"
