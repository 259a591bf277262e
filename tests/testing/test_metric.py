"""Readings and assertions of metrics: sums over labels, differences, near misses."""

from unittest import TestCase

from meshd.telemetry.metrics import Metrics
from meshd.testing import FakeSite, assert_metrics
from meshd.testing.metric import parsed, reading_of


class ReadingTest(TestCase):
    def setUp(self):
        self.metrics = Metrics()
        family = self.metrics.counter("x_total", "x", ("filter", "code"))
        for values, count in ((("f", "200"), 3), (("f", "404"), 1), (('g"', "200"), 5)):
            family.cell(*values).inc(count)
        self.metrics.histogram("size", "x", ("filter",), (1, 10)).cell("f").observe(4)

    def value(self, series):
        return reading_of(self.metrics)[series]

    def test_labels_that_are_left_out_are_summed_up(self):
        self.assertEqual(self.value("x_total"), 9)
        self.assertEqual(self.value('x_total{filter="f"}'), 4)
        self.assertEqual(self.value('x_total{code="200",filter="f"}'), 3)

    def test_labels_are_written_as_in_the_text_format(self):
        self.assertEqual(self.value('x_total{filter="g\\""}'), 5)

    def test_a_histogram_has_count_sum_and_buckets(self):
        names = ("size_count", "size_sum", 'size_bucket{le="1"}', 'size_bucket{le="+Inf"}')
        self.assertEqual([self.value(name) for name in names], [1, 4, 0, 1])

    def test_a_series_that_is_not_there_names_near_ones(self):
        with self.assertRaisesRegex(KeyError, 'no such series; near: x_total{filter=\\\\?"f\\\\?",code'):
            self.value('x_total{filter="h"}')
        with self.assertRaisesRegex(KeyError, "near: x_total"):
            self.value("y_total")
        self.assertEqual(reading_of(self.metrics).get("y_total", 0), 0)

    def test_what_is_no_series_is_refused(self):
        for text in ("", "x total", "x{", 'x{a=b}', 'x{a="b" c}'):
            with self.subTest(text=text), self.assertRaisesRegex(ValueError, "expected name or name"):
                parsed(text)


class AssertTest(TestCase):
    def setUp(self):
        self.site = FakeSite()
        self.cell = self.site.metrics.counter("x_total", "x", ("filter",)).cell("f")
        self.other = self.site.metrics.gauge("other", "x").cell()

    def fails(self, work):
        with self.assertRaises(AssertionError) as caught:
            work()
        return str(caught.exception)

    def grow(self, expected, count=0, other=0):
        with assert_metrics(self.site, expected, limit_s=0):
            self.cell.inc(count)
            self.other.inc(other)

    def test_a_difference_is_asserted(self):
        self.grow({'x_total{filter="f"}': +2, "other": -1, "nothing_total": 0}, 2, -1)

    def test_a_wrong_difference_shows_both_numbers_and_what_did_change(self):
        self.assertEqual(self.fails(lambda: self.grow({'x_total{filter="f"}': +1}, 3, -1)), (
            'metrics:\n  x_total{filter="f"}: expected +1, got +3 (0 -> 3)\n'
            'what did change:\n  x_total{filter="f"} +3\n  other -1\n'))

    def test_a_misspelt_series_names_near_ones(self):
        text = self.fails(lambda: self.grow({'x_total{filter="g"}': +1}))
        self.assertIn('got +0 (0 -> 0)\n    near: x_total{filter="f"}\nwhat did change:\n  nothing', text)

    def test_an_exception_in_the_block_goes_first(self):
        with self.assertRaises(KeyError), assert_metrics(self.site, {"x_total": 9}):
            raise KeyError

    def test_a_value_is_asserted(self):
        self.cell.inc(2)
        asserted = assert_metrics(self.site, limit_s=0)
        asserted.has('x_total{filter="f"}')
        asserted.has("x_total", 2)
        self.assertIn("expected 3, got 2, which is\n  x_total", self.fails(lambda: asserted.has("x_total", 3)))
        self.assertIn("no such series\n    near: x_total", self.fails(lambda: asserted.has("y_total")))

    def test_a_misspelt_expectation_fails_before_the_block(self):
        with self.assertRaises(ValueError):
            assert_metrics(self.site, {"x_total{": 1})
