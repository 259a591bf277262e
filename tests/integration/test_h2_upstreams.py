"""Real servers of HTTP/2 behind the daemon: nginx, nghttpd, Node, HAProxy, Envoy. Clients speak HTTP/1.1."""

import base64
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from tests.integration.harness.app import NODE, NGINX, digest, pattern, running
from tests.integration.harness.client import ask, at_once, dial, read_head, read_until
from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.envoy import Envoy, envoy_program
from tests.integration.process import free_port, wait_for

LARGE_BYTES = 20_000_001
NODE_H2 = NODE.replace("require('http')", "require('http2')")
WEBSOCKET = """
const http2 = require('http2'), server = http2.createServer({settings: {enableConnectProtocol: %s}});
server.on('stream', (stream, headers) => {
  if (headers[':method'] != 'CONNECT') { stream.respond({':status': 200}); stream.end('ok'); return; }
  stream.respond({':status': 200}); stream.pipe(stream);
}).listen(+process.argv[1], '127.0.0.1');
"""
HAPROXY = """
global
    log /dev/null local0
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
frontend f
    bind 127.0.0.1:%d proto h2
    http-request return status 200 content-type text/plain string "ok"
"""


def needs(name):
    """Return a program's path; skip where there is none."""
    return shutil.which(name) or pytest.skip(f"{name} is not installed")


def node(folder, script=NODE_H2):
    """Run Node's http2 server."""
    port = free_port()
    return running([needs("node"), "-e", script, str(port)], port)


def nginx(folder, more=""):
    """Run nginx over a folder."""
    port = free_port()
    path = os.path.join(folder, "nginx.conf")
    text = NGINX % {"folder": folder, "port": port}
    with open(path, "w") as file:
        file.write(text.replace(f":{port};", f":{port} http2;").replace("gzip on;", f"gzip on; {more}"))
    return running([needs("nginx"), "-p", str(folder), "-c", path, "-e", os.path.join(folder, "nginx.log")], port)


def nghttpd(folder):
    """Run nghttpd over a folder."""
    port = free_port()
    return running([needs("nghttpd"), "--no-tls", "-a", "127.0.0.1", "-d", str(folder), str(port)], port)


def haproxy(folder):
    """Run HAProxy, which says ok."""
    port = free_port()
    path = os.path.join(folder, "haproxy.cfg")
    with open(path, "w") as file:
        file.write(HAPROXY % port)
    return running([needs("haproxy"), "-db", "-f", path], port)


def streams(address, **more):
    """Return a configuration; a refused stream is sent again."""
    return one_cluster(address, cluster={"protocol": "http2", **more.pop("cluster", {})},
                       route={"retry": {"retry": {"retry_on": ["refused-stream"], "attempts": 20}}}, **more)


