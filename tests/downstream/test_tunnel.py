"""TCP through a proxy that is asked by CONNECT, and PROXY protocol headers of connections of TCP."""

from meshd.api import Tunnel, flag
from tests.downstream.test_tcp import TcpCase

HOST = b"db.test:5432"
ASKED = b"CONNECT db.test:5432 HTTP/1.1\r\nhost: db.test:5432\r\n\r\n"
AGREED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class TunnelTest(TcpCase):
    def tunnel(self, **more):
        """Return (mesh, client, the proxy's end) of a connection that waits for the proxy."""
        mesh = self.tcp(plan={"tunnel": Tunnel(host=lambda session: HOST), **more.pop("plan", {})}, **more)
        client = mesh.client(b"early")
        proxy = mesh.upstream.accept()
        self.assertEqual(proxy.read(), ASKED)
        return mesh, client, proxy

    def test_bytes_pass_once_the_proxy_agrees(self):
        mesh, client, proxy = self.tunnel()
        for place in range(len(AGREED)):
            proxy.send(AGREED[place : place + 1])
        self.assertEqual(proxy.read(), b"early")
        proxy.send(b"answer")
        client.send(b"more")
        self.assertEqual((client.read(), proxy.read()), (b"answer", b"more"))

    def test_what_the_server_says_at_once_is_passed_on(self):
        mesh, client, proxy = self.tunnel()
        proxy.send(b"HTTP/1.0 100 Continue\r\n\r\n" + AGREED + b"220 hello")
        self.assertEqual(client.read(), b"220 hello")

    def test_answers_that_say_nothing_are_passed_over_however_many(self):
        mesh, client, proxy = self.tunnel()
        proxy.send(b"HTTP/1.1 103\r\n\r\n" * 3000 + AGREED)
        self.assertEqual(proxy.read(), b"early")

    def test_another_answer_is_a_connect_that_failed(self):
        for answer in (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"SSH-2.0\r\n\r\n", b"x" * 20000,
                       b"HTTP/1.1 502\r\n\r\n"):
            mesh, client, proxy = self.tunnel()
            proxy.send(answer)
            self.assertNotEqual(client.end(), "open")
            self.assertTrue(self.noted.session.flags & flag.UF)
            self.assertTrue(self.noted.session.failure.startswith("tunnel: "))
            self.assertEqual(mesh.cluster.cells.connect_failures.value, 1)
            self.assertEqual(mesh.cluster.cells.active_connections.value, 0)

    def test_a_field_that_would_be_two_lines_asks_nobody(self):
        fields = (b"x", lambda session: b"a\r\nb"),
        mesh = self.tcp(plan={"tunnel": Tunnel(host=lambda session: HOST, fields=fields)})
        client = mesh.client(b"early")
        self.assertNotEqual(client.end(), "open")
        self.assertIn("tunnel: x: ", self.noted.session.failure)

    def test_the_next_attempt_asks_another_proxy(self):
        mesh, client, proxy = self.tunnel(upstreams=2, plan={"max_connect_attempts": 2})
        proxy.close()
        second = mesh.upstreams[1].accept()
        self.assertEqual(second.read(), ASKED)
        second.send(AGREED)
        self.assertEqual(second.read(), b"early")

    def test_a_proxy_that_says_nothing_is_given_up(self):
        mesh, client, proxy = self.tunnel(cluster={"connect_timeout_s": 2.0})
        mesh.advance(2.1)
        self.assertIn("did not answer within 2 s", self.noted.session.failure)

    def test_a_client_that_goes_takes_the_connection_along(self):
        mesh, client, proxy = self.tunnel()
        mesh.listener.cut()
        mesh.turn()
        self.assertNotEqual(proxy.end(), "open")
        self.assertEqual(mesh.cluster.cells.active_connections.value, 0)


class HeaderTest(TcpCase):
    def test_a_connection_of_tcp_begins_with_its_header(self):
        mesh = self.tcp(cluster={"proxy_protocol": "v1"})
        mesh.client(b"hello")
        self.assertEqual(mesh.upstream.accept().read(), b"PROXY UNKNOWN\r\nhello")
