"""meshctl plugins new: the project that it writes is installed from its wheel, and all of it works."""

import atexit
import configparser
import functools
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import TestCase

import pytest

from meshd.cli.ctl import main
from meshd.cli.plugin.project import LICENCES
from tests.cli.console import run
from tests.cli.stage import LIMIT_S, Stage

pytestmark = pytest.mark.timeout(900)


@functools.cache
def installed():
    """Write a project, build its wheel, install that; return (stage, project's folder). Trial runs no setUpClass."""
    stage = Stage()
    atexit.register(stage.close)
    folder = stage.folder / "meshd-shop-window"
    code, _, err = stage.ctl("new", str(folder), "--author", "Ada Lovelace")
    assert code == 0, err
    done = subprocess.run(  # where setuptools is: in the environment of the tests
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir",
         str(stage.wheels), str(folder)], capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    code, out, err = stage.ctl("install", "--yes", "meshd-shop-window")
    assert code == 0, out + err
    return stage, folder


class ProjectTest(TestCase):
    def setUp(self):
        self.stage, self.project = installed()

    def test_its_plugin_has_nothing_wrong(self):
        code, out, err = self.stage.ctl("check", "meshd-shop-window")
        self.assertEqual(code, 0, out + err)
        self.assertIn("√ shop_window   meshd-shop-window 0.1.0   API >=1,<2 fits 1.0   http_filter/shop_window "
                      "load_balancer/shop_window_sticky\n", out)
        self.assertIn("\n1 plugin, 0 errors, 0 warnings\n", out)

    def test_its_example_passes_the_check(self):
        code, out, err = self.stage.run(
            self.stage.python, "-m", "meshd.cli.daemon", "--check", "-c", str(self.project / "meshd.yaml"))
        self.assertEqual(code, 0, out + err)
        self.assertIn("0 errors, 0 warnings", out)

    def test_its_own_tests_pass_a_real_proxy_included(self):
        code, out, err = self.stage.run(
            self.stage.python, "-m", "pytest", "-p", "no:cacheprovider", "-q", folder=self.project)
        self.assertEqual(code, 0, out + err)
        self.assertRegex(out, r"\b3\d passed")

    def test_its_metadata_says_what_was_asked_for(self):
        text = (next(self.stage.site.glob("meshd_shop_window-*.dist-info")) / "METADATA").read_text()
        for line in ("Name: meshd-shop-window", "Author: Ada Lovelace", "Requires-Dist: meshd",
                     "Keywords: meshd-plugin"):
            self.assertIn(f"{line}\n", text)


class NewTest(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def new(self, name, *arguments):
        """Return (exit code, stdout, stderr) of the verb for a folder of this name."""
        return run(main, "plugins", "new", str(self.folder / name), *arguments)

    def test_names_what_it_has_written(self):
        code, out, err = self.new("meshd-shop")
        self.assertEqual(code, 0, err)
        written = {str(path) for path in (self.folder / "meshd-shop").rglob("*") if path.is_file()}
        self.assertEqual(set(out.splitlines()), written)
        for path in written:
            self.assertNotRegex(Path(path).read_text(), r"\{\{\w+\}\}", path)

    def test_every_licence_is_a_text_with_the_holder_and_none_is_none(self):
        for licence, name in LICENCES.items():
            code, _, err = self.new(f"meshd-{licence[:3]}", "--licence", licence, "--author", "Ada Lovelace")
            self.assertEqual(code, 0, err)
            project = self.folder / f"meshd-{licence[:3]}"
            self.assertRegex((project / "LICENSE").read_text(), r"Copyright .*\d{4}.* Ada Lovelace")
            parser = configparser.ConfigParser()
            parser.read(project / "setup.cfg")
            self.assertEqual(parser["metadata"]["license"], name)
        self.assertEqual(self.new("meshd-shop", "--license", "none")[0], 0)
        self.assertFalse((self.folder / "meshd-shop" / "LICENSE").exists())
        self.assertNotIn("license", (self.folder / "meshd-shop" / "setup.cfg").read_text())

    def test_writes_over_nothing(self):
        project = self.folder / "meshd-shop"
        project.mkdir()
        (project / "setup.cfg").write_text("mine")
        code, out, err = self.new("meshd-shop")
        self.assertEqual((code, out, err), (1, "", f"meshctl: {project}: is there already: expected a new or an empty "
                                            "folder\n"))
        self.assertEqual([path.read_text() for path in project.iterdir()], ["mine"])

    def test_an_empty_folder_will_do(self):
        (self.folder / "meshd-shop").mkdir()
        self.assertEqual(self.new("meshd-shop")[0], 0)

    def test_refuses_names_that_no_plugin_should_have(self):
        for name, hint in (("shop", "meshd-shop would do"), ("meshd-Shop", "meshd-shop would do"),
                           ("meshd_shop", "meshd-shop would do"), ("meshd-", "such as meshd-hello"),
                           ("meshd-2fa", "meshd-fa would do"), ("meshd-plugins", "taken"), ("meshd-on", "taken"),
                           ("meshd-router", "http_filter 'router' is taken by plugin 'router' of meshd")):
            code, out, err = self.new(name)
            self.assertEqual((code, out), (1, ""), name)
            self.assertIn(hint, err)
            self.assertFalse((self.folder / name).exists())

    def test_refuses_texts_that_would_break_the_files(self):
        for option in ("--author", "--description"):
            for text in ("", "two\nlines", 'a "quoted" word', "back\\slash"):
                code, _, err = self.new("meshd-shop", option, text or " ")
                self.assertEqual(code, 1, text)
                self.assertIn("expected one line of text", err)

    def test_a_folder_that_cannot_be_made_is_one_clear_line(self):
        (self.folder / "file").write_text("")
        code, _, err = self.new("file/meshd-shop")
        self.assertEqual(code, 1)
        self.assertRegex(err, r"\Ameshctl: \S+: not a directory\n\Z")

    def test_another_name_than_the_folders(self):
        self.assertEqual(self.new("work", "--name", "meshd-shop")[0], 0)
        self.assertIn("name = meshd-shop\n", (self.folder / "work" / "setup.cfg").read_text())
