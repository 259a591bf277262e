"""Tunnels between meshd and Envoy: each asks and each ends them, by CONNECT and POST, over HTTP/1.1 and HTTP/2."""

import contextlib
import hashlib
import os
import socket

import pytest

from meshd.http.head import RequestHead
from meshd.http.headers import Headers
from tests.integration.harness.client import dial, read_head, read_to_end
from tests.integration.harness.daemon import LOG_FIELDS, Daemon
from tests.integration.harness.envoy import Envoy, different_ports, envoy_program
from tests.integration.harness.h2 import H2Client
from tests.integration.process import wait_for
from tests.integration.test_tcp import Server

KIND = "type.googleapis.com/envoy.extensions"
HOST = "db.test:5432"
DATA = os.urandom(1 << 20) * 3
FIELDS = {**LOG_FIELDS, "cluster": "%UPSTREAM_CLUSTER%", "protocol": "%PROTOCOL%"}
WAYS = ("http1", "http2", "http1-post", "http2-post")


def talk(sock):
    """Greet, take everything, then say what it was and wait for the end."""
    sock.sendall(b"220 ready\r\n")
    seen, left = hashlib.sha256(), len(DATA)
    while left and (data := sock.recv(65536)):
        seen.update(data)
        left -= len(data)
    sock.sendall(seen.hexdigest().encode())
    sock.recv(1)


def place(port):
    """Return an address in Envoy's words."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def listener(port, name, options):
    """Return a listener of Envoy's with one filter."""
    network = {"name": name, "typed_config": options}
    return {"name": f"l{port}", "address": place(port), "filter_chains": [{"filters": [network]}]}


def http(port, routes, **more):
    """Return an HTTP listener of Envoy's."""
    return listener(port, "envoy.filters.network.http_connection_manager", {
        "@type": f"{KIND}.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "h",
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
            "@type": f"{KIND}.filters.http.router.v3.Router"}}],
        "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": routes}]}, **more})


def ending(port, cluster):
    """Return a listener of Envoy's that ends tunnels."""
    action = {"cluster": cluster, "timeout": "0s", "upgrade_configs": [
        {"upgrade_type": "CONNECT", "connect_config": {"allow_post": True}}]}
    post = {"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "POST"}}]}
    ready = {"match": {"prefix": "/"}, "direct_response": {"status": 200}}
    routes = [{"match": {"connect_matcher": {}}, "route": action}, {"match": post, "route": action}, ready]
    return http(port, routes, http2_protocol_options={"allow_connect": True},
                upgrade_configs=[{"upgrade_type": "CONNECT"}])


def asking(port, cluster, by_post):
    """Return a listener of Envoy's that asks for tunnels."""
    tunnel = {"hostname": HOST, "headers_to_add": [{"header": {"key": "x-way", "value": cluster}}]}
    return listener(port, "envoy.filters.network.tcp_proxy", {
        "@type": f"{KIND}.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "t", "cluster": cluster,
        "tunneling_config": {**tunnel, "use_post": True} if by_post else tunnel})


def proxy(name, port, is_http2):
    """Return a cluster of Envoy's for meshd."""
    made = {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": [
        {"lb_endpoints": [{"endpoint": {"address": place(port)}}]}]}}
    if is_http2:
        made["typed_extension_protocol_options"] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{KIND}.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {"allow_connect": True}}}}
    return made


def inner(name, port, way, envoy):
    """Return one of meshd's listeners of TCP and its cluster: tunnels through Envoy."""
    protocol, _, post = way.partition("-")
    tunnel = {"hostname": HOST, "use_post": bool(post), "headers_to_add": {"x-way": way}}
    network = [{"tcp_proxy": {"cluster": name, "tunneling_config": tunnel}}]
    return ({"name": name, "address": f"127.0.0.1:{port}", "network_filters": network},
            {"name": name, "protocol": protocol, "endpoints": [{"address": f"127.0.0.1:{envoy}"}]})


