"""Host names of endpoints: looked up when needed, kept on failure, taken in turn."""

import socket

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from meshd.wire.name import FRESH_S, Name


class Poller:
    now = 100.0


class Resolver:
    """A world whose resolver answers when the test says so."""

    def __init__(self):
        self.poller = Poller()
        self.asked = []

    def resolve(self, host):
        self.asked.append((host, Deferred()))
        return self.asked[-1][1]


class NameTests(SynchronousTestCase):
    def setUp(self):
        self.world = Resolver()
        self.name = Name(self.world, "backend.example:80")
        self.told = []

    def ask(self):
        self.name.ask(lambda: self.told.append(self.name.next_target()))

    def test_waits_for_the_first_answer(self):
        self.ask()
        self.assertEqual(self.told, [])
        self.world.asked[0][1].callback(["192.0.2.1"])
        self.assertEqual(self.told, [(socket.AF_INET, ("192.0.2.1", 80))])

    def test_asks_once_for_all_who_wait(self):
        self.ask()
        self.ask()
        self.assertEqual([host for host, _ in self.world.asked], ["backend.example"])

    def test_takes_addresses_in_turn_of_both_families(self):
        self.ask()
        self.world.asked[0][1].callback(["192.0.2.1", "2001:db8::1"])
        self.ask()
        self.assertEqual({target[0] for target in self.told}, {socket.AF_INET, socket.AF_INET6})

    def test_uses_an_answer_until_it_is_old_then_asks_beside_its_use(self):
        self.ask()
        self.world.asked[0][1].callback(["192.0.2.1"])
        self.world.poller.now += FRESH_S
        self.ask()
        self.assertEqual(len(self.world.asked), 1)
        self.world.poller.now += 1
        self.ask()
        self.assertEqual((len(self.world.asked), len(self.told)), (2, 3))

    def test_keeps_the_last_answer_when_a_look_up_fails_or_is_empty(self):
        self.ask()
        self.world.asked[0][1].callback(["192.0.2.1"])
        for answer in (lambda deferred: deferred.callback([]), lambda deferred: deferred.errback(OSError("no answer"))):
            self.world.poller.now += FRESH_S + 1
            self.ask()
            answer(self.world.asked[-1][1])
        self.assertEqual(self.name.next_target(), (socket.AF_INET, ("192.0.2.1", 80)))

    def test_says_why_there_is_no_address(self):
        self.ask()
        self.world.asked[0][1].errback(OSError("Name or service not known"))
        self.assertEqual(self.told, [None])
        self.assertEqual(self.name.reason, "name 'backend.example' cannot be resolved: name or service not known")