def behind(server):
    """Yield a daemon before a server; nothing may be left over, and nothing but the client may have broken off."""
    with server as address, Daemon(streams(address)) as made:
        yield made
        made.settled()
        assert {row["flags"] for row in made.accesses()} <= {"-", "DC"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder of files to serve."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "small.bin").write_bytes(b"ok")
    (folder / "large.bin").write_bytes(pattern(LARGE_BYTES))
    return folder


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """Yield a daemon before Node."""
    yield from behind(node(tmp_path_factory.mktemp("app")))


@pytest.fixture(scope="module", params=(nginx, nghttpd))
def web(request, files):
    """Yield a daemon before a server of files."""
    yield from behind(request.param(files))


def test_many_clients_share_a_connection(app):
    assert {found[::2] for found in at_once(200, ask, app.port)} == {(200, b"ok")}
    assert app.metric("envoy_cluster_upstream_cx_http2_total") <= 3


def test_bodies_come_back(app):
    for size in (0, 1, 65536, 300_000):
        assert ask(app.port, "/echo", "POST", pattern(size))[::2] == (200, pattern(size))
    pieces = [pattern(size) for size in (1, 5, 70_000, 3)]
    found = ask(app.port, "/echo", "POST", iter(pieces), {"transfer-encoding": "chunked"}, encode_chunked=True)
    assert found[::2] == (200, b"".join(pieces))
    assert ask(app.port, "/chunks")[2] == b"one,two,three"


def test_answers_without_a_body(app):
    assert ask(app.port, "/", "HEAD")[::2] == (200, b"")
    for path, status in (("/empty", 204), ("/same", 304)):
        assert ask(app.port, path)[::2] == (status, b"")


def test_large_bodies_are_unchanged(app):
    body = pattern(LARGE_BYTES)
    assert digest(ask(app.port, f"/big?{LARGE_BYTES}")[2]) == digest(body)
    assert ask(app.port, "/sum", "POST", body)[2].decode() == digest(body)


def test_files_are_unchanged(web):
    assert {found[::2] for found in at_once(100, ask, web.port, "/small.bin")} == {(200, b"ok")}
    assert digest(ask(web.port, "/large.bin")[2]) == digest(pattern(LARGE_BYTES))
    assert ask(web.port, "/large.bin", "HEAD")[1]["content-length"] == str(LARGE_BYTES)
    assert ask(web.port, "/none")[0] == 404


def test_haproxy(tmp_path):
    with haproxy(tmp_path) as address, Daemon(streams(address)) as daemon:
        assert {found[::2] for found in at_once(100, ask, daemon.port)} == {(200, b"ok")}


def test_envoy():
    port = free_port()
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3."
                 "HttpConnectionManager",
        "stat_prefix": "h2", "codec_type": "AUTO", "route_config": {"virtual_hosts": [{
            "name": "all", "domains": ["*"], "routes": [{
                "match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok"}}}]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}
    listener = {"name": "h2", "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                "filter_chains": [{"filters": [{"name": "h", "typed_config": manager}]}]}
    envoy = Envoy(envoy_program(), [listener], {})
    try:
        with Daemon(streams(f"127.0.0.1:{port}")) as daemon:
            assert {found[::2] for found in at_once(100, ask, daemon.port)} == {(200, b"ok")}
    finally:
        envoy.close()


def test_no_request_is_lost_at_goaway(tmp_path):
    """nginx says GOAWAY after so many requests of a connection and refuses those above; they are sent again."""
    (tmp_path / "small.bin").write_bytes(b"ok")
    limits = {"cluster": {"circuit_breaker": {"limits": {"max_retries": 1000}}}}
    with nginx(tmp_path, "keepalive_requests 50;") as address, Daemon(streams(address, **limits)) as daemon:
        command = [needs("wrk"), "-t1", "-c32", "-d2s", f"http://127.0.0.1:{daemon.port}/small.bin"]
        out = subprocess.run(command, capture_output=True, text=True, timeout=30).stdout
        count = int(re.search(r"(\d+) requests in", out)[1])
        assert count > 1000 and "Non-2xx" not in out and "Socket errors" not in out, out
        assert daemon.metric("envoy_cluster_upstream_cx_close_notify") >= count // 50 - 5
        daemon.settled()


def test_a_server_that_is_killed_fails_what_it_had_and_comes_back(tmp_path):
    with node(tmp_path) as address:
        daemon = Daemon(streams(address))
        port = address.rpartition(":")[2]
        with daemon:
            client = dial(daemon.port, b"POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
            wait_for(lambda: daemon.metric("envoy_cluster_http2_streams_active") == 1, "the stream", 5)
            found = subprocess.run(["pgrep", "-f", f"createServer.* {port}$"], capture_output=True, text=True).stdout
            for pid in found.split():
                os.kill(int(pid), signal.SIGKILL)
            assert read_head(client).startswith(b"HTTP/1.1 503")
            assert daemon.access(path="/sum")["flags"] == "UC"
            assert ask(daemon.port)[0] == 503
            with running([needs("node"), "-e", NODE_H2, port], int(port)):
                assert ask(daemon.port)[::2] == (200, b"ok")


def test_a_client_that_does_not_read_keeps_memory_flat(app):
    before = app.resident_bytes()
    client = socket.create_connection(("127.0.0.1", app.port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.sendall(b"GET /big?500000000 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert ask(app.port, "/echo", "POST", pattern(1000))[2] == pattern(1000)
    most = max(app.resident_bytes() for _ in range(200) if ask(app.port)[0] == 200)
    client.close()
    assert most - before < 48 << 20, f"{(most - before) >> 20} MiB"
    app.settled()


def websocket(port):
    """Open a WebSocket; return (socket, the answer's head)."""
    key = base64.b64encode(b"0123456789abcdef")
    client = dial(port, b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % key)
    return client, read_head(client), base64.b64encode(hashlib.sha1(
        key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def test_websocket_becomes_extended_connect(tmp_path):
    with node(tmp_path, WEBSOCKET % "true") as address:
        with Daemon(streams(address)) as daemon:
            client, head, accept = websocket(daemon.port)
            assert head.startswith(b"HTTP/1.1 101") and accept in head
            client.sendall(b"hello")
            assert read_until(client, b"hello") == b"hello"
            client.shutdown(socket.SHUT_WR)
            assert client.recv(10) == b""
            client.close()
            daemon.settled()


def test_websocket_to_a_server_that_does_not_take_it(tmp_path):
    with node(tmp_path, WEBSOCKET % "false") as address:
        with Daemon(streams(address)) as daemon:
            client, head, _ = websocket(daemon.port)
            assert head.startswith(b"HTTP/1.1 503")
            client.close()
            assert daemon.access(path="/ws")["flags"].startswith("UR")


def test_active_checks_speak_http2(tmp_path):
    """Two checks on one connection; a server that ends is found out."""
    check = {"checker": {"http": {"path": "/", "codec_client_type": "http2"}}, "interval": "50ms", "timeout": "2s",
             "no_traffic_interval": "50ms", "unhealthy_threshold": 1}
    with node(tmp_path) as address:
        daemon = Daemon(streams(address, cluster={"health_checks": [check]}))
        with daemon:
            wait_for(lambda: daemon.metric("envoy_cluster_health_check_success", cluster_name="up") > 3, "checks", 10)
            assert daemon.metric("envoy_cluster_health_check_failure", cluster_name="up") == 0
            assert ask(daemon.port)[::2] == (200, b"ok")
