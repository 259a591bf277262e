"""The rules that every discovery keeps to, whatever it asks."""

from unittest import mock

from meshd.testing.site import FakeSite
from twisted.internet.defer import CancelledError

from meshd_plugins.discovery.source import ENDPOINT_LIMIT, Answer, SourceError
from tests.plugins.discovery.case import SourceCase


class Changes(SourceCase):
    def test_first_answer_is_reported_at_once(self):
        self.source.say("a:1", "b:1")
        self.watch()
        self.assertEqual(self.reports, [["a:1", "b:1"]])

    def test_a_change_is_reported_after_the_debounce(self):
        self.source.say("a:1")
        self.watch()
        self.tell("b:1")
        self.assertEqual(len(self.reports), 1)
        self.site.advance(0.1)
        self.assertEqual(self.reports[1:], [["b:1"]])

    def test_changes_close_together_are_one_report_a_second_at_most(self):
        self.source.say("a:1")
        self.watch(debounce_s=0.3)
        for number in range(10):
            self.tell(f"b{number}:1")
        self.assertEqual(len(self.reports), 1)
        self.site.advance(0.1)
        self.assertEqual(self.reports[1:], [["b9:1"]])
        self.assertEqual(self.value("updates_total"), 2)

    def test_a_change_that_is_taken_back_in_time_is_none(self):
        self.source.say("a:1")
        self.watch(debounce_s=0.5)
        self.tell("b:1")
        self.tell("a:1")
        self.site.advance(5)
        self.assertEqual(self.reports, [["a:1"]])

    def test_another_order_is_no_change(self):
        self.source.say("a:1", "b:1")
        self.watch()
        self.tell("b:1", "a:1")
        self.site.advance(5)
        self.assertEqual(len(self.reports), 1)

    def test_equal_endpoints_stay_the_same_objects(self):
        self.source.say("a:1")
        discovery = self.watch()
        before = discovery.endpoints()[0]
        self.tell("a:1", "b:1")
        self.site.advance(1)
        self.assertIs(discovery.endpoints()[0], before)

    def test_the_source_says_when_to_look_again(self):
        self.source.say("a:1", next_s=7.0)
        self.watch()
        self.site.advance(6.9)
        self.assertEqual(self.source.count, 1)
        self.site.advance(0.2)
        self.assertEqual(self.source.count, 2)

    def test_a_source_that_wants_to_be_asked_at_once_gets_ten_looks_a_second(self):
        self.source.say("a:1", next_s=0.0)
        self.watch()
        for _ in range(100):
            self.site.advance(0.01)
        self.assertIn(self.source.count, (10, 11))

    def test_a_wake_during_a_look_is_not_lost(self):
        self.watch()
        self.source.wake()
        self.source.looks[0].callback(Answer(targets=[]))
        self.site.advance(0.2)
        self.assertEqual(self.source.count, 2)

    def test_large_answers_are_worked_through_in_slices(self):
        ticks = iter(range(10**9))
        self.source.say(*[f"10.0.{number // 250}.{number % 250}:80" for number in range(1000)])
        with mock.patch.object(self.site.clock, "now", lambda: next(ticks) * 0.0011):
            self.watch()
            self.assertEqual(self.reports, [])
            for _ in range(40):
                self.site.advance(0)
        self.assertEqual([len(report) for report in self.reports], [1000])


