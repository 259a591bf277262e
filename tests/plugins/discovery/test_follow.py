"""Sources that watch: what is kept, when all is fetched again, and how often a watch begins."""

import unittest

from meshd.testing.site import FakeSite
from meshd_plugins.discovery.follow import Follower, Lines
from meshd_plugins.discovery.options import SourceOptions
from meshd_plugins.discovery.source import Answer, Discovery, SourceError
from twisted.internet.defer import Deferred


class Scripted(Follower):
    """Keeps a number; ``fetches`` and ``watches`` are the Deferreds that were given out."""

    name = "scripted"

    def __init__(self, options, site):
        super().__init__(options, site)
        self.fetches, self.watches, self.number = [], [], 0

    def fetch(self):
        self.fetches.append(Deferred())
        return self.fetches[-1]

    def follow(self):
        self.watches.append(Deferred())
        return self.watches[-1]

    def answer(self):
        return Answer(targets=[{"__address__": f"a:{self.number}"}])

    def set(self, number):
        self.number = number
        self.changed()


class FollowTest(unittest.TestCase):
    def setUp(self):
        self.site = FakeSite("users")
        options = SourceOptions(retry_base_s=1.0, retry_max_s=10.0)
        self.source = Scripted(options, self.site)
        self.reports = []
        self.discovery = Discovery("scripted", self.source, options, self.site)
        self.addCleanup(self.discovery.stop)

    def begin(self):
        """Watch, with the first fetch done and the watch under way."""
        self.source.number = 1
        self.discovery.watch(lambda specs: self.reports.append(specs[0].address))
        self.source.fetches[0].callback(None)
        self.step()

    def step(self, seconds=1.0):
        """Let time pass in steps."""
        for _ in range(int(seconds * 20)):
            self.site.advance(0.05)

    def counts(self):
        """Return (fetches, watches)."""
        return len(self.source.fetches), len(self.source.watches)

    def test_fetches_once_and_watches(self):
        self.begin()
        self.step(100)
        self.assertEqual((self.counts(), self.reports), ((1, 1), ["a:1"]))

    def test_a_change_is_reported_without_a_fetch(self):
        self.begin()
        self.source.set(2)
        self.step()
        self.assertEqual((self.counts(), self.reports), ((1, 1), ["a:1", "a:2"]))

    def test_a_watch_that_can_go_on_is_followed_by_the_next(self):
        self.begin()
        self.step(10)
        self.source.watches[-1].callback(True)
        self.site.advance(0)
        self.assertEqual(self.counts(), (1, 2))

    def test_one_that_cannot_makes_a_fetch(self):
        self.begin()
        self.step(10)
        self.source.watches[-1].callback(False)
        self.step()
        self.assertEqual(self.counts(), (2, 1))
        self.source.fetches[-1].callback(None)
        self.step()
        self.assertEqual(self.counts(), (2, 2))

    def test_one_that_breaks_is_a_failure_and_then_a_fetch(self):
        self.begin()
        self.step(10)
        self.source.watches[-1].errback(SourceError("it broke"))
        self.step(0.15)
        self.assertEqual((self.discovery.known.error, self.counts()), ("it broke", (1, 1)))
        self.step(1.1)
        self.assertEqual(self.counts(), (2, 1))

    def test_a_bug_is_a_failure_too(self):
        self.begin()
        self.source.watches[-1].errback(KeyError("x"))
        self.step(0.15)
        self.assertEqual(self.discovery.known.error, "KeyError: 'x'")

    def test_watches_that_break_at_once_become_rare(self):
        self.begin()
        for _ in range(1200):
            if not self.source.watches[-1].called:
                self.source.watches[-1].errback(SourceError("forbidden"))
            self.site.advance(0.05)
            if not self.source.fetches[-1].called:
                self.source.fetches[-1].callback(None)
        self.assertLess(len(self.source.watches), 30)

    def test_watches_that_have_news_go_on_at_once_though_not_without_a_pause(self):
        self.begin()
        for number in range(200):
            if not self.source.watches[-1].called:
                self.source.set(number)
                self.source.watches[-1].callback(True)
            self.site.advance(0.05)
        self.assertGreater(len(self.source.watches), 40)
        self.assertLess(len(self.source.watches), 55)

    def test_a_look_that_is_no_discoverys_watches_nothing(self):
        found, self.source.number = [], 1
        self.discovery.find().addCallback(lambda rows: found.extend(rows[0]))
        self.source.fetches[0].callback(None)
        self.step()
        self.assertEqual((found[0].endpoint.address, self.counts()), ("a:1", (1, 0)))

    def test_its_end_cancels_what_is_under_way(self):
        self.begin()
        cancelled = []
        self.source.watches[-1].addErrback(lambda why: cancelled.append(why.type.__name__))
        self.discovery.stop()
        self.assertEqual((len(self.site.world.clock.timers), self.discovery.known.error), (0, ""))


class LinesTest(unittest.TestCase):
    def setUp(self):
        self.lines = []
        self.cut = Lines(self.lines.append, 10)

    def test_cuts_wherever_pieces_end(self):
        for piece in (b"on", b"e\ntwo\n\n", b"\r\nthr", b"ee\nrest"):
            self.cut.feed(piece)
        self.assertEqual(self.lines, [b"one", b"two", b"three"])

    def test_a_line_has_a_bound_and_the_stream_has_none(self):
        for _ in range(100):
            self.cut.feed(b"123456789\n")
        self.cut.feed(b"123456")
        with self.assertRaisesRegex(SourceError, "expected at most 10 bytes"):
            self.cut.feed(b"78901")
