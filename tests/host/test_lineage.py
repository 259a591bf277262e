"""Signals while a first generation turns into the process that waits: they reach the heir, whichever thread takes them.
"""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from unittest import mock

from twisted.trial import unittest

from meshd.host import handover
from meshd.host.launch import Launch
from meshd.host.lineage import Lineage
from meshd.host.waiter import Waiter, announce

SCRIPT = """
import os, signal, subprocess, threading, time
from types import SimpleNamespace
from meshd.host.launch import Launch
from meshd.host.lineage import Lineage

heir = subprocess.Popen(["sleep", "60"])
nobody = SimpleNamespace(is_on=False)
lineage = Lineage(Launch((), SimpleNamespace(fd=lambda name: None), nobody, None))
lineage.heir, lineage._main_read = SimpleNamespace(pid=heir.pid), os.pipe()[0]
late = []
signal.signal(signal.SIGTERM, lambda *_: late.append("posted to a reactor that has ended"))
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
lineage.hold_signals()
os.kill(os.getpid(), signal.SIGTERM)
print(heir.wait(30), late)
"""


class HoldTest(unittest.TestCase):
    def test_a_signal_that_another_thread_takes_reaches_the_heir(self):
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stdout.strip(), f"{-signal.SIGTERM} []", done.stderr)

    def test_one_that_comes_where_nobody_waits_reaches_the_heir(self):
        """systemd follows the heir by itself, and from the second generation on the first process waits."""
        script = SCRIPT.replace(", os.pipe()[0]", ", None").replace("threading.Thread", "# ").replace(
            "print(", "lineage.wait()\nprint(")
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stdout.strip(), f"{-signal.SIGTERM} []", done.stderr)


class StartTest(unittest.TestCase):
    def test_an_heir_that_cannot_be_started_leaves_no_descriptor(self):
        notify = SimpleNamespace(is_on=False, environment=dict)
        lineage = Lineage(Launch((), handover.Testament({}), notify, None))
        before = os.listdir("/proc/self/fd")
        with mock.patch("meshd.host.handover.subprocess.Popen", side_effect=OSError(11, "try again")):
            self.assertRaises(OSError, lineage.start, (), {})
        self.assertEqual(os.listdir("/proc/self/fd"), before)
        self.assertEqual(lineage.refusal, "")


class StartingTest(unittest.TestCase):
    """Signals that come while the heir starts."""

    def setUp(self):
        nobody = SimpleNamespace(is_on=False)
        testament = SimpleNamespace(fd=lambda name: None, is_alone=lambda: True)
        self.lineage = Lineage(Launch((), testament, nobody, None))
        self.lineage.starting = SimpleNamespace(pid=7, fault="", close=lambda: None)
        self.killed = []
        patch = mock.patch("meshd.host.lineage.os.kill", lambda *args: self.killed.append(args))
        patch.start()
        self.addCleanup(patch.stop)

    def test_the_heir_ends_with_us(self):
        self.assertFalse(self.lineage.signal(signal.SIGTERM))
        self.assertEqual(self.killed, [(7, signal.SIGTERM)])

    def test_what_it_may_have_missed_it_gets_when_it_serves(self):
        for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGHUP):
            self.assertFalse(self.lineage.signal(number))
        self.assertEqual(self.killed, [])
        self.assertEqual(self.lineage.answered(), "")
        self.assertEqual(self.killed, [(7, signal.SIGHUP), (7, signal.SIGUSR1)])

    def test_one_that_fails_gets_nothing_and_neither_does_the_next(self):
        self.lineage.signal(signal.SIGHUP)
        self.lineage.starting.fault = "it ended"
        self.assertEqual(self.lineage.answered(), "it ended")
        self.lineage.starting = SimpleNamespace(pid=8, fault="", close=lambda: None)
        self.lineage.answered()
        self.assertEqual(self.killed, [])

    def test_a_process_that_was_told_to_end_starts_no_heir(self):
        self.lineage.starting = None
        self.assertEqual(self.lineage.refusal, "")
        self.lineage.signal(signal.SIGTERM)
        self.assertIn("draining", self.lineage.refusal)

    def test_one_that_is_too_late_gets_nothing_and_neither_does_the_next(self):
        self.lineage.signal(signal.SIGHUP)
        self.lineage.give_up(SimpleNamespace(give_up=lambda: None))
        self.lineage.starting = SimpleNamespace(pid=8, fault="", close=lambda: None)
        self.lineage.answered()
        self.assertEqual(self.killed, [])

    def test_the_process_that_waits_knows_who_stays_where_one_fails_that_has_said_that_it_serves(self):
        told, main = os.pipe()
        self.addCleanup(os.close, told)
        self.addCleanup(os.close, main)
        self.lineage.testament.fd = {"main": main}.get
        announce(main, 7)
        self.lineage.give_up(SimpleNamespace(give_up=lambda: None))
        waiter = Waiter(os.getpid(), told)
        waiter.look()
        self.assertEqual(waiter.pid, os.getpid())

    def test_no_signal_is_both_noted_and_passed_on(self):
        """Signals are blocked first: one that came between is in the loop's pipe, from which it is passed on."""
        self.lineage.starting, self.lineage.heir, self.lineage._main_read = None, SimpleNamespace(pid=7), 9
        with mock.patch("meshd.host.lineage.signal") as module:
            self.lineage.hold_signals()
        self.assertEqual(module.mock_calls[0][0], "pthread_sigmask")
