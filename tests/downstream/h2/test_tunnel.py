"""Extended CONNECT (RFC 8441) onto an upgrade of HTTP/1.1."""

from meshd.http import flag
from tests.downstream.h2.client import H2Case, request

SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
          b"sec-websocket-accept: x\r\n\r\n")
PLAN = {"upgrades": frozenset((b"websocket",))}


def websocket(protocol=b"websocket"):
    """Return the head of a handshake."""
    head = request(b"/chat", sec_websocket_version=b"13")
    head.upgrade = protocol
    return head


class Fast(H2Case):
    engine = "fast"

    def mesh(self, *filters, **options):
        """Return a mesh that takes extended CONNECT."""
        return super().mesh(*filters, http2={"allow_connect": True}, plan=PLAN, **options)

    def test_a_websocket_passes_both_ways(self):
        mesh = self.mesh()
        client = self.client(mesh)
        stream = client.begin(websocket(), False)
        client.send(stream, b"early")
        peer = mesh.upstream.accept()
        head = peer.read()
        self.assertTrue(head.startswith(b"GET /chat HTTP/1.1\r\n"))
        self.assertIn(b"\r\nconnection: upgrade\r\nupgrade: websocket\r\n", head)
        self.assertIn(b"\r\nsec-websocket-key: ", head)
        self.assertNotIn(b"early", head)
        peer.send(SWITCH + b"hello")
        self.assertEqual(client.events(), [("response", stream, 101, False)])
        self.assertNotIn(b"sec-websocket-accept", client.log.heads[stream].headers)
        self.assertEqual(peer.read(), b"early")
        self.assertEqual(client.body(stream), b"hello")
        client.send(stream, b"x" * 100000)
        self.assertEqual(len(peer.read()), 100000)

    def test_its_halves_end_one_by_one(self):
        mesh = self.mesh()
        client = self.client(mesh)
        stream = client.begin(websocket(), False)
        peer, _ = mesh.upstream.serve(SWITCH)
        client.send(stream, b"bye", True)
        self.assertEqual(peer.read(), b"bye")
        self.assertEqual(peer.end(), "fin")
        peer.send(b"good bye")
        peer.half_close()
        self.assertEqual(client.events()[-2:], [("end", stream, None), ("closed", stream)])
        self.assertEqual(client.body(stream), b"good bye")
        self.assertEqual(mesh.last.flags, 0)

    def test_one_that_is_refused_upstream_gets_that_answer(self):
        mesh = self.mesh()
        client = self.client(mesh)
        stream = client.begin(websocket(), False)
        mesh.upstream.serve(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
        self.assertEqual((client.status(stream), client.body(stream)), (403, b"no"))

    def test_an_answer_that_is_no_upgrade_does_not_grant_it(self):
        mesh = self.mesh()
        client = self.client(mesh)
        stream = client.begin(websocket(), False)
        mesh.upstream.serve()
        self.assertEqual((client.status(stream), client.body(stream)), (502, b""))
        self.assertEqual((mesh.last.flags, mesh.last.detail), (flag.UPE, "upgrade_failed"))

    def test_a_protocol_that_is_not_passed_on_is_refused(self):
        mesh = self.mesh()
        client = self.client(mesh)
        stream = client.begin(websocket(b"connect-ip"), False)
        self.assertEqual(client.status(stream), 403)
        self.assertEqual(mesh.last.detail, "upgrade_failed")

    def test_a_reset_ends_it(self):
        mesh = self.mesh()
        client = self.client(mesh)
        stream = client.begin(websocket(), False)
        peer, _ = mesh.upstream.serve(SWITCH)
        client.session.reset(stream)
        client.turn()
        self.assertNotEqual(peer.end(), "open")
        self.assertEqual(mesh.last.flags, flag.DR)


class Pure(Fast):
    engine = "pure"


class Off(H2Case):
    """The default."""

    def test_it_is_not_announced_and_refused(self):
        mesh = self.mesh(plan=PLAN)
        client = self.client(mesh)
        self.assertFalse(client.session.allows_connect)
        stream = client.begin(websocket(), False)
        self.assertIn(("reset", stream, 1, False), client.events())
