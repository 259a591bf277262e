"""What is kept of a plugin's faults, times and strikes."""

from unittest import TestCase

from twisted.logger import Logger

from meshd.model.plugin import FAIL_CLOSED, FAIL_OPEN, Plugin
from meshd.telemetry.metrics import Metrics
from meshd.telemetry.plugin import PluginRecord


class Time:
    def __init__(self):
        self.seconds = 100.0

    def now(self):
        return self.seconds


class PluginRecordTest(TestCase):
    def setUp(self):
        self.clock = Time()
        self.metrics = Metrics()
        self.events = []

    def record(self, on_error=FAIL_CLOSED, **more):
        plugin = Plugin(kind="http_filter", type="hello", config=None, name="greeter", on_error=on_error)
        log = Logger(namespace="test", observer=self.events.append)
        return PluginRecord(plugin, "acme-hello", "1.2", self.metrics, log, clock=self.clock, **more)

    def fault(self, record, phase="on_request"):
        try:
            raise RuntimeError("boom")
        except RuntimeError as error:
            record.fault(phase, error)

    def test_a_rare_fault_is_logged_whatever_was_logged_before(self):
        record = self.record()
        self.fault(record)
        self.fault(record)
        record.fault("child", RuntimeError("it died"), is_rare=True)
        self.assertEqual(len(self.events), 2)
        self.assertIn("child: RuntimeError: it died", self.events[-1]["text"])

    def test_the_state_is_that_of_the_child_where_there_is_one(self):
        class Child:
            state = "restarting"

            def snapshot(self):
                return {"pid": 5}

        record = self.record()
        self.assertEqual((record.state, record.snapshot()["process"]), ("in use", None))
        record.process = child = Child()
        self.assertEqual((record.state, record.snapshot()["process"]), ("restarting", {"pid": 5}))
        child.state = "running"
        self.assertEqual(record.state, "in use")

    def test_counts_faults_by_hook(self):
        record = self.record()
        for phase in ("on_request", "on_request", "on_response"):
            self.fault(record, phase)
        self.assertEqual(record.faults, {"on_request": 2, "on_response": 1})
        self.assertEqual(self.metrics.value("meshd_plugin_errors_total", "greeter", "on_request"), 2)
        self.assertEqual(record.snapshot()["last_fault"], "on_response: RuntimeError: boom")

    def test_logs_the_first_fault_with_its_traceback_and_distribution(self):
        self.fault(self.record())
        (event,) = self.events
        self.assertEqual(event["label"], "plugin greeter (hello of acme-hello 1.2)")
        self.assertIn("Traceback", event["trace"])
        self.assertIn("test_plugin.py", event["trace"])

    def test_logs_at_most_one_fault_a_second_and_says_how_many_there_were(self):
        record = self.record()
        for _ in range(100):
            self.fault(record)
        self.assertEqual(len(self.events), 1)
        self.clock.seconds += 1
        self.fault(record)
        self.assertEqual((len(self.events), self.events[1]["unlogged"], self.events[1]["trace"]), (2, 99, ""))

    def test_is_bypassed_after_as_many_faults_as_configured(self):
        record = self.record(FAIL_OPEN, max_errors=3)
        changes = []
        record.on_change = lambda: changes.append(record.state)
        for _ in range(2):
            self.fault(record)
        self.assertFalse(record.is_bypassed)
        for _ in range(2):
            self.fault(record)
        self.assertEqual(changes, ["bypassed"])
        self.assertEqual(self.metrics.value("meshd_plugin_bypassed", "greeter"), 1)
        record.end()
        self.assertEqual(self.metrics.value("meshd_plugin_bypassed", "greeter"), 0)

    def test_a_fail_closed_plugin_is_refused_instead(self):
        record = self.record(max_errors=1)
        self.fault(record)
        self.assertEqual((record.is_bypassed, record.state), (True, "refused"))

    def test_without_a_limit_no_number_of_faults_bypasses(self):
        record = self.record()
        for _ in range(1000):
            self.fault(record)
        self.assertEqual(record.state, "in use")

    def test_strikes_within_ten_minutes_bypass(self):
        record = self.record(strikes=3)
        for _ in range(2):
            record.late()
        self.clock.seconds += 601
        record.late()
        self.assertFalse(record.is_bypassed)
        self.clock.seconds += 1
        record.late()
        record.late()
        self.assertTrue(record.is_bypassed)
        self.assertEqual(record.snapshot()["late"], 5)

    def test_keeps_sampled_times(self):
        record = self.record()
        for seconds in (0.001, 0.003):
            record.observe("on_request", seconds)
        timing = record.snapshot()["timings"]["on_request"]
        self.assertEqual((timing["samples"], timing["longest_s"]), (2, 0.003))
        self.assertAlmostEqual(timing["mean_s"], 0.002)
        self.assertEqual(self.metrics.value("meshd_plugin_duration_seconds", "greeter", "on_request"), 2)
