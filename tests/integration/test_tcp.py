"""TCP through the real daemon: Redis, TLS passed through by name, half-close, slow readers, reloads, drains."""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from tests.integration.harness.daemon import MODE, Daemon
from tests.integration.harness.redis import Redis, needs_redis
from tests.integration.process import free_port, wait_for

CONNECTIONS, RELOADS = 1000, 20
CURL, OPENSSL = shutil.which("curl"), shutil.which("openssl")


def tcp(cluster="up", **options):
    """Return network filters that go to a cluster."""
    return [{"tcp_proxy": {"cluster": cluster, **options}}]


def document(address, *filters, listener=(), **top):
    """Return a configuration of one listener and the cluster ``up``."""
    listen = {"name": "public", "address": f"127.0.0.1:{free_port()}", "network_filters": [*filters, *tcp()],
              **dict(listener)}
    return {"node": {"id": "test"}, "listeners": [listen], "clusters": [{"name": "up", "endpoints": [
        {"address": address}], "circuit_breaker": {"limits": {"max_connections": 20000}}}], **top}


class Server:
    """Runs ``talk(sock)`` for each connection in a thread of its own; on a unix socket where there is a ``path``."""

    def __init__(self, talk, path=None):
        if path is None:
            self.socket = socket.create_server(("127.0.0.1", 0), backlog=4096)
            self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        else:
            self.socket = socket.create_server(path, family=socket.AF_UNIX)
            self.address = f"unix:{path}"
        self.talk = talk
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        """Accept until it is closed."""
        with contextlib.suppress(OSError):
            while True:
                sock = self.socket.accept()[0]
                threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        """Talk; what the client breaks is its own affair."""
        with contextlib.suppress(OSError), sock:
            self.talk(sock)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()


def echo(sock):
    """Send back what comes, and a word at the end of it."""
    while data := sock.recv(65536):
        sock.sendall(data)
    sock.sendall(b"bye")


def connect(daemon):
    """Return a client's socket."""
    sock = socket.create_connection(("127.0.0.1", daemon.port), 20)
    sock.settimeout(20)
    return sock


def read_all(sock):
    """Return everything until the end."""
    parts = []
    while data := sock.recv(1 << 20):
        parts.append(data)
    return b"".join(parts)


@needs_redis
def test_redis_through_tcp():
    redis = pytest.importorskip("redis")
    server = Redis()
    try:
        with Daemon(document(server.address)) as daemon:
            client = redis.Redis(port=daemon.port)
            pipe = client.pipeline(transaction=False)
            for number in range(1000):
                pipe.set(f"key{number}", b"x" * number)
            assert all(pipe.execute())
            assert client.get("key999") == b"x" * 999
            client.set("large", b"y" * (8 << 20))
            assert client.get("large") == b"y" * (8 << 20)
            client.close()
            assert daemon.access(flags="-")["received"] > 8 << 20
    finally:
        server.kill()


def test_half_close_both_ways_and_every_byte():
    data = os.urandom(1 << 20) * 16
    with Server(echo) as server, Daemon(document(server.address)) as daemon:
        client = connect(daemon)
        sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
        sender.start()
        assert read_all(client) == data + b"bye"
        sender.join()
        client.close()
        assert_counted(daemon, 1, len(data), len(data) + 3)


def test_the_server_speaks_first_behind_inspectors():
    def greet(sock):
        sock.sendall(b"220 ready\r\n")
        sock.shutdown(socket.SHUT_WR)
        sock.sendall(b"") if sock.recv(100) == b"quit" else None

    inspectors = [{"tls_inspector": {"detection_timeout": "100ms"}}, {"http_inspector": {"detection_timeout": "100ms"}}]
    with Server(greet) as server, Daemon(document(
            server.address, listener={"listener_filters": inspectors})) as daemon:
        client = connect(daemon)
        assert read_all(client) == b"220 ready\r\n"
        client.sendall(b"quit")
        client.close()


def test_a_slow_reader_holds_memory_flat():
    def flood(sock):
        for _ in range(4000):
            sock.sendall(b"x" * 65536)

    with Server(flood) as server, Daemon(document(server.address)) as daemon:
        before = daemon.resident_bytes()
        clients = [connect(daemon) for _ in range(20)]
        wait_for(lambda: daemon.metric("envoy_cluster_upstream_cx_active", cluster_name="up") == 20, "connections")
        for client in clients:
            client.recv(1)
        # at most the buffer limit of 1 MiB and one read for each, and the allocator's share
        assert daemon.resident_bytes() - before < 36 << 20
        for client in clients:
            client.close()


