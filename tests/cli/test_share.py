"""contrib/share: what is checked in is what the code makes, it is complete, and readers of man pages accept it."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from unittest import SkipTest

import click
from twisted.trial.unittest import SynchronousTestCase

from meshd.cli import daemon
from meshd.cli.ctl import VERBS, root
from meshd.cli.share import man_config, roff
from meshd.cli.share.tree import make_tree
from tests.cli.console import run
from tests.tree import ROOT, modules

SHARE = ROOT / "contrib" / "share"
AGAIN = f"run: {roff.AGAIN}"


def plain(page: str) -> str:
    """Return a page's source without the marks of roff, spaces between words."""
    text = re.sub(r"\\f[A-Z]", "", (SHARE / "man" / page).read_text()).replace("\\-", "-").replace("\\e", "\\")
    return " ".join(text.split())


def verbs(command: click.Command, words: tuple[str, ...]):
    """Yield (words, command) of everything below a group."""
    for name in VERBS if command is root else command.commands:
        found = command.get_command(None, name)
        yield (*words, name), found
        if isinstance(found, click.Group):
            yield from verbs(found, (*words, name))


class Tree(SynchronousTestCase):
    def test_the_files_are_up_to_date(self):
        for name, text in make_tree().items():
            is_of_click = "meshctl" in name and not name.startswith("man/")  # differs with click's version
            self.assertTrue(is_of_click or (SHARE / name).read_text() == text, f"{name}: {AGAIN}")

    def test_nothing_else_lies_there(self):
        found = {path.relative_to(SHARE).as_posix() for path in SHARE.rglob("*") if path.is_file()}
        self.assertEqual(found, set(make_tree()), AGAIN)


class Pages(SynchronousTestCase):
    def test_meshd_has_every_option_and_its_words(self):
        page = plain("man8/meshd.8")
        for action in daemon.make_parser()._actions:
            for text in (*action.option_strings, "|".join(action.choices or ())):
                self.assertIn(text, page)

    def test_meshd_has_every_section_of_the_help(self):
        page = plain("man8/meshd.8")
        texts = ("HUP reload", "TERM, INT drain", "78 configuration fault", '.SH "EXIT STATUS"', "meshd --check -o")
        for text in texts:
            self.assertIn(text, page)

    def test_meshctl_has_every_verb_and_option(self):
        page = plain("man1/meshctl.1")
        found = list(verbs(root, ("meshctl",)))
        self.assertGreater(len(found), len(VERBS))
        for words, command in found:
            self.assertIn(f'.SS "{" ".join(words)} [OPTIONS]', page)
            part = page.split(f'.SS "{" ".join(words)} [OPTIONS]')[1].split(".SS")[0]
            for name in (name for one in command.params for name in one.opts if name.startswith("-")):
                self.assertIn(name, part, words)

    def test_each_verb_stands_in_the_page_of_meshctl(self):
        page = (ROOT / "docs" / "meshctl.md").read_text()
        for name in VERBS:
            self.assertIn(f"\n| `{name}", page)

    def test_meshctl_shows_each_verb_as_its_help_does(self):
        page = plain("man1/meshctl.1")
        for words, command in verbs(root, ("meshctl",)):
            if not isinstance(command, click.Group):
                usage = " ".join(command.collect_usage_pieces(click.Context(command)))
                self.assertIn(f'SS "{" ".join(words)} {usage.replace("{", "").replace("}", "")}"', page)

    def test_the_configuration_page_has_every_key_of_the_reference(self):
        page = plain("man5/meshd.yaml.5")
        keys = re.findall(r"(?m)^\| `(\w+)` \|", (ROOT / "docs" / "configuration.md").read_text())
        self.assertGreater(len(keys), 100)
        self.assertEqual([key for key in keys if f".TP {key} (" not in page], [])

    def test_the_example_is_a_valid_configuration(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "meshd.yaml")
            path.write_text(man_config.EXAMPLE)
            self.assertEqual(run(daemon.main, "--check", "-c", str(path))[0], 0)

    def test_each_variable_that_is_read_is_in_a_page(self):
        pages = plain("man8/meshd.8") + plain("man1/meshctl.1")
        read = re.compile(r"""(?:environ\w*(?:\.get\(|\[|\.setdefault\()|getenv\(|envvar=)\s*["'](MESHD_[A-Z_]+)""")
        found = {name for _, path in modules() for name in read.findall(path.read_text())}
        self.assertLessEqual({"MESHD_ADMIN", "MESHD_PURE"}, found)
        missing = [name for name in sorted(found) if name not in pages]
        self.assertEqual(missing, [], "name it in cli/share/man_daemon.py")

    def test_mandoc_has_nothing_against_them(self):
        self.lint("mandoc", "-Tlint", "-Wwarning")

    def test_man_has_nothing_against_them(self):
        self.lint("man", "--warnings", "-Tutf8", "-Z", "-l")

    def lint(self, program, *options):
        """Assert that a reader of man pages says nothing."""
        if shutil.which(program) is None:
            raise SkipTest(f"{program} is not installed")
        for path in sorted((SHARE / "man").rglob("*.?")):
            run = subprocess.run(
                [program, *options, path], text=True, timeout=60, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
                stdout=subprocess.PIPE if program == "mandoc" else subprocess.DEVNULL, stderr=subprocess.PIPE)
            self.assertEqual((run.stdout or "") + run.stderr, "")


class Roff(SynchronousTestCase):
    def test_text_is_shown_as_it_is(self):
        self.assertEqual(roff.escape("a\\b --c \u221a"), "a\\eb \\-\\-c \\[u221A]")

    def test_no_line_of_text_is_a_request(self):
        self.assertEqual(roff.fill(".5 is text"), ["\\&.5 is text"])
        self.assertEqual(roff.verbatim(["'a"])[2], "\\&'a")
        self.assertEqual(roff.tagged("..", "b")[1], "\\&..")

    def test_markdown_within_a_line(self):
        text = roff.inline("**a**: `b-c`, [d](https://e/f-g), [h](i.md)")
        self.assertEqual(text, "\\fBa\\fR: \\fBb\\-c\\fR, d (https://e/f\\-g), h")

    def test_sections_of_a_help(self):
        text = "\b\nexamples:\n  a: b\n    c\n\nexit codes:\n  0 fine   1, 2 not fine\n"
        found = dict(roff.epilog_sections(text))
        self.assertEqual(found, {"examples": ["a: b", "  c"], "exit codes": ["0 fine   1, 2 not fine"]})
        self.assertEqual(list(roff.items(found["exit codes"])), [("0", "fine"), ("1, 2", "not fine")])
        self.assertRaises(ValueError, list, roff.items(["nothing but small letters"]))

    def test_a_page_of_markdown(self):
        page = "# t\n\n<!-- c -->\n\nA `b`.\n\n## H\n\n| key | value | default | |\n|---|---|---|---|\n" \
               "| `k` | a \\| b | required | what |\n\n* **one**: two\n  three\n* **four**: five\n"
        self.assertEqual("\n".join(man_config.from_markdown(page)), (
            "A \\fBb\\fR.\n.SH \"H\"\n.TP\n\\fBk\\fR (a | b; required)\nwhat\n"
            ".TP\n\\fBone\\fR\ntwo three\n.TP\n\\fBfour\\fR\nfive"))
