"""Warm-up: the weight of an endpoint over its window."""

import unittest

from meshd.model.balancing import SlowStart
from meshd.model.cluster import EndpointSpec
from meshd.upstream.endpoint import Endpoint
from meshd.upstream.slow_start import factor, step_s, warm


class Factor(unittest.TestCase):
    def test_grows_with_its_age(self):
        policy = SlowStart(window_s=10.0)
        found = [factor(age, policy) for age in (0.0, 0.5, 1.0, 2.5, 5.0, 9.9, 10.0, 99.0)]
        self.assertEqual([round(one, 2) for one in found], [0.1, 0.1, 0.1, 0.25, 0.5, 0.99, 1.0, 1.0])

    def test_aggression_makes_it_faster_at_first(self):
        policy = SlowStart(window_s=10.0, aggression=2.0, min_weight_percent=0.0)
        self.assertAlmostEqual(factor(2.5, policy), 0.5)
        self.assertAlmostEqual(factor(2.5, SlowStart(window_s=10.0, aggression=0.5, min_weight_percent=0.0)), 0.0625)

    def test_is_never_nothing(self):
        self.assertGreater(factor(0.0, SlowStart(window_s=10.0, min_weight_percent=0.0)), 0.0)

    def test_steps_are_a_twentieth_of_the_window_and_not_too_short(self):
        self.assertEqual((step_s(SlowStart(window_s=60.0)), step_s(SlowStart(window_s=1.0))), (3.0, 0.1))


class Warm(unittest.TestCase):
    def test_sets_the_weights_in_force_until_all_are_warm(self):
        policy = SlowStart(window_s=10.0)
        new, old = (Endpoint(EndpointSpec(address=f"10.0.0.{place}:80", weight=4), None) for place in (1, 2))
        new.warm_from = 100.0
        self.assertTrue(warm((new, old), policy, 105.0))
        self.assertEqual((new.weight, old.weight), (2.0, 4.0))
        self.assertFalse(warm((new, old), policy, 110.0))
        self.assertEqual((new.weight, new.warm_from), (4.0, 0.0))
