"""What the monitor makes of what it reads."""

import os
import unittest
from unittest import mock

import attrs

from meshd.model.overload import DescriptorThresholds, LagThresholds, MemoryThresholds, Overload
from meshd.overload.monitor import Monitor
from meshd.telemetry.process import resident_bytes
from meshd.wire.poller import READ
from tests.wire.world import StillWorld, pair

MIB = 1024 * 1024
NONE = Overload(
    lag=LagThresholds(stop_accepting_connections_s=0, stop_accepting_requests_s=0),
    descriptors=DescriptorThresholds(disable_http_keepalive=0, stop_accepting_connections=0),
    memory=MemoryThresholds(shrink_heap=0, disable_http_keepalive=0, stop_accepting_requests=0,
                            stop_accepting_connections=0))
"""Every threshold is off."""


class Follower:
    """Notes what is in force when it is told of a change."""

    def __init__(self, overload):
        self.overload = overload
        self.seen = []
        overload.followers.add(self)

    def follow(self):
        """Note it."""
        overload = self.overload
        self.seen.append((overload.disables_keepalive, overload.stops_requests, overload.stops_connections))


class MonitorCase(unittest.TestCase):
    """A monitor in a world whose time stands still; ``pause`` keeps the reactor's thread for a while."""

    def setUp(self):
        self.world = StillWorld()
        self.addCleanup(self.world.close)
        self.monitor = Monitor(self.world, self.world.clock.now)
        self.overload = self.world.overload
        self.follower = Follower(self.overload)
        self.monitor.start()
        self.addCleanup(self.monitor.stop)

    def configure(self, **changes):
        self.monitor.configure(attrs.evolve(NONE, **changes))

    def ticks(self, count):
        for _ in range(count):
            self.world.reactor.advance(0.25)
            self.world.turn()

    def pause(self, seconds):
        self.world.reactor.rightNow += seconds

    def metric(self, name, *labels):
        return self.world.metrics.value(name, *labels)

    def said(self):
        return [event["log_format"].format(**event) for event in self.world.events]


class LagTest(MonitorCase):
    def setUp(self):
        super().setUp()
        self.configure(lag=LagThresholds(stop_accepting_requests_s=0.5, stop_accepting_connections_s=0))

    def late(self, seconds, count=1):
        """Let every tick come late."""
        for _ in range(count):
            self.pause(seconds)
            self.ticks(1)

    def test_one_long_pause_is_seen_and_changes_nothing(self):
        self.late(10.0)
        self.ticks(1)
        self.assertAlmostEqual(self.monitor.fact()["resources"]["lag"]["last_s"], 10.0)
        self.ticks(8)
        self.assertEqual(self.follower.seen, [])

    def test_a_queue_that_stands_stops_requests_until_it_has_gone(self):
        self.late(0.6, 5)
        self.assertEqual(self.follower.seen[-1:], [(False, True, False)])
        self.assertEqual(self.metric("envoy_overload_active", "stop_accepting_requests"), 1)
        self.assertGreaterEqual(self.metric("envoy_overload_pressure", "lag"), 100)
        self.ticks(6)
        self.assertEqual(self.follower.seen[1:], [(False, False, False)])
        self.assertEqual(self.metric("envoy_overload_active", "stop_accepting_requests"), 0)

    def test_each_change_is_logged_once_with_the_figures(self):
        self.late(0.6, 8)
        self.ticks(8)
        begin, end = self.said()
        self.assertRegex(begin, r"^overload: stop_accepting_requests begins: the reactor is \d+ ms late "
                                r"\(threshold 500 ms\)$")
        self.assertRegex(end, r"^overload: stop_accepting_requests ends after \d\.\d s: the reactor is 0 ms late$")

    def test_a_probe_that_does_not_come_back_counts_with_its_age(self):
        self.ticks(1)
        for _ in range(5):  # timers run, the poller gets no turn
            self.world.reactor.advance(0.25)
        self.assertEqual(self.follower.seen, [])
        self.world.reactor.advance(0.25)
        self.assertEqual(self.follower.seen, [(False, True, False)])

    def test_many_ready_sockets_are_overload_though_every_timer_is_on_time(self):
        class Busy:
            def on_event(self, mask):
                world.reactor.rightNow += 0.02

        world = self.world
        for _ in range(64):
            ours, theirs = pair()
            self.addCleanup(ours.close)
            self.addCleanup(theirs.close)
            theirs.send(b"x")
            world.poller.register(ours.fileno(), READ, Busy())
        for _ in range(400):
            world.run(world.poller.dispatch, world.poller.epoll.poll(0, 1))
            world.reactor.advance(0)
        self.assertEqual(self.follower.seen[0], (False, True, False))


