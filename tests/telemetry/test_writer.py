"""The Prometheus text, parsed back by prometheus_client."""

import math
import unittest

import prometheus_client
from prometheus_client.parser import text_string_to_metric_families

from meshd.hot.histogram import Histogram
from meshd.telemetry.metrics import Metrics
from meshd.telemetry.stats import json_stats, quantile, text_stats
from meshd.telemetry.writer import SLICE, expose


def broken():
    raise RuntimeError("no number today")


class WriterTest(unittest.TestCase):
    def setUp(self):
        self.metrics = Metrics()

    def text(self):
        return b"".join(expose(self.metrics)).decode()

    def samples(self):
        families = text_string_to_metric_families(self.text())
        return {(one.name, *sorted(one.labels.items())): one.value for family in families for one in family.samples}

    def test_counts_come_back_exact(self):
        family = self.metrics.counter("a_total", "d", ("x",))
        for number in range(100):
            family.cell(str(number)).inc(number)
        family.cell("big").inc(2**60 + 1)
        samples = self.samples()
        self.assertEqual([samples["a_total", ("x", str(number))] for number in range(100)], list(range(100)))
        self.assertIn(f'a_total{{x="big"}} {2**60 + 1}\n', self.text())

    def test_label_values_are_escaped(self):
        odd = 'quote " backslash \\ line\nfeed \\n \u20ac'
        self.metrics.counter("a_total", 'doc \\ with\nline "feed"', ("x",)).cell(odd).inc()
        self.assertEqual(self.samples()["a_total", ("x", odd)], 1.0)
        self.assertNotIn("line\nfeed", self.text())

    def test_bytes_that_are_no_utf_8_do_no_harm(self):
        self.metrics.counter("a_total", "d", ("x",)).cell(b"\xff\xfe").inc()
        self.metrics.counter("b_total", "d", ("x",)).cell("\udcff").inc()
        self.assertEqual(len([name for name in self.samples() if name[0] in ("a_total", "b_total")]), 2)

    def test_histograms_are_cumulative_and_end_at_infinity(self):
        cell = self.metrics.histogram("h", "d", ("x",), (0.5, 5)).cell("a")
        for value in (0.1, 3, 3, 1000):
            cell.observe(value)
        samples = self.samples()
        rows = [samples["h_bucket", ("le", bound), ("x", "a")] for bound in ("0.5", "5", "+Inf")]
        self.assertEqual(rows, [1, 3, 4])
        self.assertEqual((samples["h_sum", ("x", "a")], samples["h_count", ("x", "a")]), (1006.1, 4))

    def test_a_histogram_without_labels_is_well_formed(self):
        self.metrics.histogram("h", "d", (), (1,)).cell().observe(1)
        self.assertIn('h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 1\nh_sum 1.0\nh_count 1\n', self.text())

    def test_special_numbers_are_written_as_prometheus_reads_them(self):
        for name, value in (("a", float("nan")), ("b", float("inf")), ("c", float("-inf")), ("d", True), ("e", 1e-9)):
            self.metrics.gauge(name, "d").cell().set(value)
        text = self.text()
        for line in ("a NaN\n", "b +Inf\n", "c -Inf\n", "d 1.0\n", "e 1e-09\n"):
            self.assertIn(line, text)

    def test_a_label_without_value_is_left_out(self):
        self.metrics.counter("a_total", "d", ("x", "y")).cell(None, "1").inc()
        self.assertIn('a_total{y="1"} 1\n', self.text())

    def test_a_function_that_fails_costs_no_other_series_and_is_counted(self):
        self.metrics.gauge("a", "d").function(broken)
        self.metrics.gauge("b", "d").function(lambda: "text")
        self.metrics.gauge("c", "d").function(lambda: 3)
        samples = self.samples()
        self.assertEqual(samples["c",], 3.0)
        self.assertNotIn(("a",), samples)
        self.assertEqual(self.metrics.value("meshd_metric_errors_total"), 2)

    def test_fifty_thousand_series_come_in_small_slices(self):
        family = self.metrics.counter("a_total", "d", ("x",))
        for number in range(50_000):
            family.cell(str(number))
        pieces = list(expose(self.metrics))
        self.assertGreaterEqual(len(pieces), 50_000 // SLICE)
        self.assertLessEqual(max(piece.count(b"\n") for piece in pieces), SLICE + 10)
        self.assertTrue(all(piece.endswith(b"\n") for piece in pieces))
        self.assertEqual(b"".join(pieces).count(b"\na_total{"), 50_000)

    def test_a_slice_of_histograms_is_not_larger_than_one_histogram_more(self):
        family = self.metrics.histogram("h", "d", ("x",))
        for number in range(500):
            family.cell(str(number))
        self.assertLessEqual(max(piece.count(b"\n") for piece in expose(self.metrics)), SLICE + 25)

    def test_series_may_come_and_go_between_slices(self):
        family = self.metrics.counter("a_total", "d", ("x",))
        for number in range(5000):
            family.cell(str(number))
        pieces = expose(self.metrics)
        next(pieces)
        for number in range(5000, 6000):
            family.cell(str(number))
        family.remove("4999")
        self.metrics.counter("b_total", "d").cell()
        self.assertIn(b'a_total{x="4998"} 0\n', b"".join(pieces))

    def test_a_plugins_registry_is_written_by_prometheus_client(self):
        registry = prometheus_client.CollectorRegistry()
        prometheus_client.Counter("mine", "d", registry=registry).inc(3)
        self.metrics.collector(registry)
        self.metrics.collector(registry)
        self.assertEqual(self.text().count("\nmine_total 3.0\n"), 1)

    def test_a_name_is_written_once_and_ours_first_then_the_latest(self):
        self.metrics.gauge("ours", "d").cell().set(1)
        for value in (2, 3):
            registry = prometheus_client.CollectorRegistry()
            prometheus_client.Gauge("ours", "d", registry=registry).set(value)
            prometheus_client.Gauge("theirs", "d", registry=registry).set(value)
            self.metrics.collector(registry)
        samples = self.samples()
        self.assertEqual((samples["ours",], samples["theirs",]), (1.0, 3.0))
        self.assertEqual(self.text().count("# TYPE ours gauge"), 1)

    def test_a_collector_that_fails_costs_no_other(self):
        class Bad:
            def collect(self):
                raise RuntimeError("no")

        registry = prometheus_client.CollectorRegistry()
        prometheus_client.Gauge("theirs", "d", registry=registry).set(1)
        self.metrics.collector(registry)
        self.metrics.collector(Bad())
        self.assertEqual(self.samples()["theirs",], 1.0)


class StatsTest(unittest.TestCase):
    def setUp(self):
        self.metrics = Metrics()
        self.metrics.counter("b_total", "d", ("x",)).cell("1").inc()
        self.cell = self.metrics.histogram("a", "d", (), (10,)).cell()

    def test_lines_are_sorted_and_read_as_envoys(self):
        self.cell.observe(5)
        lines = b"".join(text_stats(self.metrics)).decode().splitlines()
        self.assertEqual(lines[0], "a: count=1 sum=5.0 P50(5.0) P90(9.0) P99(9.9)")
        self.assertEqual(lines[1], 'b_total{x="1"}: 1')

    def test_names_can_be_chosen(self):
        lines = b"".join(text_stats(self.metrics, lambda name: name.startswith("b"))).decode()
        self.assertEqual(lines, 'b_total{x="1"}: 1\n')

    def test_json_has_labels_and_buckets(self):
        self.cell.observe(50)
        rows = json_stats(self.metrics)
        self.assertEqual(rows[0]["buckets"], {"10.0": 0, "+Inf": 1})
        self.assertEqual((rows[1]["labels"], rows[1]["value"], rows[1]["scope"]), ({"x": "1"}, 1, "worker"))


class QuantileTest(unittest.TestCase):
    def cell(self, *values, bounds=(10.0, 20.0)):
        cell = Histogram(bounds)
        for value in values:
            cell.observe(value)
        return cell

    def test_is_linear_within_a_bucket(self):
        self.assertEqual(quantile(self.cell(*[15] * 10), 0.5), 15.0)

    def test_beyond_the_last_bound_is_that_bound(self):
        self.assertEqual(quantile(self.cell(1000), 0.99), 20.0)

    def test_of_nothing_is_not_a_number(self):
        self.assertTrue(math.isnan(quantile(self.cell(), 0.5)))
        self.assertTrue(math.isnan(quantile(self.cell(1, bounds=()), 0.5)))
