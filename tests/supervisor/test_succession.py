"""The supervisor waits for its heir."""

import os
from types import SimpleNamespace
from unittest import TestCase

from meshd.host.handover import READY_TIMEOUT_S, Heir
from meshd.host.launch import Launch
from meshd.host.lineage import Lineage
from meshd.supervisor.succession import Succession


class Late(TestCase):
    """The time is up before the loop has looked."""

    def setUp(self):
        ready, self.word = os.pipe2(os.O_NONBLOCK)
        self.addCleanup(lambda: os.close(self.word))
        self.found, self.due = [], []
        heir = Heir(SimpleNamespace(pid=7, kill=lambda: self.found.append("killed"), wait=lambda: None), ready,
                    os.open(os.devnull, os.O_RDONLY))
        self.loop = SimpleNamespace(later=self.later, watch=lambda *told: None, forget=lambda fd: os.fstat(fd))
        lineage = Lineage(Launch())
        succession = Succession(
            self.loop, SimpleNamespace(info=lambda text: None), lineage, retry=self.fail,
            served=lambda text, heir: self.found.append(heir.pid), failed=self.found.append)

        def start(sockets, fds):
            lineage.starting = heir
            return heir

        lineage.start = start
        succession.begin("why", SimpleNamespace(rows=list), SimpleNamespace(fd=9))

    def later(self, seconds, function, *args):
        self.assertEqual(seconds, READY_TIMEOUT_S)
        self.due.append(lambda: function(*args))
        return SimpleNamespace(cancel=lambda: None)

    def test_an_heir_that_has_not_served_is_ended(self):
        self.due[0]()
        self.assertEqual(self.found, ["killed", "upgrade: the new generation failed: it did not serve in 60 s"])

    def test_one_that_has_said_that_it_serves_is_not(self):
        os.write(self.word, b'{"fault": ""}\n')
        self.due[0]()
        self.assertEqual(self.found, [7])
