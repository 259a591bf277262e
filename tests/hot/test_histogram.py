"""The histogram cell, compiled or not."""

import unittest

from meshd.hot.histogram import Histogram


class HistogramTest(unittest.TestCase):
    def test_counts_a_value_at_a_bound_below_it(self):
        cell = Histogram((1.0, 5.0))
        for value in (1.0, 1.0001, 5, 6):
            cell.observe(value)
        self.assertEqual(cell.cumulative(), [1, 3, 4])
        self.assertEqual((cell.value, cell.total, cell.bounds), (4, 13.0001, (1.0, 5.0)))

    def test_finds_the_bucket_of_every_bound_and_of_its_neighbours(self):
        bounds = tuple(float(2**power) for power in range(20))
        for number, bound in enumerate(bounds):
            for value, bucket in ((bound - 0.25, number), (bound, number), (bound + 0.25, number + 1)):
                cell = Histogram(bounds)
                cell.observe(value)
                self.assertEqual(cell.cumulative().index(1), bucket, value)

    def test_counts_all_in_one_without_bounds(self):
        cell = Histogram(())
        cell.observe(3)
        self.assertEqual(cell.cumulative(), [1])

    def test_counts_beyond_32_bits_of_total(self):
        cell = Histogram((1.0,))
        for _ in range(1000):
            cell.observe(2**53)
        self.assertEqual((cell.value, cell.total), (1000, 1000.0 * 2**53))

    def test_refuses_what_is_no_number(self):
        with self.assertRaises(TypeError):
            Histogram((1.0,)).observe("1")
