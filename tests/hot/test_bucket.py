"""Token bucket: what it admits over simulated time."""

import math
import random
import unittest

from meshd.hot.bucket import TokenBucket


class Limits(unittest.TestCase):
    def test_starts_full(self):
        bucket = TokenBucket(10, 5, 100.0)
        self.assertEqual([bucket.take(100.0) for _ in range(6)], [True] * 5 + [False])

    def test_refills_at_the_rate(self):
        bucket = TokenBucket(10, 5, 0.0)
        bucket.take(0.0, 5)
        self.assertFalse(bucket.take(0.099))
        self.assertTrue(bucket.take(0.1))
        self.assertFalse(bucket.take(0.1))

    def test_never_holds_more_than_the_burst(self):
        bucket = TokenBucket(10, 5, 0.0)
        bucket.take(0.0)
        self.assertEqual(bucket.available(1e6), 5)
        self.assertEqual(sum(bucket.take(1e6) for _ in range(100)), 5)

    def test_takes_all_tokens_or_none(self):
        bucket = TokenBucket(1, 5, 0.0)
        self.assertFalse(bucket.take(0.0, 6))
        self.assertEqual(bucket.available(0.0), 5)
        self.assertTrue(bucket.take(0.0, 5))

    def test_refuses_a_rate_of_nothing_and_a_burst_under_one(self):
        for rate, burst in ((0, 1), (-1, 1), (1, 0.5), (math.nan, 1), (1, math.nan)):
            with self.subTest(rate=rate, burst=burst), self.assertRaises(ValueError):
                TokenBucket(rate, burst, 0.0)


class Exactness(unittest.TestCase):
    """Where demand never lets the bucket fill, it admits floor(burst + rate * time)."""

    def admitted(self, rate, burst, start, step, count):
        bucket = TokenBucket(rate, burst, start)
        return sum(bucket.take(start + number * step) for number in range(count))

    def test_admits_exactly_burst_plus_rate_times_time(self):
        for rate, burst, start in ((10, 2, 0.0), (3, 7, 12345.678), (1000, 50, 8e6), (0.5, 2, 1e5), (333.3, 10, 99.9)):
            for asked_per_s in (4000.0, 3001.0):
                seconds = 25.0
                count = int(seconds * asked_per_s) + 1
                with self.subTest(rate=rate, burst=burst, asked=asked_per_s):
                    admitted = self.admitted(rate, burst, start, 1 / asked_per_s, count)
                    self.assertEqual(admitted, math.floor(burst + rate * (count - 1) / asked_per_s + 1e-6))

    def test_a_million_steps_do_not_drift(self):
        bucket = TokenBucket(0.1, 1, 0.0)
        self.assertEqual(sum(bucket.take(step * 0.1) for step in range(300_001)), 3001)

    def test_slower_demand_is_never_refused(self):
        bucket = TokenBucket(10, 1, 7.0)
        self.assertTrue(all(bucket.take(7.0 + number / 10) for number in range(50_000)))

    def test_no_window_exceeds_burst_plus_rate_times_its_length(self):
        source = random.Random(7)
        bucket, now, times = TokenBucket(20, 5, 0.0), 0.0, []
        for _ in range(5000):
            now += source.expovariate(60)
            if bucket.take(now):
                times.append(now)
        for first in range(0, len(times), 17):
            for last in range(first, min(first + 400, len(times)), 13):
                self.assertLessEqual(last - first + 1, 5 + 20 * (times[last] - times[first]) + 1e-6)


class Waiting(unittest.TestCase):
    def test_after_the_wait_the_token_is_there(self):
        bucket = TokenBucket(3, 1, 50.0)
        bucket.take(50.0)
        wait_s = bucket.wait_s(50.0)
        self.assertAlmostEqual(wait_s, 1 / 3)
        self.assertFalse(bucket.take(50.0 + wait_s * 0.99))
        self.assertTrue(bucket.take(50.0 + wait_s))

    def test_no_wait_where_there_are_tokens(self):
        self.assertEqual(TokenBucket(3, 1, 0.0).wait_s(0.0), 0.0)

    def test_says_when_it_is_full(self):
        bucket = TokenBucket(2, 10, 0.0)
        bucket.take(0.0, 4)
        self.assertEqual(bucket.full_s(0.0), 2.0)


class Changes(unittest.TestCase):
    def test_a_new_rate_keeps_the_level(self):
        bucket = TokenBucket(1, 10, 0.0)
        bucket.take(0.0, 7)
        bucket.change(100, 20, 0.0)
        self.assertEqual(bucket.available(0.0), 3)
        self.assertAlmostEqual(bucket.available(0.1), 13)

    def test_a_smaller_burst_cuts_the_level_at_once(self):
        bucket = TokenBucket(1, 10, 0.0)
        bucket.change(1, 2, 0.0)
        self.assertEqual(sum(bucket.take(0.0) for _ in range(10)), 2)
