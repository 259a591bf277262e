"""The command line of meshd, up to where it would bind."""

import json
import os
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from meshd.cli.daemon import main
from tests.cli.console import run

GOOD = """
listeners:
  - name: public
    address: 127.0.0.1:18080
    filters:
      - router:
          virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}
"""


class CommandLine(SynchronousTestCase):
    def file(self, text):
        """Return the path of a file with ``text``."""
        folder = tempfile.mkdtemp()
        path = os.path.join(folder, "mesh.yaml")
        with open(path, "w") as file:
            file.write(text)
        self.addCleanup(os.rmdir, folder)
        self.addCleanup(os.unlink, path)
        return path

    def test_version_names_the_versions_and_the_leaves(self):
        code, out, _ = run(main, "--version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"meshd \d+\.\d+\.\d+\npython .*, twisted .*\nleaves: ")

    def test_help_has_examples_signals_and_exit_codes(self):
        code, out, _ = run(main, "--help")
        self.assertEqual(code, 0)
        for word in ("examples:", "signals:", "exit codes:", "meshd --check -c mesh.yaml"):
            self.assertIn(word, out)

    def test_usage_errors_exit_64_and_point_to_the_help(self):
        for arguments in (["--frob"], ["-o", "xml"], ["--check", "--schema"], ["--log-level", "loud"]):
            code, _, err = run(main, *arguments)
            self.assertEqual(code, 64, arguments)
            self.assertIn("help: meshd --help", err)

    def test_good_configuration_exits_0(self):
        code, out, _ = run(main, "--check", "-c", self.file(GOOD))
        self.assertEqual(code, 0, out)
        self.assertIn("Configuration valid", out)

    def test_findings_exit_65_in_every_form(self):
        path = self.file("listeners: 3\nfrob: 1\n")
        for form in ("text", "json", "github"):
            code, out, _ = run(main, "-t", "-c", path, "-o", form)
            self.assertEqual(code, 65, form)
        self.assertEqual(out.count("::error file="), 2)

    def test_json_of_a_check_is_one_document_with_all_findings(self):
        found = json.loads(run(main, "-t", "-c", self.file("listeners: 3\nfrob: 1\n"), "-o", "json")[1])
        self.assertEqual((found["valid"], found["errors"]), (False, 2))

    def test_missing_file_is_a_fault_and_never_means_defaults(self):
        code, out, _ = run(main, "--check", "-c", "/nonexistent/mesh.yaml")
        self.assertEqual(code, 65)
        self.assertIn("MSH0004", out)

    def test_start_with_a_bad_configuration_exits_78_and_shows_it(self):
        code, out, err = run(main, "-c", self.file("frob: 1\n"))
        self.assertEqual((code, out), (78, ""))
        self.assertIn("MSH0104", err)

    def test_print_config_shows_origins_and_is_itself_valid(self):
        path = self.file(GOOD)
        code, out, _ = run(main, "--print-config", "-c", path)
        self.assertEqual(code, 0)
        self.assertIn(f"# {path}:", out)
        self.assertIn("# default of native", out)
        self.assertEqual(run(main, "--check", "-c", self.file(out))[0], 0)

    def test_print_config_of_a_bad_file_exits_65_with_nothing_on_stdout(self):
        code, out, err = run(main, "--print-config", "-c", self.file("frob: 1\n"))
        self.assertEqual((code, out), (65, ""))
        self.assertIn("MSH0104", err)

    def test_schema_is_json_with_the_plugins_sections(self):
        code, out, _ = run(main, "--schema")
        self.assertEqual(code, 0)
        self.assertIn("virtual_hosts", json.dumps(json.loads(out)))