class Failures(SourceCase):
    def test_the_last_good_endpoints_are_kept_with_their_age(self):
        self.source.say("a:1", next_s=10.0)
        discovery = self.watch()
        self.source.break_off(SourceError("it is down"))
        self.site.advance(10)
        self.assertEqual(self.reports, [["a:1"]])
        self.assertEqual((self.value("stale"), self.value("age_seconds"), self.value("targets")), (1, 10, 1))
        self.assertEqual(self.value("failures_total"), 1)
        self.assertEqual((discovery.fact()["state"], discovery.fact()["last_look"]["error"]), ("stale", "it is down"))

    def test_it_is_fresh_again_after_an_answer(self):
        self.source.break_off(OSError("no route"))
        discovery = self.watch()
        self.assertEqual((discovery.fact()["state"], self.value("stale")), ("waiting", 1))
        self.source.say("a:1")
        self.site.advance(0.6)
        self.assertEqual(self.reports, [["a:1"]])
        self.assertEqual((discovery.fact()["state"], self.value("stale"), self.value("age_seconds")), ("ok", 0, 0))

    def test_waits_grow_with_full_jitter_and_are_bounded(self):
        self.source.break_off(OSError("no route"))
        bounds = []
        with mock.patch.object(self.site.random, "uniform", lambda low, high: bounds.append((low, high)) or high):
            self.watch(retry_base_s=0.5, retry_max_s=3.0)
            for seconds in (0.5, 1.0, 2.0, 3.0):
                self.site.advance(seconds)
        self.assertEqual(bounds, [(0.0, 0.5), (0.0, 1.0), (0.0, 2.0), (0.0, 3.0), (0.0, 3.0)])

    def test_an_answer_ends_the_growth(self):
        self.source.break_off(OSError("no route"))
        bounds = []
        with mock.patch.object(self.site.random, "uniform", lambda low, high: bounds.append(high) or high):
            self.watch(retry_base_s=1.0)
            self.source.say("a:1", next_s=1.0)
            self.site.advance(1)
            self.source.break_off(OSError("no route"))
            self.site.advance(1)
        self.assertEqual(bounds, [1.0, 1.0])

    def test_the_same_trouble_is_said_once(self):
        self.source.break_off(OSError("no route"))
        self.watch()
        for _ in range(100):
            self.site.advance(1)
        self.assertGreater(self.source.count, 3)
        self.assertEqual(len([one for one in self.site.logged if "not taken" in one["log_format"]]), 1)

    def test_a_fault_of_a_part_is_visible_and_the_rest_is_taken(self):
        self.source.say("a:1", faults=("b.json: no such file",))
        discovery = self.watch()
        self.assertEqual(self.reports, [["a:1"]])
        self.assertEqual((discovery.fact()["state"], self.value("failures_total")), ("stale", 1))

    def test_a_target_that_cannot_be_used_is_left_out_and_named(self):
        self.source.say("a:1", "nonsense")
        discovery = self.watch()
        self.assertEqual(self.reports, [["a:1"]])
        self.assertIn("expected HOST:PORT or unix:PATH, got 'nonsense'", discovery.fact()["last_look"]["error"])

    def test_nothing_but_faults_changes_nothing(self):
        self.source.say("a:1")
        self.watch(empty_hold_s=0.0)
        self.tell("nonsense")
        self.site.advance(100)
        self.assertEqual(self.reports, [["a:1"]])

    def test_too_many_endpoints_are_a_fault(self):
        self.source.outcome = Answer(targets=[{}] * (ENDPOINT_LIMIT + 1))
        discovery = self.watch()
        self.assertEqual(self.reports, [])
        self.assertIn("expected at most 100000", discovery.fact()["last_look"]["error"])

    def test_a_bug_of_a_source_is_logged_whole_and_costs_nothing_else(self):
        self.source.say("a:1", next_s=1.0)
        self.watch()
        self.source.break_off(KeyError("oops"))
        self.site.advance(1)
        self.assertEqual(self.reports, [["a:1"]])
        self.assertTrue(any("log_failure" in event for event in self.site.logged))


class EmptyAnswers(SourceCase):
    def test_an_empty_answer_after_a_full_one_is_held_back_then_applied(self):
        self.source.say("a:1")
        discovery = self.watch()
        self.tell()
        self.site.advance(29)
        self.assertEqual((self.reports, discovery.fact()["state"], self.value("stale")), ([["a:1"]], "held", 1))
        self.site.advance(1)
        self.assertEqual(self.reports, [["a:1"], []])
        self.assertEqual((self.value("held_total"), self.value("stale"), self.value("targets")), (1, 0, 0))

    def test_a_full_answer_ends_the_hold(self):
        self.source.say("a:1")
        self.watch()
        self.tell()
        self.site.advance(20)
        self.tell("a:1")
        self.site.advance(100)
        self.assertEqual(self.reports, [["a:1"]])

    def test_a_failure_ends_the_hold_too(self):
        self.source.say("a:1")
        self.watch()
        self.tell(next_s=5.0)
        self.source.break_off(OSError("no route"))
        self.site.advance(100)
        self.assertEqual(self.reports, [["a:1"]])

    def test_nothing_is_held_where_told_so(self):
        self.source.say("a:1")
        self.watch(empty_hold_s=0.0)
        self.tell()
        self.site.advance(0.1)
        self.assertEqual(self.reports, [["a:1"], []])

    def test_an_empty_first_answer_is_one(self):
        self.source.say()
        self.watch()
        self.assertEqual(self.reports, [[]])


