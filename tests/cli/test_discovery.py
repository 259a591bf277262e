"""meshctl discovery: all sources, one of them, from a daemon and without one."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

from meshd.cli.ctl import main
from tests.admin.fake import FakeDaemon
from tests.cli.console import run
from tests.cli.server import AdminServer
from tests.integration.harness.dns import SERVFAIL, ScriptedDns
from tests.tree import ROOT

MESH = """
listeners:
  - {name: public, address: "127.0.0.1:8080", filters: [{router: {virtual_hosts: []}}]}
clusters:
  - name: users
    discovery:
      file:
        files: [targets/*.json]
        relabel_configs:
          - {action: drop, source_labels: [env], regex: test}
  - name: orders
    discovery: {dns: {names: ["orders.test:80"], resolvers: ["%s"], query_tries: 1, use_hosts_file: false}}
"""
TARGETS = [
    {"targets": ["10.0.0.1:80"], "labels": {"env": "live", "__meshd_weight__": "3"}},
    {"targets": ["10.0.0.2:80"], "labels": {"env": "test"}}, {"targets": ["nonsense"]},
]


class Live(unittest.TestCase):
    def setUp(self):
        self.server = AdminServer(FakeDaemon())
        self.addCleanup(self.server.close)

    def discovery(self, *arguments):
        """Return (exit code, stdout, stderr)."""
        return run(main, "--admin", self.server.address, "discovery", *arguments)

    def test_all_sources_as_a_table(self):
        code, out, err = self.discovery()
        self.assertEqual((code, err), (0, ""))
        head, row = out.splitlines()
        self.assertEqual(head.split(), "CLUSTER TYPE STATE AGE ENDPOINTS UPDATES FAILURES SOURCE".split())
        self.assertEqual(row.split()[:7], ["users", "file", "stale", "1m1s", "1", "2", "3"])

    def test_one_source_shows_what_it_would_find_and_what_not(self):
        code, out, err = self.discovery("users")
        self.assertEqual((code, err), (1, "meshctl: file /x.json: x.json: broken\n"))
        rows = [line.split() for line in out.splitlines()[1:]]
        self.assertEqual(rows[0], ["10.0.0.7:80", "1", "0", "-", "v=1", "file", "/x.json", "-"])
        self.assertEqual(rows[1][-2:], ["expected", "more"])
        self.assertIn("dropped by relabel_configs", out)

    def test_json_has_the_labels_before_relabelling(self):
        code, out, _ = self.discovery("users", "-o", "json")
        found = json.loads(out)
        self.assertEqual((code, found["kind"]), (1, "Discovery"))
        self.assertEqual(found["targets"][2], {"discovered": {"__address__": "b:1"}, "endpoint": None, "cause": ""})

    def test_an_unknown_cluster_exits_1(self):
        code, _, err = self.discovery("nix")
        self.assertEqual(code, 1)
        self.assertIn("expected one of: users", err)


class Files(unittest.TestCase):
    """In a process of its own: a reactor runs once."""

    def setUp(self):
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        self.folder = kept.name
        self.dns = ScriptedDns()
        self.addCleanup(self.dns.close)
        os.mkdir(os.path.join(self.folder, "targets"))
        self.write("mesh.yaml", MESH % self.dns.address)
        self.write("targets/a.json", json.dumps(TARGETS))

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(text)

    def discovery(self, *arguments):
        """Return (exit code, stdout, stderr)."""
        path = os.path.join(self.folder, "mesh.yaml")
        done = subprocess.run(
            [sys.executable, "-m", "meshd.cli.ctl", "discovery", *arguments, "-c", path],
            capture_output=True, text=True, timeout=60, cwd=ROOT)
        return done.returncode, done.stdout, done.stderr

    def test_files_are_looked_at_without_a_daemon(self):
        code, out, err = self.discovery("users", "-o", "json")
        found = json.loads(out)
        self.assertEqual([row["endpoint"] and row["endpoint"]["weight"] for row in found["targets"]], [3, None, None])
        self.assertEqual(found["targets"][0]["endpoint"]["labels"], {"env": "live"})
        self.assertEqual(code, 1)
        self.assertIn("got 'nonsense'", err)

    def test_names_are_asked_for(self):
        self.dns.answers["orders.test", "A"] = ["10.0.0.9"]
        code, out, err = self.discovery("orders")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("10.0.0.9:80", out)
        self.assertEqual(self.dns.count("orders.test"), 1)

    def test_all_sources_at_once(self):
        self.dns.trouble = SERVFAIL
        code, out, _ = self.discovery("-o", "wide")
        self.assertEqual(code, 0)
        rows = {line.split()[0]: line for line in out.splitlines()[1:]}
        self.assertRegex(rows["users"], "file +stale")
        self.assertRegex(rows["orders"], "dns +stale.*SERVFAIL")

    def test_a_faulty_configuration_exits_65(self):
        self.write("mesh.yaml", "clusters: [{name: users, discovery: {dns: {names: [users]}}}]\n")
        code, _, err = self.discovery("users")
        self.assertEqual(code, 65)
        self.assertIn("HOST:PORT", err)
