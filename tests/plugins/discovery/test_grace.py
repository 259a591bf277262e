"""A registry that restarts or sends half of its list: what is missing goes only after a grace."""

from meshd.testing.site import FakeSite
from meshd_plugins.discovery.source import Answer, SourceError
from tests.plugins.discovery.case import SourceCase

EIGHT = tuple(f"10.0.0.{number}:80" for number in range(8))


class GraceCase(SourceCase):
    def begin(self, *addresses, **options):
        """Watch a source that has these."""
        self.source.say(*(addresses or EIGHT))
        return self.watch(**options)

    def say(self, *addresses, **more):
        """Let the source say something else, and a change be applied."""
        self.tell(*addresses, **more)
        self.site.advance(0.11)
        return self.reports[-1]


class HalfTest(GraceCase):
    def test_half_a_list_removes_nothing_until_the_grace_is_over(self):
        self.begin(empty_hold_s=30.0)
        self.assertEqual(len(self.say(*EIGHT[:4])), 8)
        self.assertEqual((self.discovery.known.state, self.value("stale"), self.value("held_total")), ("held", 1, 1))
        self.site.advance(29)
        self.assertEqual(len(self.reports), 1)
        self.site.advance(1)
        self.assertEqual((self.reports[1:], self.discovery.known.state), ([[*EIGHT[:4]]], "ok"))

    def test_what_comes_back_in_time_was_never_gone(self):
        self.begin()
        self.say(*EIGHT[:3])
        self.site.advance(10)
        self.say(*EIGHT)
        self.site.advance(100)
        self.assertEqual((len(self.reports), self.discovery.known.state, self.value("updates_total")), (1, "ok", 1))

    def test_what_is_new_in_half_a_list_is_used_at_once(self):
        self.begin()
        self.assertEqual(self.say("10.9.9.9:80", *EIGHT[:2]), ["10.9.9.9:80", *EIGHT])

    def test_the_grace_is_counted_from_the_first_answer_without_an_endpoint(self):
        self.begin(empty_hold_s=30.0)
        self.say(*EIGHT[:4])
        for _ in range(4):
            self.site.advance(5)
            self.say(*EIGHT[:3])
        self.site.advance(9.5)
        self.assertEqual(self.reports[-1], [*EIGHT[:3], EIGHT[3]])
        self.site.advance(30)
        self.assertEqual(self.reports[-1], [*EIGHT[:3]])

    def test_fewer_removals_are_applied_at_once(self):
        self.begin()
        self.assertEqual(self.say(*EIGHT[:5]), [*EIGHT[:5]])
        self.assertEqual(self.value("held_total"), 0)

    def test_one_of_two_goes_at_once(self):
        self.begin("a:1", "b:1")
        self.assertEqual(self.say("b:1"), ["b:1"])

    def test_a_list_of_the_same_length_is_another_list(self):
        self.begin()
        others = [f"10.1.1.{number}:80" for number in range(8)]
        self.assertEqual(self.say(*others), others)

    def test_an_empty_answer_after_half_a_list(self):
        self.begin(empty_hold_s=30.0)
        self.say(*EIGHT[:2])
        self.site.advance(20)
        self.say()
        self.site.advance(29)
        self.assertEqual(len(self.reports), 1)
        self.site.advance(1)
        self.assertEqual((self.reports[-1], self.discovery.known.state), ([], "ok"))

    def test_can_be_turned_off(self):
        self.begin(empty_hold_s=0.0)
        self.assertEqual(self.say(EIGHT[0]), [EIGHT[0]])


class RestartTest(GraceCase):
    def fail(self):
        """Let a look fail and the next one be made."""
        self.source.break_off(SourceError("refused"))
        self.source.wake()
        self.site.advance(0.2)

    def test_what_is_missing_after_a_failure_goes_after_the_grace(self):
        self.begin(empty_hold_s=30.0, retry_base_s=1.0)
        self.fail()
        self.source.say(*EIGHT[:7])
        self.site.advance(1.5)
        self.assertEqual((self.discovery.known.state, len(self.reports)), ("held", 1))
        self.site.advance(31)
        self.assertEqual(self.reports[1:], [[*EIGHT[:7]]])

    def test_only_the_first_answer_after_a_failure_is_in_doubt(self):
        self.begin(retry_base_s=1.0)
        self.fail()
        self.source.say(*EIGHT)
        self.site.advance(1.5)
        self.assertEqual(len(self.say(*EIGHT[:7])), 7)

    def test_a_source_that_has_begun_anew_is_in_doubt(self):
        self.begin()
        self.source.outcome = Answer(targets=[{"__address__": one} for one in EIGHT[:7]], is_anew=True)
        self.source.wake()
        self.site.advance(1)
        self.assertEqual((self.discovery.known.state, len(self.reports)), ("held", 1))

    def test_a_failure_within_the_grace_lets_nothing_go(self):
        self.begin(empty_hold_s=30.0, retry_base_s=1.0, retry_max_s=1.0)
        self.say(*EIGHT[:4])
        self.fail()
        self.site.advance(100)
        self.assertEqual((len(self.reports), self.discovery.known.state), (1, "stale"))

    def test_a_reload_within_the_grace_lets_nothing_go(self):
        self.begin(empty_hold_s=30.0)
        self.say(*EIGHT[:4])
        self.site.advance(10)
        old, self.reports = self.discovery, []
        self.watch(site=FakeSite("users", table=self.site.table, world=self.site.world), empty_hold_s=30.0)
        old.stop()
        self.site.advance(15)
        self.assertEqual([len(report) for report in self.reports], [8])
        self.site.advance(5)
        self.assertEqual([len(report) for report in self.reports], [8, 4])
