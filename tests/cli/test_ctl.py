"""meshctl against the real admin site."""

import json
import os
import tempfile
from types import SimpleNamespace

import click
import yaml
from twisted.trial.unittest import SynchronousTestCase

from meshd.api import PluginType
from meshd.cli import ctl
from meshd.cli.ctl import main
from tests.admin.fake import FakeDaemon
from tests.cli.console import run
from tests.cli.server import AdminServer

READ_VERBS = (["status"], ["stats"], ["plugins", "list"], ["pc", "listener"], ["pc", "route"], ["pc", "cluster"],
              ["pc", "endpoint"], ["pc", "log"], ["version"])


class Ctl(SynchronousTestCase):
    def setUp(self):
        self.daemon = FakeDaemon()
        self.server = AdminServer(self.daemon)
        self.addCleanup(self.server.close)

    def ctl(self, *arguments):
        """Return (exit code, stdout, stderr) of meshctl."""
        return run(main, "--admin", self.server.address, *arguments)

    def test_every_read_verb_writes_one_document_as_json_and_yaml(self):
        for verb in READ_VERBS:
            code, out, err = self.ctl(*verb, "-o", "json")
            self.assertEqual((code, err), (0, ""), verb)
            found = json.loads(out)
            self.assertEqual(found["apiVersion"], "cli.meshd.io/v1")
            self.assertEqual(yaml.safe_load(self.ctl(*verb, "-o", "yaml")[1])["kind"], found["kind"])

    def test_tables_have_upper_case_headers_parted_by_three_spaces(self):
        _, out, _ = self.ctl("pc", "endpoint")
        header, row = out.splitlines()
        self.assertEqual(header.split("   ")[0].strip(), "ADDRESS")
        self.assertEqual(header, header.upper())
        self.assertRegex(row, r"^10\.0\.0\.7:80   users     HEALTHY   1 ")

    def test_no_headers_leaves_the_data_alone(self):
        _, out, _ = self.ctl("pc", "endpoint", "--no-headers")
        self.assertEqual(len(out.splitlines()), 1)

    def test_name_writes_one_name_on_each_line(self):
        self.assertEqual(self.ctl("pc", "cluster", "-o", "name")[1], "users\n")

    def test_listeners_of_udp_have_no_requests(self):
        row = {"name": "dns", "bound": "127.0.0.1:53", "connections": 4, "filters": [], "accepting": True,
               "filter_chains": [], "counters": {"sessions": 9, "datagrams": 20, "dropped": 0}}
        self.daemon.listeners = lambda: [row]
        code, out, err = self.ctl("pc", "listener", "--no-headers")
        self.assertEqual((code, out.split(), err), (0, ["dns", "127.0.0.1:53", "-", "-", "4", "-"], ""))

    def test_name_that_is_not_there(self):
        for arguments, text in (
            (["listener", "pubilc"], "listener 'pubilc': unknown: expected one of: public\n"
                                     "help: did you mean public?\n"),
            (["route", "x"], "listener 'x': unknown: expected one of: there is none\n"
                            "help: meshctl pc listener has all\n"),
            (["cluster", "user"], "cluster 'user': unknown: expected one of: users\nhelp: did you mean users?\n"),
            (["endpoint", "--cluster", "user"], "cluster 'user': unknown: expected one of: users\n"
                                                "help: did you mean users?\n"),
        ):
            for form in ("table", "wide", "json", "yaml", "name"):
                found = self.ctl("pc", *arguments, "-o", form)
                self.assertEqual(found, (1, "", f"meshctl: {text}"), form)

    def test_name_that_is_there(self):
        for arguments in (["listener", "public"], ["cluster", "users"], ["endpoint", "--cluster", "users"]):
            self.assertEqual(self.ctl("pc", *arguments)[0], 0, arguments)

    def test_certs_show_revocation_lists_among_what_expires(self):
        shown = {"kind": "ca", "path": "/ca.crt", "subject": "CN=root", "subject_alt_names": [], "expires_s": 9e8,
                 "days_until_expiration": 3}
        lists = [{"path": "/ca.crl", "issuer": "CN=old", "expires_s": 8e8, "days_until_expiration": -2},
                 {"path": "/ca.crl", "issuer": "CN=ever", "expires_s": None, "days_until_expiration": None}]
        owner = {"owner": "listener a", "loaded_s": 1.0, "error": "", "certificates": [shown],
                 "revocation_lists": lists}
        self.daemon.world = SimpleNamespace(secrets=SimpleNamespace(rows=lambda: [owner]))
        found = [line.split() for line in self.ctl("certs", "--no-headers")[1].splitlines()]
        self.assertEqual(found, [
            ["/ca.crl", "crl", "CN=old", "1995-05-09T06:13:20Z", "expired", "listener", "a"],
            ["/ca.crt", "ca", "CN=root", "1998-07-09T16:00:00Z", "3d", "listener", "a"],
            ["/ca.crl", "crl", "CN=ever", "-", "-", "listener", "a"]])
        document = json.loads(self.ctl("certs", "-o", "json")[1])
        self.assertEqual(document["revocation_lists"], [{"owner": "listener a", **one} for one in lists])
        self.assertEqual(document["items"], [{"owner": "listener a", **shown}])

    def test_wide_has_more_columns(self):
        self.assertNotIn("PENDING", self.ctl("pc", "endpoint")[1])
        self.assertIn("PENDING", self.ctl("pc", "endpoint", "-o", "wide")[1])

    def test_status_shows_the_fault_of_the_last_reload(self):
        self.daemon.last_reload = {
            "accepted": False, "time": 2.0, "duration_s": 0.1, "summary": "mesh.yaml:3:1 error[MSH0104] x"}
        _, out, _ = self.ctl("status")
        self.assertIn("rejected 1s ago, generation 3 is kept: mesh.yaml:3:1 error[MSH0104] x", out)

    def test_status_names_the_actions_of_overload_protection_in_force(self):
        self.assertRegex(self.ctl("status")[1], r"overload +\S+ stop_accepting_requests for 1s")

    def test_status_says_not_ready(self):
        self.daemon.is_ready = False
        self.assertIn("not ready", self.ctl("status")[1])

    def test_accepted_reload_says_what_changed(self):
        code, out, _ = self.ctl("reload", "--color", "never")
        self.assertEqual(code, 0)
        self.assertIn("web-1   generation 3 -> 4   +1 ~2 -0 listeners   18 ms   0 connections closed", out)

    def test_rejected_reload_exits_1_whatever_the_form(self):
        self.daemon.outcome |= {
            "accepted": False, "generation": 3, "summary": "mesh.yaml:3:1 error[MSH0104] x", "text": "TEXT\n"}
        code, out, err = self.ctl("reload")
        self.assertEqual(code, 1)
        self.assertIn("kept generation 3   mesh.yaml:3:1 error[MSH0104] x", out)
        self.assertIn("TEXT\n\nThe proxy keeps serving its previous configuration", err)
        code, out, _ = self.ctl("reload", "-o", "json")
        self.assertEqual((code, json.loads(out)["accepted"]), (1, False))

    def test_stats_can_be_filtered(self):
        self.daemon.metrics.counter("apples_total", "Apples", ("color",)).cell("red").inc(3)
        self.daemon.metrics.counter("pears_total", "Pears").cell()
        _, out, _ = self.ctl("stats", "--filter", "^apples", "--no-headers")
        self.assertEqual(out, "apples_total   color=red   3\n")

    def test_bad_filter_says_what_was_expected(self):
        code, _, err = self.ctl("stats", "--filter", "(")
        self.assertEqual(code, 1)
        self.assertIn("expected an RE2 regular expression", err)

    def test_log_levels_are_set_and_shown(self):
        _, out, _ = self.ctl("pc", "log", "--level", "meshd.drain=debug", "--no-headers")
        self.assertEqual(out, "*             info\nmeshd.drain   debug\n")

    def test_bad_level_is_refused(self):
        code, _, err = self.ctl("pc", "log", "--level", "loud")
        self.assertEqual(code, 1)
        self.assertIn("expected one of debug, info, warn, error", err)

    def test_color_only_when_asked_for_off_a_terminal(self):
        self.assertNotIn("\x1b", self.ctl("status")[1])
        self.assertIn("\x1b[32m", self.ctl("status", "--color", "always")[1])


