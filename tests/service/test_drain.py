"""The order in which the daemon ends."""

from types import SimpleNamespace

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from meshd.model.snapshot import Drain, Snapshot
from meshd.service.drain import Shutdown


class FakeListener:
    def __init__(self, told):
        self.told = told
        self.connections = {"one"}

    def close(self):
        self.told.append("close")

    def cut(self):
        self.told.append("cut")


class FakeReloader:
    """Records what it was told; ``empty()`` ends the listener's connections."""

    def __init__(self, grace_s=0.0, deadline_s=60.0):
        self.told = []
        self.retiring = 0
        self.drained = Deferred()
        self.loaded = SimpleNamespace(snapshot=Snapshot(drain=Drain(grace_s=grace_s, deadline_s=deadline_s)))
        self.listeners = {"public": FakeListener(self.told)}

    def empty(self):
        self.listeners["public"].connections.clear()

    def drain(self, deadline_s):
        self.told.append(("drain", deadline_s))
        return self.drained

    def stop(self):
        self.told.append("stop")
        return succeed(None)


class Ending(SynchronousTestCase):
    def make(self, finish_admin=lambda: True, **values):
        """Return (shutdown, reloader, clock); the reloader's list gets "done" at the end."""
        clock = Clock()
        world = SimpleNamespace(call_later=clock.callLater, clock=SimpleNamespace(now=clock.seconds))
        reloader = FakeReloader(**values)
        return Shutdown(reloader, world, lambda: reloader.told.append("done"), finish_admin), reloader, clock

    def test_accepts_for_the_grace_then_drains_then_stops(self):
        shutdown, reloader, clock = self.make(grace_s=5.0, deadline_s=7.0)
        shutdown.begin()
        self.assertTrue(shutdown.is_running)
        clock.advance(4.9)
        self.assertEqual(reloader.told, [])
        clock.advance(0.2)
        self.assertEqual(reloader.told, [("drain", 7.0)])
        reloader.empty()
        clock.advance(0.1)
        self.assertEqual(reloader.told, [("drain", 7.0), "stop", "done"])

    def test_waits_for_requests_of_replaced_runtimes(self):
        shutdown, reloader, clock = self.make()
        reloader.retiring = 1
        shutdown.begin()
        clock.advance(0)
        reloader.empty()
        clock.advance(1)
        self.assertNotIn("done", reloader.told)
        reloader.retiring = 0
        clock.advance(1)
        self.assertIn("done", reloader.told)

    def test_waits_for_them_no_longer_than_the_deadline(self):
        shutdown, reloader, clock = self.make(deadline_s=2.0)
        reloader.retiring = 1
        shutdown.begin()
        clock.advance(0)
        reloader.empty()
        clock.pump([0.1] * 25)
        self.assertIn("done", reloader.told)

    def test_second_call_cuts_and_ends_once(self):
        shutdown, reloader, clock = self.make()
        shutdown.begin()
        clock.advance(0)
        shutdown.begin()
        reloader.empty()
        shutdown.begin()
        clock.advance(100)
        self.assertEqual(reloader.told, [("drain", 60.0), "close", "cut", "stop", "done"])

    def test_second_call_within_the_grace_never_drains(self):
        shutdown, reloader, clock = self.make(grace_s=5.0)
        shutdown.begin()
        shutdown.begin()
        clock.advance(100)
        self.assertEqual(reloader.told, ["close", "cut", "stop", "done"])

    def test_before_the_first_configuration_there_is_nothing_to_wait_for(self):
        shutdown, reloader, clock = self.make()
        reloader.loaded = None
        shutdown.begin()
        clock.advance(0)
        self.assertEqual(reloader.told, [("drain", 0.0), "stop", "done"])

    def test_waits_for_the_answers_of_the_admin_api(self):
        owed = [1]
        shutdown, reloader, clock = self.make(lambda: not owed)
        shutdown.begin()
        reloader.empty()
        clock.pump([0.1] * 5)
        self.assertNotIn("done", reloader.told)
        owed.clear()
        clock.advance(0.1)
        self.assertEqual(reloader.told[-1], "done")

    def test_the_admin_api_is_finished_last(self):
        shutdown, reloader, clock = self.make(lambda: reloader.told.append("finish") is None)
        shutdown.begin()
        clock.pump([0.1] * 3)
        self.assertNotIn("finish", reloader.told)
        reloader.empty()
        clock.advance(0.1)
        self.assertEqual(reloader.told, [("drain", 60.0), "finish", "stop", "done"])

    def test_a_drain_that_fails_still_ends(self):
        shutdown, reloader, clock = self.make()
        shutdown.begin()
        clock.advance(0)
        reloader.drained.errback(RuntimeError("boom"))
        reloader.empty()
        clock.advance(1)
        self.assertEqual(reloader.told[-1], "done")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
