"""PostgreSQL, Redis, MQTT and a server that greets, through two daemons with mutual TLS: permissive first, then strict.

    client -> client's meshd -> (a relay that looks for anything but TLS) -> server's meshd -> server
"""

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.harness import protocols
from tests.integration.harness.daemon import Daemon
from tests.integration.harness.mosquitto import mosquitto
from tests.integration.harness.postgres import Postgres, needs_postgres
from tests.integration.harness.protocols import Device, database, value
from tests.integration.harness.redis import Redis, needs_redis
from tests.integration.harness.sniffer import Sniffer
from tests.integration.harness.tls import CLIENT_ID, Mesh
from tests.integration.process import free_port, wait_for
from tests.integration.test_codec_proxy import needs_broker
from tests.integration.test_tcp import Server

ALPN = "istio"
DEADLINE = "60s"
"""Of a drain: the connections of a chain that is gone live so long. The test is over before."""
SERVER_LOG = {"cluster": "%UPSTREAM_CLUSTER%", "tls": "%DOWNSTREAM_TLS_VERSION%", "peer": "%DOWNSTREAM_PEER_URI_SAN%"}
CLIENT_LOG = {"id": "%REQ(CLIENT-ID)%", "upstream": "%UPSTREAM_HOST%"}
REFUSED = "envoy_listener_no_filter_chain_match"


def to(cluster):
    """Return network filters."""
    return [{"tcp_proxy": {"cluster": cluster}}]


def settings(mesh, listeners, clusters, log):
    """Return a configuration with an access log of its own."""
    access = {"access_log": {"path": str(mesh.folder / f"{log}.log"), "buffer": {"flush_interval": "10ms"},
                             "json": SERVER_LOG if log == "server" else CLIENT_LOG}}
    return {"node": {"id": log}, "secrets": mesh.settings(), "drain": {"deadline": DEADLINE},
            "listeners": listeners, "clusters": clusters, "telemetry": ["prometheus", access]}


def server_side(mesh, ports, servers, mode):
    """Return the server's, with a ``tls_mode``."""
    listeners = [{"name": name, "address": f"127.0.0.1:{port}", "tls_mode": mode,
                  "listener_filters": [{"tls_inspector": {"detection_timeout": "100ms"}}],
                  "tls": mesh.serving("required", alpn=[ALPN]), "network_filters": to(name)}
                 for name, port in ports.items()]
    clusters = [{"name": name, "endpoints": [{"address": address}]} for name, address in servers.items()]
    return settings(mesh, listeners, clusters, "server")


def client_side(mesh, places):
    """Return the client's: a listener for each place, and one that reads MQTT and goes by client id."""
    tls = mesh.calling(alpn=[ALPN])
    clusters = [{"name": name, "endpoints": [{"address": place}], "tls": tls} for name, place in places.items()]
    sticky = {"ring_hash": {"hash": [{"header": "client-id"}]}}
    clusters.append({"name": "brokers", "endpoints": [{"address": places[name]} for name in ("mqtt", "mqtt-two")],
                     "tls": tls, "load_balancer": sticky})
    routes = [{"fields": [{"name": "client-id", "prefix": "device-"}], "cluster": "brokers"}, {"cluster": "mqtt"}]
    listeners = [{"name": name, "address": f"127.0.0.1:{free_port()}", "network_filters": to(name)} for name in places]
    listeners.append({"name": "mqtt-codec", "address": f"127.0.0.1:{free_port()}",
                      "network_filters": [{"codec_proxy": {"codec": "mqtt", "routes": routes}}]})
    return settings(mesh, listeners, clusters, "client")


