"""nginx, HAProxy and Envoy as the benchmark configures them, each in front of one upstream; started by ``verdicts``."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys

from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.process import free_port, wait_for

NGINX = """worker_processes 1; daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 1000; }}
http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
 fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
 map $http_upgrade $switch {{ default upgrade; "" ""; }}
 upstream up {{ server {upstream}; keepalive 16; }}
 server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://up; proxy_http_version 1.1;
  proxy_set_header Connection $switch; proxy_set_header Upgrade $http_upgrade; proxy_set_header Host $host; }} }} }}
"""
HAPROXY = """global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
  retries 0
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  server s1 {upstream}
"""
TYPE = "type.googleapis.com/envoy.extensions.filters."


def nginx(folder, port, upstream):
    """Return nginx's command and how it tells its version."""
    write(f"{folder}/nginx.conf", NGINX.format(folder=folder, port=port, upstream=upstream))
    return ["nginx", "-p", folder, "-c", f"{folder}/nginx.conf"], ["nginx", "-v"]


def haproxy(folder, port, upstream):
    """Return HAProxy's command and how it tells its version."""
    write(f"{folder}/haproxy.cfg", HAPROXY.format(port=port, upstream=upstream))
    return ["haproxy", "-db", "-f", f"{folder}/haproxy.cfg"], ["haproxy", "-v"]


def address(text):
    """Return Envoy's form of HOST:PORT."""
    host, _, port = text.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def envoy(folder, port, upstream):
    """Return Envoy's command and how it tells its version."""
    route = {"match": {"prefix": "/"}, "route": {"cluster": "up"}}
    manager = {
        "@type": f"{TYPE}network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "in",
        "codec_type": "HTTP1", "upgrade_configs": [{"upgrade_type": "websocket"}],
        "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{TYPE}http.router.v3.Router"}}]}
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(upstream)}}]}]
    cluster = {"name": "up", "type": "STATIC", "load_assignment": {"cluster_name": "up", "endpoints": endpoints}}
    write(f"{folder}/envoy.json", json.dumps({"static_resources": {
        "listeners": [{"name": "h", "address": address(f"127.0.0.1:{port}"), "filter_chains": [chain]}],
        "clusters": [cluster]}}))
    binary = shutil.which("envoy") or os.path.join(sys.prefix, "bin", "envoy")
    options = ["--concurrency", "1", "-l", "error", "--disable-hot-restart"]
    return [binary, "-c", f"{folder}/envoy.json", *options], [binary, "--version"]


def write(path, text):
    """Write a configuration."""
    with open(path, "w") as file:
        file.write(text)


@contextlib.contextmanager
def running(make, folder, upstream):
    """Run one of the above; the value is (port, version)."""
    port = free_port()
    command, ask = make(folder, port, upstream)
    told = subprocess.run(ask, capture_output=True, text=True, check=True)
    version = re.search(r"\d+\.\d+\.\d+", told.stdout + told.stderr)[0]
    with open(f"{folder}/{make.__name__}.out", "w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        wait_for(lambda: process.poll() is not None or accepts(port), make.__name__, 30)
        assert process.poll() is None, open(out.name).read()
        yield port, version
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def meshd(folder, upstream):
    """Run meshd; the value is (port, version)."""
    with Daemon(one_cluster(upstream, route={"upgrades": ["websocket"]})) as daemon:
        yield daemon.port, daemon.json("/server_info")["version"]


def accepts(port):
    """Say whether somebody listens."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
