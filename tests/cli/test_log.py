"""The daemon's log: lines, levels, and a reader that does not read."""

import json
import os

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from meshd.cli.log import Log, LogFile, json_line, level_of, text_line

EVENT = {"log_time": 1795428000.1239, "log_level": LogLevel.warn, "log_namespace": "meshd.reload",
         "log_format": "kept {generation}", "generation": 41}


class Lines(SynchronousTestCase):
    def test_text_has_time_level_namespace_message(self):
        self.assertEqual(text_line(EVENT), "2026-11-23T10:00:00.123Z warn meshd.reload: kept 41\n")

    def test_json_is_one_object_with_the_events_own_fields(self):
        self.assertEqual(json.loads(json_line(EVENT)), {
            "time": "2026-11-23T10:00:00.123Z", "level": "warn", "namespace": "meshd.reload", "message": "kept 41",
            "generation": 41})

    def test_a_message_with_line_feeds_stays_one_entry(self):
        self.assertEqual(text_line(EVENT | {"log_format": "a\n2026 forged"}).split("\n")[1], "    2026 forged")
        self.assertEqual(json_line(EVENT | {"log_format": "a\nb"}).count("\n"), 1)

    def test_failures_come_with_their_traceback(self):
        event = EVENT | {"log_failure": Failure(ValueError("boom"))}
        self.assertIn("boom", text_line(event))
        self.assertIn("boom", json.loads(json_line(event))["traceback"])


class Levels(SynchronousTestCase):
    def setUp(self):
        self.read, write = os.pipe()
        self.addCleanup(os.close, self.read)
        self.addCleanup(os.close, write)
        os.set_blocking(self.read, False)
        self.log = Log("info", "text", write)

    def said(self, namespace, level):
        """Say whether an event of this namespace and level is written."""
        Logger(namespace=namespace, observer=self.log.observer).emit(LogLevel.levelWithName(level), "x")
        try:
            return bool(os.read(self.read, 65536))
        except BlockingIOError:
            return False

    def test_level_holds_for_all(self):
        self.assertEqual([self.said("a", level) for level in ("debug", "info", "error")], [False, True, True])

    def test_level_of_a_namespace_holds_for_what_is_below_it(self):
        self.log.set_level("debug", "a.b")
        self.assertEqual([self.said(name, "debug") for name in ("a.b.c", "a.b", "a", "x")], [True, True, False, False])

    def test_level_of_everything_replaces_all_others(self):
        self.log.set_level("debug", "a")
        self.log.set_level("error")
        self.assertEqual([self.said("a", "warn"), self.said("a", "error")], [False, True])
        self.assertEqual(self.log.levels(), {"": "error"})

    def test_twisted_tells_only_of_trouble(self):
        self.assertEqual([self.said("log_legacy", "info"), self.said("twisted.x", "warn")], [False, True])

    def test_number_of_namespaces_is_bounded(self):
        for number in range(1000):
            self.log.set_level("debug", f"n{number}")
        self.assertRaises(ValueError, self.log.set_level, "debug", "one-more")

    def test_unknown_level_says_what_was_expected(self):
        self.assertRaisesRegex(ValueError, "expected one of debug, info, warn, error", level_of, "loud")


class SlowReader(SynchronousTestCase):
    def test_full_pipe_loses_lines_counts_them_and_never_waits(self):
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.addCleanup(os.close, write)
        file = LogFile(write, "text")
        for _ in range(5000):
            file(EVENT)
        self.assertGreater(file.lost, 0)
        lost = file.lost
        while lost == file.lost:
            os.read(read, 65536)
            file(EVENT)
        os.set_blocking(read, False)
        self.assertIn(b"log lines were lost", b"".join(iter(lambda: _read(read), b"")))


def _read(fd):
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""