class DescriptorTest(MonitorCase):
    def test_open_descriptors_are_counted_against_what_clients_may_have(self):
        self.configure(descriptors=DescriptorThresholds(
            disable_http_keepalive=1e-9, stop_accepting_connections=1.0, stop_accepting_requests=0))
        self.ticks(1)
        self.assertEqual(self.follower.seen, [(True, False, False)])
        figures = self.monitor.fact()["resources"]["descriptors"]
        self.assertGreater(figures["limit"], figures["open"])
        self.assertIn("descriptors for clients are open (threshold", self.said()[0])


    def test_a_kernel_that_does_not_tell_the_number_is_asked_otherwise(self):
        self.configure(descriptors=DescriptorThresholds(disable_http_keepalive=0, stop_accepting_connections=1.0))
        told = os.stat_result([0] * 10)
        with mock.patch.object(os, "stat", lambda path: told):
            self.ticks(1)
        self.assertGreater(self.monitor.fact()["resources"]["descriptors"]["open"], 3)


class MemoryTest(MonitorCase):
    def memory(self, **values):
        self.configure(memory=attrs.evolve(NONE.memory, **values))

    def test_resident_memory_against_a_configured_limit(self):
        self.memory(limit_bytes=resident_bytes(), stop_accepting_requests=0.5, shrink_heap=0.5)
        self.ticks(1)
        self.assertEqual(self.follower.seen, [(False, True, False)])
        self.assertEqual(set(self.monitor.fact()["actions"]), {"stop_accepting_requests", "shrink_heap"})
        self.memory(limit_bytes=100 * resident_bytes(), stop_accepting_requests=0.5)
        self.ticks(5)
        self.assertEqual(self.follower.seen[1:], [(False, False, False)])

    def test_far_from_the_limit_nothing_happens(self):
        self.memory(limit_bytes=100 * resident_bytes(), stop_accepting_requests=0.5, disable_http_keepalive=0.5)
        self.ticks(4)
        self.assertEqual(self.follower.seen, [])
        self.assertAlmostEqual(self.metric("envoy_overload_pressure", "memory"), 1.0, places=0)

    def test_recycling_is_asked_for_once(self):
        asked = []
        self.monitor.on_recycle = lambda: asked.append("recycle")
        self.memory(recycle_bytes=100 * resident_bytes())
        self.ticks(2)
        self.assertEqual(asked, [])
        self.memory(recycle_bytes=MIB)
        self.ticks(3)
        self.assertEqual(asked, ["recycle"])
        self.assertRegex(self.said()[-1], r"overload: [\d.]+ MiB of memory are resident: recycle at 1.0 MiB")

    def test_without_a_hook_recycling_is_a_warning(self):
        self.memory(recycle_bytes=MIB)
        self.ticks(3)
        self.assertEqual(len(self.said()), 1)

    def test_a_hook_that_raises_is_logged(self):
        self.monitor.on_recycle = lambda: 1 / 0
        self.memory(recycle_bytes=MIB)
        self.ticks(2)
        self.assertIn("ZeroDivisionError", self.world.bugs[0])


class ActionTest(MonitorCase):
    def test_an_action_lasts_for_a_second_at_least(self):
        self.configure(memory=attrs.evolve(NONE.memory, limit_bytes=resident_bytes(), disable_http_keepalive=0.5))
        self.ticks(1)
        self.configure()
        self.ticks(3)
        self.assertEqual(self.follower.seen, [(True, False, False)])
        self.ticks(2)
        self.assertEqual(self.follower.seen[1:], [(False, False, False)])

    def test_the_same_settings_again_change_nothing(self):
        self.configure(memory=attrs.evolve(NONE.memory, limit_bytes=resident_bytes(), disable_http_keepalive=0.5))
        self.ticks(1)
        self.configure(memory=attrs.evolve(NONE.memory, limit_bytes=self.monitor._settings.memory.limit_bytes,
                                           disable_http_keepalive=0.5))
        self.ticks(8)
        self.assertEqual(len(self.follower.seen), 1)

    def test_retry_after_is_in_whole_seconds(self):
        self.configure(retry_after_s=1.5)
        self.assertEqual(self.overload.headers, ((b"retry-after", b"2"),))

    def test_a_resource_that_cannot_be_read_is_counted_and_keeps_its_state(self):
        def refuse(now):
            raise OSError("gone")

        self.configure(memory=attrs.evolve(NONE.memory, limit_bytes=resident_bytes(), disable_http_keepalive=0.5))
        self.ticks(1)
        self.monitor._resources[-1].read = refuse
        self.ticks(8)
        self.assertEqual(self.metric("envoy_overload_failed_updates", "memory"), 8)
        self.assertEqual(self.follower.seen, [(True, False, False)])

    def test_a_stopped_monitor_leaves_nothing_behind(self):
        self.ticks(1)
        self.monitor.stop()
        self.assertEqual(self.world.reactor.getDelayedCalls(), [])
        self.assertEqual(self.world.poller.owners, {})
