"""A connection that has closed is freed at once, by reference counts alone."""

import gc

from tests.exchange.mesh import GET, OK, MeshCase


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
