"""HTTP/2 to an endpoint: flow control, upgrades, PING, reloads, what the client speaks, calls of plugins."""

import attrs

from meshd.api import CallRequest
from meshd.http import flag
from meshd.http.h2.settings import Settings
from meshd.model.http2_upstream import ConnectionKeepalive, Http2Upstream
from meshd.upstream.call import Call
from meshd.upstream.cluster import Cluster
from tests.exchange.mesh import GET, InTurn, head_of, status_of
from tests.upstream.h2_case import H2Case, both
from tests.upstream.pool_case import Taker

MEGABYTE = b"x" * 1048576
WEBSOCKET = (b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
             b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n")


@both
class Flow(H2Case):
    def test_an_endpoint_that_gives_no_credit_stops_the_client(self):
        mesh = self.h2()
        client = mesh.client(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 67108864\r\n\r\n", small=True)
        server = self.server(mesh, Settings(initial_stream_window_size=65535), consumes=False)
        number, = server.requests()
        sent = sum(client.send(MEGABYTE) for _ in range(4))
        server.turn()
        self.assertEqual(len(server.bodies[number]), 65535)
        self.assertLess(sent, 1048576)
        server.consumes = True
        server.session.consume(number, 65535)
        server.turn()
        sent += sum(client.send(MEGABYTE) for _ in range(4))
        server.turn()
        self.assertGreater(len(server.bodies[number]), 65535)

    def test_a_client_that_does_not_read_gives_no_credit(self):
        mesh = self.h2(cluster={"http2": Http2Upstream(initial_stream_window_size=65535)})
        client, other = mesh.client(GET, small=True), mesh.client(GET)
        server = self.server(mesh)
        first, second = server.requests()
        server.answer(first, is_last=False, body=MEGABYTE)
        self.assertGreater(server.session.queued(first), 500_000)
        server.answer(second, b"x" * 30_000)
        self.assertTrue(other.read().count(b"x") == 30_000)
        read = b""
        while server.session.queued(first):
            data = client.read(1 << 20)
            self.assertTrue(data)
            read += data
            server.turn()
        server.session.send(first, b"", True)
        server.turn()
        read += client.read()
        self.assertTrue(read.count(b"x") == len(MEGABYTE))


@both
class Heads(H2Case):
    def test_a_head_as_large_as_the_pool_allows_comes_in_as_many_frames_as_it_takes(self):
        mesh = self.h2(pool={"max_head_bytes": 1 << 20})
        client = mesh.client(GET)
        server = self.server(mesh)
        fields = [(b"x-%d" % number, b"a" * 50000) for number in range(8)]
        server.answer(server.requests()[0], fields=fields)
        self.assertEqual(client.read().count(b"a"), 400000)


@both
class Upgrades(H2Case):
    def open(self, settings=Settings(allow_connect=True)):
        mesh = self.h2(plan={"upgrades": (b"websocket",)})
        client = mesh.client(WEBSOCKET)
        return mesh, client, self.server(mesh, settings)

    def test_an_upgrade_is_an_extended_connect(self):
        mesh, client, server = self.open()
        number, = server.requests()
        head = server.heads[number]
        self.assertEqual((head.method, head.upgrade, head.target), (b"GET", b"websocket", b"/ws"))
        server.answer(number, status=101, is_last=False)
        line, fields, _ = head_of(client.read())
        self.assertEqual((line, fields[b"sec-websocket-accept"]),
                         (b"HTTP/1.1 101 Switching Protocols", b"BACScCJPNqyz+UBoqMH89VmURoA="))
        client.send(b"hello")
        server.turn()
        self.assertEqual(server.bodies[number], b"hello")
        server.session.send(number, b"world")
        server.turn()
        self.assertEqual(client.read(), b"world")
        server.session.send(number, b"bye", True)
        server.turn()
        self.assertEqual(client.read(), b"bye")
        client.half_close()
        self.assertEqual(server.told("end"), [("end", number, None)])
        self.assertEqual(mesh.last.flags, 0)

    def test_it_waits_for_settings_and_is_refused_without_leave(self):
        mesh, client, server = self.open(Settings())
        self.assertEqual(server.requests(), [])
        self.assertEqual(status_of(client.read()), 503)
        self.assertEqual(mesh.last.flags, flag.UR)

    def test_another_answer_is_passed_on(self):
        _, client, server = self.open()
        number, = server.requests()
        server.answer(number, b"no", status=403)
        self.assertEqual(status_of(client.read()), 403)


@both
class Living(H2Case):
    def test_a_ping_that_is_not_answered_ends_all(self):
        mesh = self.h2(cluster={"http2": Http2Upstream(connection_keepalive=ConnectionKeepalive(
            interval_s=5.0, timeout_s=2.0, interval_jitter_percent=0.0))})
        client = mesh.client(GET)
        server = self.server(mesh)
        server.requests()
        mesh.advance(5.1)
        server.turn()
        mesh.advance(3.0)
        self.assertEqual(client.read(), b"")
        mesh.advance(2.5)
        mesh.advance(2.5)
        self.assertEqual(status_of(client.read()), 503)
        self.assertEqual(mesh.last.flags, flag.UC)
        self.assertEqual(mesh.cluster.stream_cells.keepalive_timeout.value, 1)

    def test_who_asks_again_after_a_failed_connect_waits_for_a_new_one(self):
        mesh = self.h2()
        failures = []

        class Again(Taker):
            def on_failure(self, bit, reason, is_stale):
                failures.append(reason)
                if len(failures) == 1:
                    mesh.upstream.listen()
                    self.take()

        mesh.upstream.stop()
        again = Again(mesh.cluster.endpoints[0].pool).take()
        mesh.turn()
        self.assertEqual((len(failures), again.connection is None), (1, False))
        again.cancel()

    def test_a_reload_keeps_the_connection_and_an_end_lets_streams_finish(self):
        mesh = self.h2()
        client = mesh.client(GET)
        server = self.server(mesh)
        number, = server.requests()
        new = Cluster(mesh.spec, InTurn(), mesh.breaker, mesh.world)
        new.adopt(mesh.cluster)
        new.set_endpoints(mesh.spec.endpoints)
        new.start()
        mesh.cluster.retire()
        self.assertEqual(server.peer.end(), "open")
        mesh.cluster = new
        new.retire()
        self.assertEqual(server.peer.end(), "open")
        server.answer(number, status=204)
        self.assertEqual(status_of(client.read()), 204)
        self.assertEqual(server.peer.end(), "fin")

    def test_another_protocol_is_another_pool(self):
        mesh = self.h2()
        spec = attrs.evolve(mesh.spec, protocol="http1")
        new = Cluster(spec, InTurn(), mesh.breaker, mesh.world)
        new.adopt(mesh.cluster)
        new.set_endpoints(spec.endpoints)
        self.assertEqual(new.endpoints[0].pool.protocol, "http1")
        self.assertIsNot(new.endpoints[0].pool, mesh.cluster.endpoints[0].pool)

    def test_what_the_client_speaks(self):
        mesh = self.h2(cluster={"protocol": "use_downstream_protocol"})
        client = mesh.client(GET)
        _, data = mesh.upstream.serve()
        self.assertTrue(data.startswith(b"GET / HTTP/1.1\r\n"))
        self.assertEqual(status_of(client.read()), 200)

    def test_a_call_of_a_plugin(self):
        mesh = self.h2()
        found = []
        Call(mesh.cluster, CallRequest(method=b"POST", target=b"/x", body=b"hi", host=b"h")).begin().addCallback(
            found.append)
        server = self.server(mesh)
        number, = server.requests()
        self.assertEqual((server.bodies[number], server.heads[number].host), (b"hi", b"h"))
        server.answer(number, b"yes", status=201)
        self.assertEqual((found[0].status, found[0].body), (201, b"yes"))