class Way:
    """Servers, both daemons, and the relays between them. ``inner`` is the server's daemon, ``outer`` the client's."""

    def __init__(self, folder, stack):
        enter = stack.enter_context
        self.mesh = enter(Mesh())
        self.servers = {
            "postgres": enter(Postgres(self.mesh.files("server"))).address, "redis": enter(Redis()).address,
            "mqtt": enter(mosquitto(folder)), "mqtt-two": enter(mosquitto(folder)),
            "greeter": enter(Server(protocols.greet)).address}
        self.ports = {name: free_port() for name in self.servers}
        self.inner = enter(Daemon(server_side(self.mesh, self.ports, self.servers, "permissive"),
                                  access_log=str(self.mesh.folder / "server.log")))
        self.sniffers = {name: enter(Sniffer(f"127.0.0.1:{port}")) for name, port in self.ports.items()}
        places = {name: one.address for name, one in self.sniffers.items()}
        self.outer = enter(Daemon(client_side(self.mesh, places), access_log=str(self.mesh.folder / "client.log")))

    def uses(self, *ways):
        """Use every protocol on these ways ({name: port}) at once."""
        with ThreadPoolExecutor() as pool:
            jobs = [pool.submit(use, ports[name]) for ports in ways for name, use in protocols.USES.items()]
        for job in jobs:
            job.result()

    def become_strict(self):
        """Reload the server's daemon by SIGHUP."""
        name = "meshd_config_last_reload_success_timestamp_seconds"
        before = self.inner.metric(name)
        self.inner.write(server_side(self.mesh, self.ports, self.servers, "strict"))
        self.inner.signal("HUP")
        wait_for(lambda: self.inner.metric(name) != before, "the reload")


class Open:
    """Long-lived connections of every kind on one way."""

    def __init__(self, ports, name):
        redis = pytest.importorskip("redis")
        self.name = name
        self.database = database(ports["postgres"])
        self.database.autocommit = False
        value(self.database, "SELECT set_config('meshd.test', %s, false)", name)
        self.redis = redis.Redis(port=ports["redis"], single_connection_client=True)
        self.number = self.redis.client_id()
        self.device = Device(ports["mqtt"], f"open-{name}")
        self.device.subscribe(name)
        self.sock = socket.create_connection(("127.0.0.1", ports["greeter"]), 20)
        self.lines = self.sock.makefile("rb")
        assert self.lines.readline() == protocols.GREETING

    def assert_alive(self):
        """Fail where one is not the connection that it was."""
        assert value(self.database, "SELECT current_setting('meshd.test')") == self.name
        assert self.redis.client_id() == self.number
        self.device.publish(self.name, b"still here")
        assert self.device.got.get(timeout=20)[:2] == (self.name, b"still here")
        self.sock.sendall(b"NOOP\r\n")
        assert self.lines.readline() == b"NOOP\r\n"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.database.close()
        self.redis.close()
        self.device.__exit__()
        self.lines.close()
        self.sock.close()


@pytest.fixture
def way(tmp_path):
    """Yield a Way."""
    with contextlib.ExitStack() as stack:
        yield Way(tmp_path, stack)


@needs_postgres
@needs_redis
@needs_broker
def test_permissive_and_plain_then_strict(way):
    through = way.outer.ports
    way.uses(way.ports, through, {**through, "mqtt": through["mqtt-codec"]})
    with Open(way.ports, "plain") as plain, Open(through, "mutual") as mutual:
        assert way.inner.metric(REFUSED) == 0
        way.become_strict()
        for name, port in way.ports.items():
            with socket.create_connection(("127.0.0.1", port), 20) as sock:
                sock.sendall(b"hello\r\n") if name != "greeter" else None
                with contextlib.suppress(ConnectionError):
                    assert sock.recv(100) == b""
            assert way.inner.metric(REFUSED, listener=name) == 1
        plain.assert_alive()
        mutual.assert_alive()
        way.uses(through)
        plain.assert_alive()
        mutual.assert_alive()
    for sniffer in way.sniffers.values():
        if sniffer.seen:
            sniffer.assert_tls_alone()
    assert way.outer.metric("envoy_cluster_ssl_handshake", cluster_name="postgres") > 8
    wait_for(lambda: {(row["tls"], row["peer"]) for row in way.inner.accesses(cluster="redis")}
             == {("TLSv1.3", CLIENT_ID), (None, None)}, "both kinds in the access log")


@needs_postgres
@needs_redis
@needs_broker
def test_devices_stay_with_their_broker_behind_mutual_tls(way):
    port = way.outer.ports["mqtt-codec"]
    for _ in range(2):
        for number in range(8):
            with Device(port, f"device-{number}"):
                pass
    wait_for(lambda: len([row for row in way.outer.accesses() if row["id"]]) == 16, "the log")
    places = {}
    for row in way.outer.accesses():
        if row["id"]:
            places.setdefault(row["id"], set()).add(row["upstream"])
    assert all(len(found) == 1 for found in places.values())
    assert set.union(*places.values()) == {way.sniffers[name].address for name in ("mqtt", "mqtt-two")}
    way.sniffers["mqtt-two"].assert_tls_alone()
