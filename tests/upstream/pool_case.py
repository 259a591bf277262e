"""One cluster over scripted upstreams, and attempts that only take and give back."""

import unittest

from meshd.model.cluster import Cluster as ClusterSpec
from meshd.model.cluster import EndpointSpec
from meshd.model.cluster import Pool as PoolSpec
from meshd.upstream.cluster import Cluster
from meshd_plugins.limits import Breaker, Limits
from tests.exchange.mesh import OK, InTurn, Upstream, vars_of
from tests.upstream.counts import Counts
from tests.upstream.folder import Folder


class Taker:
    """Stands for an attempt."""

    is_tunnel = False

    def __init__(self, pool):
        self.pool = pool
        self.connection = None
        self.failed = None
        self.is_whole = False

    def take(self):
        """Ask the pool."""
        connection = self.pool.take(self)
        if connection is not None:
            self.on_connection(connection)
        return self

    def on_connection(self, connection):
        """Take the lease."""
        self.connection = connection
        connection.lease(self, b"GET", False)

    def on_failure(self, bit, reason, is_stale):
        """There is none, or it broke."""
        self.failed = bit, reason, is_stale
        self.connection = None

    def on_end(self, trailers):
        """The answer is whole."""
        self.is_whole = True
        connection, self.connection = self.connection, None
        connection.release(True)

    def cancel(self):
        """Give up."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.abort()
        elif self.failed is None:
            self.pool.give_up(self)

    def ignore(self, *args):
        """Not of interest here."""

    on_response = on_body = on_informational = flush = drained = ignore


class PoolCase(unittest.TestCase):
    """One cluster over scripted upstreams."""

    def setUp(self):
        self.folder = Folder()
        self.world = self.folder.world
        self.addCleanup(self.folder.close)
        self.counts = Counts.made()

    def cluster(self, upstreams=1, breaker=(), pool=(), start=True):
        """Return a cluster of new upstreams."""
        self.upstreams = [Upstream(self.folder) for _ in range(upstreams)]
        self.folder.peers += self.upstreams
        return self.next_cluster([one.address for one in self.upstreams], breaker=breaker, pool=pool, start=start)

    def next_cluster(self, addresses, previous=None, breaker=(), pool=(), start=True, weight=1):
        """Return a cluster as a reload makes it."""
        spec = ClusterSpec(name="up", endpoints=tuple(EndpointSpec(address=one, weight=weight) for one in addresses),
                           pool=PoolSpec(**dict(pool)))
        breaker = Breaker(Limits(**dict(breaker)), self.counts, self.world.metrics, "up")
        cluster = Cluster(spec, InTurn(), breaker, self.world)
        if previous is not None:
            cluster.adopt(previous)
        cluster.set_endpoints(spec.endpoints)
        if start:
            cluster.start()
        return cluster

    def takers(self, cluster, count):
        """Return ``count`` takers, each of which has asked."""
        return [Taker(cluster.endpoints[0].pool).take() for _ in range(count)]

    def serve(self, taker):
        """Let the upstream answer ``taker``; return the connection that it had."""
        connection = taker.connection
        self.peer_of(connection).send(OK)
        self.assertTrue(taker.is_whole)
        return connection

    def peer_of(self, connection):
        """Return the upstream's end of a connection; they were accepted in the order of their opening."""
        while True:
            try:
                self.upstreams[0].accept()
            except BlockingIOError:
                break
        return self.upstreams[0].peers[self.order.index(connection)]

    def open(self, cluster, count):
        """Return takers that all have a connection of their own."""
        takers = self.takers(cluster, count)
        self.folder.turn()
        self.order = [taker.connection for taker in takers]
        self.assertNotIn(None, self.order)
        return takers

    def end(self, *clusters):
        """Retire and check that all has been given back."""
        for cluster in clusters:
            cluster.retire()
        self.folder.turn()
        self.assertEqual(vars_of(self.counts), (0, 0, 0, 0))
        self.assertEqual(clusters[0].cells.active_connections.value, 0)
        self.assertEqual(self.world.bugs, [])
