"""The wheel of deadlines."""

import random
import unittest

from tests.wire.world import StillWorld


class WheelCase(unittest.TestCase):
    """``fired`` holds (name, time)."""

    def setUp(self):
        self.world = StillWorld()
        self.addCleanup(self.world.close)
        self.fired = []

    def timer(self, name=""):
        """Return a timer that records its firing."""
        return self.world.wheel.timer(lambda now: self.fired.append((name, now)))

    def now(self):
        """Return the time of the wheel."""
        return self.world.clock.now()

    def step(self, seconds, count=1):
        """Let ``count`` times ``seconds`` pass."""
        for _ in range(count):
            self.world.reactor.advance(seconds)


class Firing(WheelCase):
    def test_never_early_and_at_most_two_slots_late(self):
        begin = self.now()
        delays = [0.0001, 0.01, 0.0149, 0.1, 0.999, 1.0, 7.77]
        for delay in delays:
            self.timer(delay).arm(begin + delay)
        self.step(0.001, 8000)
        self.assertEqual([name for name, _ in self.fired], delays)
        for delay, at in self.fired:
            self.assertGreaterEqual(at, begin + delay)
            self.assertLessEqual(at, begin + delay + 0.022)

    def test_fires_once_for_each_arming(self):
        timer = self.timer()
        timer.arm(self.now() + 1)
        self.step(5, 3)
        self.assertEqual(len(self.fired), 1)
        timer.arm(self.now() + 1)
        self.step(5, 3)
        self.assertEqual(len(self.fired), 2)

    def test_a_deadline_in_the_past_fires_at_the_next_slot(self):
        self.timer().arm(self.now() - 5)
        self.step(0.02)
        self.assertEqual(len(self.fired), 1)

    def test_may_arm_itself_again_while_it_fires(self):
        fired = []

        def again(now):
            fired.append(now)
            timer.arm(now + 1)

        timer = self.world.wheel.timer(again)
        timer.arm(self.now() + 1)
        self.step(0.01, 505)
        self.assertEqual(len(fired), 4)

    def test_an_error_in_one_keeps_no_other_from_firing(self):
        deadline = self.now() + 1
        self.world.wheel.timer(lambda now: 1 / 0).arm(deadline)
        self.timer("next").arm(deadline)
        self.timer("later").arm(deadline + 1)
        self.step(1.1, 2)
        self.assertEqual([name for name, _ in self.fired], ["next", "later"])
        self.assertEqual(len(self.world.bugs), 1)
        self.assertIn("ZeroDivisionError", self.world.bugs[0])


class Arming(WheelCase):
    def test_a_later_deadline_moves_nothing_until_the_slot_comes(self):
        timer = self.timer()
        timer.arm(self.now() + 1)
        slot = timer.slot
        for number in range(100):
            timer.arm(self.now() + 2 + number)
        self.assertEqual(timer.slot, slot)
        self.assertEqual(len(self.world.wheel.slots), 1)
        self.step(1.0, 100)
        self.assertEqual(self.fired, [])
        self.step(1.02)
        self.assertEqual(len(self.fired), 1)

    def test_an_earlier_deadline_is_heeded(self):
        timer = self.timer()
        begin = self.now()
        timer.arm(begin + 60)
        timer.arm(begin + 1)
        self.step(0.01, 105)
        self.assertEqual(len(self.fired), 1)
        self.step(1, 100)
        self.assertEqual(len(self.fired), 1)

    def test_back_and_forth_fires_once_at_the_last_deadline(self):
        timer = self.timer()
        begin = self.now()
        for delay in (60, 1, 60, 1, 30):
            timer.arm(begin + delay)
        self.step(0.5, 200)
        self.assertEqual(len(self.fired), 1)
        self.assertAlmostEqual(self.fired[0][1], begin + 30, delta=0.6)

    def test_cancelled_ones_stay_silent_and_can_be_armed_again(self):
        timer = self.timer()
        timer.arm(self.now() + 1)
        timer.cancel()
        self.step(2)
        self.assertEqual(self.fired, [])
        timer.arm(self.now() + 1)
        self.step(2)
        self.assertEqual(len(self.fired), 1)

    def test_an_ended_one_is_held_by_nothing(self):
        timer = self.timer()
        for seconds in (60, 1, 30):
            timer.arm(self.now() + seconds)
        self.assertEqual(sum(timer in slot for slot in self.world.wheel.slots.values()), 1)
        timer.end()
        self.assertFalse(any(timer in slot for slot in self.world.wheel.slots.values()))
        self.step(5, 20)
        self.assertEqual(self.fired, [])

    def test_an_empty_wheel_leaves_the_reactor_alone(self):
        timer = self.timer()
        timer.arm(self.now() + 1)
        timer.cancel()
        self.step(2)
        self.assertEqual(self.world.reactor.getDelayedCalls(), [])
        self.assertEqual((self.world.wheel.slots, self.world.wheel.order), ({}, []))


class Many(WheelCase):
    def test_ten_thousand_timers_fire_in_order_with_one_delayed_call(self):
        chance = random.Random(5)
        begin = self.now()
        due = [chance.uniform(0.0, 10.0) for _ in range(10_000)]
        for delay in due:
            self.timer(delay).arm(begin + delay)
        self.assertEqual(len(self.world.reactor.getDelayedCalls()), 1)
        self.step(0.01, 1003)
        self.assertEqual(len(self.fired), 10_000)
        self.assertTrue(all(begin + delay <= at for delay, at in self.fired))
        times = [at for _, at in self.fired]
        self.assertEqual(times, sorted(times))

    def test_any_sequence_ends_with_each_timer_fired_once_after_its_last_deadline(self):
        chance = random.Random(7)
        timers = {name: self.timer(name) for name in range(200)}
        last = {}
        for _ in range(3000):
            name = chance.randrange(200)
            if chance.random() < 0.2:
                timers[name].cancel()
                last.pop(name, None)
            else:
                last[name] = self.now() + chance.uniform(5.0, 90.0)
                timers[name].arm(last[name])
            self.step(0.001)
        self.assertEqual(self.fired, [])
        self.step(0.05, 2000)
        self.assertEqual(sorted(name for name, _ in self.fired), sorted(last))
        self.assertTrue(all(at >= last[name] for name, at in self.fired))
