"""The histogram cell."""

import math
import unittest

from meshd.hot.histogram import ENVOY_BOUNDS, Histogram


class HistogramTest(unittest.TestCase):
    def test_counts_a_value_at_a_bound_below_it(self):
        cell = Histogram((1.0, 5.0))
        for value in (1.0, 1.0001, 5, 6):
            cell.observe(value)
        self.assertEqual(cell.cumulative(), [1, 3, 4])
        self.assertEqual((cell.value, cell.total), (4, 13.0001))

    def test_has_envoys_bounds_when_none_are_given(self):
        self.assertEqual(Histogram().bounds, ENVOY_BOUNDS)
        self.assertEqual(len(ENVOY_BOUNDS), 19)
        self.assertEqual((ENVOY_BOUNDS[0], ENVOY_BOUNDS[-1]), (0.5, 3_600_000.0))

    def test_quantile_is_linear_within_a_bucket(self):
        cell = Histogram((10.0, 20.0))
        for _ in range(10):
            cell.observe(15)
        self.assertEqual(cell.quantile(0.5), 15.0)

    def test_quantile_beyond_the_last_bound_is_that_bound(self):
        cell = Histogram((10.0,))
        cell.observe(1000)
        self.assertEqual(cell.quantile(0.99), 10.0)

    def test_quantile_of_nothing_is_not_a_number(self):
        self.assertTrue(math.isnan(Histogram().quantile(0.5)))
