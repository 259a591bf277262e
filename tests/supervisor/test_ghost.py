"""``meshd.supervisor.ghost`` and ``meshd.telemetry.share``: several workers' numbers, and those of ended ones."""

import json
from unittest import TestCase

from prometheus_client import CollectorRegistry
from prometheus_client import Counter as PlainCounter

from meshd.supervisor.ghost import Ghost
from meshd.telemetry.metrics import Metrics
from meshd.telemetry.share import Together, shared
from meshd.telemetry.writer import expose


def told(metrics):
    """Return what a worker with these metrics tells."""
    return b"".join(shared(metrics))


def together(*payloads):
    """Return the text of several workers' metrics."""
    found = Together()
    for _ in found.add(payloads):
        pass
    return b"".join(expose(found.metrics)).decode()


def worker(requests=0, active=0, seconds=(), limit=7):
    """Return the metrics of one worker."""
    metrics = Metrics()
    metrics.counter("rq_total", "requests", ("listener",)).cell("public").inc(requests)
    metrics.gauge("rq_active", "in flight").cell().set(active)
    metrics.gauge("limit", "common to all", scope="host").cell().set(limit)
    histogram = metrics.histogram("took", "time", ("route",), (1, 5)).cell("r")
    for value in seconds:
        histogram.observe(value)
    return metrics


class TestTogether(TestCase):
    def test_adds_counters_gauges_and_histograms(self):
        text = together(told(worker(3, 1, (0.5, 7))), told(worker(4, 2, (3,))))
        self.assertIn('rq_total{listener="public"} 7\n', text)
        self.assertIn("rq_active 3\n", text)
        self.assertIn('took_bucket{route="r",le="1"} 1\n', text)
        self.assertIn('took_bucket{route="r",le="5"} 2\n', text)
        self.assertIn('took_bucket{route="r",le="+Inf"} 3\n', text)
        self.assertIn('took_sum{route="r"} 10.5\n', text)

    def test_takes_what_is_common_once(self):
        self.assertIn("limit 7\n", together(told(worker(limit=7)), told(worker(limit=7))))

    def test_adds_what_plugins_keep_in_registries_of_their_own(self):
        payloads = []
        for count in (2, 5):
            registry, metrics = CollectorRegistry(), Metrics()
            PlainCounter("acme_things", "things", ["kind"], registry=registry).labels("a").inc(count)
            metrics.collector(registry)
            payloads.append(told(metrics))
        text = together(*payloads)
        self.assertIn('acme_things_total{kind="a"} 7.0\n', text)
        self.assertEqual(text.count("# TYPE acme_things_total counter"), 1)

    def test_many_series_come_in_many_lines(self):
        metrics = Metrics()
        family = metrics.counter("many_total", "many", ("n",))
        for number in range(2000):
            family.cell(str(number)).inc()
        lines = told(metrics).splitlines()
        self.assertGreater(len(lines), 4)
        self.assertEqual(together(told(metrics), told(metrics)).count("} 2\n"), 2000)


class TestGhost(TestCase):
    def test_counts_of_the_ended_stay_and_their_gauges_go(self):
        ghost = Ghost()
        ghost.add(told(worker(3, 9, (0.5,))))
        ghost.add(told(worker(4, 9, (7,))))
        text = together(ghost.text, told(worker(1, 1, (3,))))
        self.assertIn('rq_total{listener="public"} 8\n', text)
        self.assertIn("rq_active 1\n", text)
        self.assertIn('took_count{route="r"} 3\n', text)

    def test_is_empty_at_first_and_forgets_nothing_that_was_added_late(self):
        ghost = Ghost()
        self.assertEqual(ghost.text, b"")
        ghost.add(told(worker(1)))
        first = ghost.text
        ghost.add(told(worker(1)))
        self.assertNotEqual(first, ghost.text)
        self.assertIn('rq_total{listener="public"} 2\n', together(ghost.text))

    def test_a_histogram_that_got_other_bounds_begins_anew(self):
        ghost = Ghost()
        ghost.add(told(worker(1, seconds=(1,))))
        metrics = Metrics()
        metrics.histogram("took", "time", ("route",), (1, 2, 3)).cell("r").observe(2)
        ghost.add(told(metrics))
        found = [json.loads(line) for line in ghost.text.splitlines()]
        self.assertEqual([len(row["b"]) for row in found if row["n"] == "took"], [3])
