"""CONNECT, where a listener and a route take it: what follows goes to an endpoint as it is."""

from meshd.api import Timeouts
from tests.exchange.mesh import MeshCase

CONNECT = b"CONNECT db.test:5432 HTTP/1.1\r\nHost: db.test:5432\r\n\r\n"
TAKEN = {"http": {"upgrades": ("websocket", "CONNECT")}, "plan": {"upgrades": (b"connect",)}}


class ConnectTest(MeshCase):
    def taken(self, **more):
        return self.mesh(**TAKEN, **more)

    def test_bytes_pass_both_ways_from_the_first_one_on(self):
        mesh = self.taken()
        client = mesh.client(CONNECT + b"early")
        upstream = mesh.upstream.accept()
        self.assertEqual(upstream.read(), b"early")
        self.assertEqual(client.read(), b"HTTP/1.1 200 OK\r\n\r\n")
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        upstream.send(b"\0\1\2")
        self.assertEqual((upstream.read(), client.read()), (b"GET / HTTP/1.1\r\n\r\n", b"\0\1\2"))
        upstream.half_close()
        self.assertEqual(client.end(), "fin")
        client.send(b"last")
        self.assertEqual(upstream.read(), b"last")
        client.half_close()
        mesh.turn()
        self.assertEqual((mesh.last.response.status, mesh.last.detail), (200, "via_upstream"))

    def test_no_request_timeout_ends_it(self):
        mesh = self.taken(timeouts=Timeouts(request_s=1.0))
        client = mesh.client(CONNECT)
        upstream = mesh.upstream.accept()
        mesh.advance(5)
        client.send(b"still")
        self.assertEqual(upstream.read(), b"still")
        client.close()

    def test_an_endpoint_that_cannot_be_reached_is_503(self):
        mesh = self.taken()
        mesh.upstream.stop()
        self.assertTrue(mesh.client(CONNECT).read().startswith(b"HTTP/1.1 503"))

    def test_elsewhere_it_is_refused(self):
        mesh = self.mesh()
        self.assertTrue(mesh.client(CONNECT).read().startswith(b"HTTP/1.1 405"))
        mesh = self.mesh(http={"upgrades": ("connect",)})
        self.assertTrue(mesh.client(CONNECT).read().startswith(b"HTTP/1.1 404"))
        mesh = self.taken()
        body = CONNECT.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\nabc")
        self.assertTrue(mesh.client(body).read().startswith(b"HTTP/1.1 400"))
