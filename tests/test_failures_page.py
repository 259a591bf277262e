"""docs/failures.md says what the fault suite asserts: its tables, the tests that it names, their flags and metrics."""

import ast
from unittest import TestCase

from meshd.http import flag
from tests.integration.faults import phases
from tests.integration.faults.table import FAULTS, PAGE, path, written
from tests.tree import ROOT, modules, syntax

NUMBERS = [str(number) for number in range(1, 16)] + ["30", "rack", "churn"]


def names(file):
    """Return the names of a module's functions and methods."""
    return {node.name for node in ast.walk(syntax(ROOT / path(file))) if isinstance(node, ast.FunctionDef)}


class TestPage(TestCase):
    def test_the_page_has_the_tables_as_they_are(self):
        text = PAGE.read_text()
        self.assertEqual(written(text), text, "run python -m tests.integration.faults.table")

    def test_every_fault_is_there_and_proven(self):
        self.assertEqual([one.number for one in FAULTS], NUMBERS)
        missing = [(file, name) for one in FAULTS for file, name in one.tests if name not in names(file)]
        self.assertEqual(missing, [])
        self.assertTrue(all(one.tests for one in FAULTS))

    def test_every_flag_is_one_and_is_asserted(self):
        for one in FAULTS:
            source = "".join((ROOT / path(file)).read_text() for file, _ in one.tests)
            for code in filter(None, one.flags.split(", ")):
                self.assertIn(code, flag.BY_CODE)
                self.assertTrue(f'"{code}"' in source or one.number == "7", (one.number, code))

    def test_every_metric_is_counted_and_asserted(self):
        shipped = "".join(file.read_text() for _, file in modules())
        for one in FAULTS:
            source = "".join((ROOT / path(file)).read_text() for file, _ in one.tests)
            for name in filter(None, one.metrics.split(", ")):
                prefix = "envoy_cluster_outlier_detection_ejections_"
                self.assertIn(prefix if name.startswith(prefix) else name, shipped)
                self.assertIn(name.removesuffix("_total").removesuffix("_enforced"), source, one.number)

    def test_phases_are_named_once(self):
        self.assertEqual(len({phase.name for phase in phases.PHASES}), len(phases.PHASES))
