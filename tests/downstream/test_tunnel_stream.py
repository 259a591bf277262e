"""TCP through a proxy of HTTP/2, and by POST over either version."""

from meshd.api import Tunnel, flag
from meshd.http.head import RequestHead
from tests.downstream.test_tcp import TcpCase
from tests.upstream.h2_case import Server

HOST = b"db.test:5432"
FIELDS = ((b"x-who", lambda session: session.client.encode()), (b"x-none", lambda session: b""))


def tunnel(**more):
    """Return a Tunnel to HOST."""
    return Tunnel(host=lambda session: HOST, **more)


class OverHttp2(TcpCase):
    def asked(self, plan=(), **more):
        """Return (mesh, client, the proxy's session, the stream) of a connection that waits for the proxy."""
        plan = {"tunnel": tunnel(fields=FIELDS, keeps_fields=True), **dict(plan)}
        mesh = self.tcp(plan=plan, cluster={"protocol": "http2"}, **more)
        client = self.connect(mesh)
        client.send(b"early")
        server = Server(mesh.upstream.accept(), engine="fast")
        stream, = server.requests()
        return mesh, client, server, stream

    def agreed(self, **more):
        mesh, client, server, stream = self.asked(**more)
        server.answer(stream, b"hello", fields=((b"x-proxy", b"mine"),), is_last=False)
        self.assertEqual(client.read(), b"hello")
        server.turn()
        self.assertEqual(server.bodies[stream], b"early")
        return mesh, client, server, stream

    def test_a_stream_carries_the_bytes_and_their_ends(self):
        mesh, client, server, stream = self.asked()
        head = server.heads[stream]
        self.assertEqual((head.method, head.host, head.headers.get(b"x-none")), (b"CONNECT", HOST, None))
        self.assertEqual(head.headers.get(b"x-who"), b"127.0.0.1")
        self.assertNotIn(stream, server.bodies)
        server.answer(stream, b"hello", fields=((b"X-Proxy", b"mine"),), is_last=False)
        self.assertEqual(client.read(), b"hello")
        client.send(b" and more")
        server.turn()
        self.assertEqual(server.bodies[stream], b"early and more")
        client.half_close()
        self.assertEqual(server.told("end"), [("end", stream, None)])
        server.session.send(stream, b"bye", True)
        server.turn()
        self.assertEqual((client.read(), client.end()), (b"bye", "fin"))
        session = self.noted.session
        self.assertEqual(self.end(), ("-", "", 14, 8))
        self.assertEqual(session.metadata["envoy.tcp_proxy.propagate_response_headers"], {"x-proxy": "mine"})
        self.assertEqual((mesh.cluster.cells.active_requests.value, len(mesh.cluster.streams)), (0, 0))
        self.assertEqual([one.active for one in mesh.cluster.endpoints], [0])
        self.assertEqual(mesh.breaker.ledger.requests, 0)

    def test_connections_share_one_of_the_proxys(self):
        mesh, client, server, stream = self.agreed()
        second = self.connect(mesh)
        third = server.requests()[-1]
        self.assertNotEqual(stream, third)
        server.answer(third, b"other", is_last=False)
        self.assertEqual(second.read(), b"other")
        self.assertFalse(mesh.upstream.is_wanted())
        second.reset()
        self.assertEqual([event[1] for event in server.told("reset")], [third])
        client.send(b"still here")
        server.turn()
        self.assertEqual(server.bodies[stream], b"earlystill here")

    def test_the_servers_half_may_end_first(self):
        mesh, client, server, stream = self.agreed()
        server.session.send(stream, b"bye", True)
        server.turn()
        self.assertEqual((client.read(), client.end()), (b"bye", "fin"))
        client.send(b"last")
        client.close()
        self.assertEqual(server.told("end"), [("end", stream, None)])
        self.assertEqual(server.bodies[stream], b"earlylast")
        self.assertEqual(self.end()[0], "-")

    def test_a_stopped_reader_holds_the_other_side(self):
        small = {"buffer_high_bytes": 65536, "buffer_low_bytes": 16384}
        mesh, client, server, stream = self.asked(pool=small, limits=small)
        server.consumes = False
        server.answer(stream, is_last=False)
        for _ in range(60):
            client.send(b"x" * 1_000_000)
        connection, = mesh.listener.connections
        self.assertLess(connection.relay.up.descriptor.pending_bytes, 1_500_000)
        self.assertFalse(connection.descriptor.mask & 1)

    def test_other_answers_resets_and_silence_are_connects_that_failed(self):
        for act, reason in ((lambda server, stream: server.answer(stream, status=403), "the proxy answered 403"),
                            (lambda server, stream: (server.session.reset(stream), server.turn()), "reset by upstream"),
                            (lambda server, stream: server.peer.close(), "connection closed by upstream")):
            mesh, client, server, stream = self.asked()
            act(server, stream)
            mesh.advance(0.01)
            self.assertNotEqual(client.end(), "open")
            self.assertIn(reason, self.noted.session.failure)
            self.assertTrue(self.noted.session.flags & (flag.UF | flag.UR))
            self.assertEqual(mesh.breaker.ledger.requests, 0)
        mesh, client, server, stream = self.asked()
        mesh.advance(6)
        mesh.advance(0.01)
        self.assertIn("did not answer within 5 s", self.noted.session.failure)
        self.assertEqual([event[1] for event in server.told("reset")], [stream])

    def test_a_client_that_goes_resets_the_stream(self):
        mesh, client, server, stream = self.agreed()
        client.reset()
        self.assertEqual([event[1] for event in server.told("reset")], [stream])
        mesh, client, server, stream = self.asked()
        mesh.listener.cut()
        self.assertEqual([event[1] for event in server.told("reset")], [stream])

    def test_a_proxy_that_breaks_cuts_the_client(self):
        mesh, client, server, stream = self.agreed()
        server.peer.close()
        self.assertEqual(client.end(), "reset")

    def test_by_post(self):
        mesh, client, server, stream = self.asked(plan={"tunnel": tunnel(use_post=True, post_path=b"/tunnel")})
        head = server.heads[stream]
        self.assertEqual((head.method, head.target, head.host, head.scheme), (b"POST", b"/tunnel", HOST, b"http"))
        server.answer(stream, b"hello", is_last=False)
        self.assertEqual(client.read(), b"hello")
        client.close()
        self.assertEqual((server.told("end"), server.bodies[stream]), ([("end", stream, None)], b"early"))


