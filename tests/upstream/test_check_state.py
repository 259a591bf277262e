"""What the results of an active check make of an endpoint, and when it is asked again."""

import random
import unittest

from meshd.model.health import Checked
from meshd.model.health_check import HealthCheck
from meshd.model.plugin import Plugin
from meshd.upstream.check_state import CHANGED, PENDING, UNCHANGED, CheckState, interval_s

WELL, SILENT = Checked(is_well=True), Checked(is_well=False, reason="refused")
NO = Checked(is_well=False, is_final=True, reason="status 503")
GONE = Checked(is_well=False, is_final=True, is_immediate=True)
DEGRADED = Checked(is_well=True, is_degraded=True)
HTTP = Plugin(kind="health_checker", type="http", config=None, name="http")


def settings(**options):
    return HealthCheck(checker=HTTP, **options)


class Judging(unittest.TestCase):
    def run_through(self, results, healthy=2, unhealthy=3):
        state = CheckState()
        limits = settings(healthy_threshold=healthy, unhealthy_threshold=unhealthy)
        return state, [(state.judge(found, limits), state.is_failed) for found in results]

    def test_the_first_result_decides_alone(self):
        self.assertEqual(self.run_through([WELL])[1], [(CHANGED, False)])
        self.assertEqual(self.run_through([SILENT])[1], [(CHANGED, True)])

    def test_silence_has_to_last_for_the_threshold(self):
        self.assertEqual(self.run_through([WELL, SILENT, SILENT, WELL, SILENT, SILENT, SILENT])[1], [
            (CHANGED, False), (PENDING, False), (PENDING, False), (UNCHANGED, False), (PENDING, False),
            (PENDING, False), (CHANGED, True)])

    def test_an_answer_that_says_no_counts_at_once(self):
        state, found = self.run_through([WELL, NO, NO])
        self.assertEqual(found[1:], [(CHANGED, True), (UNCHANGED, True)])
        self.assertEqual(state.reason, "status 503")

    def test_recovery_has_to_last_for_the_threshold(self):
        self.assertEqual(self.run_through([SILENT, WELL, SILENT, WELL, WELL])[1], [
            (CHANGED, True), (PENDING, True), (UNCHANGED, True), (PENDING, True), (CHANGED, False)])

    def test_who_asks_for_no_traffic_is_out_until_a_check_passes(self):
        state, found = self.run_through([WELL, GONE])
        self.assertEqual((found[1], state.is_immediate), ((CHANGED, True), True))
        state.judge(WELL, settings())
        self.assertEqual((state.is_failed, state.is_immediate), (False, False))

    def test_degraded_is_a_change_of_its_own(self):
        self.assertEqual([change for change, _ in self.run_through([WELL, DEGRADED, DEGRADED, WELL])[1]],
                         [CHANGED, CHANGED, UNCHANGED, CHANGED])

    def test_what_was_known_before_is_no_first_result(self):
        state = CheckState()
        state.know(False)
        self.assertEqual(state.judge(SILENT, settings()), PENDING)


class Intervals(unittest.TestCase):
    def test_each_state_has_its_interval(self):
        all_set = dict(interval_s=10, unhealthy_interval_s=20, unhealthy_edge_interval_s=2, healthy_edge_interval_s=3,
                       no_traffic_interval_s=60, no_traffic_healthy_interval_s=90)
        rows = [
            (all_set, True, UNCHANGED, True, 10), (all_set, True, CHANGED, True, 10), (all_set, True, PENDING, True, 3),
            (all_set, False, UNCHANGED, True, 20), (all_set, False, PENDING, True, 2),
            (all_set, True, UNCHANGED, False, 90), (all_set, True, PENDING, False, 60),
            (all_set, False, UNCHANGED, False, 60),
            ({"interval_s": 10}, False, UNCHANGED, True, 10), ({"interval_s": 10}, True, PENDING, True, 10),
            ({"interval_s": 10}, True, UNCHANGED, False, 60),
            ({"unhealthy_interval_s": 7}, False, PENDING, True, 7),
        ]
        for options, is_well, change, has_traffic, expected in rows:
            found = interval_s(settings(**options), is_well, change, has_traffic, random.Random(1))
            self.assertEqual(found, expected, (options, is_well, change, has_traffic))

    def test_jitter_is_added_up_to_its_bound(self):
        chosen = settings(interval_s=10.0, interval_jitter_s=2.0, interval_jitter_percent=10.0)
        found = [interval_s(chosen, True, UNCHANGED, True, random.Random(seed)) for seed in range(500)]
        self.assertTrue(10 <= min(found) < 10.2 and 12.8 < max(found) <= 13, (min(found), max(found)))
