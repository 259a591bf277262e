"""Pools: who gets which connection, and that everything taken is given back."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from twisted.internet.defer import fail

from meshd.http import flag
from tests.exchange.mesh import OK, vars_of
from tests.upstream.pool_case import PoolCase, Taker


class Reuse(PoolCase):
    def test_last_used_first_taken(self):
        cluster = self.cluster()
        takers = self.open(cluster, 3)
        used = [self.serve(taker) for taker in takers]
        self.assertEqual(cluster.idle, 3)
        again = [taker.connection for taker in self.takers(cluster, 3)]
        self.assertEqual(again, used[::-1])
        self.assertEqual((cluster.idle, cluster.cells.connections.value), (0, 3))
        for connection in again:
            connection.abort()
        self.end(cluster)

    def test_who_waits_longest_is_served_first(self):
        cluster = self.cluster(breaker={"max_connections": 1})
        first, = self.open(cluster, 1)
        waiting = self.takers(cluster, 3)
        for taker in [first, *waiting]:
            self.assertIsNotNone(taker.connection)
            self.assertEqual([one for one in waiting if one.connection and one is not taker], [])
            self.serve(taker)
        self.end(cluster)

    def test_a_release_serves_before_the_own_dial_does(self):
        cluster = self.cluster()
        first, = self.open(cluster, 1)
        second, = self.takers(cluster, 1)
        connection = first.connection
        connection.received(OK)
        self.assertIs(second.connection, connection)
        self.folder.turn()
        self.assertEqual(cluster.idle, 1)
        second.cancel()
        self.end(cluster)

    def test_one_that_is_given_up_is_never_called(self):
        cluster = self.cluster()
        taker, = self.takers(cluster, 1)
        taker.cancel()
        self.folder.turn()
        self.assertIsNone(taker.connection)
        self.assertEqual((self.counts.pending, cluster.idle), (0, 1))
        self.end(cluster)

    def test_requests_of_one_connection_are_bounded(self):
        cluster = self.cluster(pool={"max_requests_per_connection": 2})
        taker, = self.open(cluster, 1)
        connection = self.serve(taker)
        taker, = self.takers(cluster, 1)
        self.assertIs(taker.connection, connection)
        self.serve(taker)
        self.assertEqual((cluster.idle, connection.descriptor.is_open), (0, False))
        self.end(cluster)

    def test_unused_ones_are_bounded(self):
        cluster = self.cluster(pool={"max_idle": 1})
        for taker in self.open(cluster, 3):
            self.serve(taker)
        self.assertEqual((cluster.idle, self.counts.connections), (1, 1))
        self.end(cluster)

    def test_unused_ones_are_closed_in_time(self):
        cluster = self.cluster(pool={"idle_timeout_s": 5.0})
        first, second = self.open(cluster, 2)
        self.serve(first)
        self.world.advance(3)
        self.serve(second)
        self.world.advance(2.5)
        self.assertEqual(cluster.idle, 1)
        taker, = self.takers(cluster, 1)
        self.world.advance(60)
        self.assertTrue(taker.connection.descriptor.is_open)
        self.serve(taker)
        self.world.advance(5.1)
        self.assertEqual((cluster.idle, self.counts.connections), (0, 0))
        self.end(cluster)

    def test_what_an_upstream_says_unasked_closes_it(self):
        cluster = self.cluster()
        taker, = self.open(cluster, 1)
        connection = self.serve(taker)
        self.peer_of(connection).send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        self.assertEqual((cluster.idle, connection.descriptor.is_open), (0, False))
        self.end(cluster)

    def test_an_upstream_that_closes_an_idle_one(self):
        cluster = self.cluster()
        taker, = self.open(cluster, 1)
        connection = self.serve(taker)
        self.peer_of(connection).close()
        self.assertEqual((cluster.idle, self.counts.connections), (0, 0))
        self.end(cluster)

    def test_a_stale_one_is_told_apart(self):
        cluster = self.cluster()
        taker, = self.open(cluster, 1)
        connection = self.serve(taker)
        taker, = self.takers(cluster, 1)
        self.peer_of(connection).close()
        self.assertEqual(taker.failed, (flag.UC, "connection closed by upstream", True))
        fresh, = self.open(cluster, 1)
        self.upstreams[0].accept().close()
        self.assertEqual(fresh.failed, (flag.UC, "connection closed by upstream", False))
        self.end(cluster)


class Dials(PoolCase):
    def test_a_refused_dial_fails_all_that_wait(self):
        cluster = self.cluster(breaker={"max_connections": 1})
        waiting = self.takers(cluster, 3)
        self.assertEqual(cluster.endpoints[0].pool.dialing, 1)
        self.upstreams[0].socket.close()
        connection, = cluster.endpoints[0].pool.connections
        connection.dial.cancel()
        connection.on_dialed(None, "connection refused")
        self.assertEqual([taker.failed for taker in waiting], [(flag.UF, "connection refused", False)] * 3)
        self.end(cluster)

    def test_with_other_dials_under_way_only_as_many_fail_as_have_none(self):
        cluster = self.cluster()
        waiting = self.takers(cluster, 3)
        connection = next(iter(cluster.endpoints[0].pool.connections))
        connection.dial.cancel()
        connection.on_dialed(None, "connection refused")
        self.assertEqual([taker.failed is None for taker in waiting], [False, True, True])
        self.folder.turn()
        self.assertEqual([taker.connection is None for taker in waiting], [True, False, False])
        for taker in waiting:
            taker.cancel()
        self.end(cluster)

    def test_the_first_connection_is_made_in_any_case(self):
        cluster = self.cluster(upstreams=2, breaker={"max_connections": 0})
        taker, = self.takers(cluster, 1)
        self.folder.turn()
        self.assertIsNotNone(taker.connection)
        self.assertEqual(self.counts.connections, 0)
        taker.cancel()
        self.end(cluster)

    def test_a_connection_that_dies_makes_room_for_one_that_waits(self):
        cluster = self.cluster(breaker={"max_connections": 1})
        first, = self.open(cluster, 1)
        second, = self.takers(cluster, 1)
        first.cancel()
        self.folder.turn()
        self.assertIsNotNone(second.connection)
        second.cancel()
        self.end(cluster)

    def test_too_many_that_wait(self):
        cluster = self.cluster(breaker={"max_pending": 2})
        waiting = self.takers(cluster, 3)
        self.assertEqual([taker.failed and taker.failed[0] for taker in waiting], [None, None, flag.UO])
        for taker in waiting[:2]:
            taker.cancel()
        self.folder.turn()
        self.end(cluster)

    def test_a_name_has_no_address(self):
        self.world.resolve = lambda host: fail(OSError(f"{host} is not known"))
        cluster = self.next_cluster(["upstream.example:80"])
        taker, = self.takers(cluster, 1)
        self.assertEqual(taker.failed[:2], (
            flag.UF, "name 'upstream.example' cannot be resolved: upstream.example is not known"))
        self.assertEqual(cluster.cells.connect_failures.value, 1)
        self.end(cluster)


STEPS = ("take", "take", "turn", "answer", "answer", "cancel", "break", "give_up", "age", "refuse", "swap", "move")


class Accounting(PoolCase):
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(some.lists(some.tuples(some.sampled_from(STEPS), some.integers(0, 7)), max_size=40), some.integers(1, 4))
    def test_whatever_happens_everything_is_given_back(self, steps, limit):
        self.setUp()
        cluster = self.cluster(upstreams=2, breaker={"max_connections": limit, "max_pending": 3})
        takers, clusters = [], [cluster]
        for step, number in steps:
            taker = takers[number % len(takers)] if takers else None
            clusters[-1] = self.step(step, number, clusters, taker, takers)
            self.check(clusters[-1], limit)
        for taker in takers:
            taker.cancel()
        self.folder.turn()
        self.end(*clusters[::-1])
        self.doCleanups()

    def step(self, step, number, clusters, taker, takers):
        """Do one step; return the cluster in force."""
        cluster = clusters[-1]
        if step == "take":
            endpoint = cluster.endpoints[number % len(cluster.endpoints)]
            takers.append(Taker(endpoint.pool).take())
        elif step == "turn":
            self.folder.turn()
        elif step == "age":
            self.world.advance(31)
        elif step == "swap":
            clusters.append(self.next_cluster([one.address for one in self.upstreams], cluster,
                                              breaker={"max_connections": 4, "max_pending": 3}))
            cluster.retire()
            return clusters[-1]
        elif step == "move":
            cluster.set_endpoints(cluster.spec.endpoints[number % 2:])
        elif taker is not None:
            self.touch(step, taker)
        return cluster

    def touch(self, step, taker):
        """Let something happen to one taker."""
        connection = taker.connection
        if step in ("cancel", "give_up"):
            taker.cancel()
        elif step == "answer" and connection is not None:
            connection.received(OK)
        elif step == "break" and connection is not None:
            connection.descriptor.fail("broken")
        elif step == "refuse" and connection is None:
            dialing = [one for one in taker.pool.connections if one.dial is not None]
            if dialing:
                dialing[0].dial.cancel()
                dialing[0].on_dialed(None, "refused")

    def check(self, cluster, limit):
        """Counts are never below zero, nor above what is there."""
        self.assertTrue(all(count >= 0 for count in vars_of(self.counts)))
        pools = [endpoint.pool for endpoint in cluster.endpoints]
        self.assertEqual(cluster.idle, sum(len(pool.idle) for pool in pools))
        self.assertTrue(all(pool.dialing >= 0 for pool in pools))
        self.assertLessEqual(sum(len(pool.waiters) for pool in pools), self.counts.pending)
        self.assertEqual(self.world.bugs, [])
