"""A worker that is told something between two steps."""

import socket
from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from meshd.errors import MeshdError
from meshd.runtime.outcome import Outcome
from meshd.service.daemon import Daemon
from meshd.service.worker import Worker


def told(**values):
    """Return a worker that does nothing; ``said`` is what it has told the supervisor."""
    said = []
    values = {"_change": 0, "_aborted": 0, "_sockets": [], **values}
    return SimpleNamespace(_word=None, said=said, link=SimpleNamespace(tell=said.append), **values)


class Change(SynchronousTestCase):
    def setUp(self):
        given = []
        sockets = SimpleNamespace(given=given, give=lambda sock, *named, **how: given.append((sock, *named)))
        self.worker = told(world=SimpleNamespace(sockets=sockets))
        self.given = given

    def offer(self, change):
        """The supervisor offers a configuration that cannot be read."""
        self.worker._offer = ({"change": change, "error": "none"}, b"")

    def read(self):
        """The reloader begins with what was offered last."""
        self.assertRaises(MeshdError, Worker._read_offer, self.worker)

    def test_a_change_that_was_given_up_before_it_was_ready_is_refused(self):
        self.offer(3)
        self.read()
        Worker._do_abort(self.worker, {"change": 3, "text": "another has refused"}, b"", [])
        self.failureResultOf(Worker._consent(self.worker), MeshdError)
        self.assertEqual(self.worker.said, [])
        self.offer(4)
        self.read()
        self.assertNoResult(Worker._consent(self.worker))
        self.assertEqual(self.worker.said, [{"do": "prepared", "change": 4}])

    def test_one_that_is_built_still_as_others_are_offered_is_not_taken_for_them(self):
        self.offer(3)
        self.read()
        for change in (3, 4):
            Worker._do_abort(self.worker, {"change": change, "text": "another has refused"}, b"", [])
            self.offer(change + 1)
        self.failureResultOf(Worker._consent(self.worker), MeshdError)
        self.assertEqual(self.worker.said, [])
        self.read()
        self.assertNoResult(Worker._consent(self.worker))
        self.assertEqual(self.worker.said, [{"do": "prepared", "change": 5}])

    def test_what_is_in_force_is_taken_up_whatever_was_given_up(self):
        self.worker._aborted = 3
        self.offer(0)
        self.read()
        self.assertNoResult(Worker._consent(self.worker))

    def test_sockets_are_those_of_the_change_that_they_came_with(self):
        """The end of the one before closes what it has not taken."""
        self.offer(3)
        self.read()
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        Worker._do_sockets(self.worker, {"rows": [["public", "a"]]}, b"", [theirs.detach()])
        self.assertEqual(self.given, [])
        self.offer(4)
        self.read()
        self.assertEqual([row[1:] for row in self.given], [("public", "a")])
        self.given[0][0].close()


class First(SynchronousTestCase):
    def test_a_worker_that_has_no_configuration_yet_says_why_it_cannot_take_one(self):
        outcome = Outcome(is_accepted=False, generation=0, digest="", text="no", faults=("no file",))
        worker = told(
            world=SimpleNamespace(sockets=SimpleNamespace(close=lambda: None)), loaded=None,
            reloader=SimpleNamespace(listeners={}, is_quiet=True, generation=0))
        worker._reloaded = lambda *args: Daemon._reloaded(worker, *args)
        Worker._done(worker, outcome, 0, [], 0)
        self.assertEqual([(one["do"], one["outcome"]["summary"]) for one in worker.said], [("refused", "no file")])


class Drain(SynchronousTestCase):
    def test_one_that_leaves_its_place_is_not_cut_by_the_end_of_all(self):
        begun = []
        shutdown = SimpleNamespace(is_running=True, begin=lambda **how: begun.append(how))
        systemd = SimpleNamespace(notify=SimpleNamespace(main_pid=lambda pid: None))
        worker = told(shutdown=shutdown, systemd=systemd, _leave_child=lambda: None,
                      reloader=SimpleNamespace(listeners={}), admin=SimpleNamespace(leave=lambda: None))
        worker._succeeded = lambda pid: Worker._succeeded(worker, pid)
        Worker._do_drain(worker, {}, b"", [])
        Worker._do_succeeded(worker, {}, b"", [])
        self.assertEqual(begun, [])
