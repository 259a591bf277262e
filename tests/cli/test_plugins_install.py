"""meshctl plugins install and upgrade: real pip, wheels made here, an environment of its own for each test."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
from functools import partial
from pathlib import Path
from unittest import TestCase, skipIf, skipUnless

import pytest

from tests.admin.fake import FakeDaemon
from tests.cli.server import AdminServer
from tests.cli.stage import LIMIT_S, Stage
from tests.integration.process import wait_for
from tests.tree import ROOT

SYSTEM_PYTHON = "/usr/bin/python3"

pytestmark = pytest.mark.timeout(900)


class Case(TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.close)

    def done(self, *arguments, **options):
        """Run a verb that must succeed; return (stdout, stderr)."""
        code, out, err = self.stage.ctl(*arguments, **options)
        self.assertEqual(code, 0, out + err)
        return out, err

    def refused(self, *arguments, **options):
        """Run a verb that must fail and change nothing; return stderr."""
        before = self.stage.files()
        code, out, err = self.stage.ctl(*arguments, **options)
        self.assertEqual(code, 1, out + err)
        self.assertNotIn("Traceback", err)
        self.assertEqual(self.stage.files(), before)
        return err

    def served(self):
        """Return (daemon, address) of an admin API that answers."""
        daemon = FakeDaemon()
        server = AdminServer(daemon)
        self.addCleanup(server.close)
        return daemon, server.address


class InstallTest(Case):
    def test_installs_a_plugin_with_what_it_needs_and_shows_it(self):
        self.stage.plugin("meshd-good", "1.0", "meshd-lib>=2")
        self.stage.wheel("meshd-lib", "2.5")
        out, err = self.done("install", "--yes", "meshd-good")
        self.assertRegex(out, r"(?m)^DISTRIBUTION   VERSION   CHANGE   BEFORE   NOTE\nmeshd-good +1\.0 +new +- +-\n"
                              r"meshd-lib +2\.5 +new +- +-\n")
        self.assertIn("√ installed   meshd-good 1.0, meshd-lib 2.5\n", out)
        self.assertIn("√ good   meshd-good 1.0   API >=1,<2 fits 1.0   http_filter/good\n", out)
        self.assertRegex(err, r"\Ano daemon answers at unix:\S+/nobody: nothing was reloaded\n\Z")
        self.assertEqual(self.stage.versions(), {"meshd-good": "1.0", "meshd-lib": "2.5"})

    def test_what_is_installed_already_needs_nothing(self):
        self.stage.unpack(self.stage.plugin("meshd-good", "1.0"))
        self.assertIn("nothing to do", self.done("install", "--yes", "meshd-good")[0])

    def test_tells_machines_one_document(self):
        self.stage.plugin("meshd-good", "1.0")
        found = json.loads(self.done("install", "--yes", "-o", "json", "meshd-good")[0])
        self.assertEqual((found["apiVersion"], found["kind"]), ("cli.meshd.io/v1", "PluginInstallation"))
        (row,) = found["resolved"]
        self.assertEqual((row["name"], row["change"], len(row["hashes"])), ("meshd-good", "new", 1))
        self.assertEqual((found["check"][0]["name"], found["reload"], found["warnings"]), ("good", None, []))

    def test_a_usage_error_exits_64(self):
        for arguments in ((), ("--target=/tmp",), ("--", "--target=/tmp")):
            self.assertEqual(self.stage.ctl("install", *arguments)[0], 64)

    def test_a_plugin_that_nobody_has_is_an_error_with_what_pip_says(self):
        err = self.refused("install", "--yes", "meshd-nowhere")
        self.assertIn("meshctl: install: pip could not resolve it (exit 1):\n", err)
        self.assertIn("No matching distribution found for meshd-nowhere", err)

    def test_pip_talks_when_asked_to(self):
        self.stage.plugin("meshd-good", "1.0")
        self.assertIn("Installing collected packages: meshd-good", self.done("install", "--yes", "-v", "meshd-good")[1])


class RefusalTest(Case):
    def test_refuses_what_requires_another_meshd_and_says_which(self):
        self.stage.plugin("meshd-next", "1.0", "meshd>=99")
        err = self.refused("install", "--yes", "meshd-next")
        self.assertIn("refused: meshd 0.1.0 stays as it is: meshd-next 1.0 requires meshd>=99\n", err)

    def test_refuses_another_meshd_itself_also_where_there_is_one(self):
        self.stage.wheel("meshd", "99.0")
        err = self.refused("install", "--yes", "meshd==99.0")
        self.assertIn("refused: meshd 0.1.0 stays as it is: meshd==99.0 was asked for\n", err)
        path, before = self.stage.wheel("meshd", "0.1.0"), self.stage.files()
        code, out, err = self.stage.ctl("install", "--yes", str(path))
        self.assertEqual(self.stage.files(), before)
        if code:  # pip would only take an editable installation for another one
            self.assertIn("refused: it would put meshd 0.1.0 in the place of meshd 0.1.0", err)
        else:
            self.assertIn("nothing to do: what was asked for is installed", out)

    def test_takes_an_older_release_that_fits(self):
        self.stage.plugin("meshd-good", "1.0")
        self.stage.plugin("meshd-good", "2.0", "meshd>=99")
        self.done("install", "--yes", "meshd-good")
        self.assertEqual(self.stage.versions()["meshd-good"], "1.0")

    def test_refuses_a_library_that_meshd_cannot_use(self):
        self.stage.wheel("attrs", "20.1")
        self.stage.plugin("meshd-old", "1.0", "attrs<21")
        err = self.refused("install", "--yes", "meshd-old")
        self.assertRegex(err, r"as it is: meshd-old 1\.0 requires attrs<21, meshd 0\.1\.0 requires attrs>=[\d.]+\n")

    def test_refuses_it_also_where_the_plugin_does_not_speak_of_meshd(self):
        self.stage.wheel("attrs", "20.1")
        self.stage.wheel("meshd-rude", "1.0", {"meshd_rude.py": ""}, ("attrs<21",), "[meshd.plugins]\nx = meshd_rude\n")
        err = self.refused("install", "--yes", "meshd-rude")
        self.assertRegex(err, r"refused: meshd 0\.1\.0 requires attrs>=[\d.]+: attrs 20\.1 would be installed")

    def test_warns_where_a_library_of_meshd_changes(self):
        self.stage.library("attrs", "99.1")
        self.stage.plugin("meshd-new", "1.0", "attrs>=99")
        out, err = self.done("install", "--yes", "meshd-new")
        self.assertRegex(out, r"(?m)^attrs +99\.1 +upgrade +\S+ +a library of meshd$")
        self.assertRegex(err, r"‼ attrs \S+ -> 99\.1: meshd itself runs on this library\n")
        self.assertIn("attrs==99.1", self.stage.lock.read_text())

    def test_what_offers_no_plugin_is_taken_out_again(self):
        self.stage.wheel("some-library", "1.0", {"some_library.py": ""})
        self.assertIn("none of these offers a meshd plugin", self.refused("install", "--yes", "some-library"))


class RollbackTest(Case):
    def test_a_plugin_that_cannot_be_loaded_is_taken_out_with_what_it_brought(self):
        self.stage.plugin("meshd-broken", "1.0", "meshd-lib", source="import nothing_of_this_name\n")
        self.stage.wheel("meshd-lib", "2.5")
        err = self.refused("install", "--yes", "meshd-broken")
        self.assertIn("a plugin cannot be used; all is as it was:\n× broken   meshd-broken 1.0   no types\n"
                      "    error: ModuleNotFoundError: No module named 'nothing_of_this_name'\n", err)
        self.assertFalse(self.stage.lock.exists())

    def test_keep_leaves_it_and_check_says_what_is_wrong(self):
        self.stage.plugin("meshd-broken", "1.0", source="import nothing_of_this_name\n")
        self.done("install", "--yes", "--keep", "meshd-broken")
        code, out, _ = self.stage.ctl("check", "meshd-broken")
        self.assertEqual(code, 1)
        self.assertIn("error: ModuleNotFoundError", out)

    def test_a_plugin_that_ends_the_process_is_taken_out(self):
        self.stage.plugin("meshd-exit", "1.0", source="import os\nos._exit(7)\n")
        self.assertIn("ended the process (exit 7)", self.refused("install", "--yes", "meshd-exit"))

    def test_ctrl_c_puts_everything_back(self):
        mark = self.stage.folder / "loading"
        self.stage.plugin("meshd-slow", "1.0", source=f"import time\nopen({str(mark)!r}, 'w')\ntime.sleep(1000)\n")
        before = self.stage.files()
        process = subprocess.Popen(
            self.stage.command("install", "--yes", "meshd-slow"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=self.stage.environment, start_new_session=True,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL))  # the tests may run without one
        wait_for(lambda: mark.exists() or process.poll() is not None, "the check of the plugin", LIMIT_S)
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does
        _, err = process.communicate(timeout=LIMIT_S)
        self.assertEqual((process.returncode, self.stage.files()), (1, before), err)
        self.assertIn("interrupted: all is as it was\n", err)

    def test_an_upgrade_that_breaks_puts_the_old_one_back(self):
        self.stage.unpack(self.stage.plugin("meshd-good", "1.0"))
        self.stage.plugin("meshd-good", "2.0", source="raise RuntimeError('two')\n")
        self.assertIn("RuntimeError: two", self.refused("upgrade", "--yes"))
        self.assertEqual(self.stage.versions(), {"meshd-good": "1.0"})
        self.assertFalse(self.stage.lock.exists())
        self.done("check", "meshd-good")
        self.assertIn("Successfully uninstalled", self.stage.run(
            self.stage.python, "-m", "pip", "uninstall", "--yes", "meshd-good")[1])


class LockTest(Case):
    def another(self):
        """Return another host, with the same wheels."""
        found = Stage()
        self.addCleanup(found.close)
        found.wheels = self.stage.wheels
        return found

    def test_another_host_gets_the_same_from_it_to_the_byte(self):
        self.stage.plugin("meshd-b", "1.0", "meshd-lib")
        self.stage.plugin("meshd-a", "1.0")
        self.stage.wheel("meshd-lib", "2.5")
        self.done("install", "--yes", "meshd-b")
        self.done("install", "--yes", "meshd-a")
        locked = self.stage.lock.read_text()
        self.assertEqual(
            [line.split("==")[0] for line in locked.splitlines() if "==" in line], ["meshd-a", "meshd-b", "meshd-lib"])
        other = self.another()
        code, _, err = other.ctl("install", "--yes", "-r", str(self.stage.lock))
        self.assertEqual((code, other.lock.read_text()), (0, locked), err)
        self.assertEqual(other.versions(), self.stage.versions())

    def test_pip_alone_can_read_it(self):
        self.stage.plugin("meshd-good", "1.0", "meshd-lib")
        self.stage.wheel("meshd-lib", "2.5")
        self.done("install", "--yes", "meshd-good")
        other = self.another()
        code, out, err = other.run(other.python, "-m", "pip", "install", "--require-hashes", "-r", str(self.stage.lock))
        self.assertEqual(code, 0, out + err)
        self.assertEqual(other.versions(), self.stage.versions())

    def test_refuses_a_file_that_is_not_the_locked_one(self):
        self.stage.plugin("meshd-good", "1.0")
        self.done("install", "--yes", "meshd-good")
        self.stage.run(self.stage.python, "-m", "pip", "uninstall", "--yes", "meshd-good")
        self.stage.plugin("meshd-good", "1.0", source="planted = True\n")
        self.assertIn("HASH", self.refused("install", "--yes", "-r", str(self.stage.lock)).upper())

    def test_follows_upgrade_and_removal(self):
        self.stage.plugin("meshd-good", "1.0", "meshd-lib")
        self.stage.wheel("meshd-lib", "2.5")
        self.done("install", "--yes", "meshd-good")
        self.stage.plugin("meshd-good", "1.1")
        self.done("upgrade", "--yes")
        self.assertIn("meshd-good==1.1 \\\n    --hash=sha256:", self.stage.lock.read_text())
        self.assertNotIn("meshd-lib", self.stage.lock.read_text())
        self.done("uninstall", "--yes", "meshd-good")
        self.assertNotIn("==", self.stage.lock.read_text().partition("-r plugins.lock)")[2])

    def test_a_lock_file_that_cannot_be_written_is_said_first(self):
        path = self.stage.folder / "none" / "a.lock"
        err = self.refused("install", "--yes", "--lock", str(path), "meshd-good", lock=False)
        self.assertIn(f"lock {path}: {path.parent}: no such folder", err)

    def test_a_lock_file_that_is_none_is_said_first(self):
        self.stage.lock.write_text("how now\n")
        err = self.refused("install", "--yes", "meshd-good")
        self.assertIn("'how now': expected NAME==VERSION --hash=sha256:...", err)


class QuestionTest(Case):
    def setUp(self):
        super().setUp()
        self.stage.plugin("meshd-good", "1.0")

    def test_without_a_terminal_nothing_is_asked_and_nothing_done(self):
        err = self.refused("install", "meshd-good")
        self.assertIn("not confirmed (there is no terminal to ask on): nothing was changed\nhelp: --yes", err)

    def test_on_a_terminal_no_changes_nothing(self):
        code, out, shown = self.stage.ctl_on_terminal("n\n", "install", "meshd-good")
        self.assertEqual((code, self.stage.versions()), (1, {}))
        self.assertIn("meshd-good", out)
        self.assertIn("install it? [y/N]", shown)

    def test_on_a_terminal_yes_installs(self):
        code, _, shown = self.stage.ctl_on_terminal("y\n", "install", "meshd-good")
        self.assertEqual((code, self.stage.versions()), (0, {"meshd-good": "1.0"}), shown)


class UpgradeTest(Case):
    def test_passes_over_what_came_from_a_file_unless_it_is_named(self):
        path = self.stage.plugin("meshd-good", "1.0")
        self.stage.run(self.stage.python, "-m", "pip", "install", "--no-deps", str(path))
        self.stage.plugin("meshd-good", "1.1")
        out, err = self.done("upgrade", "--yes")
        self.assertIn("nothing to do", out)
        self.assertIn("meshd-good: passed over", err)
        self.done("upgrade", "--yes", "meshd-good")
        self.assertEqual(self.stage.versions(), {"meshd-good": "1.1"})


class DaemonTest(Case):
    def test_the_running_daemon_is_reloaded_and_its_outcome_shown(self):
        self.stage.plugin("meshd-good", "1.0")
        daemon, address = self.served()
        out, _ = self.done("install", "--yes", "meshd-good", admin=address)
        self.assertEqual(daemon.told, ["reload"])
        self.assertIn("√ web-1   generation 3 -> 4", out)

    def test_no_reload_leaves_it_alone(self):
        self.stage.plugin("meshd-good", "1.0")
        daemon, address = self.served()
        self.done("install", "--yes", "--no-reload", "meshd-good", admin=address)
        self.assertEqual(daemon.told, [])

    def test_a_rejected_reload_exits_1_with_the_plugin_installed(self):
        self.stage.plugin("meshd-good", "1.0")
        daemon, address = self.served()
        daemon.outcome |= {"accepted": False, "generation": 3, "summary": "restart it"}
        code, out, _ = self.stage.ctl("install", "--yes", "meshd-good", admin=address)
        self.assertEqual((code, self.stage.versions()), (1, {"meshd-good": "1.0"}))
        self.assertIn("kept generation 3   restart it", out)


class ReadyTest(TestCase):
    def test_without_pip_it_says_how_to_get_it(self):
        stage = Stage(without=("pip",))
        self.addCleanup(stage.close)
        code, _, err = stage.ctl("install", "--yes", "meshd-good")
        self.assertEqual(code, 1)
        self.assertIn(f"meshctl: pip: not installed in meshd's environment {stage.home}\nhelp: {stage.python} -m", err)

    @skipUnless(Path(f"/usr/lib/python3.{sys.version_info[1]}/EXTERNALLY-MANAGED").exists(),
                "the system's Python of this version is not there, or does not belong to the system (PEP 668)")
    def test_the_systems_own_python_is_left_alone(self):
        seen = os.pathsep.join([str(ROOT / "src"), sysconfig.get_path("purelib")])
        done = subprocess.run(
            [SYSTEM_PYTHON, "-m", "meshd.cli.ctl", "plugins", "install", "--yes", "meshd-good"], text=True, timeout=120,
            capture_output=True, env={"PYTHONPATH": seen, "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("its packages belong to the operating system (PEP 668: ", done.stderr)

    @skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_without_write_permission_it_says_so(self):
        stage = Stage()
        self.addCleanup(stage.close)
        self.addCleanup(stage.site.chmod, 0o755)
        stage.site.chmod(0o555)
        self.assertIn("no write permission", stage.ctl("install", "--yes", "meshd-good")[2])
