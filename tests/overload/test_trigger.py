"""Thresholds that do not flap."""

import unittest

import attrs

from meshd.model.overload import LagThresholds, Overload
from meshd.overload.trigger import Trigger, triggers


class Judging(unittest.TestCase):
    def test_it_begins_at_its_threshold_and_ends_below_its_release(self):
        one = Trigger("memory", "stop_accepting_requests", 0.95)
        states = []
        for value in (0.94, 0.95, 0.94, 0.932, 0.93, 0.94, 0.96):
            one.judge(value)
            states.append(one.is_on)
        self.assertEqual(states, [False, True, True, True, False, False, True])

    def test_lag_must_halve(self):
        one = Trigger("lag", "stop_accepting_requests", 1.0)
        for value, expected in ((1.0, True), (0.51, True), (0.49, False)):
            one.judge(value)
            self.assertEqual(one.is_on, expected)


class Defaults(unittest.TestCase):
    def test_what_is_on_by_default(self):
        found = {(one.resource, one.action): one.threshold for one in triggers(Overload())}
        self.assertEqual(found, {
            ("lag", "stop_accepting_connections"): 1.0, ("lag", "stop_accepting_requests"): 2.0,
            ("descriptors", "disable_http_keepalive"): 0.9, ("descriptors", "stop_accepting_connections"): 0.95,
            ("memory", "shrink_heap"): 0.9, ("memory", "disable_http_keepalive"): 0.9,
            ("memory", "stop_accepting_requests"): 0.95, ("memory", "stop_accepting_connections"): 0.98,
        })

    def test_zero_turns_one_off(self):
        lag = LagThresholds(stop_accepting_connections_s=0.0, stop_accepting_requests_s=0.0)
        self.assertNotIn("lag", {one.resource for one in triggers(attrs.evolve(Overload(), lag=lag))})
