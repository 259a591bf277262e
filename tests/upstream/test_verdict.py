"""Health flags of a cluster's endpoints: over reloads, with sources that speak of health, and in the set."""

import attrs

from meshd.model.balancing import Balancing, Locality, SlowStart
from meshd.model.cluster import Cluster as ClusterSpec
from meshd.model.cluster import EndpointSpec
from meshd.model.health import FAILED_OUTLIER_CHECK, FAILED_PROBE, words
from meshd.model.plugin import Plugin
from meshd.upstream.cluster import Cluster
from meshd.upstream.verdict import Verdicts
from meshd_plugins.limits import Breaker, Limits
from meshd_plugins.round_robin.balancer import RoundRobin
from tests.upstream.pool_case import PoolCase

ADDRESSES = tuple(f"127.0.0.{number}:1" for number in (1, 2, 3))


DETECTOR = Plugin(kind="outlier_detector", type="outlier_detection", config=None, name="outlier_detection")


class Request:
    tried = ()
    plan = None
    wanted = None


class Verdict(PoolCase):
    def setUp(self):
        super().setUp()
        self.verdicts = Verdicts()

    def made(self, *addresses, previous=None, verdicts=None, **more):
        """Return a started cluster over addresses where nobody listens."""
        specs = tuple(EndpointSpec(address=one) for one in addresses or ADDRESSES)
        spec = ClusterSpec(name="up", endpoints=specs, outlier_detection=DETECTOR, **more)
        breaker = Breaker(Limits(), self.counts, self.world.metrics, "up")
        found = Cluster(spec, RoundRobin(self.world.random), breaker, self.world, verdicts=verdicts or self.verdicts)
        if previous is not None:
            found.adopt(previous)
        found.set_endpoints(specs)
        found.start()
        self.addCleanup(found.retire)
        return found

    def picked(self, cluster, count=30):
        """Return the addresses of so many picks."""
        return {getattr(cluster.pick(Request), "address", None) for _ in range(count)}

    def test_a_failed_endpoint_is_not_picked_until_every_flag_is_gone(self):
        cluster = self.made(balancing=Balancing(panic_threshold=0))
        first = cluster.endpoints[0]
        self.assertTrue(cluster.mark(first, FAILED_OUTLIER_CHECK, True))
        self.assertFalse(cluster.mark(first, FAILED_OUTLIER_CHECK, True))
        cluster.arrange()
        self.assertEqual(self.picked(cluster), set(ADDRESSES[1:]))
        cluster.mark(first, FAILED_PROBE, True)
        cluster.mark(first, FAILED_OUTLIER_CHECK, False)
        cluster.arrange()
        self.assertEqual(self.picked(cluster), set(ADDRESSES[1:]))
        self.assertEqual(words(first.bits), "/failed_local_probe")
        cluster.mark(first, FAILED_PROBE, False)
        cluster.arrange()
        self.assertEqual(self.picked(cluster), set(ADDRESSES))

    def test_with_none_left_and_no_panic_there_is_nothing_to_pick(self):
        cluster = self.made(balancing=Balancing(panic_threshold=0))
        for endpoint in cluster.endpoints:
            cluster.mark(endpoint, FAILED_OUTLIER_CHECK, True)
        cluster.arrange()
        self.assertEqual(self.picked(cluster), {None})

    def test_in_panic_all_are_picked(self):
        cluster = self.made()
        for endpoint in cluster.endpoints[:2]:
            cluster.mark(endpoint, FAILED_OUTLIER_CHECK, True)
        cluster.arrange()
        self.assertEqual(self.picked(cluster), set(ADDRESSES))

    def test_both_runtimes_learn_what_either_marks(self):
        old = self.made(balancing=Balancing(panic_threshold=0))
        new = self.made(previous=old, balancing=Balancing(panic_threshold=0))
        old.mark(old.endpoints[0], FAILED_OUTLIER_CHECK, True)
        for cluster in (old, new):
            cluster.arrange()
            self.assertEqual(self.picked(cluster), set(ADDRESSES[1:]))

    def test_an_ejection_survives_a_reload_that_changes_the_endpoint(self):
        old = self.made()
        old.mark(old.endpoints[0], FAILED_OUTLIER_CHECK, True)
        specs = tuple(attrs.evolve(one.spec, weight=3) for one in old.endpoints)
        new = self.made(previous=old, balancing=Balancing(panic_threshold=0))
        new.set_endpoints(specs)
        self.assertEqual([one.healthy for one in new.endpoints], [False, True, True])

    def test_what_is_no_endpoint_any_more_is_forgotten(self):
        cluster = self.made()
        cluster.mark(cluster.endpoints[0], FAILED_OUTLIER_CHECK, True)
        cluster.set_endpoints(tuple(one.spec for one in cluster.endpoints[1:]))
        self.assertEqual(self.verdicts.bits, {})

    def test_a_source_may_say_that_an_endpoint_is_unwell(self):
        cluster = self.made(balancing=Balancing(panic_threshold=0))
        cluster.set_endpoints((EndpointSpec(address=ADDRESSES[0], health="draining"),
                               EndpointSpec(address=ADDRESSES[1], health="healthy")))
        self.assertEqual(self.picked(cluster), {ADDRESSES[1]})
        self.assertEqual(words(cluster.endpoints[0].bits), "/eds_status_draining")

    def test_a_subset_has_the_endpoints_with_its_labels(self):
        cluster = self.made(select=(("version", "v1"),))
        cluster.set_endpoints(tuple(EndpointSpec(address=address, labels=(("app", "a"), ("version", version)))
                                    for address, version in zip(ADDRESSES, ("v1", "v2", "v1"), strict=True)))
        self.assertEqual(self.picked(cluster), {ADDRESSES[0], ADDRESSES[2]})

    def test_a_wanted_endpoint_is_taken_where_it_can_be(self):
        cluster = self.made(balancing=Balancing(panic_threshold=0))

        class Wish(Request):
            wanted = (ADDRESSES[1], False, 0)

        self.assertEqual({cluster.wanted(Wish).address for _ in range(9)}, {ADDRESSES[1]})
        cluster.mark(cluster.endpoints[1], FAILED_OUTLIER_CHECK, True)
        cluster.arrange()
        self.assertIn(cluster.wanted(Wish).address, ADDRESSES[::2])
        Wish.wanted = (ADDRESSES[1], True, 0)
        self.assertIsNone(cluster.wanted(Wish))

    def test_a_locality_counts_by_its_weight_as_far_as_it_is_well(self):
        policy = Locality(mode="weighted", weights=(("near", 60), ("far", 40)))
        cluster = self.made(balancing=Balancing(panic_threshold=0, locality=policy))
        cluster.set_endpoints(tuple(
            EndpointSpec(address=f"127.0.1.{one}:1", locality="near" if one < 4 else "far") for one in range(8)))
        self.assertEqual([(one["locality"], one["percent"]) for one in cluster.set.groups()],
                         [("near", 60.0), ("far", 40.0)])
        for endpoint in cluster.endpoints[:2]:
            cluster.mark(endpoint, FAILED_OUTLIER_CHECK, True)
        cluster.arrange()
        near = 60 * 0.5 * 1.4
        self.assertEqual([round(one["percent"], 6) for one in cluster.set.groups()],
                         [round(100 * part / (near + 40), 6) for part in (near, 40)])

    def test_one_that_comes_later_or_back_warms_up(self):
        cluster = self.made(ADDRESSES[0], balancing=Balancing(slow_start=SlowStart(window_s=100.0)))
        self.assertEqual(cluster.endpoints[0].weight, 1)
        cluster.set_endpoints(tuple(EndpointSpec(address=one) for one in ADDRESSES[:2]))
        self.assertAlmostEqual(cluster.endpoints[1].weight, 0.1)
        first = cluster.endpoints[0]
        cluster.mark(first, FAILED_OUTLIER_CHECK, True)
        cluster.mark(first, FAILED_OUTLIER_CHECK, False)
        self.assertAlmostEqual(first.weight, 0.1)