def certificate(folder, name):
    """Make a certificate; return (certificate's file, key's file)."""
    files = [os.path.join(folder, f"{name}.{kind}") for kind in ("crt", "key")]
    subprocess.run([OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


@pytest.mark.skipif(not (CURL and OPENSSL), reason="curl or openssl is not installed")
def test_tls_is_passed_through_by_name(tmp_path):
    def server(name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate(str(tmp_path), name))

        def talk(sock):
            with context.wrap_socket(sock, server_side=True) as inside:
                inside.recv(65536)
                inside.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + name.encode())

        return Server(talk)

    with server("a.example") as one, server("b.example") as two, server("c.example") as three:
        listen = {"name": "public", "address": f"127.0.0.1:{free_port()}", "listener_filters": ["tls_inspector"],
                  "filter_chains": [
                      {"name": "a", "match": {"server_names": ["a.example"]}, "network_filters": tcp("a")},
                      {"name": "b", "match": {"server_names": ["*.example"]}, "network_filters": tcp("b")},
                      {"name": "sni", "match": {"transport_protocol": "tls"},
                       "network_filters": ["sni_cluster", {"tcp_proxy": {}}]}]}
        names = (("a", one), ("b", two), ("c.test", three))
        clusters = [{"name": name, "endpoints": [{"address": one.address}]} for name, one in names]
        with Daemon({"node": {"id": "test"}, "listeners": [listen], "clusters": clusters}) as daemon:
            for host, cluster in (("a.example", "a.example"), ("x.b.example", "b.example"), ("c.test", "c.example")):
                found = subprocess.run(
                    [CURL, "-sk", "-m", "20", "--resolve", f"{host}:{daemon.port}:127.0.0.1",
                     f"https://{host}:{daemon.port}/"], capture_output=True, check=True)
                assert found.stdout.decode() == cluster
            shown = subprocess.run(
                [OPENSSL, "s_client", "-connect", f"127.0.0.1:{daemon.port}", "-servername", "a.example"],
                input=b"", capture_output=True).stdout
            assert b"CN = a.example" in shown or b"CN=a.example" in shown
            lost = subprocess.run([CURL, "-sk", "-m", "20", "--resolve", f"d.test:{daemon.port}:127.0.0.1",
                                   f"https://d.test:{daemon.port}/"], capture_output=True)
            assert lost.returncode == 35
            daemon.access(flags="NC")


@pytest.mark.skipif(MODE != "", reason="counts connections of one process")
def test_long_lived_connections_survive_reloads():
    with Server(echo) as server, Daemon(document(server.address)) as daemon:
        clients = [connect(daemon) for _ in range(CONNECTIONS)]
        for number in range(RELOADS):
            limits = [{"connection_limit": {"max_connections": 50000}}] * (number % 2)
            configuration = document(server.address, *limits)
            configuration["listeners"][0]["address"] = f"127.0.0.1:{daemon.port}"
            daemon.write(configuration)
            assert daemon.reload()["accepted"]
            for client in clients[number::RELOADS]:
                client.sendall(b"%d" % number)
                assert client.recv(10) == b"%d" % number
        assert daemon.metric("envoy_listener_downstream_cx_active", listener="public") == CONNECTIONS
        assert daemon.metric("envoy_cluster_upstream_cx_active", cluster_name="up") == CONNECTIONS
        for client in clients:
            client.sendall(b"end")
        for client in clients:
            assert client.recv(10) == b"end"
            client.close()
        wait_for(lambda: daemon.metric("envoy_cluster_upstream_cx_active", cluster_name="up") == 0, "their end")


def test_a_drain_waits_for_connections_until_its_deadline():
    configuration = {**document("127.0.0.1:1"), "drain": {"deadline": "1s"}}
    with Server(echo) as server:
        configuration["clusters"][0]["endpoints"] = [{"address": server.address}]
        daemon = Daemon(configuration)
        try:
            client = connect(daemon)
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            daemon.signal("TERM")
            daemon.logged("draining")
            client.sendall(b"y")
            assert client.recv(1) == b"y"
            with contextlib.suppress(ConnectionError):
                assert client.recv(1) == b""
            assert daemon.process.wait(30) == 0
        finally:
            daemon.kill()


def assert_counted(daemon, connections, received, sent):
    """Compare the metrics of the listener ``public`` once its connections have ended."""
    wait_for(lambda: daemon.metric("envoy_listener_downstream_cx_active", listener="public") == 0, "the end")
    found = [daemon.metric(f"envoy_tcp_downstream_cx_{name}", listener="public")
             for name in ("total", "rx_bytes_total", "tx_bytes_total")]
    assert found == [connections, received, sent]
    for name, expected in (("connections_opened", connections), ("connections_closed", connections),
                           ("received_bytes", received), ("sent_bytes", sent)):
        assert daemon.metric(f"istio_tcp_{name}_total") == expected
