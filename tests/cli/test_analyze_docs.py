"""The transcripts of meshctl analyze, typed in: files are those that a page shows, the rest is what meshctl says."""

import contextlib
import re
import shlex
import tempfile
from pathlib import Path
from unittest import TestCase

from meshd.cli.ctl import main
from tests.cli.console import run
from tests.tree import ROOT

BLOCK = re.compile(r"<!-- tested: analyze -->\n```console\n(.*?)```", re.S)


class TestPage(TestCase):
    def test_meshctl_says_what_the_pages_show(self):
        for page, count in (("analysis.md", 2), ("meshctl.md", 1)):
            with self.subTest(page=page):
                self.assertEqual(self.run_page(page), count)

    def run_page(self, page):
        """Return how many commands the page's transcript has; each says what is shown."""
        text = BLOCK.search((ROOT / "docs" / page).read_text())[1]
        ran = 0
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            for part in re.split(r"(?m)^\$ ", text)[1:]:
                command, _, shown = part.partition("\n")
                program, *words = shlex.split(command)
                if program == "cat":
                    Path(words[0]).parent.mkdir(exist_ok=True)
                    Path(words[0]).write_text(shown)
                    continue
                ran += 1
                out = re.sub(r"\(\d+ ms\)", "(42 ms)", run(main, *words)[1])
                self.assertEqual((program, out), ("meshctl", shown))
        return ran
