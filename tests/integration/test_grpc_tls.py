"""gRPC over TLS, mutual TLS and plain, on either side of the daemon, between a real client and server (grpcio)."""

import os
import threading

import pytest

from tests.integration.harness.daemon import Daemon, one_cluster
from tests.integration.harness.ends import PATIENT
from tests.integration.harness.grpc_server import GrpcServer, call, channel, failure, needs_grpc, serving
from tests.integration.harness.shape import upgrade
from tests.integration.harness.tls import Mesh, nginx

pytestmark = needs_grpc
WAIT_S = 30
MESSAGES = int(os.environ.get("MESHD_TEST_MESSAGES", "5000"))
"""Of the stream both ways; 100,000 take a minute or two."""
WAYS = [("plain", "plain"), ("tls", "plain"), ("plain", "tls"), ("mutual", "mutual")]


class Place:
    """A daemon between ``server`` and the channels that ``opened`` makes."""

    def __init__(self, downstream, upstream, mesh, **limits):
        self.downstream, self.mesh = downstream, mesh
        credentials = None if upstream == "plain" else serving(mesh, upstream == "mutual")
        self.server = GrpcServer(credentials=credentials, options=LARGE)
        cluster = {"protocol": "http2", "pool": {"idle_timeout": "300ms", **HEADS}}
        if upstream != "plain":
            cluster["tls"] = mesh.calling()
            if upstream == "tls":
                del cluster["tls"]["certificate"]
        listener = {} if downstream == "plain" else {"tls": mesh.serving(
            "required" if downstream == "mutual" else "none")}
        listener["limits"] = {**HEADS, **limits}
        self.daemon = Daemon(one_cluster(
            self.server.address, cluster=cluster, listener=listener, secrets=mesh.settings(), overload=PATIENT,
            route={"timeout": "0s"}))

    def opened(self, options=()):
        """Return a channel of its own."""
        mesh = None if self.downstream == "plain" else self.mesh
        client = "client" if self.downstream == "mutual" else None
        return channel(self.daemon, mesh, client, (*LARGE, ("grpc.use_local_subchannel_pool", 1), *options))


HEADS = {"max_head": "256KiB"}
LARGE = (("grpc.max_receive_message_length", -1), ("grpc.max_metadata_size", 1 << 20),
         ("grpc.absolute_max_metadata_size", 1 << 20))


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def place(request):
    """Yield a Place; nothing may be left over at its end."""
    with Mesh() as mesh:
        found = Place(*request.param, mesh)
        with found.server, found.daemon as daemon:
            yield found
            daemon.settled()


def test_all_four_kinds_of_calls(place):
    with place.opened() as opened:
        answer, ended = call(opened, "Unary").with_call(b"hello", timeout=WAIT_S)
        assert (answer, dict(ended.trailing_metadata())["x-sum"]) == (b"hello", "5")
        assert call(opened, "Collect", "stream_unary")(iter([b"ab"] * 300), timeout=WAIT_S) == b"300 600"
        assert len(list(call(opened, "Count", "unary_stream")(b"500", timeout=WAIT_S))) == 500
        chat = call(opened, "Chat", "stream_stream")(iter([b"%d" % n for n in range(500)]), timeout=WAIT_S)
        assert list(chat) == [b"%d" % n for n in range(500)]


def test_messages_of_megabytes_and_of_nothing(place):
    with place.opened() as opened:
        for size in (0, 1, 16384, 5_000_000):
            assert call(opened, "Unary")(b"x" * size, timeout=WAIT_S) == b"x" * size
        sent = [os.urandom(400_000) for _ in range(10)]
        assert list(call(opened, "Chat", "stream_stream")(iter(sent), timeout=WAIT_S)) == sent


def test_a_long_stream_both_ways(place):
    with place.opened() as opened:
        count = 0
        chat = call(opened, "Chat", "stream_stream")((b"message %d" % n for n in range(MESSAGES)), timeout=500)
        for answer in chat:
            assert answer == b"message %d" % count
            count += 1
        assert count == MESSAGES and chat.code().name == "OK"


def test_a_call_that_is_cancelled_is_cancelled_at_the_server(place):
    with place.opened() as opened:
        place.server.waits_anew()
        pending = call(opened, "Wait").future(b"x", timeout=WAIT_S)
        assert place.server.waiting.wait(WAIT_S)
        pending.cancel()
        assert place.server.cancelled.wait(WAIT_S)


def test_a_stream_that_is_cancelled_in_the_middle_is_cancelled_at_the_server(place):
    with place.opened() as opened:
        place.server.waits_anew()
        goes_on = threading.Event()

        def sent():
            yield b"first"
            goes_on.wait(WAIT_S)

        chat = call(opened, "Hold", "stream_stream")(sent(), timeout=WAIT_S)
        assert next(chat) == b"first"
        chat.cancel()
        assert place.server.cancelled.wait(WAIT_S)
        goes_on.set()


def test_the_clients_deadline_reaches_the_server(place):
    with place.opened() as opened:
        place.server.waits_anew()
        assert failure(call(opened, "Wait"), b"x", timeout=0.3)[0] == "DEADLINE_EXCEEDED"
        assert place.server.cancelled.wait(WAIT_S)
        call(opened, "Unary")(b"x", timeout=2)
        assert 1 < place.server.left_s[-1] < 2.5


def test_large_metadata_both_ways(place):
    pairs = tuple((f"x-field-{number}", "v" * 1000) for number in range(60)) + (("x-data-bin", bytes(range(256))),)
    with place.opened() as opened:
        _, ended = call(opened, "Mirror").with_call(b"", metadata=pairs, timeout=WAIT_S)
        for found in (dict(ended.initial_metadata()), dict(ended.trailing_metadata())):
            assert {name: found[name] for name, _ in pairs} == dict(pairs)


