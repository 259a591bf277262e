"""A connection to an upstream that has closed is freed at once, by reference counts alone.

What a reload finds is frozen for the garbage collector, and a circle in it would stay for ever.
"""

import gc

from tests.exchange.mesh import OK
from tests.upstream.pool_case import PoolCase

KINDS = ("UpstreamConnection", "Dial", "Timer", "Descriptor", "ResponseParser")


def alive():
    """Count the connections that live, and their parts."""
    return sum(type(one).__name__ in KINDS for one in gc.get_objects())


class Freed(PoolCase):
    def setUp(self):
        super().setUp()
        self.up = self.cluster()
        gc.collect()
        self.before = alive()
        gc.disable()
        self.addCleanup(gc.enable)

    def tearDown(self):
        self.order = None
        self.end(self.up)
        self.assertEqual(alive(), self.before)

    def one(self):
        """Return a taker that has a connection."""
        taker, = self.open(self.up, 1)
        self.assertGreater(alive(), self.before)
        return taker

    def test_one_that_was_idle_for_long_enough(self):
        self.serve(self.one())

    def test_one_that_the_upstream_closes(self):
        connection = self.serve(self.one())
        self.peer_of(connection).close()

    def test_one_that_is_given_up(self):
        self.one().cancel()

    def test_one_that_breaks_under_a_request(self):
        taker = self.one()
        self.peer_of(taker.connection).close()
        self.assertIsNotNone(taker.failed)

    def test_one_that_says_what_nobody_asked(self):
        connection = self.serve(self.one())
        self.peer_of(connection).send(OK)

    def test_a_refused_dial(self):
        self.upstreams[0].socket.close()
        taker, = self.takers(self.up, 1)
        self.folder.turn()
        self.assertIsNotNone(taker.failed)

    def test_a_dial_that_takes_too_long(self):
        taker, = self.takers(self.up, 1)
        connection, = self.up.endpoints[0].pool.connections
        connection.dial.on_timeout(0.0)
        self.assertIsNotNone(taker.failed)

    def test_a_dial_that_is_cancelled(self):
        taker, = self.takers(self.up, 1)
        taker.cancel()
        connection, = self.up.endpoints[0].pool.connections
        connection.close()
