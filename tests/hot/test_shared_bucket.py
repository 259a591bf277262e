"""Shared token buckets: the same as one process' own, in both twins, bounded in number and in memory."""

import random
import unittest

from meshd.hot.bucket import Buckets, TokenBucket
from tests.host.workers import Host
from tests.hot.twin import twins

TWINS = twins("shared_bucket")
LOCKINGS = ("pure", "compiled")


class TableCase(unittest.TestCase):
    """``each`` gives the tables of two workers over one cell, for each twin."""

    def each(self, max_keys=100):
        for twin, locking in zip(TWINS, LOCKINGS):
            self.host = Host(self, locking=locking)
            yield [self.table(twin, self.host.worker(), max_keys) for _ in range(2)]

    def table(self, twin, arena, max_keys):
        body_bytes = twin.shape(max_keys)[2]
        return twin.SharedBuckets(max_keys, arena.claim("table", locks=twin.LANES, body_bytes=body_bytes))


class Tokens(TableCase):
    def test_a_new_bucket_is_full_and_is_one_for_all(self):
        for one, other in self.each():
            taken = [table.find("a", 10, 5, 100.0).take(100.0) for table in (one, other, one, other, one, other)]
            self.assertEqual(taken, [True] * 5 + [False])
            self.assertTrue(other.find("b", 10, 5, 100.0).take(100.0))

    def test_keys_of_all_kinds_are_apart(self):
        for one, other in self.each():
            for key in (None, "1", b"1", 1, "\udc80", ("1",), 1 << 70):
                self.assertTrue(one.find(key, 1, 1, 0.0).take(0.0), key)
                self.assertFalse(other.find(key, 1, 1, 0.0).take(0.0), key)

    def test_is_the_same_as_the_bucket_of_one_process(self):
        for tables in self.each():
            chance = random.Random(3)
            now, limits = 50.0, (10.0, 5.0)
            own = TokenBucket(*limits, now)
            for step in range(5000):
                now += chance.expovariate(30)
                if step % 500 == 499:
                    limits = chance.choice(((10.0, 5.0), (3.0, 9.0), (100.0, 2.0)))
                    own.change(*limits, now)
                shared = tables[step % 2].find("a", *limits, now)
                tokens = chance.choice((1, 1, 2))
                self.assertEqual(shared.take(now, tokens), own.take(now, tokens), step)
                self.assertAlmostEqual(shared.available(now), own.available(now), 6)
                self.assertAlmostEqual(shared.wait_s(now), own.wait_s(now), 6)
                self.assertAlmostEqual(shared.full_s(now), own.full_s(now), 6)

    def test_asking_makes_no_bucket(self):
        for one, _ in self.each():
            self.assertEqual((one.find("a", 2, 4, 0.0).available(0.0), one.find("a", 2, 4, 0.0).full_s(0.0)), (4, 0))
            self.assertEqual(len(one), 0)

    def test_the_tokens_of_the_dead_stay_taken(self):
        for one, other in self.each():
            self.assertTrue(one.find("a", 1, 2, 0.0).take(0.0, 2))
            self.host.supervisor.bury(0)
            self.assertFalse(other.find("a", 1, 2, 0.0).take(0.0))

    def test_a_closed_table_admits_nothing(self):
        for one, other in self.each():
            bucket = one.find("a", 1, 2, 0.0)
            one.close()
            one.close()
            self.assertEqual((bucket.take(0.0), bucket.available(0.0), len(one)), (False, 0.0, 0))
            self.assertFalse(one.find("b", 1, 2, 0.0).take(0.0))
            self.assertTrue(other.find("a", 1, 2, 0.0).take(0.0))
            other.close()
            self.assertEqual(self.host.supervisor.used(), 0)


class Eviction(TableCase):
    def test_the_bucket_used_longest_ago_makes_room(self):
        for one, other in self.each(max_keys=3):
            for now, (table, key) in enumerate(((one, "a"), (other, "b"), (one, "c"), (other, "a"), (one, "d"))):
                table.find(key, 1e-6, 1, now).take(now)
            levels = {key: one.find(key, 1e-6, 1, 5).available(5) for key in "abcd"}
            self.assertEqual({key for key in "abcd" if levels[key] < 0.5}, {"a", "c", "d"})
            self.assertEqual((len(one), one.evicted, other.evicted), (3, 1, 0))

    def test_the_number_of_buckets_is_bounded_and_evictions_are_counted(self):
        for tables in self.each(max_keys=1000):
            for number in range(5000):
                tables[number % 2].find(f"key {number}", 1, 1, number).take(number)
            self.assertEqual(len(tables[0]), len(tables[1]))
            self.assertEqual(len(tables[0]) + sum(table.evicted for table in tables), 5000)
            self.assertTrue(900 < len(tables[0]) <= 1008, len(tables[0]))

    def test_two_thirds_of_the_keys_fit_with_few_evictions(self):
        for one, _ in self.each(max_keys=3000):
            for number in range(2000):
                one.find(number, 1, 1, number).take(number)
            self.assertLess(one.evicted, 60)

    def test_memory_is_bounded_and_goes_back(self):
        for one, other in self.each(max_keys=20_000):
            before = self.host.resident_bytes
            for number in range(30_000):
                one.find(number, 1, 1, number).take(number)
            self.assertLess(self.host.resident_bytes - before, 20_000 * 96 + 65536)
            self.assertGreater(self.host.resident_bytes - before, 1_000_000)
            one.close()
            other.close()
            self.assertLess(self.host.resident_bytes, before + 65536)


class OwnTable(unittest.TestCase):
    def test_is_bounded_and_gives_up_the_bucket_used_longest_ago(self):
        table = Buckets(2)
        for key in ("a", "b", "a", "c"):
            self.assertTrue(table.find(key, 1, 9, 0.0).take(0.0))
        self.assertEqual((list(table.by_key), len(table), table.evicted), (["a", "c"], 2, 1))

    def test_other_limits_apply_at_once_and_keep_the_level(self):
        table = Buckets(2)
        table.find(None, 1, 9, 0.0).take(0.0, 4)
        self.assertEqual(table.find(None, 100, 3, 0.0).available(0.0), 3)


@unittest.skipIf(len(TWINS) < 2, "the leaf is not compiled")
class Twins(TableCase):
    def test_have_one_layout(self):
        for max_keys in (1, 3, 16, 17, 1000, 1_000_000):
            self.assertEqual(*(twin.shape(max_keys) for twin in TWINS))

    def test_read_what_the_other_wrote(self):
        host = Host(self)
        tables = [self.table(twin, host.worker(), 40) for twin in TWINS]
        for number in range(200):
            self.assertTrue(tables[number % 2].find(number, 1, 1, number).take(number))
            self.assertFalse(tables[1 - number % 2].find(number, 1, 1, number).take(number))