class ByPost(TcpCase):
    ASKED = b"POST / HTTP/1.1\r\nhost: db.test:5432\r\ntransfer-encoding: chunked\r\n\r\n"
    AGREED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

    def asked(self):
        mesh = self.tcp(plan={"tunnel": tunnel(use_post=True)})
        client = self.connect(mesh)
        client.send(b"early")
        proxy = mesh.upstream.accept()
        self.assertEqual(proxy.read(), self.ASKED)
        return mesh, client, proxy

    def test_bodies_carry_the_bytes_and_the_connection_serves_again(self):
        mesh, client, proxy = self.asked()
        proxy.send(self.AGREED + b"5\r\nhello\r\n")
        self.assertEqual((client.read(), proxy.read()), (b"hello", b"5\r\nearly\r\n"))
        client.half_close()
        self.assertEqual(proxy.read(), b"0\r\n\r\n")
        proxy.send(b"0\r\n\r\n")
        self.assertEqual(client.end(), "fin")
        self.connect(mesh)
        self.assertEqual(proxy.read(), self.ASKED)

    def test_a_body_that_is_cut_cuts_the_client(self):
        mesh, client, proxy = self.asked()
        proxy.send(self.AGREED + b"5\r\nhel")
        self.assertEqual(client.read(), b"hel")
        proxy.close()
        self.assertEqual(client.end(), "reset")

    def test_one_until_the_close_is_whole(self):
        mesh, client, proxy = self.asked()
        proxy.send(b"HTTP/1.0 200 OK\r\n\r\nhello")
        self.assertEqual(client.read(), b"hello")
        proxy.half_close()
        self.assertEqual(client.end(), "fin")


class Hosts(TcpCase):
    def test_one_that_is_none_is_a_connect_that_failed(self):
        for protocol in ("http1", "http2"):
            mesh = self.tcp(plan={"tunnel": Tunnel(host=lambda session: b"a b:1")}, cluster={"protocol": protocol})
            client = self.connect(mesh)
            mesh.turn()
            mesh.advance(0.01)
            self.assertNotEqual(client.end(), "open")
            self.assertIn("expected a name or an address", self.noted.session.failure)
            self.assertIsInstance(self.noted.session.request, RequestHead)