class Alone(SynchronousTestCase):
    def test_usage_errors_exit_64(self):
        for arguments in (["frob"], ["pc", "frob"], ["status", "--frob"], ["status", "-o", "xml"]):
            code, out, err = run(main, *arguments)
            self.assertEqual((code, out), (64, ""), arguments)
            self.assertIn("Try 'meshctl", err)

    def test_no_daemon_says_where_it_looked_and_what_to_do(self):
        code, _, err = run(main, "--admin", "unix:/nonexistent/admin.sock", "status")
        self.assertEqual(code, 1)
        self.assertIn("admin unix:/nonexistent/admin.sock: no such file or directory\n", err)
        self.assertIn("help: is meshd running there?", err)

    def test_bad_address_says_what_was_expected(self):
        for address in ("nowhere", "localhost:99999", "localhost:0", "localhost:²", "::1:15000", "unix:", "a b:80", ""):
            for arguments in (["--admin", address, "status"], ["status", "--admin", address],
                              ["pc", "cluster", "--admin", address], ["--admin", address, "analyze", "x.yaml"]):
                code, out, err = run(main, *arguments)
                self.assertEqual((code, out), (64, ""), arguments)
                self.assertIn(f"Invalid value for '--admin': {address!r}: expected ", err)

    def test_bad_address_of_the_environment_is_named(self):
        self.addCleanup(os.environ.pop, "MESHD_ADMIN", None)
        os.environ["MESHD_ADMIN"] = "nowhere"
        code, _, err = run(main, "status")
        self.assertEqual(code, 64)
        self.assertIn("'nowhere': expected HOST:PORT, [V6]:PORT or unix:PATH (add a port: nowhere:80)", err)

    def test_groups_say_what_their_verbs_are_for_in_whole_sentences(self):
        for group in ([], ["proxy-config"], ["plugins"], ["capture"], ["gateway-api"]):
            _, _, verbs = run(main, *group, "--help")[1].partition("\nCommands:\n")
            self.assertNotIn("...", verbs, group)
            self.assertTrue(verbs, group)

    def test_help_of_every_verb_can_be_read_without_a_daemon(self):
        for verb in ([], ["proxy-config"], ["plugins"], ["completion"], *READ_VERBS):
            code, out, _ = run(main, *verb, "--help")
            self.assertEqual(code, 0, verb)
            self.assertIn("Usage: meshctl", out)

    def test_completion_scripts_are_written(self):
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("_MESHCTL_COMPLETE", run(main, "completion", shell)[1])

    def test_unix_socket(self):
        folder = tempfile.mkdtemp()
        path = os.path.join(folder, "a.sock")
        server = AdminServer(FakeDaemon(), path)
        self.addCleanup(os.rmdir, folder)
        self.addCleanup(os.unlink, path)
        self.addCleanup(server.close)
        self.assertEqual(run(main, "--admin", f"unix:{path}", "version", "--no-headers")[0], 0)


class Greet:
    def command(self):
        """A verb of a plugin (ICtlVerb)."""
        return click.Command("greet", callback=lambda: click.echo("hello"), help="Greets.")


class OfPlugins(SynchronousTestCase):
    def setUp(self):
        kept = dict(ctl._found)
        ctl._found["greet"] = PluginType(kind="meshctl_verb", name="greet", build=lambda config, site: Greet())
        self.addCleanup(ctl._found.update, kept)
        self.addCleanup(ctl._found.clear)

    def test_verb_of_a_plugin_stands_beside_the_shipped_ones(self):
        self.assertEqual(run(main, "greet"), (0, "hello\n", ""))
        self.assertIn("Greets.", run(main, "--help")[1])
