"""Endpoints made while requests come in: their pools go by a name of the maker's."""

import unittest
from types import SimpleNamespace

from meshd.model.cluster import EndpointSpec, Pool as PoolSpec
from meshd.upstream.made import UNRESOLVED, NamedPool, make_endpoint


class Waiter:
    """An attempt that waits for a connection."""

    def __init__(self):
        self.failed = []

    def on_failure(self, flag, reason, is_stale):
        self.failed.append((flag, reason, is_stale))


class Breaker:
    def release_pending(self):
        """It waits no more."""

    def release_connection(self):
        """It has closed."""


class Dialed:
    """A connection that came to nothing."""

    counted_by = None


def cluster():
    cell = SimpleNamespace(value=1)
    return SimpleNamespace(
        world=SimpleNamespace(poller=None), tls=None,
        spec=SimpleNamespace(pool=PoolSpec(), protocol="http1", proxy_protocol=None, connect_timeout_s=1.0,
                             use_original_src=False),
        breaker=Breaker(), cells=SimpleNamespace(active_connections=cell, connect_failures=cell))


class Making(unittest.TestCase):
    def setUp(self):
        self.name = SimpleNamespace(reason="address 127.0.0.1 is not allowed")
        self.cluster = cluster()

    def test_the_pool_is_the_clusters_and_goes_by_the_name(self):
        found = make_endpoint(self.cluster, EndpointSpec(address="a.test:80"), self.name)
        self.assertIs(found.pool.name, self.name)
        self.assertIs(found.pool.cluster, self.cluster)
        self.assertEqual((found.address, type(found.pool)), ("a.test:80", NamedPool))

    def test_all_who_wait_are_told_where_there_is_no_address(self):
        pool = make_endpoint(self.cluster, EndpointSpec(address="a.test:80"), self.name).pool
        waiters = [Waiter(), Waiter()]
        pool.waiters.extend(waiters)
        pool.dialing = 1
        pool.on_dial_failed(Dialed(), self.name.reason)
        self.assertEqual([one.failed for one in waiters], [[(UNRESOLVED, self.name.reason, False)]] * 2)
        self.assertEqual(pool.dialing, 0)
