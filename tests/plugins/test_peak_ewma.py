"""The peak EWMA balancer: averages, costs, errors."""

import unittest
from collections import Counter
from math import exp
from types import SimpleNamespace

from meshd.testing.contract.cluster import LoadBalancerContract
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.peak_ewma import PeakEwmaOptions, cost, peak_average
from tests.plugins.balancer_case import endpoints, picked

PICKS = 100_000


class Case(unittest.TestCase):
    def setUp(self):
        self.site = FakeSite()
        self.balancer = self.site.make("load_balancer", "peak_ewma", PeakEwmaOptions(decay_s=10.0))

    def given(self, *weights):
        found = endpoints(*weights)
        self.balancer.update(found)
        return found

    def tell(self, endpoint, seconds, status=200):
        self.balancer.on_result(endpoint, SimpleNamespace(status=status, seconds=seconds))


class Contract(LoadBalancerContract, unittest.TestCase):
    def make(self):
        return FakeSite().make("load_balancer", "peak_ewma")


class Formulas(unittest.TestCase):
    def test_a_peak_counts_at_once(self):
        self.assertEqual(peak_average(0.01, 0.5, 0.0, 10.0), 0.5)

    def test_recovery_takes_its_time(self):
        self.assertEqual(peak_average(0.5, 0.01, 0.0, 10.0), 0.5)
        self.assertAlmostEqual(peak_average(0.5, 0.01, 10.0, 10.0), 0.5 / exp(1) + 0.01 * (1 - 1 / exp(1)))
        self.assertAlmostEqual(peak_average(0.5, 0.01, 1e6, 10.0), 0.01)

    def test_cost_grows_with_what_is_in_flight_and_fades(self):
        self.assertAlmostEqual(cost(0.1, 0.0, 10.0, 3, 1), 0.4)
        self.assertAlmostEqual(cost(0.1, 10.0, 10.0, 0, 2), 0.05 / exp(1))


class Picks(Case):
    def test_of_two_the_one_of_lower_cost(self):
        slow, fast = self.given(1, 1)
        self.tell(slow, 0.2)
        self.tell(fast, 0.01)
        self.assertEqual(picked(self.balancer, 50), "b" * 50)
        fast.active = 19
        self.assertEqual(set(picked(self.balancer, 50)), {"a", "b"})
        fast.active = 20
        self.assertEqual(picked(self.balancer, 50), "a" * 50)

    def test_shares_of_a_still_order_are_those_of_two_choices(self):
        given = self.given(*[1] * 5)
        for place, one in enumerate(given):
            self.tell(one, 0.01 * (place + 1))
        counts = Counter(picked(self.balancer, PICKS))
        for place, name in enumerate("abcde"):  # both draws are among it and what is worse
            self.assertAlmostEqual(counts[name] / PICKS, 2 * (4 - place) / 20, delta=0.01)

    def test_equal_ones_share(self):
        self.given(*[1] * 4)
        counts = Counter(picked(self.balancer, PICKS))
        for name in "abcd":
            self.assertAlmostEqual(counts[name] / PICKS, 0.25, delta=0.01)

    def test_an_error_never_counts_as_fast(self):
        broken, well = self.given(1, 1)
        self.tell(broken, 0.05)
        self.tell(well, 0.06)
        for _ in range(100):
            self.tell(broken, 0.0001, 503)
            self.tell(broken, 0.0, 0)
        self.assertEqual(broken.memo.average_s, 0.05)
        self.tell(broken, 1.0, 0)
        self.assertEqual(broken.memo.average_s, 1.0)

    def test_the_first_answer_is_the_average_and_a_first_error_is_not(self):
        first, second = self.given(1, 1)
        self.tell(first, 0.002)
        self.tell(second, 0.002, 500)
        self.assertEqual((first.memo.average_s, second.memo.average_s), (0.002, 0.03))

    def test_a_slow_one_is_tried_again_after_a_while(self):
        slow, fast = self.given(1, 1)
        self.tell(slow, 1.0)
        self.tell(fast, 0.01)
        self.site.advance(60.0)
        self.tell(fast, 0.01)
        self.assertEqual(set(picked(self.balancer, 20)), {"a"})

    def test_a_heavier_endpoint_costs_less(self):
        self.given(1, 3)
        self.assertEqual(picked(self.balancer, 20), "b" * 20)

    def test_a_retry_finds_the_one_that_was_not_tried(self):
        given = self.given(*[1] * 9)
        self.tell(given[8], 5.0)
        self.assertIs(self.balancer.pick(FakeExchange(tried=given[:8])), given[8])
