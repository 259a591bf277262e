"""The poller."""

import os
import select
import socket
import time
import unittest

from meshd.wire.poller import BATCH, READ, WRITE
from tests.wire.world import Owner, StillWorld, describe, pair


class Watcher:
    """Owns a descriptor number and records its events."""

    def __init__(self, action=None):
        self.action = action
        self.masks = []
        self.bugs = 0

    def on_event(self, mask):
        """Called by the poller."""
        self.masks.append(mask)
        if self.action is not None:
            self.action(self)

    def on_bug(self):
        """Called by the poller."""
        self.bugs += 1


class PollerCase(unittest.TestCase):
    """``watch`` registers one end of a pair."""

    def setUp(self):
        self.world = StillWorld()
        self.poller = self.world.poller
        self.addCleanup(self.world.close)

    def watch(self, owner, mask=READ):
        """Register ``owner``; return (number, peer's socket)."""
        ours, theirs = pair()
        self.addCleanup(theirs.close)
        number = ours.detach()
        self.poller.register(number, mask, owner)
        return number, theirs


class Dispatch(PollerCase):
    def test_events_go_to_their_owner_alone(self):
        first, second = Watcher(), Watcher()
        self.watch(first)[1].send(b"x")
        self.watch(second)
        self.world.batch()
        self.assertEqual((first.masks, second.masks), ([READ], []))

    def test_what_is_watched_for_can_change(self):
        owner = Watcher()
        number, _ = self.watch(owner)
        self.assertFalse(self.world.batch())
        self.poller.modify(number, WRITE)
        self.world.batch()
        self.assertEqual(owner.masks, [WRITE])

    def test_a_detached_descriptor_stays_open_and_silent(self):
        owner = Watcher()
        number, peer = self.watch(owner)
        self.poller.detach(number)
        self.poller.detach(number)
        peer.send(b"x")
        self.assertFalse(self.world.batch())
        self.assertEqual(os.read(number, 9), b"x")
        os.close(number)

    def test_a_number_given_up_is_closed_after_the_batch_and_gets_no_event_in_it(self):
        numbers = []

        def close_both(_):
            for number in numbers:
                self.poller.close(number)
            numbers.clear()

        owners = [Watcher(close_both), Watcher(close_both)]
        for owner in owners:
            number, peer = self.watch(owner)
            numbers.append(number)
            peer.send(b"x")
        self.world.batch()
        self.assertEqual(sum(len(owner.masks) for owner in owners), 1)
        self.assertEqual(self.poller.closing, [])

    def test_no_stranger_gets_the_number_before_the_batch_is_over(self):
        taken = []

        def close_and_open(owner):
            for number in (one, other):
                self.poller.close(number)
            sock = socket.socket()
            taken.append(sock.fileno())
            self.addCleanup(sock.close)

        first, second = Watcher(close_and_open), Watcher(close_and_open)
        one, peer = self.watch(first)
        other, other_peer = self.watch(second)
        peer.send(b"x")
        other_peer.send(b"x")
        self.world.batch()
        self.assertEqual(len(taken), 1)
        self.assertNotIn(taken[0], (one, other))

    def test_outside_of_a_batch_a_number_is_closed_at_once(self):
        number, _ = self.watch(Watcher())
        self.poller.close(number)
        with self.assertRaises(OSError):
            os.fstat(number)


class Bugs(PollerCase):
    def test_an_owner_that_raises_is_told_and_logged_and_costs_no_other(self):
        bad, good = Watcher(lambda owner: 1 / 0), Watcher()
        self.watch(bad)[1].send(b"x")
        self.watch(good)[1].send(b"x")
        self.world.batch()
        self.assertEqual((bad.bugs, good.masks), (1, [READ]))
        self.assertIn("ZeroDivisionError", self.world.bugs[0])

    def test_one_that_raises_in_its_end_too_costs_no_other(self):
        bad, good = Watcher(lambda owner: 1 / 0), Watcher()
        bad.on_bug = lambda: 1 / 0
        self.watch(bad)[1].send(b"x")
        self.watch(good)[1].send(b"x")
        self.world.batch()
        self.assertEqual(good.masks, [READ])
        self.assertEqual(len(self.world.bugs), 2)

    def test_a_descriptor_whose_owner_raises_is_closed(self):
        owner = Owner(received=lambda owner: 1 / 0)
        descriptor, peer = describe(self.world, owner)
        self.addCleanup(peer.close)
        peer.send(b"x")
        self.world.turn()
        self.assertFalse(descriptor.is_open)
        self.assertEqual(owner.said, ["received", "internal error", "lost"])