def test_compressed_messages_pass(place):
    import grpc

    with place.opened() as opened:
        text = b"the same words again and again. " * 20_000
        assert call(opened, "Zip")(text, timeout=WAIT_S, compression=grpc.Compression.Gzip) == text
        row = place.daemon.access(path="/test.Echo/Zip")
        assert 0 < row["received"] < 10_000 and 0 < row["sent"] < 10_000


def test_health_is_asked_and_watched(place):
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    place.server.health.set("shop", place.server.states.SERVING)
    with place.opened() as opened:
        stub = health_pb2_grpc.HealthStub(opened)
        assert stub.Check(health_pb2.HealthCheckRequest(service="shop"), timeout=WAIT_S).status == 1
        assert failure(stub.Check, health_pb2.HealthCheckRequest(service="none"), timeout=WAIT_S)[0] == "NOT_FOUND"
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="shop"), timeout=WAIT_S)
        assert next(watch).status == 1
        place.server.health.set("shop", place.server.states.NOT_SERVING)
        assert next(watch).status == 2
        watch.cancel()


def test_keepalive_pings_of_a_client_are_answered(place):
    pings = (("grpc.keepalive_time_ms", 100), ("grpc.keepalive_timeout_ms", 2000),
             ("grpc.keepalive_permit_without_calls", 1), ("grpc.http2.max_pings_without_data", 0))
    with place.opened(pings) as opened:
        place.server.waits_anew()
        pending = call(opened, "Wait").future(b"x", timeout=WAIT_S)
        assert place.server.waiting.wait(WAIT_S)
        assert not place.server.cancelled.wait(1.5)
        place.server.cancelled.set()
        assert pending.result() == b""
        assert call(opened, "Unary")(b"x", timeout=WAIT_S) == b"x"


def test_many_calls_at_once_over_few_connections(place):
    before = place.daemon.metric("envoy_cluster_upstream_cx_total")
    with place.opened() as opened:
        pending = [call(opened, "Unary").future(b"%d" % n, timeout=WAIT_S) for n in range(500)]
        assert [one.result() for one in pending] == [b"%d" % n for n in range(500)]
    assert place.daemon.metric("envoy_cluster_upstream_cx_total") - before <= 6


@pytest.mark.parametrize("ways", [("plain", "plain"), ("mutual", "mutual")], ids="-".join)
def test_connections_that_end_while_calls_are_made_cost_none(ways):
    """The daemon says GOAWAY after each 50 calls; grpcio opens another connection and goes on."""
    with Mesh() as mesh:
        found = Place(*ways, mesh, max_requests_per_connection=50)
        with found.server, found.daemon as daemon, found.opened() as opened:
            for batch in range(10):
                pending = [call(opened, "Unary").future(b"%d" % n, timeout=WAIT_S) for n in range(60)]
                assert [one.result() for one in pending] == [b"%d" % n for n in range(60)]
            assert daemon.metric("envoy_listener_downstream_cx_total") >= 10


@pytest.mark.parametrize("ways", [("plain", "plain"), ("mutual", "mutual")], ids="-".join)
def test_an_upgrade_while_calls_are_made_costs_none(ways):
    with Mesh() as mesh:
        found = Place(*ways, mesh)
        with found.server, found.daemon as daemon, found.opened() as opened:
            goes_on = threading.Event()

            def sent():
                for number in range(100):
                    yield b"%d" % number
                goes_on.wait(WAIT_S)
                yield b"last"

            chat = call(opened, "Chat", "stream_stream")(sent(), timeout=WAIT_S)
            assert next(chat) == b"0"
            upgrade(daemon)
            for number in range(200):
                assert call(opened, "Unary")(b"x", timeout=WAIT_S) == b"x"
            goes_on.set()
            assert list(chat)[-1] == b"last"


NGINX = """server {{ listen 127.0.0.1:%(port)s http2; location / {{
  grpc_pass {scheme}://127.0.0.1:{port}; grpc_ssl_certificate {certificate}; grpc_ssl_certificate_key {key};
  grpc_ssl_trusted_certificate {root}; grpc_ssl_verify on; grpc_ssl_name shop.test; grpc_ssl_server_name on;
  grpc_ssl_protocols TLSv1.2 TLSv1.3; }} }}"""


@pytest.mark.parametrize("ways", [("plain", "plain"), ("mutual", "mutual")], ids="-".join)
def test_nginx_as_grpc_proxy_before_the_daemon(ways, tmp_path):
    with Mesh() as mesh:
        found = Place(*ways, mesh)
        certificate, key = mesh.files("client")
        with found.server, found.daemon as daemon:
            server = NGINX.format(scheme="grpc" if ways[0] == "plain" else "grpcs", port=daemon.port,
                                  certificate=certificate, key=key, root=mesh.ca)
            with nginx(tmp_path, server) as address, grpc_channel(address) as opened:
                answer, ended = call(opened, "Unary").with_call(b"hello", timeout=WAIT_S)
                assert (answer, dict(ended.trailing_metadata())["x-sum"]) == (b"hello", "5")
                chat = call(opened, "Chat", "stream_stream")(iter([b"%d" % n for n in range(300)]), timeout=WAIT_S)
                assert list(chat) == [b"%d" % n for n in range(300)]
                pending = [call(opened, "Unary").future(b"%d" % n, timeout=WAIT_S) for n in range(200)]
                assert [one.result() for one in pending] == [b"%d" % n for n in range(200)]
                found.server.failures = ["NOT_FOUND"]
                assert failure(call(opened, "Unary"), b"x", timeout=WAIT_S) == ("NOT_FOUND", "because 100%")


def grpc_channel(address):
    """Return a plain channel to an address."""
    import grpc

    return grpc.insecure_channel(address)
