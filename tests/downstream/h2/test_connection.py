"""Requests on streams: heads, bodies and trailers both ways, answers that come early, resets, the preface."""

from meshd.http import flag
from meshd.http.h2.code import CANCEL, INTERNAL_ERROR, NO_ERROR
from meshd.http.headers import Headers
from tests.downstream.echo import Echo
from tests.downstream.h2.client import H2Case, request
from tests.exchange.mesh import GET, OK, status_of
from tests.h2.wire import data, headers, rst, settings
from tests.upstream.h2_case import Server

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
NONE = ((b"content-length", b"0"),)


class Fast(H2Case):
    engine = "fast"

    def test_a_request_goes_upstream_and_its_answer_back(self):
        mesh = self.mesh()
        client = self.client(mesh)
        stream = client.begin(request(b"/a?b", x_a=b"1"))
        peer, data = mesh.upstream.serve(OK.replace(b"\r\n\r\n", b"\r\nx-b: 2\r\nconnection: keep-alive\r\n\r\n"))
        self.assertTrue(data.startswith(b"GET /a?b HTTP/1.1\r\nhost: a.example\r\nx-a: 1\r\n"))
        self.assertIn(b"\r\nx-forwarded-proto: http\r\n", data)
        self.assertNotIn(b"transfer-encoding", data)
        self.assertEqual(client.events(), [("response", stream, 200, False), ("end", stream, None), ("closed", stream)])
        self.assertEqual(client.body(stream), b"ok")
        self.assertEqual(list(client.log.heads[stream].headers), [(b"content-length", b"2"), (b"x-b", b"2")])
        self.assertEqual((mesh.last.request.version, mesh.last.flags), (20, 0))

    def test_many_at_once(self):
        mesh = self.mesh(Echo())
        client = self.client(mesh)
        streams = [client.session.request(request(b"/%d" % number), True) for number in range(90)]
        client.turn()
        self.assertEqual([client.body(stream) for stream in streams], [b"/%d" % number for number in range(90)])
        self.assertEqual(mesh.listener.cells.requests.value, 90)
        self.assertEqual(mesh.listener.whole.http2.cells.requests.value, 90)

    def test_a_local_reply_without_a_body_is_one_frame(self):
        mesh = self.mesh(Echo())
        client = self.client(mesh)
        stream = client.begin(request(method=b"HEAD"))
        self.assertEqual(client.events(), [("response", stream, 200, True), ("closed", stream)])

    def test_bodies_and_trailers_pass_both_ways(self):
        mesh = self.mesh()
        client = self.client(mesh)
        stream = client.begin(request(method=b"POST", length=-1), False)
        peer = mesh.upstream.accept()
        client.send(stream, b"one")
        client.session.trailers(stream, Headers.of((b"x-sum", b"1")))
        client.turn()
        self.assertTrue(peer.read().endswith(b"3\r\none\r\n0\r\nx-sum: 1\r\n\r\n"))
        peer.send(CHUNKED + b"3\r\ntwo\r\n0\r\nx-sum: 2\r\n\r\n")
        self.assertEqual(client.events()[1:], [("end", stream, [(b"x-sum", b"2")]), ("closed", stream)])
        self.assertEqual(client.body(stream), b"two")

    def test_trailers_behind_a_length_of_none_pass_both_ways(self):
        mesh = self.mesh(cluster={"protocol": "http2"})
        for endpoint in mesh.cluster.endpoints:
            endpoint.pool.engine = self.engine
        client = self.client(mesh)
        stream = client.begin(request(method=b"POST", content_length=b"0"), False)
        server = Server(mesh.upstream.accept())
        asked, = server.requests()
        client.session.trailers(stream, Headers.of((b"x-sum", b"1")))
        client.turn()
        self.assertEqual(server.told("end"), [("end", asked, [(b"x-sum", b"1")])])
        server.answer(asked, fields=NONE, is_last=False)
        server.session.trailers(asked, Headers.of((b"grpc-status", b"5")))
        server.turn()
        self.assertEqual(client.events(), [
            ("response", stream, 200, False), ("end", stream, [(b"grpc-status", b"5")]), ("closed", stream)])
        self.assertEqual(client.log.heads[stream].headers.get(b"content-length"), b"0")
        self.assertEqual(server.heads[asked].headers.get(b"content-length"), b"0")

    def test_a_length_of_none_whose_end_comes_later(self):
        mesh = self.mesh()
        client = self.client(mesh)
        for trailers in (None, Headers.of((b"x-sum", b"1"))):
            stream = client.begin(request(method=b"POST", content_length=b"0"), False)
            peer = mesh.upstream.peers[0] if mesh.upstream.peers else mesh.upstream.accept()
            asked = peer.read()
            self.assertIn(b"\r\ncontent-length: 0\r\n", asked)
            self.assertNotIn(b"transfer-encoding", asked)
            if trailers is None:
                client.send(stream, b"", True)
            else:
                client.session.trailers(stream, trailers)
                client.turn()
            self.assertEqual(peer.read(), b"")
            peer.send(OK)
            self.assertEqual(client.body(stream), b"ok")
        self.assertEqual(len(mesh.upstream.peers), 1)

    def test_an_answer_without_a_body_keeps_its_length(self):
        mesh = self.mesh()
        client = self.client(mesh)
        for method, answer in ((b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
                               (b"GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
                               (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
                               (b"GET", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")):
            stream = client.begin(request(method=method))
            peer = mesh.upstream.peers[0] if mesh.upstream.peers else mesh.upstream.accept()
            peer.read()
            peer.send(answer)
            self.assertEqual(client.events(), [("response", stream, int(answer[9:12]), True), ("closed", stream)])

    def test_a_client_that_waits_for_100_is_told(self):
        mesh = self.mesh()
        client = self.client(mesh)
        stream = client.begin(request(method=b"POST", length=2, expect=b"100-continue"), False)
        peer = mesh.upstream.accept()
        self.assertEqual(client.events(), [("informational", stream, 100)])
        client.send(stream, b"ab", True)
        self.assertTrue(peer.read().endswith(b"\r\n\r\nab"))
        peer.send(b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + OK)
        self.assertEqual(client.events()[:2], [("informational", stream, 103), ("response", stream, 200, False)])

    def test_crumbs_of_cookies_before_a_length(self):
        mesh = self.mesh()
        client = self.client(mesh)
        head = request(method=b"POST", cookie=b"a=1")
        head.headers.add(b"cookie", b"b=2")
        head.headers.add(b"content-length", b"2")
        client.send(client.begin(head, False), b"ab", True)
        data = mesh.upstream.accept().read()
        self.assertIn(b"\r\ncookie: a=1; b=2\r\n", data)
        self.assertTrue(data.endswith(b"\r\n\r\nab"))

    def test_an_early_answer_is_whole_before_the_rest_is_refused(self):
        mesh = self.mesh(Echo(size=100000))
        client = self.client(mesh)
        stream = client.begin(request(method=b"POST", length=-1), False)
        self.assertEqual(client.events(), [
            ("response", stream, 200, False), ("end", stream, None), ("reset", stream, NO_ERROR, False)])
        self.assertEqual(len(client.body(stream)), 100001)

    def test_a_reset_reaches_the_upstream(self):
        mesh = self.mesh()
        client = self.client(mesh)
        stream = client.begin()
        peer = mesh.upstream.accept()
        client.session.reset(stream, CANCEL)
        client.turn()
        self.assertNotEqual(peer.end(), "open")
        self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.DR, "http2.remote_reset"))
        other = client.begin()
        mesh.upstream.serve()
        self.assertEqual(client.status(other), 200)

    def test_an_answer_that_is_cut_is_reset(self):
        mesh = self.mesh()
        client = self.client(mesh)
        stream = client.begin()
        peer, _ = mesh.upstream.serve(OK.replace(b"length: 2", b"length: 9"))
        peer.close()
        self.assertIn(("reset", stream, INTERNAL_ERROR, False), client.events())
        self.assertEqual(mesh.last.flags, flag.UC)

    def test_what_came_together_with_the_cut_is_passed_on_before_the_reset(self):
        mesh = self.mesh(cluster={"protocol": "http2"})
        client = self.client(mesh)
        stream = client.begin()
        mesh.upstream.accept().send(settings() + headers(1, ((b":status", b"200"),), False)
                                    + data(1, b"ok", False) + rst(1))
        self.assertEqual([event[0] for event in client.events()], ["response", "reset"])
        self.assertEqual(client.log.bodies[stream], b"ok")
        self.assertEqual(mesh.last.flags, flag.UR)

    def test_a_client_that_is_gone_ends_all_of_its_streams(self):
        mesh = self.mesh()
        client = self.client(mesh)
        for _ in range(3):
            client.begin()
            mesh.upstream.accept()
        client.peer.close()
        self.assertEqual([one.flags for one in mesh.sink.ended], [flag.DC] * 3)
        self.assertEqual(mesh.listener.connections, set())

    def test_a_failed_upstream_is_answered(self):
        mesh = self.mesh()
        mesh.upstream.stop()
        client = self.client(mesh)
        stream = client.begin()
        self.assertEqual(client.status(stream), 503)
        self.assertEqual(mesh.last.flags, flag.UF)

    def test_connect_is_refused(self):
        mesh = self.mesh(Echo())
        client = self.client(mesh)
        head = request(method=b"CONNECT")
        head.headers.set(b"host", b"a.example:80")
        stream = client.begin(head, False)
        self.assertEqual(client.status(stream), 405)

    def test_what_breaks_http2_ends_the_connection(self):
        mesh = self.mesh(Echo())
        client = self.client(mesh)
        client.peer.send(b"\0\0\1\0\0\0\0\0\0a")  # DATA on stream 0
        self.assertIn(("goaway", 0, 1), client.events())
        self.assertEqual(client.peer.end(), "fin")
        self.assertEqual(mesh.listener.cells.protocol_errors.value, 1)


class Pure(Fast):
    engine = "pure"


class Preface(H2Case):
    """The same port serves both versions."""

    def test_http_1_1_is_still_spoken(self):
        mesh = self.mesh(Echo())
        self.assertEqual(status_of(mesh.ask(GET)), 200)
        self.assertEqual(status_of(mesh.ask(GET.replace(b"GET", b"PUT"))), 200)

    def test_a_preface_in_pieces(self):
        mesh = self.mesh(Echo())
        client = self.client(mesh)
        client.peer.close()
        peer = mesh.client(b"P")
        peer.send(b"RI * HTTP/2.0\r\n\r\nSM\r")
        self.assertEqual(peer.read(), b"")
        peer.send(b"\n\r\n\0\0\0\4\0\0\0\0\0")
        self.assertEqual(peer.read()[3:5], b"\4\0")

    def test_half_a_preface_has_its_time(self):
        for codec in ("auto", "http2"):
            mesh = self.mesh(Echo(), http={"codec": codec})
            peer = mesh.client(b"PRI *")
            mesh.advance(9)
            self.assertEqual(peer.end(), "open")
            mesh.advance(2)
            self.assertNotEqual(peer.end(), "open", codec)

    def test_http1_alone_refuses_it(self):
        mesh = self.mesh(Echo(), http={"codec": "http1"})
        peer = mesh.client(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.assertGreaterEqual(status_of(peer.read()), 400)

    def test_http2_alone_refuses_http_1_1(self):
        mesh = self.mesh(Echo(), http={"codec": "http2"})
        peer = mesh.client(GET)
        self.assertNotIn(b"HTTP/1.1", peer.read())
        self.assertEqual(peer.end(), "fin")
        client = self.client(mesh)
        self.assertEqual(client.status(client.begin()), 200)

    def test_an_upgrade_to_h2c_is_not_heeded(self):
        mesh = self.mesh()
        fields = b"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
        client = mesh.client(GET.replace(b"\r\n\r\n", fields))
        _, data = mesh.upstream.serve()
        self.assertNotIn(b"upgrade", data.lower())
        self.assertNotIn(b"http2-settings", data.lower())
        self.assertEqual(status_of(client.read()), 200)