def configuration(ports, envoy, server, log):
    """Return meshd's: ``end`` ends tunnels, ``on-http1`` and ``on-http2`` pass CONNECT on, the others ask."""
    ends = {"cluster": "server", "upgrades": ["CONNECT"], "connect_config": {"allow_post": True}, "timeout": "0s"}
    routes = {"end": [{"match": {"connect": True}, **ends}, {"match": {"prefix": "/", "methods": ["POST"]}, **ends}]}
    for way in WAYS[:2]:
        routes[f"on-{way}"] = [{"match": {"connect": True}, "cluster": way, "upgrades": ["CONNECT"]}]
    rows = [inner(way, ports[way], way, envoy) for way in WAYS]
    listeners = [row[0] for row in rows]
    for name, table in routes.items():
        router = {"router": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": table}]}}
        listeners.append({"name": name, "address": f"127.0.0.1:{ports[name]}", "http": {"upgrades": ["CONNECT"]},
                          "filters": [router]})
    clusters = [row[1] for row in rows] + [{"name": "server", "endpoints": [{"address": server}]}]
    sink = {"access_log": {"path": log, "json": FIELDS, "buffer": {"flush_interval": "10ms"}}}
    return {"node": {"id": "test"}, "listeners": listeners, "clusters": clusters, "telemetry": [sink]}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Yield (meshd, its ports, Envoy's ports by way)."""
    program = envoy_program()
    names = [*WAYS, "end", "on-http1", "on-http2"]
    ports = dict(zip([*names, *[f"envoy-{way}" for way in WAYS], "envoy-end"], different_ports(len(names) + 5)))
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(talk))
        host, _, port = server.address.rpartition(":")
        clusters = [proxy(name, ports["end"], name == "http2") for name in ("http1", "http2")]
        listeners = [asking(ports[f"envoy-{way}"], way.partition("-")[0], "post" in way) for way in WAYS]
        envoy = Envoy(program, [*listeners, ending(ports["envoy-end"], "server")], {"server": (host, int(port))},
                      clusters)
        stack.callback(envoy.close)
        log = str(tmp_path_factory.mktemp("log") / "access")
        made = configuration(ports, ports["envoy-end"], server.address, log)
        yield stack.enter_context(Daemon(made, access_log=log)), ports


def exchange(sock, has_halves=True):
    """Read the greeting, send DATA, read the digest. Envoy ends tunnels over HTTP/1.1 with their first half."""
    assert sock.recv(11, socket.MSG_WAITALL) == b"220 ready\r\n"
    sock.sendall(DATA)
    digest = hashlib.sha256(DATA).hexdigest().encode()
    if not has_halves:
        assert sock.recv(64, socket.MSG_WAITALL) == digest
    sock.shutdown(socket.SHUT_WR)
    assert read_to_end(sock) == (digest if has_halves else b"", False)


@pytest.mark.parametrize("way", WAYS)
def test_meshd_asks_and_envoy_ends(both, way):
    daemon, ports = both
    with dial(ports[way]) as sock:
        exchange(sock, way != "http1")
    rows = wait_for(lambda: daemon.accesses(cluster=way), "the end")
    assert [(row["flags"], row["received"], row["sent"]) for row in rows] == [("-", len(DATA), 75)]


@pytest.mark.parametrize("way", WAYS)
def test_envoy_asks_and_meshd_ends(both, way):
    daemon, ports = both
    before = len(daemon.accesses(cluster="server"))
    with dial(ports[f"envoy-{way}"]) as sock:
        exchange(sock, way[:5] != "http1")
    rows = wait_for(lambda: daemon.accesses(cluster="server")[before:], "the end")
    method = "POST" if "post" in way else "CONNECT"
    protocol = "HTTP/2" if "http2" in way else "HTTP/1.1"
    assert [(row["method"], row["protocol"], row["status"], row["received"], row["sent"]) for row in rows] == [
        (method, protocol, 200, len(DATA), 75)]


@pytest.mark.parametrize("way", ("on-http1", "on-http2"))
def test_connect_passes_through_meshd_to_envoy(both, way):
    daemon, ports = both
    with dial(ports[way], f"CONNECT {HOST} HTTP/1.1\r\nhost: {HOST}\r\n\r\n".encode()) as sock:
        assert read_head(sock).startswith(b"HTTP/1.1 200 OK\r\n")
        exchange(sock, way != "on-http1")
    with H2Client(ports[way]) as client:
        host = HOST.encode()
        stream = client.begin(RequestHead(b"CONNECT", host, host, 20, Headers.of((b"host", host))), False)
        client.session.send(stream, b"ping", way == "on-http2")
        client.flush()
        while b"\n" not in (answer := client.answers[stream]).body:
            assert client.read()
        assert (answer.status, answer.reset) == (200, None)
        if way == "on-http2":
            client.wait(stream)
            assert answer.body == b"220 ready\r\n" + hashlib.sha256(b"ping").hexdigest().encode()
