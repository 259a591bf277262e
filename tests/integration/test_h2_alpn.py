"""HTTP/2 over TLS to nginx: by ALPN, without asking, and where the endpoint has HTTP/1.1 alone."""

import os
import shutil

import pytest

from tests.integration.harness.app import running
from tests.integration.harness.client import ask, at_once
from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.tls import Mesh
from tests.integration.process import free_port

NGINX = """
daemon off; worker_processes 1; pid %(folder)s/pid; user root;
events { worker_connections 256; }
http {
  access_log off; client_body_temp_path %(folder)s/temp;
  server {
    listen 127.0.0.1:%(port)s ssl%(http2)s;
    ssl_certificate %(certificate)s; ssl_certificate_key %(key)s;
    location / { return 200 "$server_protocol"; }
  }
}
"""


def nginx(folder, mesh, http2):
    """Run nginx with TLS; it answers with the version that it was asked in."""
    program = shutil.which("nginx") or pytest.skip("nginx is not installed")
    port = free_port()
    certificate, key = mesh.files("server")
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w") as file:
        file.write(NGINX % {"folder": folder, "port": port, "http2": http2, "certificate": certificate, "key": key})
    return running([program, "-p", str(folder), "-c", path, "-e", os.path.join(folder, "nginx.log")], port)


@pytest.mark.parametrize("http2, protocol, expected", [
    (" http2", "auto", b"HTTP/2.0"), ("", "auto", b"HTTP/1.1"), (" http2", "http2", b"HTTP/2.0"),
    (" http2", "http1", b"HTTP/1.1"), (" http2", "use_downstream_protocol", b"HTTP/1.1"),
])
def test_what_is_agreed_on(tmp_path, http2, protocol, expected):
    with Mesh() as mesh, nginx(tmp_path, mesh, http2) as address:
        cluster = {"protocol": protocol, "tls": {"sni": "localhost", "validation": {"secret": "server"}}}
        with Daemon(one_cluster(address, cluster=cluster, secrets=mesh.settings())) as daemon:
            assert {found[::2] for found in at_once(100, ask, daemon.port)} == {(200, expected)}
            assert {found[::2] for found in at_once(20, ask, daemon.port)} == {(200, expected)}
            daemon.settled()
