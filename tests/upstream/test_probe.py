"""The local workload's probe by a Clock."""

import unittest

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from meshd.hot.ledger import Ledger
from meshd.model.health import FAILED_PROBE
from meshd.model.plugin import Plugin
from meshd.model.probe import Probe as Settings
from meshd.testing.contract.cluster import FakeCluster
from meshd.testing.contract.kind import endpoints
from meshd.testing.site import FakeWorld
from meshd.upstream.lead import Lead
from meshd.upstream.probe import Probe, Workload

PLUGIN = Plugin(kind="health_checker", type="http", config=None, name="http")


class Checker:
    """``answer`` is the next answer, None for none."""

    def __init__(self):
        self.answer = True
        self.asked = []

    def check(self, endpoint):
        self.asked.append(endpoint.address)
        return Deferred() if self.answer is None else succeed(self.answer)


class Case(unittest.TestCase):
    def probe(self, workload=None, world=None, ledger=None, **options):
        self.world = world or FakeWorld()
        self.checker = Checker()
        self.cluster = FakeCluster("app", endpoints(2))
        self.workload = workload or Workload()
        lead = Lead(self.world)
        lead._ledger = ledger or lead._ledger
        chosen = Settings(checker=PLUGIN, **{"address": "127.0.0.1:8000", **options})
        made = Probe(chosen, self.checker, [self.cluster], self.workload, self.world, lead, Logger())
        made.start()
        return made

    def go(self, seconds, step=0.5):
        for _ in range(round(seconds / step)):
            self.world.reactor.advance(step)

    def marked(self):
        return len(self.cluster.marked(FAILED_PROBE))


class Rules(Case):
    def test_asks_after_the_delay_and_then_each_period(self):
        self.probe(initial_delay_s=5.0, period_s=10.0)
        self.go(4.5)
        self.assertEqual((self.checker.asked, self.workload.fact()["state"]), ([], "unknown"))
        self.go(1)
        self.assertEqual((self.checker.asked, self.workload.fact()["state"]), (["127.0.0.1:8000"], "healthy"))
        self.go(20)
        self.assertEqual(len(self.checker.asked), 3)

    def test_fails_after_the_threshold_and_takes_its_clusters_out(self):
        self.probe(period_s=1.0, failure_threshold=3)
        told = []
        self.workload.on_change.append(lambda workload: told.append(workload.is_well))
        self.go(1)
        self.checker.answer = False
        self.go(2)
        self.assertEqual((self.workload.is_well, self.marked()), (True, 0))
        self.go(1)
        self.assertEqual((self.workload.is_well, self.marked()), (False, 2))
        self.checker.answer = True
        self.go(1)
        self.assertEqual((self.workload.is_well, self.marked(), told), (True, 0, [True, False, True]))

    def test_silence_is_a_failure_after_the_timeout(self):
        self.probe(period_s=10.0, timeout_s=2.0)
        self.checker.answer = None
        self.go(3)
        self.assertEqual(self.workload.fact()["reason"], "timed out after 2 s")

    def test_its_end_leaves_nothing(self):
        made = self.probe(period_s=1.0)
        self.checker.answer = False
        self.go(1)
        self.assertEqual(self.marked(), 2)
        made.stop()
        self.assertEqual((self.marked(), self.world.reactor.getDelayedCalls()), (0, []))

    def test_a_reload_goes_on_with_what_is_known(self):
        old = self.probe(period_s=1.0)
        self.checker.answer = False
        self.go(1)
        workload, world = self.workload, self.world
        self.probe(workload=workload, world=world, period_s=1.0, success_threshold=2)
        old.stop()
        self.go(1)
        self.assertEqual((workload.is_well, self.marked()), (False, 2))
        self.go(1)
        self.assertEqual((workload.is_well, self.marked()), (True, 0))


class Workers(Case):
    def test_one_asks_and_the_other_knows(self):
        worlds, ledger, found = [FakeWorld(1), FakeWorld(2)], Ledger(1), []
        worlds[0].bus.send, worlds[1].bus.send = worlds[1].bus.heard, worlds[0].bus.heard
        for world in worlds:
            self.probe(world=world, ledger=ledger, period_s=1.0)
            self.checker.answer = False
            found.append((self.checker, self.workload))
            self.go(0.5)
        self.assertEqual([len(checker.asked) for checker, _ in found], [1, 0])
        self.assertEqual([workload.is_well for _, workload in found], [False, False])
        self.assertEqual(self.marked(), 2)
