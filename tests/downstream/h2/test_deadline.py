"""Deadlines on streams and on their connection."""

from meshd.api import Timeouts
from meshd.http import flag
from meshd.http.h2.code import ENHANCE_YOUR_CALM, INTERNAL_ERROR
from meshd.http.h2.settings import Settings
from meshd.model.http2 import Keepalive
from tests.downstream.echo import Echo
from tests.downstream.h2.client import H2Case, request
from tests.exchange.mesh import OK
from tests.h2.wire import END_HEADERS, GET, block, continuation, headers

NARROW = Settings(initial_stream_window_size=65535, initial_connection_window_size=65535)


class Fast(H2Case):
    engine = "fast"

    def test_the_route_s_timeout_is_each_stream_s(self):
        mesh = self.mesh(timeouts=Timeouts(request_s=5.0))
        client = self.client(mesh)
        first = client.begin()
        mesh.upstream.accept()
        mesh.advance(3)
        second = client.begin()
        peer = mesh.upstream.accept()
        mesh.advance(3)
        self.assertEqual((client.status(first), client.status(second)), (504, 0))
        peer.read()
        peer.send(OK)
        self.assertEqual(client.status(second), 200)
        self.assertEqual(mesh.sink.ended[0].flags, flag.UT)

    def test_a_head_whose_end_does_not_come_ends_the_connection(self):
        for whole in (headers(1, block(GET)[:20], flags=0), headers(1, GET)[:-1]):
            mesh = self.mesh(times={"headers_s": 10.0})
            client = self.client(mesh, engine="pure")
            client.peer.send(whole)
            mesh.advance(9)
            if whole[4] & END_HEADERS == 0:
                client.peer.send(continuation(1, block(GET)[20:21], False))
            self.assertEqual((client.events(), client.session.is_closed), ([], False))
            mesh.advance(2)
            self.assertEqual(client.events(), [("goaway", 0, ENHANCE_YOUR_CALM)])
            self.assertEqual(client.peer.end(), "fin")

    def test_a_head_in_pieces_that_ends_in_time(self):
        mesh = self.mesh(Echo(), times={"headers_s": 10.0})
        client = self.client(mesh)
        client.session.request(request(), True)
        data = client.session.take()
        client.peer.send(data[:12])
        mesh.advance(6)
        client.peer.send(data[12:])
        self.assertEqual(client.status(1), 200)
        mesh.advance(6)
        self.assertEqual(client.status(client.begin()), 200)

    def test_a_silent_stream_ends(self):
        mesh = self.mesh(times={"stream_idle_s": 20.0}, timeouts=Timeouts(request_s=0.0))
        client = self.client(mesh)
        stream = client.begin()
        mesh.upstream.accept()
        mesh.advance(21)
        self.assertEqual(client.status(stream), 408)
        self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.SI, "stream_idle_timeout"))

    def test_a_body_that_stalls_is_answered(self):
        mesh = self.mesh(times={"body_gap_s": 5.0})
        client = self.client(mesh)
        stream = client.begin(request(method=b"POST", length=10), False)
        mesh.upstream.accept()
        client.send(stream, b"abc")
        mesh.advance(4)
        client.send(stream, b"abc")
        mesh.advance(4)
        self.assertEqual(client.status(stream), 0)
        mesh.advance(2)
        self.assertEqual(client.status(stream), 408)

    def test_an_answer_whose_end_is_not_taken_is_reset(self):
        mesh = self.mesh(times={"stream_idle_s": 20.0}, timeouts=Timeouts(request_s=0.0))
        client = self.client(mesh, settings=NARROW, consumes=False)
        stream = client.begin()
        mesh.upstream.serve(b"HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n" + b"x" * 70000)
        client.turn()
        self.assertTrue(mesh.last.is_ended)
        mesh.advance(21)
        self.assertIn(("reset", stream, INTERNAL_ERROR, False), client.events())
        self.assertEqual(mesh.listener.whole.http2.cells.flush_timeouts.value, 1)

    def test_a_client_that_takes_no_byte_is_cut(self):
        mesh = self.mesh(times={"send_s": 5.0})
        client = self.client(mesh, small=True)
        client.session.request(request(), True)
        client.peer.send(client.session.take())
        peer = mesh.upstream.accept()
        peer.read()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4000000\r\n\r\n" + b"x" * 4000000)
        mesh.advance(6)
        self.assertEqual(mesh.listener.connections, set())
        self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.DC, "downstream_send_timeout"))

    def test_pings_find_a_client_that_is_gone(self):
        mesh = self.mesh(http2={"connection_keepalive": Keepalive(interval_s=10.0, timeout_s=2.0)},
                         timeouts=Timeouts(request_s=0.0))
        client = self.client(mesh)
        client.begin()
        mesh.upstream.accept()
        for _ in range(3):
            mesh.advance(12)
            client.turn()
        self.assertEqual(client.peer.end(), "open")
        mesh.advance(12)
        mesh.advance(3)
        self.assertEqual(mesh.listener.connections, set())
        self.assertEqual(mesh.last.detail, "http2.keepalive_timeout")
        self.assertEqual(mesh.listener.whole.http2.cells.keepalive_timeouts.value, 1)


class Pure(Fast):
    engine = "pure"
