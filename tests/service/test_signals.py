"""Signals become calls in the reactor's thread."""

import os
import signal

from twisted.trial.unittest import SynchronousTestCase

from meshd.service import signals


class Reactor:
    """Keeps what was posted; ``turn`` calls it."""

    def __init__(self):
        self.posted = []

    def callFromThread(self, function, *args):
        self.posted.append((function, args))

    def turn(self):
        posted, self.posted = self.posted, []
        for function, args in posted:
            function(*args)


class Daemon:
    def __init__(self):
        self.told = []

    def request_reload(self):
        self.told.append("reload")

    def quit(self):
        self.told.append("quit")

    def reopen(self):
        self.told.append("reopen")

    def dump(self):
        self.told.append("dump")


class Signals(SynchronousTestCase):
    def test_each_signal_is_posted_and_does_its_one_thing(self):
        reactor, daemon = Reactor(), Daemon()
        for number in signals.table(daemon):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        signals.install(reactor, daemon)
        numbers = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
        for number in numbers:
            os.kill(os.getpid(), number)
        self.assertEqual(daemon.told, [])
        reactor.turn()
        self.assertEqual(daemon.told, ["reload", "quit", "quit", "reopen", "dump"])
