"""A change of configuration across workers: that it is never half of one."""

from types import SimpleNamespace
from unittest import TestCase

from meshd.supervisor.change import LIMIT_S, Change
from meshd.supervisor.member import PREPARING, READY


class Worker:
    """Writes down what it is told."""

    is_serving = True
    known: set = set()

    def __init__(self):
        self.state = PREPARING
        self.told = []
        self.killed = ""

    def tell(self, head):
        self.told.append(head["do"])

    def kill(self, why):
        self.killed = why


class Loop:
    """Keeps what is due; ``pass_time`` calls it."""

    def __init__(self):
        self.now = 0.0
        self.timers = []

    def later(self, seconds, function):
        timer = SimpleNamespace(due=self.now + seconds, function=function)
        timer.cancel = lambda: timer in self.timers and self.timers.remove(timer)
        self.timers.append(timer)
        return timer

    def pass_time(self, seconds):
        self.now += seconds
        for timer in [one for one in self.timers if one.due <= self.now]:
            self.timers.remove(timer)
            timer.function()


class LateTest(TestCase):
    def setUp(self):
        self.loop, self.found, self.shelf = Loop(), [], []
        self.workers = [Worker(), Worker()]
        team = SimpleNamespace(prepare=lambda *told: None, serves=lambda member: None)
        shelf = SimpleNamespace(held={}, undo=lambda held: self.shelf.append("undo"),
                                keep=lambda held: self.shelf.append("keep"))
        self.change = Change(1, self.loop, team, shelf, refusal=lambda text: {"summary": text},
                             done=lambda outcome, is_accepted: self.found.append(is_accepted))
        reading = SimpleNamespace(key=b"", error="", outline=None, data=b"")
        self.change.begin(reading, {"a": 1}, 2, self.workers)

    def say(self, word, *workers):
        for one in workers:
            self.change.answered(one, {"do": word, "outcome": {"summary": word}})

    def test_who_is_not_ready_in_time_ends_it_for_all(self):
        self.say("prepared", self.workers[0])
        self.loop.pass_time(LIMIT_S)
        self.assertEqual((self.found, self.shelf), ([False], ["undo"]))
        self.assertEqual([one.told for one in self.workers], [["abort"], ["abort"]])

    def test_it_goes_on_where_the_time_to_prepare_ends_after_the_word(self):
        first, second = self.workers
        self.loop.pass_time(LIMIT_S - 1)
        self.say("prepared", first, second)
        self.say("committed", first)
        self.loop.pass_time(2)
        self.assertEqual((self.found, second.state, second.told), ([], READY, ["commit"]))
        self.loop.pass_time(LIMIT_S)
        self.assertIn("committed", second.killed)
        self.change.lost(second)
        self.assertEqual((self.found, self.shelf, self.loop.timers), ([True], ["keep"], []))

    def test_who_did_not_serve_yet_has_no_sockets_when_it_is_given_up(self):
        first, second = self.workers
        second.is_serving = False
        self.change._shelf.held = {"b": 2}
        self.say("refused", first)
        self.assertEqual((first.known, second.known), ({"b"}, set()))
