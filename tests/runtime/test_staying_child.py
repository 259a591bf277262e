"""A reader that stays answers as a new one would; where it cannot, a new one does."""

import json
import os
import subprocess
import sys
import tempfile
from unittest import TestCase

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class StayingTest(TestCase):
    def run_scenario(self, name):
        with tempfile.TemporaryDirectory() as folder:
            environment = {key: value for key, value in os.environ.items() if key != "MESHD_LOAD_PLUGINS"}
            done = subprocess.run([sys.executable, "-m", "tests.runtime.staying", name, folder], cwd=ROOT,
                                  capture_output=True, text=True, timeout=240, env=environment)
        self.assertEqual(done.stderr, "")
        return json.loads(done.stdout)

    def test_reads_again_what_has_changed_and_hands_over_the_same_objects(self):
        self.assertEqual(self.run_scenario("stays"), [True, True, True, 1, 0])

    def test_ends_after_few_documents(self):
        self.assertEqual(self.run_scenario("ends"), [True, True])

    def test_says_the_faults_that_a_new_one_says(self):
        self.assertEqual(self.run_scenario("faults"), [True, True, True])

    def test_a_new_one_is_asked_where_it_was_killed(self):
        self.assertEqual(self.run_scenario("killed"), [True, True])

    def test_a_new_one_is_asked_where_other_code_is_installed(self):
        self.assertEqual(self.run_scenario("upgraded"), ["GenerationNeeded", True])

    def test_ends_with_its_parent(self):
        self.assertEqual(self.run_scenario("closed"), [True, "the daemon is draining"])

    def test_a_reading_waits_for_one_that_is_prepared(self):
        self.assertEqual(self.run_scenario("prepared"), [True, True, 2])
