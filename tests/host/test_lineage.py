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


class StartTest(unittest.TestCase):
    def test_an_heir_that_cannot_be_started_leaves_no_descriptor(self):
        notify = SimpleNamespace(is_on=False, environment=dict)
        lineage = Lineage(Launch((), handover.Testament({}), notify, None))
        before = os.listdir("/proc/self/fd")
        with mock.patch("meshd.host.handover.subprocess.Popen", side_effect=OSError(11, "try again")):
            self.assertRaises(OSError, lineage.start, (), {})
        self.assertEqual(os.listdir("/proc/self/fd"), before)
        self.assertEqual(lineage.refusal, "")
