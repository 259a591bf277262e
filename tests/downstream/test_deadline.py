"""Drains and deadlines of a downstream connection."""

from meshd.api import Timeouts
from meshd.http import flag
from tests.downstream.echo import Echo
from tests.exchange.mesh import GET, OK, MeshCase, status_of

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
CLOSE = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


class Draining(MeshCase):
    def drained(self, mesh, deadline_s=10.0):
        """Drain; return the list that gets a note when it is over."""
        done = []
        mesh.world.run(lambda: mesh.listener.drain(deadline_s).addCallback(done.append))
        return done

    def test_without_connections_it_is_over_at_once(self):
        mesh = self.mesh()
        self.assertEqual(self.drained(mesh), [None])

    def test_a_request_in_flight_is_finished_and_told_to_close(self):
        mesh = self.mesh()
        client = mesh.client(GET)
        done = self.drained(mesh)
        mesh.upstream.serve()
        self.assertIn(b"connection: close", client.read())
        self.assertEqual((client.end(), done), ("fin", [None]))

    def test_an_idle_connection_gets_a_moment(self):
        mesh = self.mesh(Echo())
        client = mesh.client(GET)
        client.read()
        done = self.drained(mesh)
        mesh.advance(0.5)
        client.send(GET)
        self.assertIn(b"connection: close", client.read())
        self.assertEqual(done, [None])

    def test_an_idle_connection_is_closed_after_it(self):
        mesh = self.mesh(Echo())
        client = mesh.client(GET)
        client.read()
        done = self.drained(mesh)
        mesh.advance(1.1)
        self.assertEqual((client.end(), done), ("fin", [None]))

    def test_what_lasts_beyond_the_deadline_is_cut(self):
        mesh = self.mesh()
        client = mesh.client(GET)
        done = self.drained(mesh, 5.0)
        mesh.advance(5.1)
        self.assertEqual(done, [None])
        self.assertNotEqual(client.end(), "open")
        self.assertEqual(mesh.last.flags, flag.DC)

    def test_drained_twice_both_are_told(self):
        mesh = self.mesh()
        mesh.client(GET)
        first, second = self.drained(mesh, 5.0), self.drained(mesh, 2.0)
        mesh.advance(2.1)
        self.assertEqual((first, second), ([None], [None]))

    def test_answers_that_are_not_read_do_not_outlive_the_deadline(self):
        mesh = self.mesh(Echo(300_000))
        client = mesh.client(CLOSE, small=True)
        done = self.drained(mesh, 5.0)
        mesh.advance(5.1)
        self.assertEqual((done, mesh.listener.connections), ([None], set()))
        client.close()


