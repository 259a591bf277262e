"""A connection that has closed is freed at once, by reference counts alone."""

import gc

from meshd.api import Connect
from tests.downstream.test_tcp import TcpCase
from tests.exchange.mesh import GET, OK, MeshCase, status_of


class Freed(MeshCase):
    def connections(self):
        """Count the connections that live."""
        return sum(type(one).__name__ == "Connection" for one in gc.get_objects())

    def test_after_its_last_answer(self):
        mesh = self.mesh()
        gc.collect()
        before = self.connections()
        gc.disable()
        self.addCleanup(gc.enable)
        peer = None
        for _ in range(5):
            client = mesh.client(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            peer = peer or mesh.upstream.accept()
            peer.read()
            peer.send(OK)
            client.read()
            self.assertEqual(client.end(), "fin")
        mesh.sink.ended.clear()
        self.assertEqual(self.connections(), before)

    def test_after_a_tunnel(self):
        mesh = self.mesh(http={"upgrades": ("CONNECT",)}, plan={"upgrades": (b"connect",), "connect": Connect()})
        gc.collect()
        before = self.connections()
        gc.disable()
        self.addCleanup(gc.enable)
        for is_clean in (True, False):
            client = mesh.client(b"CONNECT db.test:1 HTTP/1.1\r\nHost: db.test:1\r\n\r\n")
            peer = mesh.upstream.accept()
            self.assertEqual(status_of(client.read()), 200)
            if is_clean:
                client.close()
            peer.close()
            mesh.turn()
            client.close()
            mesh.advance(400.0)
            self.assertFalse(mesh.listener.connections)
        mesh.sink.ended.clear()
        self.assertEqual(self.connections(), before)


class Tcp(TcpCase):
    def test_at_its_end_by_reference_counts_alone(self):
        """What is open at a reload is frozen, and the garbage collector finds nothing of it any more."""
        kinds = ("TcpConnection", "Session", "Relay", "Half")

        def alive():
            return sorted(type(one).__name__ for one in gc.get_objects() if type(one).__name__ in kinds)

        mesh = self.tcp()
        gc.collect()
        before = alive()
        gc.disable()
        self.addCleanup(gc.enable)
        for ends in (lambda client, peer: client.close(), lambda client, peer: peer.close(),
                     lambda client, peer: client.reset()):
            client = self.connect(mesh)
            client.send(b"hello")
            peer = mesh.upstream.accept()
            self.assertEqual(peer.read(), b"hello")
            ends(client, peer)
            mesh.turn()
            client.close()
            peer.close()
            mesh.turn()
        mesh.clients.clear()
        self.noted.session = None
        self.assertEqual(alive(), before)
