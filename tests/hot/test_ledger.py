"""Ledgers: limits over one process and over several, in both twins; what happens with a lock whose holder is gone."""

import unittest

from tests.host.workers import Host
from tests.hot.twin import twins

TWINS = twins("ledger")


class OwnLedger(unittest.TestCase):
    def each(self, size=2):
        return (twin.Ledger(size) for twin in TWINS)

    def test_a_limit_of_two_admits_two(self):
        for ledger in self.each():
            self.assertEqual([ledger.take(0, 2) for _ in range(3)], [True, True, False])
            self.assertEqual((ledger.used(0), ledger.used(1)), (2, 0))
            ledger.give(0)
            self.assertEqual([ledger.take(0, 2), ledger.take(0, 2)], [True, False])

    def test_a_smaller_limit_applies_to_what_is_in_use(self):
        for ledger in self.each():
            for _ in range(5):
                ledger.take(0, 5)
            self.assertFalse(ledger.take(0, 3))
            for _ in range(3):
                ledger.give(0)
            self.assertTrue(ledger.take(0, 3))

    def test_what_was_not_taken_cannot_be_given(self):
        for ledger in self.each():
            ledger.give(1)
            self.assertEqual(ledger.used(1), 0)

    def test_refuses_an_index_that_it_has_not(self):
        for ledger in self.each():
            for index in (-1, 2):
                for call in (lambda: ledger.take(index, 1), lambda: ledger.give(index), lambda: ledger.used(index)):
                    self.assertRaises(IndexError, call)


class SharedLedger(unittest.TestCase):
    """Two workers, ``one`` and ``other``, each with its object over one cell."""

    def each(self, size=2):
        for twin in TWINS:
            self.host = Host(self, locking=twin.LOCKING)
            self.arenas = [self.host.worker() for _ in range(2)]
            yield [twin.SharedLedger(size, arena.claim("ledger", locks=size, rows=size)) for arena in self.arenas]

    def test_the_limit_is_that_of_both_together(self):
        for one, other in self.each():
            self.assertEqual([one.take(0, 3), other.take(0, 3), one.take(0, 3)], [True] * 3)
            self.assertEqual([one.take(0, 3), other.take(0, 3), other.take(1, 1)], [False, False, True])
            self.assertEqual([(ledger.used(0), ledger.used(1)) for ledger in (one, other)], [(3, 1)] * 2)
            other.give(0)
            self.assertEqual([one.take(0, 3), other.take(0, 3)], [True, False])

    def test_a_worker_can_give_only_its_own(self):
        for one, other in self.each():
            one.take(0, 3)
            other.give(0)
            self.assertEqual(one.used(0), 1)

    def test_what_the_dead_had_can_be_taken_again(self):
        for one, other in self.each():
            self.assertTrue(all(one.take(0, 3) for _ in range(3)))
            self.assertFalse(other.take(0, 3))
            self.host.supervisor.bury(self.arenas[0].slot)
            self.assertEqual([other.take(0, 3) for _ in range(4)], [True] * 3 + [False])

    def test_a_worker_that_comes_later_counts_with_the_others(self):
        for one, other in self.each():
            one.take(0, 2)
            late = type(one)(2, self.host.worker().claim("ledger", locks=2, rows=2))
            self.assertEqual((late.used(0), late.take(0, 2), other.take(0, 2)), (1, True, False))

    def test_a_closed_one_takes_its_counts_along_and_then_counts_for_itself(self):
        for one, other in self.each():
            one.take(0, 2)
            one.take(0, 2)
            one.close()
            one.close()
            self.assertEqual([other.take(0, 2), other.take(0, 2)], [True, True])
            one.give(0)
            self.assertEqual((one.take(0, 1), one.used(0), other.used(0)), (True, 1, 2))
            other.close()
            self.assertEqual(self.host.supervisor.used(), 0)

    def test_refuses_an_index_that_it_has_not(self):
        for one, _ in self.each():
            for index in (-1, 2):
                for call in (lambda: one.take(index, 1), lambda: one.give(index), lambda: one.used(index)):
                    self.assertRaises(IndexError, call)

    def test_places_are_those_that_the_arena_says(self):
        """What a twin writes is what ``bury`` finds: its own word of the row."""
        for one, other in self.each():
            one.take(1, 9)
            other.take(1, 9)
            row = self.arenas[0].claim("ledger", locks=2, rows=2).rows // 4 + 64
            self.assertEqual(list(self.arenas[0].words[row:row + 3]), [1, 1, 0])


@unittest.skipIf(len(TWINS) < 2, "the leaf is not compiled")
class CompiledLock(unittest.TestCase):
    def setUp(self):
        self.host = Host(self, locking="compiled")
        self.dead, self.alive = self.host.worker(), self.host.worker()
        cells = [arena.claim("ledger", locks=1, rows=1) for arena in (self.dead, self.alive)]
        self.ledger = TWINS[1].SharedLedger(1, cells[1])
        self.lock = cells[1].locks // 4

    def test_nobody_is_admitted_while_a_lock_does_not_come_free(self):
        self.alive.words[self.lock] = self.dead.slot + 1
        self.assertFalse(self.ledger.take(0, 9))
        self.assertEqual(self.ledger.used(0), 0)

    def test_the_lock_of_a_dead_holder_is_freed_by_its_burial(self):
        self.alive.words[self.lock] = self.dead.slot + 1
        self.host.supervisor.bury(self.dead.slot)
        self.assertTrue(self.ledger.take(0, 9))
        self.assertEqual(self.alive.words[self.lock], 0)