class Deadlines(MeshCase):
    def test_a_head_that_does_not_end(self):
        mesh = self.mesh(Echo(), times={"headers_s": 5.0})
        client = mesh.client(b"GET / HTTP/1.1\r\n")
        for _ in range(4):
            mesh.advance(1.2)
            client.send(b"a: b\r\n")
        self.assertEqual(client.read(), b"")
        mesh.advance(0.4)
        self.assertEqual(status_of(client.read()), 408)
        self.assertEqual(mesh.last.detail, "request_header_timeout")
        self.assertEqual(client.end(), "fin")

    def test_a_head_that_does_not_end_behind_another_request(self):
        for async_first in (False, True):
            mesh = self.mesh(*(() if async_first else (Echo(),)), times={"headers_s": 5.0})
            client = mesh.client(GET + b"GET / HTTP/1.1\r\n")
            mesh.advance(4)
            if async_first:
                mesh.upstream.serve()
                client.read()
                mesh.advance(4)
            self.assertNotIn(b" 408 ", client.read())
            mesh.advance(1.2)
            self.assertEqual(status_of(client.read()), 408, async_first)

    def test_the_second_head_has_its_own_time(self):
        mesh = self.mesh(Echo(), times={"headers_s": 5.0})
        client = mesh.client(GET[:10])
        mesh.advance(4)
        client.send(GET[10:] + GET[:10])
        mesh.advance(4)
        self.assertEqual(status_of(client.read()), 200)
        client.send(GET[10:])
        self.assertEqual(status_of(client.read()), 200)

    def test_no_time_for_heads_is_no_limit(self):
        mesh = self.mesh(Echo(), times={"headers_s": 0.0, "idle_s": 5.0})
        client = mesh.client(GET[:10])
        mesh.advance(100)
        client.send(GET[10:])
        self.assertEqual(status_of(client.read()), 200)

    def test_a_body_that_stops(self):
        mesh = self.mesh(times={"body_gap_s": 5.0})
        client = mesh.client(POST + b"b")
        peer = mesh.upstream.accept()
        for _ in range(3):
            mesh.advance(4)
            client.send(b"")
        self.assertEqual(status_of(client.read()), 408)
        self.assertEqual((mesh.last.detail, peer.end()), ("request_body_timeout", "fin"))

    def test_a_body_that_comes_slowly(self):
        mesh = self.mesh(times={"body_gap_s": 5.0})
        client = mesh.client(POST)
        for byte in (b"b", b"o", b"d", b"y"):
            mesh.advance(4)
            client.send(byte)
        mesh.upstream.serve()
        self.assertEqual(client.read(), OK)

    def test_a_body_that_we_do_not_read_has_not_stopped(self):
        mesh = self.mesh(times={"body_gap_s": 5.0})
        size = 4_000_000
        client = mesh.client(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        peer = mesh.upstream.accept()
        sent = client.send(b"x" * size)
        mesh.advance(14)
        got = len(peer.read())
        while sent < size:
            sent += client.send(b"x" * (size - sent))
            got += len(peer.read())
        self.assertGreater(got, size)
        peer.send(OK)
        self.assertEqual(client.read(), OK)

    def test_an_idle_connection(self):
        mesh = self.mesh(Echo(), times={"idle_s": 5.0})
        client = mesh.client(GET)
        client.read()
        mesh.advance(4.9)
        self.assertEqual(client.end(), "open")
        client.send(GET)
        client.read()
        mesh.advance(4.9)
        self.assertEqual(client.end(), "open")
        mesh.advance(0.2)
        self.assertEqual(client.end(), "fin")

    def test_a_connection_that_never_asks(self):
        mesh = self.mesh(Echo(), times={"idle_s": 5.0})
        client = mesh.client()
        mesh.advance(5.1)
        self.assertEqual(client.end(), "fin")

    def test_no_idle_time_is_no_limit(self):
        mesh = self.mesh(times={"idle_s": 0.0})
        client = mesh.client(GET)
        mesh.upstream.serve()
        client.read()
        mesh.advance(10_000)
        self.assertEqual(client.end(), "open")

    def test_a_silent_exchange(self):
        for idle_s in (0.0, 3.0, 60.0):
            mesh = self.mesh(times={"stream_idle_s": 5.0, "idle_s": idle_s})
            client = mesh.client(GET)
            peer = mesh.upstream.accept()
            mesh.advance(4.9)
            self.assertEqual(client.read(), b"")
            mesh.advance(0.2)
            self.assertEqual((status_of(client.read()), mesh.last.flags), (408, flag.SI))
            self.assertEqual(peer.end(), "fin")

    def test_a_route_has_its_own_idle_time(self):
        mesh = self.mesh(times={"stream_idle_s": 60.0}, timeouts=Timeouts(request_s=0.0, idle_s=2.0))
        client = mesh.client(GET)
        mesh.upstream.accept()
        mesh.advance(1.9)
        self.assertEqual(client.read(), b"")
        mesh.advance(0.2)
        self.assertEqual((status_of(client.read()), mesh.last.flags), (408, flag.SI))

    def test_an_exchange_in_which_something_moves(self):
        mesh = self.mesh(times={"stream_idle_s": 5.0})
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n")
        for _ in range(3):
            mesh.advance(4)
            peer.send(b"x")
        self.assertTrue(client.read().endswith(b"xxx"))

    def test_a_client_that_takes_nothing(self):
        mesh = self.mesh(times={"send_s": 5.0})
        client = mesh.client(GET, small=True)
        peer = mesh.upstream.accept()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4000000\r\n\r\n" + b"x" * 4_000_000)
        mesh.advance(4.5)
        client.read(100_000)
        mesh.advance(4.5)
        self.assertEqual(mesh.sink.ended, [])
        mesh.advance(1)
        self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.DC, "downstream_send_timeout"))
        self.assertNotEqual(peer.end(), "open")
        self.assertEqual(mesh.listener.connections, set())

    def test_a_client_that_does_not_take_the_last_bytes(self):
        mesh = self.mesh(Echo(300_000), times={"send_s": 5.0})
        client = mesh.client(CLOSE, small=True)
        mesh.advance(4)
        self.assertEqual(len(mesh.listener.connections), 1)
        mesh.advance(2)
        self.assertEqual(mesh.listener.connections, set())
        client.close()

    def test_a_client_that_takes_the_last_bytes_slowly(self):
        mesh = self.mesh(Echo(300_000), times={"send_s": 5.0})
        client = mesh.client(CLOSE, small=True)
        got = 0
        while got < 300_000:
            mesh.advance(4)
            data = client.read(40_000)
            self.assertTrue(data)
            got += len(data)
        self.assertGreater(got, 300_000)
