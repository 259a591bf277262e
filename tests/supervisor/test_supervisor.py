"""The supervisor between two steps: what asks for a reload is answered, and a worker does one thing at a time."""

import os
import time
from types import SimpleNamespace
from unittest import TestCase, mock

from meshd.host.launch import Launch
from meshd.hot.ledger import LOCKING
from meshd.supervisor.log import Log
from meshd.supervisor.loop import Loop
from meshd.supervisor.member import IDLE, LEAVING, PREPARING, READY, SERVING, STARTING
from meshd.supervisor.supervisor import DRAINING, Supervisor


class Worker:
    """Writes down what it is told."""

    def __init__(self, index, state, is_serving=True):
        self.index, self.state, self.is_serving = index, state, is_serving
        self.known, self.told, self.offered = set(), [], None
        self.beat = self.served_since = 0.0
        self.label, self.connections = str(index), 0

    def tell(self, head, payload=b"", fds=()):
        self.told.append((head["do"], head.get("change")))

    def kill(self, why):
        self.told.append(("kill", None))


class Steps(TestCase):
    def setUp(self):
        loop = Loop(self.fail, time.monotonic, time.time)
        self.addCleanup(loop._selector.close)
        log = Log("error", "text", time.time)
        told = {"paths": [], "settings": {}, "locking": LOCKING}
        self.supervisor = Supervisor(loop, log, told, Launch())
        self.addCleanup(os.close, self.supervisor.arena.fd)
        patch = mock.patch("meshd.supervisor.supervisor.Reader")
        self.reader = patch.start()
        self.addCleanup(patch.stop)
        self.team = self.supervisor.team
        self.team.wanted = 2
        self.found = []

    def members(self, *members):
        self.team.members = list(members)
        self.team.current = ({"change": 0}, b"in force")
        return members

    def read(self):
        reading = SimpleNamespace(outline=None, error="no", key=b"", data=b"")
        self.supervisor._have_read(reading)

    def refusal(self, text):
        return self.supervisor._outcome(text, is_accepted=False)

    def committed(self, member):
        self.team._message(member, ({"do": "committed", "change": 0}, b"", []))

    def test_the_end_answers_who_waits_for_a_reload(self):
        self.members(Worker(0, SERVING), Worker(1, SERVING))
        self.supervisor.reload(self.found.append)
        self.supervisor.reload(self.found.append)
        self.supervisor.quit()
        self.assertEqual(self.found, [DRAINING, DRAINING])

    def test_what_waits_when_an_heir_serves_is_answered_and_not_read_here(self):
        self.members(Worker(0, SERVING), Worker(1, SERVING))
        self.supervisor.renew(self.found.append)
        self.supervisor.reload(self.found.append)
        heir = self.supervisor.lineage.heir = SimpleNamespace(pid=7)
        self.supervisor._upgraded("a new generation serves", heir)
        self.assertEqual([one["accepted"] for one in self.found], [True, False])
        self.assertEqual(self.reader.call_count, 1)

    def test_an_upgrade_asked_while_another_s_reload_is_read_is_made_by_the_next_reading(self):
        self.members(Worker(0, SERVING), Worker(1, SERVING))
        self.supervisor.outline = outline = {
            "fingerprint": [], "workers": 2, "settings": {"load": [], "dir": None}, "node": "-"}
        self.supervisor.reload(self.found.append)
        self.supervisor.renew(self.found.append)
        with mock.patch.object(self.supervisor, "_begin_change") as change, \
                mock.patch.object(self.supervisor, "_upgrade") as upgrade:
            self.supervisor._have_read(SimpleNamespace(outline=outline))
            self.assertEqual((change.call_count, upgrade.call_count), (1, 0))
            self.supervisor._tell_outcome(self.refusal("nothing changed"))
            self.supervisor._have_read(SimpleNamespace(outline=outline))
            upgrade.assert_called_once_with("an upgrade was asked for")
        self.assertEqual((change.call_count, len(self.found)), (1, 1))

    def test_an_heir_that_serves_after_the_end_began_cuts_nothing(self):
        first, second = self.members(Worker(0, SERVING), Worker(1, SERVING))
        self.supervisor.quit()
        self.supervisor._upgraded("a new generation serves", SimpleNamespace(pid=7))
        self.assertEqual([one for one, _ in first.told], ["drain"])

    def test_this_process_outlives_an_heir_that_was_told_to_end(self):
        self.members()
        self.supervisor.lineage.starting = SimpleNamespace(pid=1 << 30)
        with mock.patch.object(self.supervisor._loop, "stop") as stop:
            self.supervisor.quit()
            self.assertEqual(stop.call_count, 0)
            self.supervisor.lineage.starting = None
            self.supervisor._not_upgraded("it ended")
            self.assertEqual(stop.call_count, 1)

    def test_the_end_during_the_start_is_no_failure(self):
        self.supervisor.is_draining = True
        self.supervisor._changed({"summary": "every worker ended by SIGKILL"}, False)
        self.assertEqual(self.supervisor.code, 0)

    def test_a_change_waits_for_a_worker_that_takes_up_what_is_in_force(self):
        for state in (PREPARING, READY):
            first, second = self.members(Worker(0, SERVING), Worker(1, state, False))
            second.offered = b"in force"
            self.team.current = ({"change": 0}, second.offered)
            self.read()
            self.assertEqual(first.told, [])
            self.committed(second)
            self.assertEqual([one.told for one in (first, second)], [[("prepare", self.supervisor._changes)]] * 2)
            self.supervisor._change = None

    def test_a_worker_that_took_up_what_has_changed_meanwhile_takes_up_the_next(self):
        first, second = self.members(Worker(0, SERVING), Worker(1, READY, False))
        second.offered = b"before"
        self.committed(second)
        self.assertEqual((second.told, second.is_serving), ([("prepare", 0)], True))
        self.assertIs(second.offered, self.team.current[1])

    def test_a_worker_that_is_busy_is_not_given_another_configuration(self):
        first, second = self.members(Worker(0, PREPARING), Worker(1, SERVING))
        self.supervisor._catch_up(set())
        self.assertEqual([one.told for one in (first, second)], [[], [("prepare", 0)]])

    def test_a_worker_that_leaves_during_a_change_leaves(self):
        first, second = self.members(Worker(0, SERVING), Worker(1, SERVING))
        spare = Worker(None, IDLE, False)
        self.team.members.append(spare)
        self.team.has_spare = False
        self.read()
        self.team.replace(second, "its memory has grown")
        self.supervisor._change.answered(second, {"do": "prepared"})
        self.supervisor._change.answered(second, {"do": "committed", "outcome": {}})
        self.assertEqual((second.state, second.is_serving, spare.index), (LEAVING, False, 1))
        self.committed(spare)
        self.assertIn(("succeeded", None), second.told)

    def test_one_that_leaves_as_it_takes_up_what_is_in_force_leaves(self):
        for word in ("prepared", "refused"):
            first, second = self.members(Worker(0, SERVING), Worker(1, PREPARING))
            spare = Worker(None, IDLE, False)
            self.team.members.append(spare)
            self.team.has_spare = False
            self.team.replace(second, "its memory has grown")
            self.team._message(second, ({"do": word, "change": 0, "outcome": {"summary": "no"}}, b"", []))
            self.assertEqual((second.state, spare.index), (LEAVING, 1))
            self.assertNotIn(("kill", None), second.told)
            spare.offered = self.team.current[1]
            self.committed(spare)
            self.assertIn(("succeeded", None), second.told)

    def test_a_change_waits_for_nobody_who_cannot_take_up_what_is_in_force(self):
        first, second = self.members(Worker(0, SERVING), Worker(1, PREPARING, False))
        self.supervisor.outline = {"digest": ""}
        self.read()
        self.team.members.remove(second)
        third = Worker(1, STARTING, False)
        self.team.members.append(third)
        self.team._message(third, ({"do": "hello"}, b"", []))
        self.assertEqual([one.told for one in (first, third)], [[("prepare", self.supervisor._changes)]] * 2)
        self.supervisor._change.answered(third, {"do": "refused", "outcome": dict(self.refusal("no"))})
        self.assertEqual(third.told[-1], ("prepare", 0))
        fourth = Worker(None, STARTING, False)
        self.team.members.append(fourth)
        fourth.index = 1
        self.team._message(fourth, ({"do": "hello"}, b"", []))
        self.assertEqual(fourth.told, [("prepare", 0)])

    def test_a_worker_that_comes_during_the_first_change_takes_up_what_came_of_it(self):
        late = Worker(1, IDLE, False)
        self.members(Worker(0, SERVING), late)
        self.supervisor._catch_up(set())
        self.assertEqual(late.told, [("prepare", 0)])

    def test_a_start_that_succeeds_as_it_is_told_to_end_is_none(self):
        self.supervisor.is_draining = True
        with mock.patch.object(self.supervisor.lineage, "serves") as serves:
            self.supervisor._serves()
        self.assertEqual(serves.call_count, 0)
