"""The arena: cells by key, claims, bounds, burial, and refusal of what does not fit."""

import os
import struct
import tempfile
from unittest import TestCase

from meshd.host import layout
from meshd.host.arena import Arena, ArenaError
from tests.host.workers import Host


class Claims(TestCase):
    def setUp(self):
        self.host = Host(self)
        self.one, self.other = self.host.worker(), self.host.worker()

    def test_one_key_is_one_cell_in_all_processes(self):
        mine, theirs = (arena.claim(("limits", "users"), locks=1, rows=1) for arena in (self.one, self.other))
        self.assertEqual(mine.locks, theirs.locks)
        self.assertEqual(self.host.supervisor.used(), 1)

    def test_keys_and_shapes_are_apart(self):
        keys = (("a", 1), ("a", "1"), ("a", b"1"), ("a",), "a", None, 1.5)
        places = {self.one.claim(key, locks=1).locks for key in keys} | {self.one.claim("a", locks=2).locks}
        self.assertEqual(len(places), len(keys) + 1)

    def test_a_key_without_a_stable_text_is_refused(self):
        for key in (object(), ("a", [1]), frozenset("ab"), {"a": 1}):
            with self.subTest(key=key), self.assertRaisesRegex(TypeError, "expected text, bytes, numbers"):
                self.one.claim(key, locks=1)

    def test_parts_of_a_cell_do_not_overlap(self):
        cell = self.one.claim("a", locks=3, rows=2, body_bytes=100)
        self.assertEqual((cell.rows - cell.locks, cell.body - cell.rows), (3 * 64, 2 * 256))

    def test_a_cell_ends_with_its_last_claim(self):
        mine, theirs = (arena.claim("a", body_bytes=8) for arena in (self.one, self.other))
        self.one.memory[mine.body] = 7
        mine.release()
        self.assertEqual((self.other.memory[theirs.body], self.host.supervisor.used()), (7, 1))
        theirs.release()
        self.assertEqual(self.host.supervisor.used(), 0)

    def test_one_process_may_claim_twice(self):
        first, second = (self.one.claim("a", locks=1) for _ in range(2))
        first.release()
        self.assertEqual(self.host.supervisor.used(), 1)
        second.release()
        self.assertEqual(self.host.supervisor.used(), 0)

    def test_a_new_cell_holds_zeros_where_another_was(self):
        for size in (100, 200_000):
            for number in range(3):
                cell = self.one.claim(("a", number), body_bytes=size)
                self.assertFalse(any(self.one.memory[cell.body:cell.body + size]), size)
                self.one.memory[cell.body:cell.body + size] = b"\xff" * size
                cell.release()

    def test_the_memory_of_a_large_cell_goes_back(self):
        before = self.host.resident_bytes
        cell = self.one.claim("a", body_bytes=8 << 20)
        self.one.memory[cell.body:cell.body + (8 << 20)] = b"x" * (8 << 20)
        self.assertGreater(self.host.resident_bytes, before + (7 << 20))
        cell.release()
        self.assertLess(self.host.resident_bytes, before + (2 << 20))

    def test_gaps_between_large_cells_are_used_again(self):
        size = 1 << 20
        cells = [self.one.claim(("a", number), body_bytes=size) for number in range(3)]
        gap = cells[1].body
        cells[1].release()
        self.assertEqual(self.one.claim("b", body_bytes=size).body, gap)
        self.assertGreater(self.one.claim("c", body_bytes=size).body, cells[2].body)