class Reloads(SourceCase):
    def test_the_next_runtime_begins_with_the_last_good_endpoints(self):
        self.source.say("a:1")
        self.watch()
        self.source.break_off(OSError("no route"))
        self.watch(FakeSite("users", table=self.site.table, world=self.site.world))
        self.assertEqual(self.reports, [["a:1"], ["a:1"]])
        self.assertIsNone(self.first)

    def test_other_options_begin_with_nothing(self):
        self.source.say("a:1")
        self.watch()
        self.source.break_off(OSError("no route"))
        self.watch(FakeSite("users", table=self.site.table, world=self.site.world), key="other")
        self.assertEqual(self.reports, [["a:1"]])

    def test_a_reload_does_not_prolong_the_hold(self):
        self.source.say("a:1")
        self.watch()
        self.tell()
        self.site.advance(20)
        self.discovery.stop()
        self.watch(FakeSite("users", table=self.site.table, world=self.site.world))
        self.site.advance(10.001)
        self.assertEqual(self.reports[1:], [["a:1"], []])


class Ends(SourceCase):
    def test_the_start_waits_for_the_first_outcome(self):
        self.watch()
        fired = []
        self.first.addCallback(fired.append)
        self.assertEqual(fired, [])
        self.source.looks[0].callback(Answer(targets=[{"__address__": "a:1"}]))
        self.assertEqual((fired, self.reports), ([None], [["a:1"]]))

    def test_the_start_waits_for_so_long_at_most(self):
        self.watch(initial_fetch_timeout_s=2.0)
        fired = []
        self.first.addCallback(fired.append)
        self.site.advance(2)
        self.assertEqual(fired, [None])

    def test_a_failed_look_ends_the_wait(self):
        self.watch()
        fired = []
        self.first.addCallback(fired.append)
        self.source.looks[0].errback(OSError("no route"))
        self.assertEqual(fired, [None])

    def test_a_start_that_is_given_up_is_no_trouble(self):
        self.watch()
        self.first.addErrback(lambda why: why.trap(CancelledError))
        self.first.cancel()
        self.site.advance(10)
        self.source.looks[0].callback(Answer(targets=[]))
        self.assertEqual(self.reports, [[]])

    def test_stop_ends_looks_and_timers(self):
        self.source.say("a:1")
        self.watch()
        self.tell("b:1")
        self.source.outcome = None
        self.source.wake()
        self.discovery.stop()
        self.assertTrue(self.source.is_stopped)
        self.assertEqual(self.site.world.reactor.getDelayedCalls(), [])
        self.source.wake()
        self.site.advance(10)
        self.assertEqual(self.reports, [["a:1"]])

    def test_stop_cancels_a_look_that_waits(self):
        self.watch()
        gone = []
        self.source.looks[0].addErrback(gone.append)
        self.discovery.stop()
        self.assertEqual(self.source.looks[0].called, True)
        self.assertEqual(self.site.world.reactor.getDelayedCalls(), [])


class Finding(SourceCase):
    def test_find_shows_every_target_before_and_after(self):
        self.source.say("a:1", "bad", __meshd_weight__="3", faults=("part",))
        discovery = self.watch()
        rows, faults = self.successResult(discovery.find())
        self.assertEqual(rows[0].labels, {"__address__": "a:1", "__meshd_weight__": "3"})
        self.assertEqual((rows[0].endpoint.weight, rows[0].endpoint.source), (3, "scripted somewhere"))
        self.assertIsNone(rows[1].endpoint)
        self.assertIn("HOST:PORT", rows[1].cause)
        self.assertEqual(faults[0], "part")
        self.assertIn("got 'bad'", faults[1])

    def successResult(self, deferred):
        found = []
        deferred.addCallback(found.append)
        return found[0]
