"""A day of changing members and health, compressed by a Clock: nothing is kept of what has gone."""

import gc
import random
import tracemalloc

from meshd.model.balancing import Balancing, Locality, SlowStart
from meshd.model.cluster import Cluster as ClusterSpec, EndpointSpec
from meshd.model.health import DRAINING, FAILED_OUTLIER_CHECK
from meshd.model.plugin import Plugin
from meshd.upstream.cluster import Cluster
from meshd.upstream.verdict import Verdicts
from meshd_plugins.limits import Limits
from meshd_plugins.limits.breaker import Breaker
from meshd_plugins.round_robin.balancer import RoundRobin
from tests.upstream.pool_case import PoolCase

DAY_S = 86400
STEP_S = 40
MEMBERS = 20
WARM_STEPS, STEPS = 200, DAY_S // STEP_S
GROWTH_BYTES = 100_000
"""25 bytes for each of a day's 4,000 new members; an endpoint with its pool has a hundred times that."""


class Request:
    tried = ()
    plan = None
    wanted = None


class TestChurn(PoolCase):
    def setUp(self):
        super().setUp()
        self.draw = random.Random(7)
        self.verdicts = Verdicts()
        balancing = Balancing(locality=Locality(mode="failover"), slow_start=SlowStart(window_s=60.0))
        watched = Plugin(kind="outlier_detector", type="outlier_detection", config=None, name="up")
        spec = ClusterSpec(name="up", endpoints=(), balancing=balancing, outlier_detection=watched)
        breaker = Breaker(Limits(), self.counts, self.world.metrics, "up")
        balancer = RoundRobin(self.world.random)
        self.cluster = Cluster(spec, balancer, breaker, self.world, verdicts=self.verdicts)
        self.cluster.start()
        self.addCleanup(self.cluster.retire)
        self.number = 0

    def step(self):
        """Members come and go, some fail or are well again, some are picked; time passes."""
        cluster, draw = self.cluster, self.draw
        kept = [one.spec for one in cluster.endpoints if draw.random() < 0.9][:MEMBERS]
        while len(kept) < MEMBERS:
            self.number += 1
            address = f"127.{self.number >> 16 & 255}.{self.number >> 8 & 255}.{self.number & 255}:9"
            kept.append(EndpointSpec(address=address, locality=draw.choice(("a", "b", "c"))))
        cluster.set_endpoints(tuple(kept))
        for endpoint in draw.sample(cluster.endpoints, 5):
            bit = draw.choice((DRAINING, FAILED_OUTLIER_CHECK))
            cluster.mark(endpoint, bit, draw.random() < 0.6)
            cluster.pick(Request)
        self.world.advance(STEP_S)

    def count(self):
        """Return (objects, delayed calls, verdicts) there are."""
        gc.collect()
        return len(gc.get_objects()), len(self.world.reactor.getDelayedCalls()), len(self.verdicts.bits)

    def test_a_day_of_it_leaves_memory_and_objects_flat(self):
        for _ in range(WARM_STEPS):
            self.step()
        objects, calls, _ = self.count()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(STEPS - WARM_STEPS):
            self.step()
        after_objects, after_calls, verdicts = self.count()
        after, _ = tracemalloc.get_traced_memory()
        self.assertGreater(self.number, 4000)
        self.assertLess(after_objects - objects, 500)
        self.assertLessEqual(after_calls, calls + 2)
        self.assertLessEqual(verdicts, MEMBERS)
        self.assertLess(after - before, GROWTH_BYTES)
