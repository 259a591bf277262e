"""The plugin guide is true: its example is installed with pip, passes its own tests and ``meshd --check``."""

import atexit
import functools
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import TestCase

from meshd.api import KINDS
from meshd.model.plugin import PluginSettings
from meshd.registry import Registry
from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite

from tests.tree import ROOT

EXAMPLES = ROOT / "docs" / "examples"
HELLO = EXAMPLES / "hello_plugin"
GUIDE = (ROOT / "docs" / "plugins.md").read_text()
PYTHON = sys.executable
TESTS = ("test_hello_plugin", "test_in_a_mesh", "test_with_trial")


def run(*command, folder=ROOT, **environment):
    """Run ``command``; return (exit code, everything it printed)."""
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, text=True, timeout=120,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    return done.returncode, done.stdout


class GuideTest(TestCase):
    def test_shows_the_files_of_the_example_as_they_are(self):
        shown = re.findall(r"```(?:python|ini|yml)\n(.*?)```", GUIDE, re.S)
        files = ("hello_plugin.py", "setup.cfg", "meshd.yaml", *(f"tests/{name}.py" for name in TESTS))
        self.assertEqual(shown, [(HELLO / name).read_text() for name in files])

    def test_lists_every_kind_with_a_suite_that_is_there(self):
        rows = re.findall(r"(?m)^\| `(\w+)` \| `(\w+)`.* \| `(\w+)\.(\w+)` \|$", GUIDE)
        self.assertEqual({kind for kind, *_ in rows}, set(KINDS))
        for kind, interface, module, suite in rows:
            self.assertEqual(KINDS[kind].__name__, interface)
            self.assertTrue(hasattr(importlib.import_module(f"meshd.testing.contract.{module}"), suite), suite)


@functools.cache
def installed() -> tuple[Path, str]:
    """Install the example once; return (a folder to write to, where it is installed). Trial runs no setUpClass."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    source, site = folder / "source", str(folder / "site")
    shutil.copytree(HELLO, source)
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    code, text = run(PYTHON, "-m", "pip", "install", *options, "--target", site, str(source))
    assert code == 0, text
    return folder, site


class HelloProjectTest(TestCase):
    def setUp(self):
        self.folder, self.site = installed()

    def test_its_configuration_passes_the_check(self):
        code, text = run(
            PYTHON, "-m", "meshd.cli.daemon", "--check", "-c", str(HELLO / "meshd.yaml"),
            PYTHONPATH=self.site, MESHD_TRACE_PLUGINS="1",
        )
        self.assertEqual(code, 0, text)
        self.assertIn("plugin 'hello' of meshd-hello 1.0: hello_plugin: loaded: http_filter hello", text)

    def test_a_fault_in_its_section_is_shown_with_its_place(self):
        path = self.folder / "bad.yaml"
        path.write_text((HELLO / "meshd.yaml").read_text().replace("greeting:", "greting:"))
        code, text = run(PYTHON, "-m", "meshd.cli.daemon", "--check", "-c", str(path), PYTHONPATH=self.site)
        self.assertNotEqual(code, 0)
        self.assertIn("bad.yaml:5:17", text)
        self.assertIn("greeting", text)

    def run_tests(self, *command):
        code, text = run(PYTHON, "-m", *command, folder=HELLO / "tests", PYTHONPATH=self.site,
                         PYTHONDONTWRITEBYTECODE="1", PYTEST_ADDOPTS="")
        self.assertEqual(code, 0, text)
        return text

    def test_its_own_tests_pass_under_pytest(self):
        text = self.run_tests("pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir=.")
        self.assertRegex(text, r"\d\d passed")

    def test_its_own_tests_pass_under_trial_and_unittest(self):
        folder = self.folder / "trial"
        text = self.run_tests("twisted.trial", "--temp-directory", str(folder), "test_hello_plugin", "test_with_trial")
        self.assertIn("test_signs ...", text)
        self.run_tests("unittest", "test_hello_plugin")


class OneFileTest(HttpFilterContract, TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.folder.chmod(0o755)
        for name in ("maintenance.py", "meshd.yaml"):
            shutil.copyfile(EXAMPLES / "one_file" / name, self.folder / name)
            (self.folder / name).chmod(0o644)
        self.addCleanup(sys.modules.pop, "meshd_plugin_maintenance", None)
        self.site = FakeSite(registry=Registry.load(PluginSettings(dir=folder.name), {}))

    def make(self):
        config = self.site.registry.type("http_filter", "maintenance").config(file=str(self.folder / "closed"))
        return self.site.make("http_filter", "maintenance", config)

    def test_it_passes_the_check(self):
        code, text = run(PYTHON, "-m", "meshd.cli.daemon", "--check", "-c", f"{self.folder}/meshd.yaml")
        self.assertEqual(code, 0, text)

    def test_it_closes_while_the_file_is_there(self):
        made, answers = self.make(), []
        made.start()
        for is_closed in (False, True, False):
            (self.folder / "closed").touch() if is_closed else (self.folder / "closed").unlink(missing_ok=True)
            self.site.advance(1.0)
            exchange = FakeExchange()
            made.on_request(exchange)
            answers.append([reply.status for reply in exchange.replies])
        self.assertEqual(answers, [[], [503], []])
        made.stop()
        self.assertEqual(self.site.world.reactor.getDelayedCalls(), [])
