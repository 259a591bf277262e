"""What is written for people is true: YAML passes ``meshd --check``, Python compiles, links lead somewhere."""

import contextlib
import io
import re
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from unittest import TestCase

from meshd.cli.daemon import main
from tests.pki import with_secrets
from tests.tree import ROOT

BLOCK = re.compile(
    r"(?m)^(?:<!-- fragment: (?P<fragment>[a-z_]+) -->\n)?```(?P<language>[a-z]+)\n(?P<text>.*?)^```$", re.S
)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)")

CLUSTERS = """
clusters:
  - {name: demo, endpoints: [{address: "127.0.0.1:8081"}]}
"""
LISTENER = "listeners:\n  - name: public\n    address: 127.0.0.1:8080\n"
ROUTER = "router: {virtual_hosts: [{name: a, domains: ['*'], routes: [{match: {prefix: /}, cluster: demo}]}]}"
WRAPPERS = {
    "clusters": (0, "clusters:\n", ""),
    "listener": (4, LISTENER, f"    filters: [{ROUTER}]\n" + CLUSTERS),
    "filters": (6, LISTENER + "    filters:\n", f"      - {ROUTER}\n" + CLUSTERS),
    "router": (6, LISTENER + "    filters:\n", CLUSTERS),
    "virtual_hosts": (12, LISTENER + "    filters:\n      - router:\n          virtual_hosts:\n", CLUSTERS),
    "routes": (
        16,
        LISTENER + "    filters:\n      - router:\n          virtual_hosts:\n"
        "            - name: a\n              domains: ['*']\n              routes:\n",
        CLUSTERS,
    ),
    "telemetry": (0, "telemetry:\n", ""),
}
"""What a fragment is put into: (spaces before its lines, text before it, text after it)."""


def pages() -> list[Path]:
    """Return the pages for people."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(language: str) -> Iterator[tuple[str, str, str]]:
    """Yield (place, fragment's kind or '', text) of each block of code in one language."""
    for path in pages():
        text = path.read_text()
        for block in BLOCK.finditer(text):
            if block["language"] == language:
                line = text.count("\n", 0, block.start("text"))
                yield f"{path.name}:{line}", block["fragment"] or "", block["text"]


def whole(fragment: str, text: str) -> str:
    """Return a configuration file that has the fragment in its place."""
    if not fragment:
        return text
    spaces, before, after = WRAPPERS[fragment]
    return before + textwrap.indent(text, " " * spaces) + after


def check(path: Path) -> str:
    """Return what ``meshd --check`` has against a file, or ''."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        code = main(["--check", "--color", "never", "-c", str(path)])
    return "" if code == 0 else f"exit {code}: {out.getvalue()}"


class TestDocs(TestCase):
    def test_every_file_in_etc_passes_the_check(self):
        files = sorted((ROOT / "etc").rglob("*.yaml"))
        self.assertTrue(files)
        for path in files:
            text = path.read_text()
            with self.subTest(file=path.name), tempfile.TemporaryDirectory() as folder:
                self.assertEqual(check(with_secrets(folder, text) if "secrets:" in text else path), "")

    def test_every_yaml_block_passes_the_check(self):
        for place, fragment, text in blocks("yaml"):
            with self.subTest(block=place), tempfile.TemporaryDirectory() as folder:
                self.assertEqual(check(with_secrets(folder, whole(fragment, text))), "")

    def test_a_fault_in_a_block_would_be_seen(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "meshd.yaml")
            path.write_text(whole("clusters", "- {name: a, endpoint: []}\n"))
            self.assertIn("endpoint", check(path))

    def test_every_python_block_compiles(self):
        for place, _, text in blocks("python"):
            with self.subTest(block=place):
                compile(text, place, "exec")

    def test_every_link_leads_to_a_file(self):
        for path in pages():
            for target in LINK.findall(path.read_text()):
                self.assertTrue((path.parent / target).exists(), f"{path.name}: {target}")

    def test_the_ci_runs_the_commands_of_the_readme(self):
        commands = re.findall(r"(?m)^python3 -m venv .*$", (ROOT / "README.md").read_text())
        self.assertEqual(len(commands), 2)
        self.assertIn(commands[1], (ROOT / ".ci" / "run").read_text())
