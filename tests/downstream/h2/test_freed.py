"""A connection that has closed is freed at once, with its streams, by reference counts alone."""

import gc

from meshd.downstream.h2.connection import H2Connection
from meshd.downstream.h2.stream import Stream
from meshd.exchange.exchange import Exchange
from tests.downstream.echo import Echo
from tests.downstream.h2.client import H2Case, request

KINDS = (H2Connection, Stream, Exchange)


def alive(mesh):
    """Return how many objects of each kind live."""
    mesh.sink.ended.clear()
    kinds = [type(one) for one in gc.get_objects()]
    return {kind: kinds.count(kind) for kind in KINDS}


class Fast(H2Case):
    engine = "fast"

    def use(self, mesh):
        """Open a connection, have an answer, leave one request open, and go."""
        client = self.client(mesh)
        client.begin()
        client.begin(request(method=b"POST", length=-1), False)
        client.peer.close()
        mesh.clients.remove(client.peer)

    def test_it_is(self):
        mesh = self.mesh(Echo())
        self.use(mesh)
        gc.collect()
        before = alive(mesh)
        gc.disable()
        self.addCleanup(gc.enable)
        for _ in range(3):
            self.use(mesh)
        self.assertEqual(alive(mesh), before)


class Pure(Fast):
    engine = "pure"
