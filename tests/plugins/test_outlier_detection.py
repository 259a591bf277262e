"""Outlier detection: what counts, when an endpoint is ejected, for how long, and how it comes back."""

import unittest

from meshd.api import flag, health
from meshd.testing.contract.cluster import FakeCluster, OutlierDetectorContract
from meshd.testing.contract.kind import Outcome, endpoints
from meshd.testing.site import FakeSite, FakeWorld
from meshd_plugins.outlier_detection import OutlierOptions, formula
from tests.plugins.reading import read

PREFIX = "envoy_cluster_outlier_detection_ejections_"
TIMEOUT, REFUSED = Outcome(flag=flag.UT), Outcome(flag=flag.UF)


class Case(unittest.TestCase):
    """``self.one`` is the endpoint under test; ``begin`` starts a detector of a cluster of ``count`` endpoints."""

    def begin(self, count=10, world=None, table=None, **options):
        site = FakeSite("up", world=world, table=table)
        self.addCleanup(site.release)
        cluster = FakeCluster("up", endpoints(count))
        detector = site.make("outlier_detector", "outlier_detection", OutlierOptions(**options), name="up")
        detector.watch(cluster)
        detector.start()
        self.site, self.cluster, self.detector = site, cluster, detector
        self.one = cluster.endpoints[0]
        return detector

    def tell(self, *outcomes, endpoint=None, times=1):
        for outcome in outcomes * times:
            self.detector.on_result(endpoint or self.one, outcome if isinstance(outcome, Outcome) else Outcome(outcome))

    @property
    def ejected(self):
        return self.cluster.marked(health.FAILED_OUTLIER_CHECK)

    def count(self, name):
        return self.site.metrics.value(PREFIX + name, "up") or 0

    def sweep(self, times=1, seconds=10.0):
        for _ in range(times):
            self.site.advance(seconds)
            self.site.advance(0)


class Contract(OutlierDetectorContract, unittest.TestCase):
    def setUp(self):
        self.site = FakeSite()

    def make(self):
        return self.site.make("outlier_detector", "outlier_detection")


class Consecutive(Case):
    def test_five_5xx_in_a_row_eject(self):
        self.begin()
        self.tell(500, times=4)
        self.assertEqual(self.ejected, [])
        self.tell(500)
        self.assertEqual(self.ejected, [self.one.address])
        self.assertEqual((self.count("active"), self.count("enforced_total")), (1, 1))
        self.assertEqual(self.count("detected_consecutive_5xx"), 1)

    def test_one_success_begins_the_count_anew(self):
        self.begin()
        self.tell(500, 500, 500, 500, 404, 500, 500, 500, 500)
        self.assertEqual(self.ejected, [])

    def test_without_split_failures_to_connect_and_timeouts_are_503_and_504(self):
        self.begin()
        self.tell(REFUSED, TIMEOUT, REFUSED, TIMEOUT, Outcome(flag=flag.UC))
        self.assertEqual(self.ejected, [self.one.address])

    def test_what_a_breaker_refuses_does_not_count(self):
        self.begin()
        self.tell(Outcome(flag=flag.UO), times=20)
        self.assertEqual(self.ejected, [])

    def test_gateway_failures_are_found_and_by_default_not_enforced(self):
        self.begin(consecutive_5xx=0)
        self.tell(503, 502, 504, 503, REFUSED)
        self.assertEqual((self.ejected, self.count("detected_consecutive_gateway_failure")), ([], 1))
        self.begin(consecutive_5xx=0, enforcing_consecutive_gateway_failure=100)
        self.tell(503, 502, 500, 503, 502, 504, 503)
        self.assertEqual(self.ejected, [])
        self.tell(503)
        self.assertEqual(self.ejected, [self.one.address])

    def test_with_split_only_what_nobody_answered_is_of_local_origin(self):
        self.begin(split_external_local_origin_errors=True, consecutive_local_origin_failure=3)
        self.tell(500, REFUSED, 500, TIMEOUT, 500, REFUSED, 500)
        self.assertEqual(self.ejected, [])
        self.tell(REFUSED, TIMEOUT, REFUSED)
        self.assertEqual(self.count("enforced_consecutive_local_origin_failure"), 1)

    def test_statuses_of_ones_own_count_in_place_of_5xx(self):
        self.begin(http_error_codes=("429", "520-529"))
        self.tell(500, times=9)
        self.assertEqual(self.ejected, [])
        self.tell(429, 521, 429, 521, REFUSED)
        self.assertEqual(self.ejected, [self.one.address])


