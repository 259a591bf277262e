"""meshctl analyze and --suppress: the command line around the check; analysers have tests of their own."""

import json
import os
import shutil
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from meshd.cli import daemon
from meshd.cli.ctl import main
from meshd.cli.suppress import Suppression
from meshd.document.fault import Fault
from meshd.document.mark import Mark
from tests.cli.console import run
from tests.cli.test_daemon import GOOD

NOTED = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
"""
LOST = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web.test]
  http: [{route: [{destination: {host: nowhere.test}}]}]
"""
FORMS = ("text", "json", "github", "sarif")


def finding(code, subject):
    return Fault(code, "warning", "m", Mark("a"), is_analysis=True, subject=subject)


class AnalyzeTest(SynchronousTestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def test_without_a_file_it_is_a_usage_error(self):
        code, _, err = run(main, "analyze")
        self.assertEqual(code, 64)
        self.assertIn("expected at least one, or --list", err)

    def test_what_is_as_severe_as_the_threshold_exits_79_in_every_form(self):
        path = self.file("a.yaml", NOTED)
        for form in FORMS:
            for command in ((main, "analyze", path), (daemon.main, "--check", "-c", path)):
                self.assertEqual(run(*command, "-o", form)[0], 0)
                self.assertEqual(run(*command, "-o", form, "--fail-on", "warning")[0], 0)
                self.assertEqual(run(*command, "-o", form, "--fail-on", "info")[0], 79)

    def test_an_error_of_analysis_exits_79_and_can_be_suppressed(self):
        path = self.file("a.yaml", LOST)
        for form in FORMS:
            self.assertEqual(run(main, "analyze", path, "-o", form)[0], 79)
            self.assertEqual(run(daemon.main, "--check", "-c", path, "-o", form)[0], 79)
        self.assertEqual(run(main, "analyze", path, "--suppress", "IST0101=VirtualService default/web")[0], 0)
        self.assertEqual(run(main, "analyze", path, "--suppress", "IST0101=Gateway default/web")[0], 79)

    def test_what_does_not_load_exits_65_in_every_form(self):
        path = self.file("a.yaml", "frob: 1\n")
        for form in FORMS:
            self.assertEqual(run(main, "analyze", path, "-o", form)[0], 65)

    def test_machines_get_one_document(self):
        path = self.file("a.yaml", NOTED)
        found = json.loads(run(main, "analyze", path, "-o", "json")[1])
        self.assertEqual((found["valid"], found["infos"], found["diagnostics"][0]["severity"]), (True, 1, 3))
        self.assertEqual(json.loads(run(main, "analyze", path, "-o", "sarif")[1])["version"], "2.1.0")
        self.assertTrue(run(main, "analyze", path, "-o", "github")[1].startswith("::notice file="))

    def test_people_get_a_row_for_each_code_behind_the_findings(self):
        out = run(main, "analyze", self.file("a.yaml", NOTED + "---" + NOTED.replace("web", "b")))[1]
        self.assertRegex(out, r"Configuration valid\.\n\nCODE +SEVERITY +COUNT +MEANING\nMSH0304 +info +2 +a document")

    def test_nothing_found_shows_no_table(self):
        self.assertNotIn("CODE", run(main, "analyze", self.file("a.yaml", GOOD))[1])

    def test_the_list_has_every_code_with_its_severity(self):
        out = run(main, "analyze", "--list")[1]
        self.assertRegex(out, r"\nMSH0104 +error +a key is not known here\n")
        rows = json.loads(run(main, "analyze", "--list", "-o", "json")[1])["items"]
        self.assertTrue(all(row["severity"] and row["meaning"] for row in rows))


class SuppressionTest(SynchronousTestCase):
    def test_a_code_on_a_document_is_covered_and_no_other(self):
        one = Suppression.read("IST0101=VirtualService shop/web")
        self.assertTrue(one.covers(finding("IST0101", "VirtualService shop/web")))
        self.assertFalse(one.covers(finding("IST0102", "VirtualService shop/web")))
        self.assertFalse(one.covers(finding("IST0101", "VirtualService other/web")))

    def test_stars_stand_for_any_text(self):
        one = Suppression.read("*=Gateway shop/*")
        self.assertTrue(one.covers(finding("IST0145", "Gateway shop/a")))
        self.assertFalse(one.covers(finding("IST0145", "Gateway b/a")))

    def test_istioctls_own_form_means_the_same(self):
        self.assertEqual(Suppression.read("IST0101=VirtualService web.v1.shop"),
                         Suppression.read("IST0101=VirtualService shop/web.v1"))

    def test_what_is_not_of_the_form_is_refused(self):
        for text in ("IST0101", "IST0101=web", "=Gateway a/b", "IST0101=Gateway web"):
            error = self.assertRaises(ValueError, Suppression.read, text)
            self.assertIn("expected CODE=KIND NAMESPACE/NAME", str(error))
