"""Numbers that a filter makes in its child arrive whole, once, within bounds; gauges end with the child."""

from unittest import TestCase

from twisted.logger import LogLevel

from meshd.isolated.site import Lines, Reporter
from meshd.isolation.absorb import MAX_SERIES, Ledger
from meshd.isolation.message import Delta, Note
from meshd.isolation.note import NOTES_BURST, Notes
from meshd.telemetry.metrics import Metrics
from tests.wire.world import StillWorld


class MetricTest(TestCase):
    def setUp(self):
        self.child, self.here = Metrics(), Metrics()
        self.reporter = Reporter(Lines(), self.child)
        self.ledger = Ledger(self.here)

    def move(self):
        """Carry over what has moved; return how many series did."""
        note = self.reporter.note()
        for delta in note.deltas if note is not None else ():
            self.ledger.add(delta)
        return len(note.deltas) if note is not None else 0

    def test_counters_gauges_and_histograms_arrive(self):
        count = self.child.counter("a_total", "A", ("x",)).cell("1")
        level = self.child.gauge("b", "B").cell()
        times = self.child.histogram("c", "C", (), (1.0, 2.0)).cell()
        for _ in range(3):
            count.inc(2)
            level.set(7)
            for value in (0.5, 1.5, 9.0):
                times.observe(value)
            self.move()
        there = self.here.families["c"].series[()].cell
        self.assertEqual((self.here.value("a_total", "1"), self.here.value("b")), (6, 7))
        self.assertEqual((there.cumulative(), there.total), ([3, 6, 9], 33.0))
        self.assertEqual(self.move(), 0)

    def test_two_children_add_up_and_gauges_end_with_theirs(self):
        other = Ledger(self.here)
        other.add(Delta("gauge", "b", "B", (), (), (), 3.0))
        other.add(Delta("counter", "a_total", "A", (), (), (), 4.0))
        self.child.gauge("b", "B").cell().set(5)
        self.move()
        self.assertEqual(self.here.value("b"), 8)
        other.close()
        self.assertEqual((self.here.value("b"), self.here.value("a_total")), (5, 4))

    def test_what_does_not_fit_is_refused(self):
        self.here.counter("taken_total", "T", ("x",))
        self.here.histogram("sizes", "S", (), (1.0, 2.0))
        good = {"kind": "counter", "name": "a_total", "doc": "", "labels": (), "bounds": (), "values": (),
                "amount": 1.0}
        for bad in ({"kind": "gauge", "name": "taken_total"}, {"name": "taken_total"}, {"name": "bad name"},
                    {"amount": -1.0}, {"amount": float("nan")}, {"amount": float("inf")}, {"kind": "other"},
                    {"values": ("a",)}, {"kind": "histogram", "name": "sizes", "bounds": (5.0,), "counts": (1, 1)},
                    {"kind": "histogram", "name": "h", "bounds": (5.0,), "counts": (1,)},
                    {"kind": "histogram", "name": "h", "bounds": (5.0,), "counts": (-1, 2)},
                    {"kind": "histogram", "name": "h", "bounds": (5.0,), "counts": (10**12, 2)}):
            with self.subTest(bad=bad), self.assertRaises(ValueError):
                self.ledger.add(Delta(**{**good, **bad}))

    def test_the_series_of_one_child_are_bounded(self):
        for number in range(MAX_SERIES):
            self.ledger.add(Delta("counter", "a_total", "", ("x",), (), (str(number),), 1.0))
        with self.assertRaises(ValueError):
            self.ledger.add(Delta("counter", "a_total", "", ("x",), (), ("more",), 1.0))


class NoteTest(TestCase):
    def setUp(self):
        self.world = StillWorld()
        self.addCleanup(self.world.close)
        self.notes = Notes(self.world.log, self.world, None)

    def test_lines_keep_their_level(self):
        self.assertEqual(self.notes.take(Note((("warn", "a"), ("odd", "b")), 0, ())), "")
        levels = [(event["log_level"], event["text"]) for event in self.world.events]
        self.assertEqual(levels, [(LogLevel.warn, "a"), (LogLevel.info, "b")])

    def test_lines_beyond_the_bound_are_counted(self):
        self.notes.take(Note((("info", "x"),) * 5000, 7, ()))
        self.assertEqual(len(self.world.events), 1001)
        self.assertEqual(self.world.events[-1]["lost"], 4007)

    def test_a_flood_of_notes_ends_the_child(self):
        answers = [self.notes.take(Note((), 0, ())) for _ in range(int(NOTES_BURST) + 1)]
        self.assertEqual(set(answers[:-1]), {""})
        self.assertIn("notes a second", answers[-1])
