"""The least request balancer."""

import unittest
from collections import Counter

from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.least_request import LeastRequestOptions
from tests.plugins.balancer_case import endpoints, picked, shares


def balancer(*weights, **options):
    """Return a balancer over endpoints of these weights, and the endpoints."""
    found = FakeSite().make("load_balancer", "least_request", LeastRequestOptions(**options))
    given = endpoints(*weights)
    found.update(given)
    return found, given


class EqualWeights(unittest.TestCase):
    def test_of_two_the_less_busy_is_always_picked(self):
        found, (a, b) = balancer(1, 1)
        a.active = 1
        self.assertEqual(picked(found, 50), "b" * 50)

    def test_the_busiest_of_many_is_never_picked(self):
        found, given = balancer(1, 1, 1, 1)
        given[2].active = 9
        self.assertEqual(set(picked(found, 200)), set("abd"))

    def test_equally_busy_ones_share(self):
        counts = shares(balancer(1, 1, 1, 1)[0], 4000)
        self.assertTrue(all(800 < counts[name] < 1200 for name in "abcd"), counts)

    def test_two_drawn_are_two(self):
        found, given = balancer(1, 1, 1)
        for endpoint, active in zip(given, (0, 1, 2)):
            endpoint.active = active
        counts = shares(found, 3000)
        self.assertEqual(counts["c"], 0)
        self.assertTrue(1800 < counts["a"] < 2200, counts)

    def test_more_choices(self):
        found, given = balancer(1, 1, 1, 1, 1, 1, choice_count=4)
        given[0].active = 1
        self.assertLess(shares(found, 1000)["a"], 20)
        every, given = balancer(1, 1, 1, choice_count=9)
        given[0].active = given[1].active = 1
        self.assertEqual(set(picked(every, 50)), {"c"})

    def test_one_and_none(self):
        found, _ = balancer(1)
        self.assertEqual(picked(found, 2), "aa")
        found.update(())
        self.assertIsNone(found.pick(FakeExchange()))


class UnequalWeights(unittest.TestCase):
    def test_idle_endpoints_share_by_weight(self):
        self.assertEqual(shares(balancer(3, 1)[0], 400), Counter(a=300, b=100))

    def test_requests_in_flight_lower_the_weight(self):
        found, (a, b) = balancer(4, 1)
        a.active = 3
        counts = shares(found, 400)
        self.assertTrue(190 <= counts["a"] <= 210, counts)

    def test_without_bias_they_do_not_count(self):
        found, (a, b) = balancer(3, 1, active_request_bias=0.0)
        a.active = 100
        self.assertEqual(shares(found, 400), Counter(a=300, b=100))

    def test_the_largest_bias_bears_any_number_of_requests(self):
        found, (a, b) = balancer(3, 1, active_request_bias=10.0)
        a.active = 10**9
        self.assertLessEqual(shares(found, 50)["a"], 1)

    def test_update_keeps_turns(self):
        found, given = balancer(3, 1)
        picked(found, 3)
        found.update(given[:])
        self.assertEqual(shares(found, 400), Counter(a=300, b=100))


class Retries(unittest.TestCase):
    def test_finds_the_one_that_was_not_tried(self):
        for weights in ((1, 1, 1), (3, 2, 1)):
            found, (a, b, c) = balancer(*weights)
            c.active = 50
            for _ in range(20):
                self.assertIs(found.pick(FakeExchange(tried=(a, b))), c)

    def test_picks_a_tried_one_where_there_is_no_other(self):
        found, given = balancer(1, 1)
        self.assertIn(found.pick(FakeExchange(tried=given)), given)
