"""The units of contrib/systemd: what systemd thinks of them, and that they agree with each other and with meshd."""

import configparser
import shutil
import subprocess
import tempfile
from pathlib import Path
from unittest import TestCase, skipUnless

from meshd.cli import code
from meshd.document.quantity import parse_duration
from meshd.model.snapshot import Drain
from tests.tree import ROOT

UNITS = ROOT / "contrib" / "systemd"
ACTIVATED = "20-socket-activated.conf"
TRANSPARENT = "30-transparent.conf"


class Repeated(dict):
    """Keeps all values of a key that is given more than once."""

    def __setitem__(self, key, value):
        if isinstance(value, list) and key in self:
            value = self[key] + value
        super().__setitem__(key, value)


def unit(name):
    """Return {section: {key: text}} of a unit; a key that stands there twice has its lines in one text."""
    parser = configparser.RawConfigParser(dict_type=Repeated, strict=False, delimiters="=", comment_prefixes="#")
    parser.optionxform = str
    parser.read(UNITS / name)
    return {section: dict(parser[section]) for section in parser.sections()}


class TestAgreement(TestCase):
    def test_the_stop_may_take_longer_than_the_drain_by_default(self):
        drain = Drain()
        for name in ("meshd.service", "meshd@.service"):
            limit_s = parse_duration(unit(name)["Service"]["TimeoutStopSec"])
            self.assertGreater(limit_s, drain.grace_s + drain.deadline_s)

    def test_faults_that_do_not_mend_themselves_are_final(self):
        final = unit("meshd.service")["Service"]["RestartPreventExitStatus"].split()
        self.assertEqual(final, [str(one) for one in (code.USAGE, code.DATA, code.CONFIG)])

    def test_an_instance_is_the_service_with_names_of_its_own(self):
        one, many = unit("meshd.service"), unit("meshd@.service")
        names = {"/etc/meshd/%i/": "/etc/meshd/meshd.yaml", "meshd-%i": "meshd"}
        for key, value in many["Service"].items():
            for own, shared in names.items():
                value = value.replace(own, shared)
            self.assertEqual(value, one["Service"][key], key)
        self.assertEqual(set(one["Service"]), set(many["Service"]))

    def test_capture_is_put_in_force_after_the_service_and_undone_when_stopped(self):
        found = unit("meshd-capture.service")
        self.assertIn("meshd.service", found["Unit"]["After"].split())
        self.assertEqual(found["Unit"]["Wants"], "meshd.service")
        self.assertEqual(found["Service"]["RemainAfterExit"], "yes")
        words = [found["Service"][key].partition("meshctl ")[2] for key in ("ExecStart", "ExecReload", "ExecStop")]
        self.assertEqual(words, ["capture enable $OPTIONS", "capture enable $OPTIONS", "capture disable"])
        for key in ("PartOf", "ReloadPropagatedFrom"):
            self.assertEqual(found["Unit"][key], "nftables.service", "who flushes all rules")

    def test_everything_travels_as_package_data(self):
        patterns = next(line.split("=")[1] for line in (ROOT / "setup.cfg").read_text().splitlines()
                        if line.startswith("meshd.systemd =")).split(", ")
        travelling = {path for pattern in patterns for path in UNITS.glob(pattern.strip())}
        self.assertEqual(travelling, {path for path in UNITS.rglob("*") if path.is_file()})


@skipUnless(shutil.which("systemd-analyze"), "systemd-analyze missing: Debian's systemd")
class TestAnalysis(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name in ("meshd.service", "meshd.socket", "meshd-capture.service"):
            self.copy(name, name)
        self.copy("meshd@.service", "meshd@edge.service")

    def copy(self, name, to):
        """Copy a unit, with a program that is there, and give its path."""
        path = self.folder / to
        path.parent.mkdir(exist_ok=True)
        path.write_text((UNITS / name).read_text().replace("/opt/meshd/venv/bin/meshd", "/bin/true").replace(
            "/opt/meshd/venv/bin/meshctl", "/bin/true"))
        return path

    def analyze(self, *arguments):
        """Run systemd-analyze; return (exit code, what it said)."""
        run = subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=60)
        return run.returncode, run.stdout + run.stderr

    def assert_exposed_at_most(self, tenths, name):
        status, said = self.analyze("security", "--offline=true", f"--threshold={tenths}", self.folder / name)
        self.assertEqual(status, 0, said)

    def test_the_service_is_exposed_by_1_4(self):
        self.assert_exposed_at_most(14, "meshd.service")

    def test_an_instance_is_exposed_by_1_4(self):
        self.assert_exposed_at_most(14, "meshd@edge.service")

    def test_the_socket_activated_service_is_exposed_by_1_1(self):
        self.copy(f"drop-in/{ACTIVATED}", f"meshd.service.d/{ACTIVATED}")
        self.assert_exposed_at_most(11, "meshd.service")

    def test_with_transparent_listeners_the_service_is_exposed_by_1_6(self):
        self.copy(f"drop-in/{TRANSPARENT}", f"meshd.service.d/{TRANSPARENT}")
        self.assert_exposed_at_most(16, "meshd.service")

    def test_capture_which_is_roots_for_a_moment_is_exposed_by_2_4(self):
        self.assert_exposed_at_most(24, "meshd-capture.service")

    def test_systemd_understands_every_line(self):
        self.copy(f"drop-in/{ACTIVATED}", f"meshd.service.d/{ACTIVATED}")
        for name in ("meshd.service", "meshd@edge.service", "meshd.socket", "meshd-capture.service"):
            self.assertEqual(self.analyze("verify", "--man=no", self.folder / name), (0, ""), name)

    @skipUnless(shutil.which("systemd-sysusers"), "systemd-sysusers missing: Debian's systemd")
    def test_the_user_can_be_made(self):
        line = ["systemd-sysusers", "--dry-run", f"--root={self.folder}", str(UNITS / "sysusers.d" / "meshd.conf")]
        run = subprocess.run(line, capture_output=True, text=True, timeout=60)
        self.assertIn("Creating user 'meshd'", run.stdout + run.stderr)
