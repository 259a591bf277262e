"""How much of the traffic each priority gets: the tables of Envoy's documentation, and what lies between their rows."""

import unittest

from meshd.upstream.load import Count, Share, availability, is_panic, shares


def of(*percents, overprovisioning=1.4, threshold=50.0):
    """Return the shares of priorities with so many percent of healthy, or (healthy, degraded), of 100 endpoints."""
    pairs = [one if isinstance(one, tuple) else (one, 0) for one in percents]
    return shares([Count(100, *pair) for pair in pairs], overprovisioning, threshold)


class Tables(unittest.TestCase):
    """Envoy writes whole percents; ours are not rounded, so they are less than one apart."""

    def check(self, rows, threshold=50.0):
        for percents, expected in rows.items():
            with self.subTest(percents):
                found = of(*percents, threshold=threshold)
                self.assertAlmostEqual(sum(one.healthy + one.degraded for one in found), 100.0)
                for one, percent in zip(found, expected, strict=True):
                    self.assertLess(abs(one.healthy - percent), 1.0, found)

    def test_two_priorities_of_which_the_second_is_well(self):
        self.check({(100, 100): (100, 0), (72, 100): (100, 0), (71, 100): (99, 1), (50, 100): (70, 30),
                    (25, 100): (35, 65), (0, 100): (0, 100)})

    def test_two_priorities(self):
        self.check({(72, 72): (100, 0), (71, 71): (99, 1), (50, 60): (70, 30), (50, 50): (70, 30), (25, 25): (50, 50),
                    (5, 65): (7, 93)})

    def test_three_priorities(self):
        self.check({(100, 100, 100): (100, 0, 0), (72, 72, 100): (100, 0, 0), (71, 71, 100): (99, 1, 0),
                    (50, 50, 100): (70, 30, 0), (25, 100, 100): (35, 65, 0), (25, 25, 100): (35, 35, 30),
                    (25, 25, 20): (36, 36, 28)}, threshold=0.0)  # the table leaves panic out

    def test_panic(self):
        rows = {(72, 72): (False, False), (71, 71): (False, False), (50, 60): (False, False), (25, 100): (False, False),
                (25, 25): (True, True), (5, 65): (True, False), (0, 100): (False, False)}
        for percents, expected in rows.items():
            with self.subTest(percents):
                self.assertEqual(tuple(one.is_panic for one in of(*percents)), expected)

    def test_degraded_endpoints(self):
        rows = {(100, 0): (100, 0), (71, 0): (100, 0), (71, 29): (99, 1), (25, 65): (35, 65), (5, 0): (100, 0)}
        for pair, (healthy, degraded) in rows.items():
            with self.subTest(pair):
                found, = of(pair)
                self.assertLess(abs(found.healthy - healthy), 1.0)
                self.assertLess(abs(found.degraded - degraded), 1.0)


class Rules(unittest.TestCase):
    def test_degraded_ones_come_after_the_healthy_ones_of_every_priority(self):
        first, second = of((50, 50), 20)
        self.assertAlmostEqual(first.healthy, 70.0)
        self.assertAlmostEqual(second.healthy, 28.0)
        self.assertAlmostEqual(first.degraded, 2.0)

    def test_shares_follow_the_overprovisioning_factor(self):
        self.assertAlmostEqual(of(50, 100, overprovisioning=1.0)[0].healthy, 50.0)
        self.assertAlmostEqual(of(50, 100, overprovisioning=2.0)[0].healthy, 100.0)
        self.assertEqual(availability(1, 0, 1.4), 0.0)

    def test_without_a_threshold_there_is_no_panic(self):
        self.assertEqual(of(0, 0, threshold=0.0), [Share(100.0, 0.0, False), Share(0.0, 0.0, False)])
        self.assertFalse(any(one.is_panic for one in of(10, 10, threshold=0.0)))

    def test_when_all_are_in_panic_they_share_by_their_numbers(self):
        found = shares([Count(30, 0, 0), Count(10, 1, 0)], 1.4, 50.0)
        self.assertEqual([(one.healthy, one.is_panic) for one in found], [(75.0, True), (25.0, True)])

    def test_degraded_ones_keep_a_priority_out_of_panic(self):
        self.assertFalse(is_panic(Count(100, 10, 40), 50.0))
        self.assertTrue(is_panic(Count(100, 10, 39), 50.0))
        self.assertTrue(is_panic(Count(0, 0, 0), 50.0))

    def test_a_cluster_without_endpoints_has_one_share(self):
        self.assertEqual([one.healthy for one in shares([Count(0, 0, 0)], 1.4, 50.0)], [100.0])

    def test_every_mixture_adds_up_to_a_hundred(self):
        for first in range(0, 101, 7):
            for second in range(0, 101, 9):
                for degraded in range(0, 101 - first, 13):
                    found = of((first, degraded), second)
                    self.assertAlmostEqual(sum(one.healthy + one.degraded for one in found), 100.0)
                    self.assertTrue(all(one.healthy >= 0.0 and one.degraded >= 0.0 for one in found))
