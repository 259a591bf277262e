"""The active checks of one cluster by a Clock: who is asked when, what is known, and what other workers are told."""

import unittest
from unittest.mock import patch

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from meshd.hot.ledger import Ledger
from meshd.model.cluster import Cluster as Spec, EndpointSpec
from meshd.model.health import FAILED_ACTIVE_CHECK, IMMEDIATE_FAIL, PENDING_CHECK, Checked
from meshd.model.health_check import HealthCheck
from meshd.model.plugin import Plugin
from meshd.testing.contract.kind import Outcome
from meshd.testing.site import FakeWorld
from meshd.upstream import checks
from meshd.upstream.checks import Checks
from meshd.upstream.cluster import Cluster
from meshd.upstream.lead import Lead
from meshd_plugins.round_robin import RoundRobin

PLUGIN = Plugin(kind="health_checker", type="fake", config=None, name="fake")


class Fields(dict):
    """Headers by name."""


class Checker:
    """Answers what ``answers`` says of an address, True where it says nothing; None never answers."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.waiting = 0

    def check(self, endpoint):
        self.asked.append(endpoint.address)
        answer = self.answers.get(endpoint.address, True)
        if answer is None:
            self.waiting += 1
            return Deferred(lambda _: self.end())
        return succeed(answer)

    def end(self):
        self.waiting -= 1


class Worker:
    """One worker with one cluster of ``count`` endpoints."""

    def __init__(self, count=3, world=None, ledger=None, **options):
        self.world = FakeWorld() if world is None else world
        self.checker = Checker()
        check = HealthCheck(checker=PLUGIN, **{"interval_s": 10.0, "no_traffic_interval_s": 10.0, **options})
        self.specs = tuple(EndpointSpec(address=f"192.0.2.{number}:80") for number in range(1, count + 1))
        spec = Spec(name="up", endpoints=self.specs, health_checks=(check,))
        self.cluster = Cluster(spec, RoundRobin(self.world.random), None, self.world)
        self.cluster.set_endpoints(self.specs)
        self.lead = Lead(self.world)
        if ledger is not None:
            self.lead._ledger = ledger
        self.checks = Checks(self.cluster, [(check, self.checker)], self.world, self.lead, Logger())

    def begin(self):
        self.first = self.checks.start()
        self.turn()
        return self

    def turn(self, seconds=0.0):
        self.world.reactor.advance(seconds)
        for _ in range(30):
            self.world.reactor.advance(0)

    def bits(self):
        return [self.cluster.verdicts.of(spec.address, self.cluster.spec) for spec in self.specs]


class Timing(unittest.TestCase):
    def test_every_endpoint_waits_for_its_first_verdict_and_gets_it_at_once(self):
        worker = Worker()
        self.assertEqual(worker.bits(), [PENDING_CHECK] * 3)
        worker.checker.answers = {"192.0.2.1:80": False}
        worker.begin()
        self.assertEqual(worker.bits(), [FAILED_ACTIVE_CHECK, 0, 0])
        self.assertTrue(worker.first.called)

    def test_the_start_waits_for_verdicts_and_no_longer_than_its_bound(self):
        worker = Worker(timeout_s=60.0)
        worker.checker.answers = {"192.0.2.1:80": None}
        worker.begin()
        self.assertFalse(worker.first.called)
        worker.turn(checks.FIRST_S)
        self.assertTrue(worker.first.called)
        self.assertEqual(worker.bits()[0], PENDING_CHECK)

    def test_each_is_asked_again_after_the_interval(self):
        worker = Worker().begin()
        self.assertEqual(len(worker.checker.asked), 3)
        worker.turn(9.9)
        self.assertEqual(len(worker.checker.asked), 3)
        worker.turn(0.2)
        self.assertEqual(len(worker.checker.asked), 6)

    def test_no_answer_until_the_timeout_is_a_failure_and_is_given_up(self):
        worker = Worker(timeout_s=1.0)
        worker.checker.answers = {"192.0.2.2:80": None}
        worker.begin()
        worker.turn(1.0)
        self.assertEqual(worker.bits()[1], FAILED_ACTIVE_CHECK)
        self.assertEqual(worker.checker.waiting, 0)
        self.assertEqual(worker.cluster.verdicts.why("192.0.2.2:80", FAILED_ACTIVE_CHECK)[0]["reason"],
                         "timed out after 1 s")

    def test_a_bounded_number_is_on_its_way_and_no_turn_begins_many(self):
        worker = Worker(count=1000, timeout_s=5.0)
        worker.checker.answers = {spec.address: None for spec in worker.specs}
        turns, run = [], Checks._run

        def counted(checks):
            before = len(worker.checker.asked)
            run(checks)
            turns.append(len(worker.checker.asked) - before)

        with patch.object(Checks, "_run", counted):
            worker.begin()
        self.assertEqual((worker.checker.waiting, max(turns)), (checks.MOST, checks.SLICE))
        worker.turn(5.0)
        worker.turn(0.1)
        self.assertGreater(len(worker.checker.asked), checks.MOST)

    def test_endpoints_come_and_go(self):
        worker = Worker().begin()
        new = EndpointSpec(address="192.0.2.9:80")
        worker.cluster.is_started = True
        worker.cluster.set_endpoints((worker.specs[0], new))
        worker.turn()
        self.assertEqual(worker.checker.asked[3:], [new.address])
        worker.turn(10.1)
        self.assertEqual(sorted(worker.checker.asked[4:]), [worker.specs[0].address, new.address])

    def test_after_the_end_nothing_is_left(self):
        worker = Worker(timeout_s=1.0)
        worker.checker.answers = {"192.0.2.1:80": None, "192.0.2.2:80": False}
        worker.begin()
        worker.checks.stop()
        self.assertEqual((worker.checker.waiting, worker.cluster.verdicts.bits), (0, {}))
        self.assertEqual([call for call in worker.world.reactor.getDelayedCalls() if call.active()], [])

    def test_a_newer_configuration_takes_over_and_gives_back(self):
        worker = Worker().begin()
        newer = Checks(worker.cluster, worker.checks._parts, worker.world, worker.lead, Logger())
        newer.start()
        worker.turn(10.1)
        count = len(worker.checker.asked)
        self.assertLessEqual(count, 9)
        newer.stop()
        for _ in range(12):
            worker.turn(1.0)
        self.assertGreater(len(worker.checker.asked), count)


class Verdicts(unittest.TestCase):
    def test_traffic_may_say_that_an_endpoint_wants_none(self):
        worker = Worker().begin()
        endpoint = worker.cluster.endpoints[1]
        worker.checks.on_result(endpoint, Outcome(200, headers=Fields({checks.IMMEDIATE: b"true"})))
        self.assertEqual(worker.bits(), [0, FAILED_ACTIVE_CHECK | IMMEDIATE_FAIL, 0])
        worker.turn(10.1)
        self.assertEqual(worker.bits(), [0, 0, 0])

    def test_a_check_that_passes_is_told_to_who_asks(self):
        worker = Worker()
        told = []
        worker.cluster.on_check(lambda *found: told.append(found))
        worker.checker.answers = {"192.0.2.1:80": False}
        worker.begin()
        self.assertEqual(sorted(told), [("192.0.2.2:80", True), ("192.0.2.3:80", True)])

    def test_all_checks_of_a_cluster_must_pass(self):
        worker = Worker()
        second = Checker()
        second.answers = {"192.0.2.3:80": Checked(is_well=False, reason="no")}
        worker.checks._parts.append((worker.checks._parts[0][0], second))
        worker.begin()
        self.assertEqual(worker.bits(), [0, 0, FAILED_ACTIVE_CHECK])


class Workers(unittest.TestCase):
    def setUp(self):
        self.ledger = Ledger(1)
        self.first, self.second = [Worker(world=FakeWorld(seed), ledger=self.ledger) for seed in (1, 2)]
        self.first.world.bus.send = self.second.world.bus.heard
        self.second.world.bus.send = self.first.world.bus.heard

    def turn(self, seconds=0.0):
        for _ in range(3):
            for worker in (self.first, self.second):
                worker.turn(seconds / 3)

    def test_one_asks_and_all_know(self):
        self.first.checker.answers = {"192.0.2.1:80": False}
        self.first.begin()
        self.second.begin()
        self.turn(0.1)
        self.assertEqual((len(self.first.checker.asked), self.second.checker.asked), (3, []))
        self.assertEqual(self.second.bits(), [FAILED_ACTIVE_CHECK, 0, 0])
        self.assertTrue(self.second.first.called)

    def test_one_that_starts_later_gets_all_that_is_known(self):
        self.first.checker.answers = {"192.0.2.1:80": False}
        self.first.begin()
        self.turn(1)
        self.second.begin()
        self.turn()
        self.assertEqual(self.second.bits(), [FAILED_ACTIVE_CHECK, 0, 0])

    def test_another_takes_over_and_goes_on_from_what_is_known(self):
        for worker in (self.first, self.second):
            worker.checker.answers = {"192.0.2.1:80": False}
        self.first.begin()
        self.second.begin()
        self.turn(0.1)
        self.ledger.give(0)  # what the supervisor does for a worker that died
        self.first.world.bus.send = None
        self.second.checker.answers["192.0.2.2:80"] = False
        self.second.turn(1.0)
        self.assertEqual(self.second.bits(), [FAILED_ACTIVE_CHECK, 0, 0])
        for _ in range(12):
            self.second.turn(1.0)
        self.assertEqual(set(self.second.checker.asked), {spec.address for spec in self.second.specs})
        self.assertEqual(self.second.bits(), [FAILED_ACTIVE_CHECK, 0, 0])  # one failure of a healthy one is not enough

    def test_who_leaves_gives_the_lead_away(self):
        self.first.begin()
        self.second.begin()
        self.first.world.is_leaving = True
        self.turn(3)
        self.assertEqual((self.first.lead.is_held, self.second.lead.is_held), (False, True))