class Limits(Case):
    def test_ten_percent_of_nine_is_none_and_of_ten_is_one(self):
        for count, expected in ((9, 0), (10, 1)):
            self.begin(count)
            for endpoint in self.cluster.endpoints:
                self.tell(500, endpoint=endpoint, times=5)
            self.assertEqual(len(self.ejected), expected)
            self.assertEqual(self.count("overflow"), count - expected)

    def test_a_limit_that_allows_no_ejection_is_logged(self):
        for count, expected in ((9, 1), (10, 0)):
            self.begin(count)
            self.assertEqual(len(self.site.logged), expected)
        self.begin(9)
        self.assertIn("nothing is ever ejected", self.site.logged[0]["log_format"])

    def test_one_may_always_be_ejected_where_that_is_asked_for(self):
        self.begin(3, always_eject_one_host=True)
        for endpoint in self.cluster.endpoints:
            self.tell(500, endpoint=endpoint, times=5)
        self.assertEqual(len(self.ejected), 1)

    def test_enforcing_is_a_share_of_what_is_found(self):
        self.begin(1000, max_ejection_percent=100, enforcing_consecutive_5xx=30)
        for endpoint in self.cluster.endpoints:
            self.tell(500, endpoint=endpoint, times=5)
        self.assertTrue(250 < len(self.ejected) < 350, len(self.ejected))


