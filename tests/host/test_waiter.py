"""The process that waits for all generations knows the one in force, whenever a signal comes."""

import os
import signal
from unittest import mock

from twisted.trial import unittest

from meshd.host.waiter import Waiter, announce


class LookTest(unittest.TestCase):
    def test_a_signal_in_the_middle_of_a_look_does_not_bring_back_an_older_generation(self):
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.addCleanup(os.close, write)
        waiter = Waiter(6, read)
        self.addCleanup(signal.signal, signal.SIGHUP, signal.signal(signal.SIGHUP, waiter.pass_on))
        killed = []
        interrupt = [lambda: announce(write, 8), lambda: signal.raise_signal(signal.SIGHUP)]

        def read_and_be_interrupted(fd, size, real=os.read):
            data = real(fd, size)
            while interrupt:
                interrupt.pop(0)()
            return data

        announce(write, 7)
        with (mock.patch("meshd.host.waiter.os.read", read_and_be_interrupted),
              mock.patch("meshd.host.waiter.os.kill", lambda *args: killed.append(args))):
            waiter.look()
        self.assertEqual((waiter.pid, killed), (8, [(8, signal.SIGHUP)]))
