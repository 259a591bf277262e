"""Connections that begin with a PROXY protocol header: whose they are, and that all of them are given back."""

from unittest import mock

import attrs

from meshd.wire.proxy_protocol import read
from meshd_plugins.limits import Breaker, Limits
from meshd.upstream.cluster import Cluster
from tests.exchange.mesh import GET, OK, InTurn, MeshCase
from tests.upstream.pool_case import PoolCase, Taker

V1 = {"proxy_protocol": "v1"}


class Asked:
    """The part of an exchange that says whose it is."""

    def __init__(self, peer, local="192.0.2.9:80"):
        self.peer = peer
        self.local = local


class ClientTaker(Taker):
    """An attempt of a client."""

    def __init__(self, pool, peer):
        super().__init__(pool)
        self.exchange = Asked(peer)


class PoolsOfClients(PoolCase):
    def cluster(self, version="v1", **more):
        """Return a cluster whose endpoints want headers."""
        found = super().cluster(start=False, **more)
        return self.next(found, version)

    def next(self, cluster, version, previous=None):
        """Return a cluster with the same endpoints."""
        spec = attrs.evolve(cluster.spec, proxy_protocol=version)
        breaker = Breaker(Limits(), self.counts, self.world.metrics, "up")
        made = Cluster(spec, InTurn(), breaker, self.world)
        if previous is not None:
            made.adopt(previous)
        made.set_endpoints(spec.endpoints)
        made.start()
        return made

    def take(self, cluster, peer):
        """Return (taker, the upstream's end of its connection)."""
        taker = ClientTaker(cluster.endpoints[0].pool, peer).take()
        self.folder.turn()
        return taker, self.upstreams[0].accept()

    def end_all(self, cluster, *takers):
        for taker in takers:
            taker.cancel()
        self.end(cluster)
        for pool in cluster.endpoints[0].pool.every():
            self.assertEqual((pool.connections, pool.waiters), (set(), []))

    def test_each_begins_with_the_addresses_of_its_client(self):
        for version in ("v1", "v2"):
            cluster = self.cluster(version)
            taker, peer = self.take(cluster, "192.0.2.1:5555")
            found = read(peer.read())
            self.assertEqual((f"v{found.version}", found.source, found.destination),
                             (version, "192.0.2.1:5555", "192.0.2.9:80"))
            self.end_all(cluster, taker)

    def test_a_client_gets_its_own_again_and_no_other(self):
        cluster = self.cluster()
        first, peer = self.take(cluster, "192.0.2.1:1")
        connection = first.connection
        peer.read()
        peer.send(OK)
        self.assertEqual(cluster.idle, 1)
        other, second = self.take(cluster, "192.0.2.2:1")
        self.assertIsNot(other.connection, connection)
        again = ClientTaker(cluster.endpoints[0].pool, "192.0.2.1:1").take()
        self.assertIs(again.connection, connection)
        self.assertEqual((peer.read(), cluster.idle), (b"", 0))
        self.end_all(cluster, again, other)

    def test_who_waits_keeps_the_pool_and_can_give_up(self):
        cluster = self.cluster()
        with mock.patch("meshd.upstream.pool.MAX_CLIENTS", 1):
            first, other = (ClientTaker(cluster.endpoints[0].pool, f"192.0.2.{number}:1").take() for number in (1, 2))
            first.cancel()
            self.folder.turn()
        self.assertEqual((first.connection, other.connection is None), (None, False))
        third, _ = self.take(cluster, "192.0.2.3:1")
        self.end_all(cluster, other, third)

    def test_who_asks_for_nobody_says_so(self):
        cluster = self.cluster("v2")
        taker = Taker(cluster.endpoints[0].pool).take()
        self.folder.turn()
        found = read(self.upstreams[0].accept().read())
        self.assertEqual((found.version, found.source), (2, ""))
        self.end_all(cluster, taker)

    def test_who_gives_up_waiting_leaves_nothing_behind(self):
        cluster = self.cluster()
        taker = ClientTaker(cluster.endpoints[0].pool, "192.0.2.1:1").take()
        taker.cancel()
        self.folder.turn()
        self.assertEqual((self.counts.pending, cluster.idle), (0, 1))
        self.end_all(cluster)

    def test_a_reload_keeps_what_begins_the_same(self):
        cluster = self.cluster()
        taker, peer = self.take(cluster, "192.0.2.1:1")
        peer.read()
        peer.send(OK)
        after = self.next(cluster, "v1", cluster)
        cluster.retire()
        self.assertEqual(after.idle, 1)
        self.assertIs(ClientTaker(after.endpoints[0].pool, "192.0.2.1:1").take().connection.descriptor.is_open, True)
        other = self.next(cluster, "v2", after)
        self.assertIsNot(other.endpoints[0].pool, after.endpoints[0].pool)
        other.retire()


class Requests(MeshCase):
    def test_a_request_goes_out_behind_the_header(self):
        mesh = self.mesh(cluster=V1)
        client = mesh.client(GET)
        peer, data = mesh.upstream.serve()
        self.assertTrue(data.startswith(b"PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n"), data)
        self.assertTrue(client.read().endswith(b"ok"))
        client.send(GET)
        self.assertTrue(peer.read().startswith(b"GET / "))
        client.close()
