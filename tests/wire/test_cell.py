"""Cells as sites and listeners get them: this process's own, or the host's."""

import os
from unittest import TestCase

from meshd.errors import MeshdError
from meshd.hot.bucket import Buckets
from meshd.hot.ledger import LOCKING, Ledger
from meshd.wire.cell import buckets, ledger, open_arena
from tests.host.workers import Host


class CellTest(TestCase):
    def test_without_an_arena_they_are_the_process_own(self):
        self.assertIs(type(ledger(None, "a", 1)), Ledger)
        self.assertIs(type(buckets(None, "a", 10)), Buckets)

    def test_of_one_host_they_are_the_same_in_all_workers(self):
        host = Host(self, locking=LOCKING)
        one, other = (ledger(host.worker(), ("a", 1), 1) for _ in range(2))
        self.assertEqual((one.take(0, 1), other.take(0, 1)), (True, False))
        one, other = (buckets(host.worker(), ("a", 1), 10) for _ in range(2))
        self.assertEqual([table.find(None, 1, 1, 0.0).take(0.0) for table in (one, other)], [True, False])

    def test_a_full_arena_is_an_error_that_names_the_key(self):
        arena = Host(self, locking=LOCKING, size_bytes=0).worker()
        with self.assertRaisesRegex(MeshdError, r"\('rate_limit', 'x'\): arena: no room for"):
            buckets(arena, ("rate_limit", "x"), 1000)

    def test_a_key_without_a_stable_text_is_an_error(self):
        with self.assertRaisesRegex(MeshdError, "expected text, bytes, numbers"):
            ledger(Host(self, locking=LOCKING).worker(), ("a", [1]), 1)


class OpenTest(TestCase):
    def open(self, host, slot):
        arena = open_arena(os.dup(host.supervisor.fd), slot)
        self.addCleanup(arena.close)
        return arena

    def test_the_first_worker_decides_on_the_locks(self):
        host = Host(self)
        self.open(host, 0)
        self.assertEqual(self.open(host, 1).slot, 1)

    def test_what_does_not_fit_is_an_error(self):
        other = "pure" if LOCKING == "compiled" else "compiled"
        host = Host(self, locking=other)
        host.worker()
        with self.assertRaisesRegex(MeshdError, f"arena: locking '{LOCKING}': expected '{other}'"):
            open_arena(host.supervisor.fd, 1)
