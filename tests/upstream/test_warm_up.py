"""A long warm-up delays no verdict, and many changes in it leave one timer."""

from meshd.model.balancing import Balancing, SlowStart
from meshd.model.cluster import Cluster as ClusterSpec, EndpointSpec
from meshd.model.health import FAILED_OUTLIER_CHECK
from meshd.model.plugin import Plugin
from meshd.upstream.cluster import Cluster
from meshd_plugins.limits import Limits
from meshd_plugins.limits.breaker import Breaker
from meshd_plugins.round_robin.balancer import RoundRobin
from tests.upstream.pool_case import PoolCase

ADDRESSES = tuple(f"127.0.0.{number}:1" for number in range(1, 6))
WATCHED = Plugin(kind="outlier_detector", type="outlier_detection", config=None, name="up")


class Request:
    tried = ()
    plan = None
    wanted = None


class TestWarmUp(PoolCase):
    def setUp(self):
        super().setUp()
        spec = ClusterSpec(name="up", endpoints=(), outlier_detection=WATCHED,
                           balancing=Balancing(slow_start=SlowStart(window_s=1000.0)))
        breaker = Breaker(Limits(), self.counts, self.world.metrics, "up")
        self.cluster = Cluster(spec, RoundRobin(self.world.random), breaker, self.world)
        self.cluster.start()
        self.addCleanup(self.cluster.retire)
        self.members(ADDRESSES[:4])
        self.members(ADDRESSES)

    def members(self, addresses):
        self.cluster.set_endpoints(tuple(EndpointSpec(address=one) for one in addresses))

    def test_failures_count_within_milliseconds(self):
        self.world.advance(1.0)
        for endpoint in self.cluster.endpoints[:2]:
            self.cluster.mark(endpoint, FAILED_OUTLIER_CHECK, True)
        self.world.advance(0.1)
        self.assertEqual({self.cluster.pick(Request).address for _ in range(100)}, set(ADDRESSES[2:]))

    def test_changes_of_members_leave_one_timer(self):
        before = len(self.world.reactor.getDelayedCalls())
        for number in range(50):
            self.members((*ADDRESSES, f"127.0.0.9:{number + 1}"))
        self.assertEqual(len(self.world.reactor.getDelayedCalls()), before)

    def test_a_cluster_that_is_retired_leaves_none(self):
        self.cluster.retire()
        self.assertEqual(self.world.reactor.getDelayedCalls(), [])
