"""The proxies as relays of TCP, configured alike: two endpoints in turn, an access log, metrics. Read by compare.py.

    compare.py --proxy nginx-tcp haproxy-tcp envoy-tcp meshd-tcp --case tcp-small tcp-1m
"""

from peer import LIMIT, Ground, Peer, envoy_address, envoy_program, meshd_command, nginx_head, typed


def nginx(ground: Ground, name: str = "nginx-tcp") -> list[str]:
    """The stream module, which Debian loads as a dynamic one."""
    servers = " ".join(f"server 127.0.0.1:{port};" for port in ground.backend)
    text = "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n" + nginx_head(ground, name) + f"""
stream {{ log_format plain '$remote_addr $status $bytes_sent $bytes_received $session_time $upstream_addr';
  access_log {ground.folder}/{name}.log plain; upstream backend {{ {servers} }}
  server {{ listen 127.0.0.1:{ground.port(name)} backlog=8192; proxy_pass backend; }} }}
"""
    return ["nginx", "-c", ground.write(f"{name}.conf", text)]


def haproxy(ground: Ground, name: str = "haproxy-tcp") -> list[str]:
    """With splicing where it thinks it worth while."""
    servers = "\n".join(f"  server s{number} 127.0.0.1:{port} maxconn {LIMIT}"
                        for number, port in enumerate(ground.backend))
    text = f"""global
  maxconn 4000
  nbthread 1
  log stdout format raw local0
defaults
  mode tcp
  log global
  option tcplog
  option splice-auto
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend public
  bind 127.0.0.1:{ground.port(name)} backlog 8192
  default_backend backend
backend backend
  balance roundrobin
{servers}
"""
    return ["haproxy", "-db", "-f", ground.write(f"{name}.cfg", text)]


def envoy(ground: Ground, name: str = "envoy-tcp") -> list[str]:
    """One worker thread."""
    log = typed("file", "access_loggers.file.v3.FileAccessLog", path=str(ground.folder / f"{name}.log"))
    proxy = typed("envoy.filters.network.tcp_proxy", "filters.network.tcp_proxy.v3.TcpProxy", stat_prefix="public",
                  cluster="backend", access_log=[log])
    listener = {"name": "public", "address": envoy_address(ground.port(name)), "filter_chains": [{"filters": [proxy]}]}
    endpoints = [{"endpoint": {"address": envoy_address(port)}} for port in ground.backend]
    cluster = {
        "name": "backend", "type": "STATIC", "lb_policy": "ROUND_ROBIN",
        "circuit_breakers": {"thresholds": [{"max_connections": LIMIT, "max_pending_requests": LIMIT}]},
        "load_assignment": {"cluster_name": "backend", "endpoints": [{"lb_endpoints": endpoints}]},
    }
    return envoy_program(ground, name, {"listeners": [listener], "clusters": [cluster]})


def meshd_text(ground: Ground, name: str) -> str:
    """Return meshd's configuration file."""
    endpoints = ", ".join(f'{{address: "127.0.0.1:{port}"}}' for port in ground.backend)
    return f"""admin: {{address: "127.0.0.1:{ground.port(name + "-admin")}"}}
listeners:
  - name: public
    address: 127.0.0.1:{ground.port(name)}
    network_filters: [{{tcp_proxy: {{cluster: backend}}}}]
clusters:
  - name: backend
    endpoints: [{endpoints}]
    load_balancer: round_robin
    circuit_breaker: {{limits: {{max_connections: {LIMIT}, max_pending: {LIMIT}}}}}
telemetry:
  - prometheus
  - access_log: {{path: {ground.folder}/{name}.log}}
"""


PEERS = {
    peer.name: peer
    for peer in (
        Peer("nginx-tcp", nginx),
        Peer("haproxy-tcp", haproxy),
        Peer("envoy-tcp", envoy),
        Peer("meshd-tcp", meshd_command("meshd-tcp", meshd_text)),
        Peer("meshd-tcp-pure", meshd_command("meshd-tcp-pure", meshd_text), {"MESHD_PURE": "1"}),
    )
}
