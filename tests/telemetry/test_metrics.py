"""Families, cells, their bound and the sweep of idle series."""

import gc
import unittest
import weakref

from zope.interface.verify import verifyObject

from meshd.api.site import IMetrics
from meshd.telemetry.metrics import Metrics


class Owner:
    """Has a number that a gauge asks for."""

    def __init__(self, number):
        self.number = number

    def read(self):
        return self.number


class Freed(unittest.TestCase):
    def test_all_of_it_goes_without_the_garbage_collector(self):
        metrics = Metrics()
        metrics.counter("a_total", "A").cell()
        gone = weakref.ref(metrics)
        gc.disable()
        self.addCleanup(gc.enable)
        del metrics
        self.assertIsNone(gone())


class MetricsTest(unittest.TestCase):
    def setUp(self):
        self.metrics = Metrics()

    def sweep(self, now_s, idle_s=3600.0):
        list(self.metrics.sweep(now_s, idle_s))

    def test_provides_the_interface_that_plugins_know(self):
        self.assertTrue(verifyObject(IMetrics, self.metrics))

    def test_same_name_and_labels_give_the_same_cell(self):
        first = self.metrics.counter("a_total", "d", ("x",)).cell("1")
        first.value += 2
        again = self.metrics.counter("a_total", "d", ["x"]).cell("1")
        again.inc()
        self.assertIs(first, again)
        self.assertEqual(self.metrics.value("a_total", "1"), 3)

    def test_gauges_go_both_ways(self):
        cell = self.metrics.gauge("g", "d").cell()
        cell.inc(5)
        cell.dec(2)
        self.assertEqual(cell.value, 3)
        cell.set(0.5)
        self.assertEqual(self.metrics.value("g"), 0.5)

    def test_refuses_a_name_that_has_another_kind_or_other_labels(self):
        self.metrics.counter("a_total", "d", ("x",))
        with self.assertRaisesRegex(ValueError, "expected the counter with labels"):
            self.metrics.gauge("a_total", "d", ("x",))
        with self.assertRaisesRegex(ValueError, "expected the counter with labels"):
            self.metrics.counter("a_total", "d", ("y",))

    def test_refuses_what_is_no_name(self):
        for name, labels in (("a-b", ()), ("", ()), ("a", ("b c",)), ("a", ("__a",)), ("a", ("x", "x"))):
            with self.subTest(name=name, labels=labels), self.assertRaises(ValueError):
                self.metrics.counter(name, "d", labels)
        with self.assertRaisesRegex(ValueError, "not le"):
            self.metrics.histogram("h", "d", ("le",))
        with self.assertRaisesRegex(ValueError, "ascending"):
            self.metrics.histogram("h", "d", (), (2, 1))
        with self.assertRaisesRegex(ValueError, "scope"):
            self.metrics.counter("a", "d", scope="galaxy")

    def test_refuses_too_few_label_values(self):
        with self.assertRaisesRegex(ValueError, "expected one for each of"):
            self.metrics.counter("a_total", "d", ("x", "y")).cell("1")

    def test_beyond_the_bound_cells_work_but_are_not_kept_and_are_counted(self):
        metrics = Metrics(max_series=2)
        family = metrics.counter("a_total", "d", ("x",))
        for number in range(5):
            family.cell(str(number)).inc()
        self.assertEqual(len(family.series), 2)
        self.assertEqual(metrics.value("meshd_series_dropped_total"), 3)

    def test_a_histogram_counts_for_all_of_its_lines(self):
        metrics = Metrics(max_series=10)
        family = metrics.histogram("h", "d", ("x",), (1, 2))
        for name in "abc":
            family.cell(name).observe(1)
        self.assertEqual((len(family.series), metrics.used), (2, 10))

    def test_room_comes_back_when_a_series_ends(self):
        metrics = Metrics(max_series=1)
        family = metrics.gauge("g", "d", ("x",))
        family.cell("a")
        self.assertTrue(family.remove("a"))
        family.cell("b").set(1)
        self.assertEqual(metrics.value("g", "b"), 1)

    def test_metrics_without_labels_are_never_refused(self):
        metrics = Metrics(max_series=0)
        metrics.counter("a_total", "d").cell().inc()
        self.assertEqual(metrics.value("a_total"), 1)

    def test_a_method_gauge_ends_with_its_object(self):
        owner = Owner(7)
        family = self.metrics.gauge("g", "d", ("x",))
        family.function(owner.read, "a")
        self.assertEqual(self.metrics.value("g", "a"), 7)
        del owner
        gc.collect()
        self.assertIsNone(self.metrics.value("g", "a"))
        self.sweep(0)
        self.assertEqual(family.series, {})

    def test_the_later_function_replaces_the_earlier(self):
        family = self.metrics.gauge("g", "d", ("x",))
        family.function(lambda: 1, "a")
        family.function(lambda: 2, "a")
        self.assertEqual((self.metrics.value("g", "a"), self.metrics.used), (2, 1))

    def test_a_series_that_nobody_holds_ends_after_standing_still(self):
        family = self.metrics.counter("a_total", "d", ("x",))
        family.cell("a").inc()
        self.sweep(0)
        self.sweep(3599)
        self.assertEqual(len(family.series), 1)
        self.sweep(3600)
        self.assertEqual((len(family.series), self.metrics.used), (0, 0))

    def test_a_series_that_moves_stays(self):
        family = self.metrics.counter("a_total", "d", ("x",))
        for hour in range(5):
            family.cell("a").inc()
            self.sweep(hour * 3600)
        self.assertEqual(self.metrics.value("a_total", "a"), 5)

    def test_a_cell_that_somebody_holds_never_ends(self):
        cell = self.metrics.counter("a_total", "d", ("x",)).cell("a")
        self.sweep(0)
        self.sweep(1e6)
        cell.inc()
        self.assertEqual(self.metrics.value("a_total", "a"), 1)

    def test_a_bound_method_of_a_cell_holds_it(self):
        observe = self.metrics.histogram("h", "d", ("x",)).cell("a").observe
        self.sweep(0)
        self.sweep(1e6)
        observe(1)
        self.assertEqual(self.metrics.value("h", "a"), 1)

    def test_metrics_without_labels_never_end(self):
        self.metrics.counter("a_total", "d").cell().inc()
        self.sweep(0)
        self.sweep(1e6)
        self.assertEqual(self.metrics.value("a_total"), 1)

    def test_other_bounds_begin_a_histogram_anew_within_the_bound(self):
        self.metrics.histogram("h", "d", ("x",), (1, 2, 3)).cell("a").observe(1)
        cell = self.metrics.histogram("h", "d", ("x",), (5,)).cell("a")
        self.assertEqual((cell.bounds, cell.value, self.metrics.used), ((5.0,), 0, 4))

    def test_a_histogram_has_envoys_bounds_when_none_are_given(self):
        bounds = self.metrics.histogram("h", "d").cell().bounds
        self.assertEqual((len(bounds), bounds[0], bounds[-1]), (19, 0.5, 3_600_000.0))

    def test_the_sweep_can_be_gone_through_in_slices(self):
        family = self.metrics.counter("a_total", "d", ("x",))
        for number in range(5000):
            family.cell(str(number))
        self.assertGreaterEqual(len(list(self.metrics.sweep(0.0))), 2)
