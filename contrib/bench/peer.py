"""The proxies that are compared and the backend behind them: their configurations and commands. Read by compare.py.

All have the same features on: routing, two endpoints in turn, up to two retries, breaker limits of 4096, an access log
in a file, and metrics where the program has them (nginx: stub_status; HAProxy: its Prometheus exporter).
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.integration.process import free_port  # noqa: E402

LIMIT = 4096
BODY = "hello world " * 6
NGINX_HEAD = "worker_processes 1; daemon off; pid {0}.pid; error_log {0}.err;\n"


@dataclass
class Ground:
    """What the peers of one run share: a folder, the backend's ports, and a free port for each use."""

    folder: Path
    python: str = sys.executable
    backend: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    ports: dict[str, int] = field(default_factory=dict)

    def port(self, use: str) -> int:
        """Return the port of this use, the same each time."""
        if use not in self.ports:
            self.ports[use] = free_port()
        return self.ports[use]

    def write(self, name: str, text: str) -> str:
        """Write a file into the folder and return its path."""
        path = self.folder / name
        path.write_text(text)
        return str(path)


@dataclass(frozen=True)
class Peer:
    """One proxy: ``command(ground)`` writes its configuration and returns how to start it.

    ``scheme`` is what it is asked by: http (HTTP/1.1), https, or h2c (HTTP/2 by prior knowledge).
    """

    name: str
    command: Callable[[Ground], list[str]]
    environment: dict[str, str] = field(default_factory=dict)
    scheme: str = "http"


def nginx_head(ground: Ground, name: str) -> str:
    """Return the lines before ``http`` that every nginx of ours has."""
    return (
        NGINX_HEAD.format(ground.folder / name)
        + "events { worker_connections 8000; multi_accept on; }\n"
    )


def backend(ground: Ground) -> list[str]:
    """An nginx that answers / from memory and /big with 1 MiB from a file, on two ports."""
    www = ground.folder / "www"
    www.mkdir(exist_ok=True)
    (www / "big").write_bytes(os.urandom(1 << 20))
    first, second = ground.backend
    text = nginx_head(ground, "backend") + f"""
http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 600s;
  server {{ listen 127.0.0.1:{first} backlog=8192; listen 127.0.0.1:{second} backlog=8192; root {www};
    location / {{ return 200 "{BODY}\\n"; }} location /big {{ }} }} }}
"""
    return ["nginx", "-c", ground.write("backend.conf", text)]


NGINX_PASS = 'proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; ' \
    "proxy_next_upstream_tries 3;"


def nginx(ground: Ground, name: str = "nginx", listen: str = "", lines: str = "", way: str = NGINX_PASS) -> list[str]:
    """Retries are nginx's default (proxy_next_upstream error timeout). ``lines`` are more of its server."""
    servers = " ".join(f"server 127.0.0.1:{port};" for port in ground.backend)
    text = nginx_head(ground, name) + f"""
http {{ access_log {ground.folder}/{name}.log; keepalive_requests 100000000; keepalive_timeout 600s;
  upstream backend {{ {servers} keepalive 256; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{ground.port(name)} {listen} backlog=8192; {lines}
    location /nginx_status {{ stub_status; }}
    location / {{ {way} }} }} }}
"""
    return ["nginx", "-c", ground.write(f"{name}.conf", text)]


def haproxy(ground: Ground, name: str = "haproxy", bind: str = "", server: str = "") -> list[str]:
    """The access log goes to stdout, which compare.py sends to a file. ``bind`` and ``server`` add to those lines."""
    servers = "\n".join(
        f"  server s{number} 127.0.0.1:{port} maxconn {LIMIT} check observe layer7 {server}"
        for number, port in enumerate(ground.backend)
    )
    text = f"""global
  maxconn 8000
  nbthread 1
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
  retries 2
frontend public
  bind 127.0.0.1:{ground.port(name)} backlog 8192 {bind}
  http-request use-service prometheus-exporter if {{ path /metrics }}
  default_backend backend
backend backend
  balance roundrobin
  retry-on conn-failure empty-response
{servers}
"""
    return ["haproxy", "-db", "-f", ground.write(f"{name}.cfg", text)]


def typed(name: str, package: str, **values) -> dict:
    """Return an Envoy extension: its name and its typed configuration."""
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/envoy.extensions.{package}", **values}}