class Time(Case):
    def test_an_ejection_lasts_longer_each_time_up_to_the_maximum(self):
        self.begin(base_ejection_time_s=30.0, max_ejection_time_s=60.0)
        for seconds in (30, 60, 60, 60):
            self.tell(500, times=5)
            self.sweep(seconds // 10 - 1)
            self.assertEqual(self.ejected, [self.one.address])
            self.sweep()
            self.assertEqual(self.ejected, [])

    def test_each_interval_in_health_takes_one_step_back(self):
        self.begin()
        self.tell(500, times=5)
        self.sweep(3)
        self.tell(500, times=5)
        self.sweep(6)
        self.sweep(2)  # two intervals since it came back: the next one lasts for one step
        self.tell(500, times=5)
        self.sweep(2)
        self.assertEqual(self.ejected, [self.one.address])
        self.sweep()
        self.assertEqual(self.ejected, [])

    def test_jitter_is_added_and_bounded(self):
        self.begin(max_ejection_time_jitter_s=20.0)
        self.tell(500, times=5)
        note = self.cluster.notes[self.one.address]
        self.assertTrue(30 < note["until_s"] - note["since_s"] < 50, note)

    def test_counts_are_clean_after_an_ejection(self):
        self.begin()
        self.tell(500, times=9)
        self.sweep(3)
        self.tell(500, times=4)
        self.assertEqual(self.ejected, [])

    def test_an_active_check_that_passes_ends_an_ejection_unless_told_otherwise(self):
        for is_wanted in (True, False):
            self.begin(successful_active_health_check_uneject_host=is_wanted)
            self.tell(500, times=5)
            for callback in self.cluster.checked:
                callback(self.one.address, True)
            self.assertEqual(bool(self.ejected), not is_wanted)


class Rates(Case):
    def rate(self, endpoint, well, sick):
        self.tell(200, endpoint=endpoint, times=well)
        self.tell(*(500, 200) * sick, endpoint=endpoint)

    def test_an_endpoint_far_below_the_mean_is_ejected_at_the_sweep(self):
        self.begin(10)
        for endpoint in self.cluster.endpoints[1:]:
            self.rate(endpoint, 100, 0)
        self.rate(self.one, 50, 25)
        self.assertEqual(self.ejected, [])
        self.sweep()
        self.assertEqual((self.ejected, self.count("enforced_success_rate")), ([self.one.address], 1))
        self.assertEqual(self.cluster.notes[self.one.address]["success_rate"], 75.0)

    def test_too_few_requests_or_endpoints_compare_nothing(self):
        for count, well in ((4, 100), (10, 40)):
            self.begin(count, max_ejection_percent=100)
            for endpoint in self.cluster.endpoints[1:]:
                self.rate(endpoint, well, 0)
            self.rate(self.one, 0, well // 2)
            self.sweep()
            self.assertEqual(self.ejected, [])

    def test_failure_percentage_ejects_beyond_its_threshold_where_enforced(self):
        for enforcing, expected in ((0, 0), (100, 1)):
            self.begin(10, enforcing_failure_percentage=enforcing, enforcing_success_rate=0, consecutive_5xx=0)
            for endpoint in self.cluster.endpoints[1:]:
                self.rate(endpoint, 50, 0)
            self.tell(500, times=45)
            self.tell(200, times=5)
            self.sweep()
            self.assertEqual(len(self.ejected), expected)
            self.assertEqual(self.count("detected_failure_percentage"), 1)

    def test_an_interval_is_judged_alone(self):
        self.begin(10)
        for endpoint in self.cluster.endpoints[1:]:
            self.rate(endpoint, 100, 0)
        self.rate(self.one, 30, 10)
        self.sweep()
        self.rate(self.one, 30, 10)
        self.sweep()
        self.assertEqual(self.ejected, [])


class Formulas(unittest.TestCase):
    def test_success_rate_threshold_as_envoy_documents_it(self):
        self.assertEqual(formula.success_rate_threshold([50, 100, 100, 100, 100], 1900), (90.0, 52.0))
        self.assertEqual(formula.success_rate_threshold([100.0] * 5, 1900), (100.0, 100.0))

    def test_may_eject(self):
        rows = [(0, 10, 10, False, True), (1, 10, 10, False, False), (0, 9, 10, False, False), (0, 9, 10, True, True),
                (1, 9, 10, True, False), (2, 3, 100, False, True), (0, 0, 100, False, False), (0, 1, 200, False, True)]
        for active, total, percent, always, expected in rows:
            self.assertIs(formula.may_eject(active, total, percent, always), expected, (active, total, percent))

    def test_ejection_time(self):
        self.assertEqual([formula.ejection_s(count, 30, 300) for count in (1, 2, 10, 11)], [30, 60, 300, 300])
        self.assertEqual(formula.ejection_s(20, 30, 300, 7), 307)
        backoff = 0
        for _ in range(50):
            backoff = formula.grown(backoff, 30, 300)
        self.assertEqual(backoff, 11)


class Lasting(Case):
    def test_a_reload_goes_on_with_counts_and_ejections(self):
        self.begin()
        self.tell(500, times=4)
        old, world, table = self.detector, self.site.world, self.site.table
        self.begin(world=world, table=table)
        old.stop()
        self.tell(500)
        self.assertEqual(self.ejected, [self.one.address])

    def test_without_a_detector_nobody_stays_ejected(self):
        self.begin()
        self.tell(500, times=5)
        self.detector.stop()
        self.assertEqual(self.ejected, [])
        self.assertEqual(self.site.world.reactor.getDelayedCalls(), [])


class Workers(Case):
    def workers(self):
        """Two workers: what one tells is heard by the other."""
        worlds = [FakeWorld(seed) for seed in (1, 2)]
        for world, other in (worlds, worlds[::-1]):
            world.bus.send = other.bus.heard
        found = []
        for world in worlds:
            self.begin(world=world)
            found.append((self.detector, self.cluster, self.site))
        return found

    def test_an_ejection_and_its_end_count_in_all(self):
        (first, mine, _), (_, theirs, site) = self.workers()
        for _ in range(5):
            first.on_result(mine.endpoints[0], Outcome(500))
        self.assertEqual(theirs.marked(health.FAILED_OUTLIER_CHECK), [mine.endpoints[0].address])
        for _ in range(3):
            site.advance(10)
            site.advance(0)
        self.assertEqual(mine.marked(health.FAILED_OUTLIER_CHECK), [])
        self.assertEqual(theirs.marked(health.FAILED_OUTLIER_CHECK), [])

    def test_a_worker_that_starts_gets_what_is_in_force(self):
        (first, mine, _), _ = self.workers()
        for _ in range(5):
            first.on_result(mine.endpoints[0], Outcome(500))
        late = FakeWorld(3)
        late.bus.send = lambda topic, message: self.workers_hear(topic, message)
        self.hearing = [self.site.world.bus]
        self.site.world.bus.send = late.bus.heard
        self.begin(world=late)
        self.assertEqual(self.ejected, [mine.endpoints[0].address])

    def workers_hear(self, topic, message):
        for bus in self.hearing:
            bus.heard(topic, message)


class Options(unittest.TestCase):
    def test_a_maximum_below_the_base_is_refused(self):
        _, faults = read(OutlierOptions, "{base_ejection_time: 60s, max_ejection_time: 30s}")
        self.assertIn("no less than base_ejection_time", str(faults))

    def test_the_longest_ejection_by_default(self):
        self.assertEqual(OutlierOptions().max_s, 300.0)
        self.assertEqual(OutlierOptions(base_ejection_time_s=400.0).max_s, 400.0)
