"""CONNECT, where a listener and a route take it: what follows goes to an endpoint as it is."""

from meshd.api import Connect, Timeouts
from tests.exchange.mesh import MeshCase

CONNECT = b"CONNECT db.test:5432 HTTP/1.1\r\nHost: db.test:5432\r\n\r\n"
TAKEN = {"http": {"upgrades": ("websocket", "CONNECT")}, "plan": {"upgrades": (b"connect",), "connect": Connect()}}


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

    def test_an_upgrade_of_that_name_is_none(self):
        mesh = self.taken()
        get = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: connect\r\n\r\n"
        _, head = (client := mesh.client(get)), mesh.upstream.serve()[1]
        self.assertTrue(head.startswith(b"GET / HTTP/1.1\r\n"))
        self.assertNotIn(b"upgrade", head.lower())
        self.assertTrue(client.read().startswith(b"HTTP/1.1 200"))

    def test_what_follows_one_that_is_refused_is_no_request(self):
        mesh = self.mesh()
        client = mesh.client(CONNECT + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = client.read()
        self.assertIn(b"\r\nconnection: close\r\n", answer)
        self.assertEqual(answer.count(b"HTTP/1.1 "), 1)
        self.assertFalse(mesh.upstream.is_wanted())

    def test_it_is_passed_on_where_it_does_not_end_here(self):
        mesh = self.mesh(http=TAKEN["http"], plan={"upgrades": (b"connect",)})
        client = mesh.client(CONNECT + b"early")
        upstream = mesh.upstream.accept()
        head = upstream.read()
        self.assertTrue(head.startswith(b"CONNECT db.test:5432 HTTP/1.1\r\nHost: db.test:5432\r\n"), head)
        self.assertTrue(head.endswith(b"\r\n\r\n"))
        self.assertNotIn(b"upgrade", head)
        upstream.send(b"HTTP/1.1 200 Connection established\r\n\r\nhello")
        self.assertEqual(upstream.read(), b"early")
        self.assertTrue(client.read().endswith(b"\r\n\r\nhello"))
        upstream.close()
        client.close()
        self.assertEqual(mesh.last.response_bytes, 5)

    def test_a_post_may_stand_for_it(self):
        mesh = self.mesh(http=TAKEN["http"], plan={"upgrades": (b"connect",), "connect": Connect(allow_post=True)})
        client = mesh.client(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nping\r\n")
        upstream = mesh.upstream.accept()
        self.assertEqual(upstream.read(), b"ping")
        upstream.send(b"pong")
        self.assertTrue(client.read().endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n4\r\npong\r\n"))
        client.send(b"0\r\n\r\n")
        self.assertEqual(upstream.end(), "fin")
        upstream.close()
        self.assertEqual(client.read(), b"0\r\n\r\n")
