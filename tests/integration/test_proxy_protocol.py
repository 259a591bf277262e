"""PROXY protocol with the proxies that people have: HAProxy and nginx, behind us and before us."""

import contextlib
import shutil

import pytest

from tests.integration.harness.app import running
from tests.integration.harness.client import ask, dial, get, read_until
from tests.integration.harness.daemon import Daemon, one_cluster, quiet_port
from tests.integration.process import wait_for

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
    with start(tmp_path, text, quiet_port()) as address:
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
