"""Long work is cut into slices, and its end is told."""

from unittest import TestCase

from meshd.runtime.pump import pump


class Turns:
    """A world whose reactor turns once for each ``advance``."""

    def __init__(self):
        self.calls = []

    def call_later(self, seconds, function):
        self.calls.append(function)

    def advance(self):
        calls, self.calls = self.calls, []
        for call in calls:
            call()


class PumpTest(TestCase):
    def setUp(self):
        self.world = Turns()
        self.now = 0.0
        self.steps = []

    def work(self, count, step_s=0.001, fails=False):
        for number in range(count):
            self.steps.append(number)
            self.now += step_s
            yield
        if fails:
            raise ValueError("broken")
        return "done"

    def start(self, *args, **more):
        found = []
        done = pump(self.world, self.work(*args, **more), 0.002, lambda: self.now)
        done.addBoth(found.append)
        return done, found

    def test_does_nothing_before_the_reactor_turns(self):
        self.start(1)
        self.assertEqual(self.steps, [])

    def test_a_turn_takes_one_slice(self):
        _, found = self.start(5)
        seen = []
        for _ in range(3):
            self.world.advance()
            seen.append(len(self.steps))
        self.assertEqual((seen, found), ([2, 4, 5], ["done"]))

    def test_a_long_step_is_alone_in_its_turn(self):
        self.start(3, step_s=1.0)
        self.world.advance()
        self.assertEqual(self.steps, [0])

    def test_a_fault_ends_it(self):
        _, found = self.start(1, fails=True)
        self.world.advance()
        self.assertEqual(found[0].type, ValueError)
        self.assertEqual(self.world.calls, [])

    def test_cancelled_work_goes_no_further(self):
        done, found = self.start(5)
        self.world.advance()
        done.cancel()
        self.world.advance()
        self.assertEqual((self.steps, len(found)), ([0, 1], 1))
