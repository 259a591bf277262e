"""What is known of the health of endpoints, and whom it counts for."""

import unittest

from meshd.model.cluster import Cluster as Spec
from meshd.model.health import (
    BY_CHECKS, DRAINING, FAILED, FAILED_ACTIVE_CHECK, FAILED_OUTLIER_CHECK, IMMEDIATE_FAIL, PENDING_CHECK, words,
)
from meshd.model.health_check import HealthCheck
from meshd.model.plugin import Plugin
from meshd.upstream.verdict import Verdicts


def plugin(kind, name):
    return Plugin(kind=kind, type=name, config=None, name=name)


PLAIN = Spec(name="up", endpoints=())
CHECKED = Spec(name="up", endpoints=(), health_checks=(HealthCheck(checker=plugin("health_checker", "http")),))
WATCHED = Spec(name="up", endpoints=(), outlier_detection=plugin("outlier_detector", "outlier_detection"))


class Told:
    def __init__(self):
        self.addresses = []

    def on_verdict(self, address):
        self.addresses.append(address)


class Verdict(unittest.TestCase):
    def setUp(self):
        self.verdicts = Verdicts()
        self.cluster = Told()
        self.verdicts.join(self.cluster)

    def test_what_is_new_waits_for_its_check_where_there_are_checks(self):
        self.assertEqual(self.verdicts.of("a", CHECKED), PENDING_CHECK)
        self.assertEqual((self.verdicts.of("a", PLAIN), self.verdicts.of("a", WATCHED)), (0, 0))
        self.verdicts.check("a", 0)
        self.assertEqual((self.verdicts.of("a", CHECKED), self.cluster.addresses), (0, ["a"]))

    def test_what_an_older_configuration_has_left_does_not_count(self):
        self.verdicts.check("a", FAILED_ACTIVE_CHECK)
        self.verdicts.mark("a", FAILED_OUTLIER_CHECK, True)
        found = [self.verdicts.of("a", spec) for spec in (PLAIN, CHECKED, WATCHED)]
        self.assertEqual(found, [0, FAILED_ACTIVE_CHECK, FAILED_OUTLIER_CHECK])

    def test_each_change_is_told_once(self):
        for _ in range(3):
            self.verdicts.check("a", FAILED_ACTIVE_CHECK | IMMEDIATE_FAIL)
            self.verdicts.mark("b", DRAINING, True)
        self.verdicts.leave(self.cluster)
        self.verdicts.mark("b", DRAINING, False)
        self.assertEqual(self.cluster.addresses, ["a", "b"])

    def test_a_reason_lasts_as_long_as_its_flag(self):
        self.verdicts.check("a", FAILED_ACTIVE_CHECK, {"reason": "refused"})
        self.verdicts.mark("a", FAILED_OUTLIER_CHECK, True, {"reason": "consecutive_5xx"})
        self.assertEqual([note["reason"] for note in self.verdicts.why("a", FAILED)], ["refused", "consecutive_5xx"])
        self.assertEqual([note["reason"] for note in self.verdicts.why("a", FAILED_OUTLIER_CHECK)], ["consecutive_5xx"])
        self.verdicts.check("a", 0)
        self.verdicts.mark("a", FAILED_OUTLIER_CHECK, False)
        self.assertEqual((self.verdicts.why("a", FAILED), self.verdicts.notes), ([], {}))

    def test_nothing_is_kept_of_endpoints_that_have_gone(self):
        for number in range(100):
            self.verdicts.check(str(number), FAILED_ACTIVE_CHECK, {"reason": "refused"})
        self.verdicts.keep({"7"})
        self.assertEqual((list(self.verdicts.bits), self.verdicts.checked, list(self.verdicts.notes)),
                         (["7"], {"7"}, ["7"]))
        self.verdicts.forget_checks()
        self.assertEqual((self.verdicts.bits, self.verdicts.checked), ({}, set()))

    def test_flags_have_envoys_words(self):
        self.assertEqual(words(0), "healthy")
        self.assertEqual(words(FAILED_ACTIVE_CHECK | FAILED_OUTLIER_CHECK), "/failed_active_hc/failed_outlier_check")
        self.assertEqual(BY_CHECKS & FAILED_OUTLIER_CHECK, 0)
