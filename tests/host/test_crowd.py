"""Real processes on one arena: limits are exact to the unit, tokens to the burst and the rate, and kills do no harm."""

import json
import os
import subprocess
import sys
from unittest import TestCase

from meshd.hot import COMPILED, compiled
from tests.host.crowd import KILLS, LIMIT
from tests.tree import ROOT


class Crowd:
    """``pure`` is the value of MESHD_PURE."""

    pure = "0"

    def run_crowd(self, what):
        environment = os.environ | {"MESHD_PURE": self.pure}
        run = subprocess.run(
            [sys.executable, "-m", "tests.host.crowd", what], capture_output=True, text=True, timeout=100, cwd=ROOT,
            env=environment,
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def test_a_limit_is_never_exceeded_and_all_of_it_is_used(self):
        seen = self.run_crowd("race")
        self.assertEqual(seen["beyond"], 0, f"more than {LIMIT} were admitted: {seen}")
        self.assertGreater(seen["full"], 0, f"{LIMIT} were never in use at once: {seen}")
        self.assertTrue(all(taken > 0 for taken in seen["taken"]), seen)
        self.assertGreater(seen["refused"], 0, seen)
        self.assertEqual((seen["left"], seen["used"], seen["cells"]), ([0] * len(seen["taken"]), 0, 1))

    def test_kills_at_any_moment_leave_the_counts_right(self):
        seen = self.run_crowd("kill")
        self.assertEqual(seen["faults"], [])
        self.assertEqual((seen["kills"], seen["cells"], seen["reserved"]), (KILLS, 0, [0]))

    def test_tokens_are_those_of_one_bucket(self):
        seen = self.run_crowd("tokens")
        expected = seen["burst"] + seen["rate_per_s"] * seen["seconds"]
        for admitted in zip(*seen["admitted"]):
            self.assertEqual(admitted[0], seen["burst"])
            self.assertLessEqual(sum(admitted), expected + 0.1, seen)
            self.assertGreaterEqual(sum(admitted), expected - 1.1, seen)


class PureCrowd(Crowd, TestCase):
    pure = "1"


class CompiledCrowd(Crowd, TestCase):
    def setUp(self):
        if compiled()["meshd.hot.ledger"] != COMPILED:
            self.skipTest("the leaves are not compiled, or passed over")
