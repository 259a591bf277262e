"""meshctl explain: from files without a daemon, from a daemon, and what it says where it cannot answer."""

import contextlib
import io
import json
import os
import re
import shlex
import tempfile
import unittest

from meshd.cli.ctl import main
from tests.admin.fake import FakeDaemon
from tests.cli.console import run
from tests.cli.server import AdminServer
from tests.tree import ROOT

PAGE = (ROOT / "docs" / "meshctl.md").read_text()
URL = "http://shop.example:8080/users/7"


class Terminal(io.StringIO):
    """Takes any sign."""

    encoding = "utf-8"


def documented(mark):
    """Return the block behind a mark of the page."""
    return re.search(rf"<!-- {mark} -->\n+```[a-z]+\n(.*?)```", PAGE, re.S)[1]


class Files(unittest.TestCase):
    def setUp(self):
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(kept.name)
        self.write(documented("file: shop.yaml"))

    def write(self, text):
        """Write the configuration."""
        with open("shop.yaml", "w") as file:
            file.write(text)

    def explain(self, *arguments):
        """Return (exit code, stdout, stderr)."""
        return run(main, "explain", *arguments, "-c", "shop.yaml")

    def test_the_page_shows_what_is_said(self):
        commands = re.split(r"(?m)^\$ ", documented("tested: explain"))[1:]
        self.assertEqual(len(commands), 2)
        for command, _, shown in (one.partition("\n") for one in commands):
            program, *arguments = shlex.split(command)
            with contextlib.redirect_stdout(Terminal()) as out:
                self.assertEqual((program, main(arguments)), ("meshctl", 0))
            self.assertEqual(out.getvalue(), shown)

    def test_json_is_one_document(self):
        code, out, _ = self.explain("GET", URL, "-o", "json")
        found = json.loads(out)
        self.assertEqual((code, found["apiVersion"], found["kind"]), (0, "cli.meshd.io/v1", "Explanation"))
        self.assertEqual((found["route"]["name"], found["route"]["where"]), ("users", "shop.yaml:17:19"))

    def test_a_refusal_is_an_answer(self):
        code, out, _ = self.explain("GET", "http://shop.example:8080/a%2fb")
        self.assertEqual(code, 0)
        self.assertRegex(out, "answered here 400   DPE   path_normalization_failed   by the edge")

    def test_an_unknown_listener_exits_1_with_what_was_expected(self):
        code, out, err = self.explain("GET", URL, "--listener", "nix")
        self.assertEqual((code, out), (1, ""))
        self.assertEqual(err, "meshctl: listener: 'nix': unknown: expected one of public\n")

    def test_a_configuration_that_is_not_valid_exits_65_with_its_faults(self):
        self.write("listeners: 3\n")
        code, out, err = self.explain("GET", URL)
        self.assertEqual((code, out), (65, ""))
        self.assertIn("shop.yaml:1:12", err)

    def test_what_only_the_build_finds_exits_65_too(self):
        self.write("""
listeners:
  - name: public
    address: 127.0.0.1:8080
    listener_filters: []
    filters:
      - header_mutation: {request: {set: {x-a: "%NIX%"}}}
      - router: {virtual_hosts: []}
""")
        code, _, err = self.explain("GET", URL)
        self.assertEqual(code, 65, err)
        self.assertIn("NIX", err)
        self.assertNotIn("Traceback", err)

    def test_no_color_off_a_terminal(self):
        self.assertNotIn("\x1b", self.explain("GET", URL)[1])
        self.assertIn("\x1b[32m", self.explain("GET", URL, "--color", "always")[1])


class Live(unittest.TestCase):
    def setUp(self):
        self.daemon = FakeDaemon()
        self.daemon.runtime = object()
        self.server = AdminServer(self.daemon)
        self.addCleanup(self.server.close)

    def explain(self, *arguments):
        """Return (exit code, stdout, stderr)."""
        return run(main, "--admin", self.server.address, "explain", *arguments)

    def test_the_daemon_is_asked(self):
        code, out, err = self.explain(
            "PUT", URL, "--header", "X-A: b&c=d", "--client-address", "10.0.0.1", "--listener", "public", "-o", "json")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(json.loads(out)["result"], {"kind": "forward"})
        (asked,) = self.daemon.told
        self.assertEqual((asked.method, asked.url, asked.headers), ("PUT", URL, (("X-A", "b&c=d"),)))
        self.assertEqual((asked.client, asked.listener), ("10.0.0.1", "public"))

    def test_what_the_daemon_refuses_exits_1(self):
        code, _, err = self.explain("GET", URL, "--listener", "unknown")
        self.assertEqual(code, 1)
        self.assertIn("expected one of public", err)

    def test_usage_is_judged_before_anybody_is_asked(self):
        for arguments in (["GET", "/users"], ["GET"], ["G T", URL], ["GET", URL, "--header", "x"],
                          ["GET", URL, "--client-address", "web"]):
            self.assertEqual(self.explain(*arguments)[0], 64, arguments)
        self.assertEqual(self.daemon.told, [])

    def test_no_daemon_exits_1_and_says_where_it_was_looked_for(self):
        code, _, err = run(main, "--admin", "127.0.0.1:1", "explain", "GET", URL)
        self.assertEqual(code, 1)
        self.assertIn("127.0.0.1:1: connection refused", err)
