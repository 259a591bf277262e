"""CONNECT on a stream of HTTP/2 (RFC 9113 8.5), ended here or passed on to a proxy of HTTP/1.1 or HTTP/2."""

from meshd.api import Connect, Timeouts
from meshd.http import flag
from meshd.http.h2.code import CONNECT_ERROR
from meshd.http.head import RequestHead
from meshd.http.headers import Headers
from tests.downstream.h2.client import Client, H2Case, request
from tests.upstream.h2_case import Server

HOST = b"db.test:5432"
TAKEN = {"upgrades": ("websocket", "CONNECT")}
ENDS = {"upgrades": (b"connect",), "connect": Connect()}
PASSES = {"upgrades": (b"connect",)}


def connect():
    """Return the head of a plain CONNECT."""
    return RequestHead(b"CONNECT", HOST, HOST, 20, Headers.of((b"host", HOST)))


class Fast(H2Case):
    engine = "fast"

    def tunnel(self, plan=ENDS, **options):
        """Return (mesh, client, its stream) of a CONNECT that has been asked for."""
        mesh = self.mesh(http=TAKEN, plan=plan, **options)
        client = self.client(mesh)
        return mesh, client, client.begin(connect(), False)

    def test_bytes_pass_both_ways(self):
        mesh, client, stream = self.tunnel()
        client.send(stream, b"early")
        peer = mesh.upstream.accept()
        self.assertEqual(peer.read(), b"early")
        self.assertEqual(client.events(), [("response", stream, 200, False)])
        self.assertNotIn(b"content-length", client.log.heads[stream].headers)
        peer.send(b"\0\1")
        client.send(stream, b"x" * 100_000)
        self.assertEqual((client.body(stream), len(peer.read())), (b"\0\1", 100_000))

    def test_its_halves_end_one_by_one(self):
        mesh, client, stream = self.tunnel()
        peer = mesh.upstream.accept()
        client.send(stream, b"bye", True)
        self.assertEqual((peer.read(), peer.end()), (b"bye", "fin"))
        peer.send(b"good bye")
        peer.half_close()
        self.assertEqual(client.events()[-2:], [("end", stream, None), ("closed", stream)])
        self.assertEqual(client.body(stream), b"good bye")
        last = mesh.last
        self.assertEqual((last.flags, last.detail, last.request_bytes, last.response_bytes), (0, "via_upstream", 3, 8))

    def test_the_servers_half_may_end_first(self):
        mesh, client, stream = self.tunnel()
        peer = mesh.upstream.accept()
        peer.half_close()
        self.assertEqual(client.events()[-1], ("end", stream, None))
        client.send(stream, b"still", True)
        self.assertEqual((peer.read(), peer.end()), (b"still", "fin"))
        self.assertEqual(mesh.last.flags, 0)

    def test_one_that_ends_at_once_reads_on(self):
        mesh = self.mesh(http=TAKEN, plan=ENDS)
        client = self.client(mesh)
        stream = client.begin(connect())
        peer = mesh.upstream.accept()
        self.assertEqual(peer.end(), "fin")
        peer.send(b"time")
        peer.close()
        self.assertEqual(client.body(stream), b"time")

    def test_a_reset_either_way_is_passed_on(self):
        mesh, client, stream = self.tunnel()
        peer = mesh.upstream.accept()
        client.session.reset(stream)
        client.turn()
        self.assertNotEqual(peer.end(), "open")
        self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.DR, "http2.remote_reset"))
        stream = client.begin(connect(), False)
        peer = mesh.upstream.accept()
        peer.send(b"unread" * 10)
        client.events()
        mesh.advance(0)
        mesh.listener.cut()
        client.turn()
        self.assertNotEqual(peer.end(), "open")

    def test_an_upstream_that_breaks_is_a_connect_error(self):
        mesh, client, stream = self.tunnel(PASSES)
        mesh.upstream.serve(b"HTTP/1.1 200 Fine\r\n\r\n")
        client.events()
        connection, = mesh.cluster.endpoints[0].pool.connections
        mesh.world.run(connection.lost, "connection reset by peer")
        self.assertEqual(client.events(), [("reset", stream, CONNECT_ERROR, False)])
        self.assertEqual(mesh.last.flags, flag.UC)

    def test_a_stopped_reader_holds_the_other_side(self):
        small = {"buffer_high_bytes": 65536, "buffer_low_bytes": 16384}
        mesh = self.mesh(http=TAKEN, http2={"initial_stream_window_size": 65535}, plan=ENDS, limits=small, pool=small)
        client = Client(mesh, consumes=False)
        stream = client.begin(connect(), False)
        peer = mesh.upstream.accept()
        self.assertLess(peer.send(b"x" * 4_000_000), 2_000_000)
        self.assertLess(mesh.connection().session.queued(stream), 500_000)
        for _ in range(100):
            client.session.send(stream, b"y" * 16384)
        client.turn()
        lease = mesh.connection().streams[stream].exchange.attempt.connection
        self.assertLess(lease.descriptor.pending_bytes, 200_000)
        self.assertGreater(client.session.queued(stream), 500_000)
        total = 0
        while data := peer.read():
            total += len(data)
            client.turn()
        self.assertEqual(total, 1_638_400)
        client.session.reset(stream)
        client.turn()

    def test_an_endpoint_that_cannot_be_reached_is_tried_again_then_503(self):
        mesh = self.mesh(http=TAKEN, plan=ENDS, upstreams=2,
                         retry={"retry_on": ("connect-failure",), "methods": ("*",)})
        mesh.upstreams[0].stop()
        client = self.client(mesh)
        stream = client.begin(connect(), False)
        mesh.advance(1)
        peer = mesh.upstreams[1].accept()
        peer.send(b"hello")
        self.assertEqual(client.body(stream), b"hello")
        mesh.upstreams[1].stop()
        stream = client.begin(connect(), False)
        mesh.advance(1)
        self.assertEqual(client.status(stream), 503)
        self.assertEqual(mesh.last.flags & flag.UF, flag.UF)

    def test_no_request_timeout_ends_it_but_silence_does(self):
        mesh = self.mesh(http=TAKEN, plan=ENDS, timeouts=Timeouts(request_s=1.0), times={"stream_idle_s": 20.0})
        client = self.client(mesh)
        stream = client.begin(connect(), False)
        mesh.upstream.accept()
        mesh.advance(5)
        self.assertEqual(client.events(), [("response", stream, 200, False)])
        mesh.advance(30)
        self.assertEqual(client.events(), [("reset", stream, CONNECT_ERROR, False)])
        self.assertEqual(mesh.last.flags, flag.SI)

    def test_elsewhere_it_is_refused(self):
        mesh = self.mesh(plan=ENDS)
        client = self.client(mesh)
        self.assertEqual(client.status(client.begin(connect(), False)), 405)
        mesh = self.mesh(http=TAKEN)
        client = self.client(mesh)
        self.assertEqual(client.status(client.begin(connect(), False)), 404)

    def test_the_endpoint_may_be_told_where_the_client_is(self):
        plan = {"upgrades": (b"connect",), "connect": Connect(proxy_protocol="v1")}
        mesh, client, stream = self.tunnel(plan)
        client.send(stream, b"hello")
        self.assertEqual(mesh.upstream.accept().read(), b"PROXY UNKNOWN\r\nhello")

    def test_a_post_may_stand_for_it(self):
        plan = {"upgrades": (b"connect",), "connect": Connect(allow_post=True)}
        mesh = self.mesh(http=TAKEN, plan=plan)
        client = self.client(mesh)
        stream = client.begin(request(b"/", b"POST", -1), False)
        client.send(stream, b"ping")
        peer = mesh.upstream.accept()
        self.assertEqual(peer.read(), b"ping")
        peer.send(b"pong")
        self.assertEqual((client.status(stream), client.body(stream)), (200, b"pong"))
        client.send(stream, b"", True)
        self.assertEqual(peer.end(), "fin")
        peer.send(b"!")
        peer.close()
        self.assertEqual(client.events()[-2:], [("end", stream, None), ("closed", stream)])
        self.assertEqual(client.body(stream), b"pong!")

    def test_it_is_passed_on_to_a_proxy_of_http_1(self):
        mesh, client, stream = self.tunnel(PASSES)
        peer = mesh.upstream.accept()
        head = peer.read()
        self.assertTrue(head.startswith(b"CONNECT db.test:5432 HTTP/1.1\r\nhost: db.test:5432\r\n"), head)
        self.assertNotIn(b"upgrade", head)
        client.send(stream, b"early")
        self.assertEqual(peer.read(), b"")
        peer.send(b"HTTP/1.1 200 Fine\r\nx-proxy: yes\r\n\r\n220 hello")
        self.assertEqual((client.status(stream), client.body(stream)), (200, b"220 hello"))
        self.assertEqual(client.log.heads[stream].headers.get(b"x-proxy"), b"yes")
        self.assertEqual(peer.read(), b"early")
        client.send(stream, b"bye", True)
        self.assertEqual((peer.read(), peer.end()), (b"bye", "fin"))

    def test_a_proxy_that_refuses_is_heard(self):
        mesh, client, stream = self.tunnel(PASSES)
        client.send(stream, b"early")
        mesh.upstream.serve(b"HTTP/1.1 407 No\r\ncontent-length: 2\r\n\r\nno")
        self.assertEqual((client.status(stream), client.body(stream)), (407, b"no"))

    def test_it_is_passed_on_to_a_proxy_of_http_2(self):
        mesh, client, stream = self.tunnel(PASSES, cluster={"protocol": "http2"})
        server = Server(mesh.upstream.accept())
        asked, = server.requests()
        head = server.heads[asked]
        self.assertEqual((head.method, head.host, head.upgrade), (b"CONNECT", HOST, b"connect"))
        client.send(stream, b"early")
        server.answer(asked, b"hello", is_last=False)
        self.assertEqual((client.status(stream), client.body(stream)), (200, b"hello"))
        server.turn()
        self.assertEqual(server.bodies[asked], b"early")
        client.send(stream, b"bye", True)
        self.assertEqual(server.told("end"), [("end", asked, None)])
        server.session.send(asked, b"", True)
        server.turn()
        self.assertEqual(client.events()[-2:], [("end", stream, None), ("closed", stream)])


class Pure(Fast):
    engine = "pure"
