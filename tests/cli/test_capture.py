"""``meshctl capture`` where nothing is changed: what would be done, and what is refused."""

import json
from unittest import TestCase, mock

from meshd.capture import host, kernel, watch
from meshd.cli.ctl import main
from tests.cli.console import run


class Capture(TestCase):
    def setUp(self):
        for target, name, stand_in in (
            (host, "sockets", lambda: []), (host, "ssh_ports", lambda: {"22": "x"}), (watch, "ask", lambda word: None),
            (host, "holders", lambda found: set()), (kernel.os, "geteuid", lambda: 1000),
        ):
            patch = mock.patch.object(target, name, stand_in)
            patch.start()
            self.addCleanup(patch.stop)

    def plan(self, *words):
        """Return the settings and the script of a dry run."""
        code, out, err = run(main, "capture", "enable", "--user", "61999", "--dry-run", "-o", "json", *words)
        self.assertEqual((code, err), (0, ""))
        found = json.loads(out)
        return found["settings"], found["steps"][-1]["input"]

    def refused(self, *words, code=1):
        """Return what is said."""
        found, out, err = run(main, "capture", *words)
        self.assertEqual((found, out), (code, ""))
        return err

    def test_a_dry_run_shows_the_script_and_what_speaks_against_it(self):
        code, out, _ = run(main, "capture", "enable", "--user", "61999", "--dry-run", "--color", "never")
        self.assertEqual(code, 0)
        self.assertIn("outbound: tcp port 15001: nobody listens: expected meshd on 127.0.0.1 or 0.0.0.0", out)
        self.assertIn("nft -f - <<'EOF'\nadd table inet meshd_capture\n", out)

    def test_options_become_settings(self):
        settings, script = self.plan("--exclude-outbound-cidrs", "10.0.0.0/8, 192.168.0.0/16",
                                     "--include-inbound-ports", "80,8000-8100", "--group", "5")
        self.assertEqual(settings["exclude_outbound_cidrs"], ["10.0.0.0/8", "192.168.0.0/16"])
        self.assertEqual(settings["include_inbound_ports"], ["80", "8000-8100"])
        self.assertEqual((settings["proxy_uids"], settings["proxy_gids"]), ([61999], [5]))
        self.assertIn("elements = { 80, 8000-8100 }", script)

    def test_nothing_by_an_empty_list(self):
        self.assertNotIn("chain inbound", self.plan("--include-inbound-ports", "")[1])

    def test_dns_is_captured_on_request_alone(self):
        self.assertNotIn("dport 53", self.plan()[1])
        settings, script = self.plan("--dns", "--dns-servers", "127.0.0.53")
        self.assertEqual((settings["dns_port"], settings["dns_servers"]), (15053, ["127.0.0.53"]))
        self.assertIn("redirect to :15053", script)

    def test_who_is_not_root_changes_nothing(self):
        for verb in (["enable", "--user", "61999"], ["disable"], ["status"], ["confirm"], ["path", "10.0.0.1:80"]):
            self.assertIn("capture: nftables rules are for root", self.refused(*verb))

    def test_bad_options(self):
        self.assertIn("no such user: 'nobody-of-this-name'", self.refused("enable", "--user", "nobody-of-this-name"))
        self.assertIn("'x': expected a network", self.refused(
            "enable", "--user", "61999", "--exclude-outbound-cidrs", "x"))
        for word in ("0.1s", "2h", "soon"):
            self.assertIn("expected a duration from 1s to 1h", self.refused(
                "enable", "--confirm-within", word, code=64))

    def test_whose_connections_are_exempt_must_be_known(self):
        with mock.patch("pwd.getpwnam", side_effect=KeyError):
            self.assertIn("there is no user meshd, and nobody listens on the ports: expected --user",
                          self.refused("enable"))
