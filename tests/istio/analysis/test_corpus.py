"""Every valid document of the project's own goes through every analyzer, alone and in one mesh with all the others."""

from unittest import TestCase

from meshd.document.context import Context
from meshd.document.tree import parse_all
from meshd.model.snapshot import Node
from meshd_plugins.istio.analysis import ANALYZERS
from meshd_plugins.istio.analysis.report import Report
from meshd_plugins.istio.mesh import Mesh
from meshd_plugins.istio.read import read
from tests.istio.corpus import all_cases


def look(texts, role="ingress"):
    """Run every analyzer over these documents; return the findings."""
    context = Context(node=Node(role=role))
    roots = [root for text in texts for root in parse_all("case.yaml", text.encode(), context.faults) or ()]
    report = Report(Mesh(read(roots, context)), context)
    for one in ANALYZERS:
        one.analyze(report)
    return [one for one in context.faults.sorted() if one.subject]


class TestCorpus(TestCase):
    def setUp(self):
        self.texts = [case.text.replace("{name: case}", f"{{name: case-{place}}}")
                      for place, case in enumerate(all_cases()) if case.is_valid]

    def test_no_document_makes_an_analyzer_fail(self):
        for text in self.texts:
            with self.subTest(text=text):
                look([text])

    def test_all_together_neither(self):
        for role in ("ingress", "sidecar"):
            found = look(self.texts, role)
            self.assertGreater(len(found), 50)

    def test_every_finding_has_a_place_and_says_why_or_what_to_do(self):
        for one in look(self.texts):
            self.assertTrue(one.mark.line and one.path and (one.hint or one.notes or one.help), one)
