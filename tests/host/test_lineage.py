"""Signals while a first generation turns into the process that waits: they reach the heir, whichever thread takes them.
"""

import signal
import subprocess
import sys

from twisted.trial import unittest

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
