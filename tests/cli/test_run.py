"""The end of the daemon's process: a signal that comes in its last turn of the reactor is not lost."""

import subprocess
import sys
import unittest

SCRIPT = """
import os, signal
from types import SimpleNamespace
from unittest import mock
from meshd.cli.run import Run, install_reactor

told = []

class Daemon:
    def __init__(self, reactor, *rest, on_end, **more):
        self.reactor, self.on_end = reactor, on_end
        self.lineage = SimpleNamespace(hold_signals=lambda: told.append("held"), wait=lambda: None)
        self.quit = lambda: told.append("quit")
        self.request_reload = self.reopen = self.dump = None

    def begin(self):
        self.reactor.callLater(0.01, self.on_end)  # as the drain's: in the turn after which the reactor ends

    def stopService(self):
        os.kill(os.getpid(), signal.SIGTERM)

    def end(self):
        told.append("ended")

with mock.patch("meshd.service.daemon.Daemon", Daemon):
    checked = SimpleNamespace(loaded=None, registry=None, faults=())
    arguments = SimpleNamespace(argv=(), config=())
    Run(install_reactor(), checked, arguments, None, SimpleNamespace(notify=None, handed=None)).run()
print(told)
"""


class LastTurn(unittest.TestCase):
    def test_a_signal_that_comes_before_signals_are_held_is_acted_on(self):
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stdout.strip(), "['held', 'quit', 'ended']", done.stderr)
