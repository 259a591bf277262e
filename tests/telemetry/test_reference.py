"""docs/telemetry.md names every metric and every operator, and nothing else."""

import ast
import re
import unittest

from meshd.model.snapshot import Node
from meshd.telemetry import process
from meshd.testing.site import FakeSite
from meshd_plugins.access_log.config import AccessLog
from meshd_plugins.access_log.operator import OPERATORS
from meshd_plugins.prometheus.config import Prometheus
from meshd_plugins.prometheus.label import W
from tests.tree import ROOT

NAME = re.compile(r"(?:istio|envoy|process|python_gc|meshd)_[a-z0-9_]+")
OTHERS = {"meshd_impl", "meshd_plugins", "meshd_plugin_", "meshd_capture", "envoy_metrics_service_address"}
"""Strings of the code that look like a metric and are none."""


def rows(title):
    """Return the cells of each row of the table under a heading."""
    text = (ROOT / "docs" / "telemetry.md").read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def strings():
    """Return the metric names, or beginnings of them, that stand in the code."""
    found = set()
    for path in [*(ROOT / "src" / "meshd").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value):
                found.add(node.value)
    return found - OTHERS


class ReferenceTest(unittest.TestCase):
    def setUp(self):
        self.table = {name.strip("`"): (kind, labels) for name, kind, labels, _ in rows("Metrics")}

    def test_every_metric_of_the_code_stands_in_the_table(self):
        groups = tuple(name.rstrip("*") for name in self.table if name.endswith("*"))
        missing = [name for name in strings() if name not in self.table and not name.startswith(groups)]
        self.assertEqual(missing, [])

    def test_every_row_is_a_metric_of_the_code(self):
        known = strings()
        gone = [name for name in self.table if name.rstrip("*") not in known]
        self.assertEqual(gone, [])

    def test_types_and_labels_are_those_of_the_families(self):
        site = FakeSite(node=Node())
        site.make("telemetry", "prometheus", Prometheus())
        site.make("telemetry", "access_log", AccessLog(path="/dev/null"))
        process.install(site.metrics, "1")
        for family in site.metrics.families.values():
            kind, labels = self.table[family.name]
            is_istios = family.name.startswith(("istio_r", "istio_tcp"))
            expected = [label for label in family.labels if label not in W or not is_istios]
            if is_istios:
                expected = ["Istio's", *(["response_code"] if "response_code" in family.labels else []), *expected]
            with self.subTest(name=family.name):
                self.assertEqual((kind, labels), (family.kind, ", ".join(expected)))

    def test_the_operators_are_those_of_the_code_with_their_own_words(self):
        self.assertEqual([(name.strip("`"), doc) for name, doc in rows("Access log")],
                         [(name, operator.doc) for name, operator in OPERATORS.items()])

    def test_istios_labels_are_all_named(self):
        text = (ROOT / "docs" / "telemetry.md").read_text()
        short = [re.sub("^(source|destination)_(?!service)", "", label) for label in W]
        self.assertEqual([label for label in short if f"`{label}`" not in text and label != "response_code"], [])
