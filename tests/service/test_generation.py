"""The heir's word, as the daemon that is one process hears it."""

import os
import subprocess
import sys
from types import SimpleNamespace

from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.trial import unittest

from meshd.errors import MeshdError
from meshd.host.handover import Heir
from meshd.host.launch import Launch
from meshd.host.lineage import Lineage
from meshd.service.generation import READY_TIMEOUT_S, Answer, Generations


class Silent(unittest.TestCase):
    timeout = READY_TIMEOUT_S / 2

    def setUp(self):
        ready, word = os.pipe2(os.O_NONBLOCK)
        process = subprocess.Popen([sys.executable, "-c", "import sys; sys.exit(3)"], pass_fds=[word])
        os.close(word)
        self.heir = Heir(process, ready, os.open(os.devnull, os.O_RDONLY))

    def test_an_heir_that_ends_without_a_word_is_known_at_once(self):
        done = Answer(reactor, self.heir).done
        done.addCallback(self.assertEqual, "")
        return done.addCallback(lambda _: self.heir.give_up())


class Late(unittest.TestCase):
    """An heir that has not been heard yet."""

    def setUp(self):
        ready, self.word = os.pipe2(os.O_NONBLOCK)
        self.addCleanup(lambda: os.close(self.word))
        self.events = []
        self.heir = Heir(SimpleNamespace(pid=7, kill=lambda: self.events.append("killed"), wait=lambda: None), ready,
                         os.open(os.devnull, os.O_RDONLY))
        self.clock = Clock()
        self.clock.addReader = lambda reader: None
        self.clock.removeReader = lambda reader: self.events.append(f"forgotten {bool(os.fstat(reader.fileno()))}")
        self.lineage = Lineage(Launch((), SimpleNamespace(fd=lambda name: None, is_alone=lambda: True)))
        self.lineage.start = self.start
        self.generations = Generations(
            self.clock, self.lineage, sockets=list, on_heir=self.events.append, retry=self.fail)

    def start(self, sockets, fds):
        self.lineage.starting = self.heir
        return self.heir

    def test_the_end_of_this_process_ends_it_and_is_told(self):
        done = self.generations.upgrade("why")
        self.generations.end()
        self.assertIn("the daemon has ended", str(self.failureResultOf(done, MeshdError).value))
        self.assertEqual(self.events, ["forgotten True", "killed"])
        self.assertIsNone(self.lineage.starting)
        self.generations.end()

    def test_one_that_does_not_serve_in_time_is_ended(self):
        done = self.generations.upgrade("why")
        self.clock.advance(READY_TIMEOUT_S)
        self.assertIn("it did not serve in 60 s", str(self.failureResultOf(done, MeshdError).value))
        self.assertEqual(self.events, ["forgotten True", "killed"])

    def test_one_that_has_said_that_it_serves_is_not_ended_because_nobody_has_listened(self):
        done = self.generations.upgrade("why")
        os.write(self.word, b'{"fault": ""}\n')
        self.clock.advance(READY_TIMEOUT_S)
        self.assertEqual(self.successResultOf(done), 7)
        self.assertEqual(self.events, ["forgotten True", 7])
