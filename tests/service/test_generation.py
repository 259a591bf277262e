"""The heir's word, as the daemon that is one process hears it."""

import os
import subprocess
import sys
from types import SimpleNamespace

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial import unittest

from meshd.errors import MeshdError
from meshd.host.handover import Heir
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
        done.addCallback(self.assertTrue)
        return done.addCallback(lambda _: self.heir.give_up())

    def test_one_that_was_given_up_meanwhile_is_given_up_once(self):
        lineage = SimpleNamespace(starting=None)
        generations = Generations(reactor, lineage, sockets=list, on_heir=self.fail, retry=self.fail)
        self.addCleanup(self.heir.give_up)
        done: Deferred = Answer(reactor, self.heir).done.addCallback(generations._answered, self.heir)
        return self.assertFailure(done, MeshdError)
