"""A worker that is told something between two steps."""

from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from meshd.errors import MeshdError
from meshd.service.worker import Worker


def told(**values):
    """Return a worker that does nothing; ``said`` is what it has told the supervisor."""
    said = []
    return SimpleNamespace(_word=None, _aborted=0, said=said, link=SimpleNamespace(tell=said.append), **values)


class Change(SynchronousTestCase):
    def test_a_change_that_was_given_up_before_it_was_ready_is_refused(self):
        worker = told(_offer=({"change": 3}, b""))
        Worker._do_abort(worker, {"change": 3, "text": "another has refused"}, b"", [])
        self.failureResultOf(Worker._consent(worker), MeshdError)
        self.assertEqual(worker.said, [])
        worker._offer = ({"change": 4}, b"")
        self.assertNoResult(Worker._consent(worker))
        self.assertEqual(worker.said, [{"do": "prepared", "change": 4}])


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
