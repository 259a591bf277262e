"""Clusters over reloads, and as endpoints come and go."""

from tests.upstream.pool_case import PoolCase


class Reloads(PoolCase):
    def test_the_next_cluster_has_the_pools_of_the_last(self):
        old = self.cluster()
        busy, idle = self.open(old, 2)
        connection = self.serve(idle)
        new = self.next_cluster([self.upstreams[0].address], old)
        old.retire()
        self.folder.turn()
        self.assertEqual((new.idle, self.counts.connections), (1, 2))
        taker, = self.takers(new, 1)
        self.assertIs(taker.connection, connection)
        self.serve(taker)
        self.serve(busy)
        self.assertEqual(new.idle, 2)
        self.end(new)

    def test_until_the_swap_the_old_one_works_on(self):
        old = self.cluster()
        taker, = self.open(old, 1)
        new = self.next_cluster([self.upstreams[0].address], old, start=False)
        self.assertIs(old.endpoints[0].pool.cluster, old)
        self.serve(taker)
        self.assertEqual(old.idle, 1)
        new.start()
        self.assertEqual(new.idle, 1)
        old.retire()
        self.end(new)

    def test_a_new_weight_is_a_new_endpoint_over_the_same_pool(self):
        old = self.cluster()
        taker, = self.open(old, 1)
        self.serve(taker)
        new = self.next_cluster([self.upstreams[0].address], old, weight=7)
        self.assertEqual(new.endpoints[0].weight, 7)
        self.assertIs(new.endpoints[0].pool, old.endpoints[0].pool)
        self.assertIsNot(new.endpoints[0], old.endpoints[0])
        self.assertEqual(old.endpoints[0].weight, 1)
        self.end(new)

    def test_new_limits_hold_at_once_for_what_is_open(self):
        old = self.cluster()
        takers = self.open(old, 3)
        new = self.next_cluster([self.upstreams[0].address], old, breaker={"max_connections": 3}, pool={"max_idle": 1})
        old.retire()
        self.assertFalse(new.breaker.admit_connection())
        for taker in takers:
            self.serve(taker)
        self.assertEqual((new.idle, self.counts.connections), (1, 1))
        self.end(new)

    def test_an_endpoint_that_goes_is_drained(self):
        cluster = self.cluster(upstreams=2)
        busy, idle = self.open(cluster, 2)
        self.serve(idle)
        gone = cluster.endpoints[0]
        cluster.set_endpoints(cluster.spec.endpoints[1:])
        self.assertEqual((cluster.idle, self.counts.connections), (0, 1))
        self.assertTrue(busy.connection.descriptor.is_open)
        connection = self.serve(busy)
        self.assertEqual((connection.descriptor.is_open, self.counts.connections), (False, 0))
        self.assertNotIn(gone, cluster.balancer.endpoints)
        self.end(cluster)

    def test_an_endpoint_that_comes_back_begins_anew(self):
        cluster = self.cluster(upstreams=2)
        busy, = self.open(cluster, 1)
        cluster.set_endpoints(cluster.spec.endpoints[1:])
        cluster.set_endpoints(cluster.spec.endpoints)
        self.assertEqual(len(cluster.balancer.endpoints), 2)
        self.serve(busy)
        self.assertEqual(self.counts.connections, 0)
        taker, = self.takers(cluster, 1)
        self.folder.turn()
        self.assertIsNotNone(taker.connection)
        taker.cancel()
        self.end(cluster)