class Bounds(TestCase):
    def test_room_is_bounded_and_the_refusal_says_so(self):
        worker = Host(self, size_bytes=layout.LARGE_AT + (1 << 20)).worker()
        worker.claim("a", body_bytes=1 << 19)
        with self.assertRaisesRegex(ArenaError, "no room for 2097152 bytes"):
            worker.claim("b", body_bytes=1 << 21)
        worker.claim("c", body_bytes=1 << 18)

    def test_the_number_of_cells_is_bounded_and_a_full_directory_works(self):
        host = Host(self)
        worker, other, cells = host.worker(), host.worker(), []
        with self.assertRaisesRegex(ArenaError, r"\d{5} cells are in use"):
            while True:
                cells.append(worker.claim(len(cells), locks=1))
        self.assertGreater(len(cells), 12_000)
        self.assertEqual(len({cell.locks for cell in cells}), len(cells))
        for number in range(0, 1000, 10):
            self.assertEqual(other.claim(number, locks=1).locks, cells[number].locks)
        for cell in cells:
            cell.release()
        self.assertEqual(host.supervisor.used(), 100)
        self.assertTrue(all(worker.claim(("new", number), locks=1) for number in range(1000)))

    def test_searches_are_short_again_after_many_cells_came_and_went(self):
        worker = Host(self).worker()
        for number in range(3000):
            worker.claim(number, locks=1).release()
        self.assertFalse(any(any(worker.entry(index)[0]) for index in range(layout.ENTRIES)))

    def test_an_arena_takes_little_memory_before_it_is_used(self):
        host = Host(self, size_bytes=1 << 30)
        host.worker()
        self.assertLess(host.resident_bytes, 1 << 17)

    def test_slots_are_bounded_and_come_back(self):
        host = Host(self)
        slots = [host.supervisor.reserve() for _ in range(layout.SLOTS)]
        self.assertEqual(slots, list(range(layout.SLOTS)))
        self.assertEqual(host.supervisor.reserved(os.getpid()), slots)
        with self.assertRaisesRegex(ArenaError, "all 64 slots are in use"):
            host.supervisor.reserve()
        host.supervisor.bury(17)
        self.assertEqual(host.supervisor.reserve(), 17)


class Burial(TestCase):
    def setUp(self):
        self.host = Host(self)
        self.dead, self.alive = self.host.worker(), self.host.worker()

    def test_takes_away_what_the_dead_one_owned_and_nothing_else(self):
        cells = [arena.claim("a", locks=2, rows=2) for arena in (self.dead, self.alive)]
        lone = self.dead.claim("b", body_bytes=1 << 20)
        words, row = self.alive.words, cells[0].rows // 4 + 64
        words[row + self.dead.slot], words[row + self.alive.slot] = 5, 3
        words[cells[0].locks // 4], words[cells[0].locks // 4 + 16] = self.dead.slot + 1, self.alive.slot + 1
        self.host.supervisor.bury(self.dead.slot)
        self.assertEqual(list(words[row:row + 2]), [0, 3])
        self.assertEqual((words[cells[0].locks // 4], words[cells[0].locks // 4 + 16]), (0, self.alive.slot + 1))
        self.assertEqual(self.host.supervisor.used(), 1)
        self.assertEqual(self.alive.claim("c", body_bytes=1 << 20).body, lone.body)

    def test_may_be_done_twice(self):
        self.dead.claim("a", locks=1)
        for _ in range(2):
            self.host.supervisor.bury(self.dead.slot)
        self.assertEqual(self.host.supervisor.used(), 0)


class Refusals(TestCase):
    def setUp(self):
        self.host = Host(self)
        self.fd = self.host.supervisor.fd

    def test_another_layout(self):
        os.pwrite(self.fd, struct.pack("=I", layout.VERSION + 1), len(layout.MAGIC))
        with self.assertRaisesRegex(ArenaError, f"layout version {layout.VERSION + 1}.*expected version"):
            Arena.open(self.fd, 0)

    def test_what_is_no_arena(self):
        with tempfile.TemporaryFile() as file:
            with self.assertRaisesRegex(ArenaError, "expected the memory of meshd's cells"):
                Arena.open(file.fileno(), 0)
        with self.assertRaisesRegex(ArenaError, "bad file descriptor"):
            Arena.open(10_000, 0)

    def test_a_slot_out_of_range(self):
        with self.assertRaisesRegex(ArenaError, "slot 64: expected 0 to 63"):
            Arena.open(self.fd, 64)

    def test_other_locks_than_the_first_worker_has(self):
        self.host.worker("compiled")
        self.host.worker("compiled")
        with self.assertRaisesRegex(ArenaError, "locking 'pure': expected 'compiled'"):
            Arena.open(self.fd, 9, "pure")

    def test_a_supervisor_of_the_next_generation_opens_it_without_a_slot(self):
        next_one = Arena.open(os.dup(self.fd))
        self.addCleanup(next_one.close)
        self.assertEqual((next_one.slot, next_one.reserve(), self.host.supervisor.reserve()), (None, 0, 1))

    def test_nobody_can_cut_the_memory_off(self):
        with self.assertRaises(PermissionError):
            os.ftruncate(self.fd, 0)
