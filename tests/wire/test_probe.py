"""How late the reactor is, as a descriptor in the queue sees it."""

import time
import unittest

from meshd.wire.poller import READ
from meshd.wire.probe import Probe
from tests.wire.world import StillWorld, pair

EACH_S = 0.01


class Slow:
    """Keeps the thread for a while at each of its events, of which it always has one."""

    def __init__(self, world):
        self.world = world
        self.events = 0

    def on_event(self, mask):
        """Take time."""
        self.events += 1
        self.world.reactor.advance(EACH_S)


class ProbeCase(unittest.TestCase):
    """``slow`` adds sockets that stay ready; ``step`` dispatches as many events as the poller would take."""

    def setUp(self):
        self.world = StillWorld()
        self.addCleanup(self.world.close)
        self.probe = Probe(self.world.poller, self.world.clock.now)
        self.probe.start()
        self.addCleanup(self.probe.stop)

    def slow(self, count):
        made = [Slow(self.world) for _ in range(count)]
        for owner in made:
            ours, theirs = pair()
            self.addCleanup(ours.close)
            self.addCleanup(theirs.close)
            theirs.send(b"x")
            self.world.poller.register(ours.fileno(), READ, owner)
        return made

    def step(self, count=1):
        self.world.run(self.world.poller.dispatch, self.world.poller.epoll.poll(0, count))


class Measuring(ProbeCase):
    def test_an_idle_reactor_is_not_late(self):
        self.probe.send(self.world.clock.now())
        self.step()
        self.assertFalse(self.probe.is_out)
        self.assertEqual(self.probe.measure(self.world.clock.now()), 0.0)

    def test_many_ready_sockets_are_seen_as_the_wait_of_the_last_in_line(self):
        owners = self.slow(50)
        self.probe.send(self.world.clock.now())
        while self.probe.is_out:
            self.step()
        self.assertAlmostEqual(self.probe.last_s, 50 * EACH_S)
        self.assertEqual({owner.events for owner in owners}, {1})

    def test_a_call_that_keeps_the_thread_is_seen_from_when_the_probe_was_due(self):
        due = self.world.clock.now()
        self.world.reactor.advance(3.0)
        self.probe.send(due)
        self.step()
        self.assertAlmostEqual(self.probe.last_s, 3.0)

    def test_one_that_is_not_back_counts_with_its_age_where_that_is_more(self):
        self.slow(1)
        self.probe.send(self.world.clock.now())
        while self.probe.is_out:
            self.step()
        self.probe.send(self.world.clock.now())
        self.assertAlmostEqual(self.probe.measure(self.world.clock.now()), EACH_S)
        self.world.reactor.advance(0.4)
        self.assertAlmostEqual(self.probe.measure(self.world.clock.now()), 0.4)

    def test_it_gives_its_descriptor_back(self):
        self.probe.stop()
        self.assertEqual(self.world.poller.owners, {})
        self.probe.stop()


class RealTime(unittest.TestCase):
    def test_the_lines_order_is_the_kernels(self):
        """The probe stands behind those that were ready before it, though they stay ready."""
        world = StillWorld()
        self.addCleanup(world.close)
        probe = Probe(world.poller)
        probe.start()
        self.addCleanup(probe.stop)

        class Busy:
            def on_event(self, mask):
                time.sleep(0.002)

        for _ in range(20):
            ours, theirs = pair()
            self.addCleanup(ours.close)
            self.addCleanup(theirs.close)
            theirs.send(b"x")
            world.poller.register(ours.fileno(), READ, Busy())
        probe.send(time.monotonic())
        while probe.is_out:
            world.poller.doRead()
        self.assertGreaterEqual(probe.last_s, 20 * 0.002)
