"""PROXY protocol with the proxies that people have: HAProxy and nginx, behind us and before us."""

import contextlib
import os
import shutil

import pytest

from meshd.wire.proxy_protocol import write
from tests.integration.harness.app import running, standard
from tests.integration.harness.client import ask, dial, get, read_to_end, read_until
from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.process import free_port, wait_for

HAPROXY_BEHIND = """
global
  maxconn 100
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 5s
frontend a
  bind 127.0.0.1:%(port)d accept-proxy
  http-request return status 200 content-type text/plain lf-string "%%[src]:%%[src_port] %%[dst]:%%[dst_port]"
"""
NGINX_BEHIND = """
daemon off; worker_processes 1; pid %(folder)s/pid; user root;
events { worker_connections 64; }
http {
  access_log off; default_type text/plain;
  server { listen 127.0.0.1:%(port)d proxy_protocol;
    location / { return 200 "$proxy_protocol_addr:$proxy_protocol_port \
$proxy_protocol_server_addr:$proxy_protocol_server_port"; } }
}
"""


@contextlib.contextmanager
def haproxy(folder, text, port, **values):
    """Yield the address of an HAProxy."""
    path = folder / "haproxy.cfg"
    path.write_text(text % {"port": port, **values})
    with running([shutil.which("haproxy"), "-db", "-f", str(path)], port) as address:
        yield address


@contextlib.contextmanager
def nginx(folder, text, port, **values):
    """Yield the address of an nginx."""
    path = folder / "nginx.conf"
    path.write_text(text % {"port": port, "folder": folder, **values})
    command = [shutil.which("nginx"), "-p", str(folder), "-c", str(path), "-e", str(folder / "nginx.log")]
    with running(command, port) as address:
        yield address


BEHIND = {"haproxy": (haproxy, HAPROXY_BEHIND), "nginx": (nginx, NGINX_BEHIND)}


@pytest.fixture(params=BEHIND)
def behind(request, tmp_path):
    """Yield the address of a server that wants headers and answers what they say."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    start, text = BEHIND[request.param]
    with start(tmp_path, text, free_port()) as address:
        yield address


@pytest.mark.parametrize("version", ("v1", "v2"))
def test_the_server_behind_us_is_told_who_the_client_is(behind, version):
    with Daemon(one_cluster(behind, cluster={"proxy_protocol": version})) as daemon:
        socks = [dial(daemon.port) for _ in range(2)]
        for sock in socks * 2:
            sock.sendall(get("/"))
            expected = f"127.0.0.1:{sock.getsockname()[1]} 127.0.0.1:{daemon.port}"
            assert read_until(sock, expected.encode()).startswith(b"HTTP/1.1 200")
        for sock in socks:
            sock.close()
        row = daemon.json("/clusters")["clusters"][0]
        assert daemon.metric("envoy_cluster_upstream_cx_total", cluster_name=row["name"]) == 2


@pytest.mark.parametrize("version", ("v1", "v2"))
def test_health_checks_begin_with_a_header_too(behind, version):
    checks = [{"interval": "100ms", "no_traffic_interval": "100ms", "timeout": "5s",
               "checker": {"http": {"path": "/"}}}]
    cluster = {"proxy_protocol": version, "health_checks": checks}
    with Daemon(one_cluster(behind, cluster=cluster)) as daemon:
        assert ask(daemon.port)[0] == 200
        wait_for(lambda: daemon.metric("envoy_cluster_health_check_success", cluster_name="up") >= 3, "checks")
        assert daemon.metric("envoy_cluster_health_check_failure", cluster_name="up") == 0


# Before us

HAPROXY_BEFORE = """
global
  maxconn 100
defaults
  mode tcp
  timeout client 10s
  timeout server 10s
  timeout connect 5s
listen a
  bind 127.0.0.1:%(port)d
  server mesh 127.0.0.1:%(mesh)d %(word)s
"""
NGINX_BEFORE = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; worker_processes 1; pid %(folder)s/pid; user root;
events { worker_connections 64; }
stream { server { listen 127.0.0.1:%(port)d; proxy_pass 127.0.0.1:%(mesh)d; proxy_protocol on; } }
"""
LOG = {"peer": "%DOWNSTREAM_REMOTE_ADDRESS%", "local": "%DOWNSTREAM_LOCAL_ADDRESS%", "status": "%RESPONSE_CODE%"}
BEFORE = {"send-proxy": (haproxy, HAPROXY_BEFORE), "send-proxy-v2": (haproxy, HAPROXY_BEFORE),
          "send-proxy-v2-ssl": (haproxy, HAPROXY_BEFORE), "nginx": (nginx, NGINX_BEFORE)}


def listening(*, trusted=("127.0.0.0/8",), **options):
    """Return a listener that wants headers."""
    return {"listener_filters": [{"proxy_protocol": {"trusted": list(trusted), **options}}]}


@pytest.fixture
def daemon(tmp_path):
    """Yield a daemon that wants headers."""
    path = str(tmp_path / "access.log")
    log = {"access_log": {"path": path, "json": LOG, "buffer": {"flush_interval": "10ms"}}}
    with standard(tmp_path) as address, Daemon(
            one_cluster(address, listener=listening(), telemetry=["prometheus", log]), access_log=path) as made:
        yield made


@pytest.mark.parametrize("word", BEFORE)
def test_the_proxy_before_us_tells_who_the_client_is(daemon, tmp_path, word):
    start, text = BEFORE[word]
    if shutil.which(start.__name__) is None:
        pytest.skip(f"{start.__name__} is not installed")
    if word == "nginx" and not os.path.exists("/usr/lib/nginx/modules/ngx_stream_module.so"):
        pytest.skip("nginx's stream module is not installed: apt install libnginx-mod-stream")
    port = free_port()
    with start(tmp_path, text, port, mesh=daemon.port, word=word):
        sock = dial(port, get("/"))
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 200")
        number = sock.getsockname()[1]
        sock.close()
        row = daemon.access(peer=f"127.0.0.1:{number}")
        assert row["local"] == f"127.0.0.1:{port}"


def test_without_a_header_the_connection_ends(daemon):
    with dial(daemon.port, get("/")) as sock:
        assert read_to_end(sock)[0] == b""
    assert daemon.metric("envoy_proxy_proto_not_found_disallowed") == 1


def test_strangers_cannot_name_an_address(tmp_path):
    forged = b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n"
    with standard(tmp_path) as address, Daemon(
            one_cluster(address, listener=listening(trusted=("10.0.0.0/8",)))) as daemon:
        with dial(daemon.port, forged + get("/")) as sock:
            assert read_to_end(sock)[0] == b""
        assert daemon.metric("meshd_proxy_protocol_untrusted_total") == 1
        configuration = one_cluster(address, listener={
            "address": f"127.0.0.1:{daemon.port}",
            **listening(trusted=("10.0.0.0/8",), allow_requests_without_proxy_protocol=True)})
        daemon.write(configuration)
        assert daemon.reload()["accepted"]
        with dial(daemon.port, forged + get("/")) as sock:
            assert read_to_end(sock)[0].startswith(b"HTTP/1.1 400")
        assert ask(daemon.port)[0] == 200


def test_clients_over_ipv6_and_header_by_header(daemon):
    header = write(2, "[2001:db8::7]:77", "[2001:db8::1]:443")
    with dial(daemon.port) as sock:
        for byte in header:
            sock.sendall(bytes((byte,)))
        sock.sendall(get("/"))
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert daemon.access(peer="[2001:db8::7]:77")["local"] == "[2001:db8::1]:443"
