"""The supervisor's loop: no signal is lost, also none that comes as it ends."""

import os
import signal
import time
import unittest

from meshd.supervisor.loop import Loop


class Signals(unittest.TestCase):
    def setUp(self):
        before, wakeup = signal.getsignal(signal.SIGUSR1), signal.set_wakeup_fd(-1)
        self.addCleanup(signal.set_wakeup_fd, wakeup)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        self.faults, self.heard = [], []
        self.loop = Loop(self.faults.append, time.monotonic, time.time)
        self.loop.on_signal(signal.SIGUSR1, lambda: self.heard.append("it"))

    def test_one_that_comes_while_it_runs(self):
        self.loop.later(0.0, os.kill, os.getpid(), signal.SIGUSR1)
        self.loop.later(0.05, self.loop.stop)
        self.loop.run()
        self.assertEqual((self.heard, self.faults), (["it"], []))

    def test_one_that_comes_when_it_has_ended(self):
        self.loop.later(0.0, self.loop.stop)
        self.loop.run()
        os.kill(os.getpid(), signal.SIGUSR1)
        self.assertEqual(self.heard, [])
        self.loop.take_signals()
        self.assertEqual((self.heard, self.faults), (["it"], []))
