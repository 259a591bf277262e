"""Cells that outlive a runtime."""

from unittest import TestCase

from meshd.runtime.site import finish
from meshd.runtime.state import Claims, StateTable


class Cell:
    closed = 0

    def close(self):
        self.closed += 1


class StateTest(TestCase):
    def setUp(self):
        self.faults = []
        self.table = StateTable(lambda key, error: self.faults.append((key, error)))
        self.old, self.new = Claims(self.table), Claims(self.table)

    def test_old_and_new_runtime_share_a_cell(self):
        self.assertIs(self.old.state("worker", "key", Cell), self.new.state("worker", "key", Cell))

    def test_scopes_are_apart(self):
        self.assertIsNot(self.old.state("worker", "key", Cell), self.old.state("host", "key", Cell))

    def test_refuses_an_unknown_scope(self):
        with self.assertRaisesRegex(ValueError, "'mesh': expected 'worker' or 'host'"):
            self.old.state("mesh", "key", Cell)

    def test_what_the_new_runtime_does_not_claim_ends_with_the_old(self):
        kept, lost = (self.old.state("worker", key, Cell) for key in ("kept", "lost"))
        self.new.state("worker", "kept", Cell)
        finish(self.old.release())
        self.assertEqual((kept.closed, lost.closed, len(self.table)), (0, 1, 1))

    def test_a_cell_asked_for_twice_is_claimed_once(self):
        cell = self.old.state("worker", "key", Cell)
        self.assertIs(self.old.state("worker", "key", Cell), cell)
        finish(self.old.release())
        self.assertEqual(cell.closed, 1)

    def test_a_cell_that_cannot_be_closed_harms_no_other(self):
        cell = self.old.state("worker", "bad", Cell)
        cell.close = lambda: 1 / 0
        self.old.state("worker", "good", dict)
        finish(self.old.release())
        self.assertEqual([key for key, _ in self.faults], ["bad"])
        self.assertEqual(len(self.table), 0)

    def test_release_takes_one_step_for_each_cell(self):
        for number in range(5):
            self.old.state("worker", number, dict)
        self.assertEqual(len(list(self.old.release())), 5)