class Beat(PollerCase):
    def test_the_heart_beats_while_a_batch_runs_and_only_then(self):
        beats = []
        number, peer = self.watch(Watcher(lambda owner: (beats.append(self.poller.beat), os.read(number, 9))))
        peer.send(b"x")
        self.assertEqual(self.poller.beat, 0.0)
        before = time.monotonic()
        self.poller.doRead()
        self.assertEqual(len(beats), 1)
        self.assertLessEqual(before, beats[0])
        self.assertEqual(self.poller.beat, 0.0)

    def test_the_reactor_gets_its_turn_while_traffic_never_ends(self):
        owner = Watcher()
        self.watch(owner, WRITE)
        begin = time.monotonic()
        self.poller.doRead()
        self.assertLess(time.monotonic() - begin, 2.0)
        self.assertGreaterEqual(len(owner.masks), 1)

    def test_where_events_take_long_the_reactor_gets_its_turn_after_one(self):
        owners = [Watcher(lambda owner: time.sleep(0.01)) for _ in range(32)]
        for owner in owners:
            self.watch(owner, WRITE)
        self.poller.doRead()
        self.assertEqual(self.poller.batch, 1)
        before = sum(len(owner.masks) for owner in owners)
        self.poller.doRead()
        self.assertEqual(sum(len(owner.masks) for owner in owners), before + 1)

    def test_batches_are_long_again_when_events_are_quick(self):
        self.poller.batch = 1
        self.watch(Watcher(), WRITE)
        for _ in range(20):  # one look may be slow where the machine is busy
            self.poller.doRead()
            if self.poller.batch == BATCH:
                break
        self.assertEqual(self.poller.batch, BATCH)

    def test_a_reactor_without_epoll_has_it_as_a_reader(self):
        class Reactor:
            readers = []
            addReader = readers.append
            removeReader = readers.remove

        self.poller.reactor = Reactor
        self.poller.start()
        self.assertEqual(Reactor.readers, [self.poller])
        self.assertEqual(self.poller.fileno(), self.poller.epoll.fileno())
        self.assertEqual(self.poller.logPrefix(), "meshd")
        self.poller.stop()
        self.assertEqual(Reactor.readers, [])


class Waiting(PollerCase):
    """It waits in the place of a reactor, whose own set is ``inner``; ``turns`` are the times that this one got."""

    def setUp(self):
        super().setUp()
        self.turns = turns = []

        class Reactor:
            def __init__(self, inner):
                self._poller = inner

            def doIteration(self, timeout):
                turns.append(timeout)

        self.inner = select.epoll()
        self.addCleanup(self.inner.close)
        self.reactor = self.poller.reactor = Reactor(self.inner)
        self.poller.start()

    def test_ours_are_dispatched_and_the_reactor_is_left_alone(self):
        got = []
        number, peer = self.watch(Watcher(lambda owner: got.append(os.read(number, 9))))
        peer.send(b"x")
        self.reactor.doIteration(5.0)
        self.assertEqual((got, self.turns, self.poller.beat), ([b"x"], [], 0.0))

    def test_the_reactor_has_its_turn_where_it_has_something_to_do(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        self.inner.register(reader, READ)
        owner = Watcher()
        self.watch(owner, WRITE)  # always ready
        os.write(writer, b"x")
        self.reactor.doIteration(None)
        self.assertEqual((self.turns, len(owner.masks)), ([0], 1))
        os.read(reader, 1)

    def test_the_reactor_does_not_wait_behind_many_that_take_long(self):
        owners = [Watcher(lambda owner: time.sleep(0.01)) for _ in range(32)]
        for owner in owners:
            self.watch(owner, WRITE)
        for turn in range(1, 4):
            self.reactor.doIteration(None)
            self.assertEqual(self.turns, [0] * turn)

    def test_it_waits_no_longer_than_it_may(self):
        begin = time.monotonic()
        self.reactor.doIteration(0.05)
        self.assertGreaterEqual(time.monotonic() - begin, 0.04)
        self.assertEqual(self.turns, [])

    def test_the_reactor_waits_itself_when_it_has_left(self):
        self.poller.stop()
        self.reactor.doIteration(0.5)
        self.assertEqual(self.turns, [0.5])
        self.assertEqual(self.poller.epoll.poll(0), [])
