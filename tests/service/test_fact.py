"""What is told of a reload's outcome."""

from unittest import TestCase

from meshd.document.fault import ERROR, Fault
from meshd.document.mark import Mark
from meshd.runtime.change import Change
from meshd.runtime.outcome import Outcome
from meshd.service.fact import outcome_fact


def refused(*faults):
    """Return the fact of a refused reload."""
    outcome = Outcome(is_accepted=False, generation=2, digest="d", text="all of it", faults=faults)
    return outcome_fact(outcome, node="web-1", previous=2, closed=0)


class Outcomes(TestCase):
    def test_accepted_names_changes_and_generations(self):
        outcome = Outcome(
            is_accepted=True, generation=3, digest="d", text="+1", changed=(Change("listeners", 1, 2, 3),))
        found = outcome_fact(outcome, node="web-1", previous=2, closed=4)
        self.assertEqual((found["accepted"], found["previous_generation"], found["generation"]), (True, 2, 3))
        self.assertEqual(found["changes"], [{"kind": "listeners", "added": 1, "changed": 2, "removed": 3}])
        self.assertEqual(found["closed_connections"], 4)

    def test_summary_is_the_first_fault_with_place_and_code(self):
        fault = Fault("MSH0210", ERROR, "port 80 is already taken", Mark("orders.yaml", 31, 9))
        self.assertEqual(refused(fault)["summary"], "orders.yaml:31:9 error[MSH0210] port 80 is already taken")
        self.assertTrue(refused(fault, fault)["summary"].endswith("(and 1 more)"))

    def test_text_has_every_fault_as_the_check_shows_it(self):
        fault = Fault("MSH0210", ERROR, "port 80 is already taken", Mark("orders.yaml", 31, 9))
        text = refused(fault, "listener a: cannot bind")["text"]
        self.assertIn("error[MSH0210]: port 80 is already taken\n", text)
        self.assertIn("error: listener a: cannot bind\n", text)