def envoy_address(port: int) -> dict:
    """Return a loopback address in Envoy's words."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def envoy_listener(ground: Ground, name: str, chain: dict) -> dict:
    """Return the listener with its router and access log; ``chain`` is more of its filter chain."""
    log = typed("file", "access_loggers.file.v3.FileAccessLog", path=str(ground.folder / f"{name}.log"))
    retry = {"retry_on": "connect-failure,refused-stream,reset", "num_retries": 2}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "backend", "retry_policy": retry}}
    manager = typed(
        "http", "filters.network.http_connection_manager.v3.HttpConnectionManager", stat_prefix="public",
        access_log=[log], route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        http_filters=[typed("envoy.filters.http.router", "filters.http.router.v3.Router")],
    )
    return {"name": "public", "address": envoy_address(ground.port(name)),
            "filter_chains": [{"filters": [manager], **chain}]}


def envoy(ground: Ground, name: str = "envoy", workers: int = 1, chain: dict | None = None, **more) -> list[str]:
    """So many worker threads; its statistics serve /stats/prometheus on the admin port. ``more`` is of its cluster."""
    endpoints = [{"endpoint": {"address": envoy_address(port)}} for port in ground.backend]
    limits = {"max_connections": LIMIT, "max_pending_requests": LIMIT, "max_requests": LIMIT}
    cluster = {
        "name": "backend", "type": "STATIC", "lb_policy": "ROUND_ROBIN", "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {"cluster_name": "backend", "endpoints": [{"lb_endpoints": endpoints}]}, **more,
    }
    listener = envoy_listener(ground, name, chain or {})
    return envoy_program(ground, name, {"listeners": [listener], "clusters": [cluster]}, workers)


def envoy_program(ground: Ground, name: str, resources: dict, workers: int = 1) -> list[str]:
    """Write Envoy's configuration and return its command."""
    config = {"admin": {"address": envoy_address(ground.port(f"{name}-admin"))}, "static_resources": resources}
    beside = Path(ground.python).with_name("envoy")
    program = os.environ.get("ENVOY") or (str(beside) if beside.exists() else shutil.which("envoy") or "envoy")
    path = ground.write(f"{name}.json", json.dumps(config))
    return [program, "-c", path, "--concurrency", str(workers), "-l", "error", "--disable-hot-restart"]


def meshd_text(ground: Ground, name: str, listener: str = "", cluster: str = "") -> str:
    """Return meshd's configuration file; ``listener`` and ``cluster`` are more lines of those."""
    endpoints = "\n".join(f"      - address: 127.0.0.1:{port}" for port in ground.backend)
    return f"""admin: {{address: "127.0.0.1:{ground.port(name + "-admin")}"}}
listeners:
  - name: public
    address: 127.0.0.1:{ground.port(name)}
{listener}    filters:
      - router:
          virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
                - match: {{prefix: /}}
                  cluster: backend
                  retry:
                    retry: {{retry_on: [connect-failure, refused-stream, reset], attempts: 2}}
clusters:
  - name: backend
    endpoints:
{endpoints}
{cluster}    load_balancer: round_robin
    circuit_breaker:
      limits: {{max_connections: {LIMIT}, max_pending: {LIMIT}, max_requests: {LIMIT}}}
telemetry:
  - prometheus
  - access_log: {{path: {ground.folder}/{name}.log}}
"""


def meshd_command(name: str, text: Callable[[Ground, str], str] = meshd_text) -> Callable[[Ground], list[str]]:
    """Return the command maker of one meshd variant."""

    def command(ground: Ground) -> list[str]:
        path = ground.write(f"{name}.yaml", text(ground, name))
        return [ground.python, "-m", "meshd.cli.daemon", "-c", path]

    return command


def example(ground: Ground) -> list[str]:
    """Start meshd with the shipped etc/meshd.yaml on free ports, for the memory that it takes."""
    text = (ROOT / "etc" / "meshd.yaml").read_text()
    for port in ("15000", "8080", "8081"):
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{ground.port('example-' + port)}")
    ground.ports["example"] = ground.port("example-8080")
    return [ground.python, "-m", "meshd.cli.daemon", "-c", ground.write("example.yaml", text)]


PEERS = {
    peer.name: peer
    for peer in (
        Peer("nginx", nginx),
        Peer("haproxy", haproxy),
        Peer("envoy", envoy),
        Peer("meshd", meshd_command("meshd")),
        Peer("meshd-pure", meshd_command("meshd-pure"), {"MESHD_PURE": "1"}),
    )
}
BACKEND = Peer("backend", backend)
EXAMPLE = Peer("example", example)
