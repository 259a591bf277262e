"""Who may import whom: the table of docs/architecture.md, and the rules beside it."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from unittest import TestCase

from tests.tree import ROOT, modules, setup_lines, syntax

NAMES = {"google-re2": "re2", "pyyaml": "yaml", "attrs": "attrs attr", "zope.interface": "zope"}
TESTING = "testing"


def ranks() -> dict[str, int]:
    """Return the rank of each top-level package or module of meshd, as the table has it."""
    table = {}
    for line in (ROOT / "docs" / "architecture.md").read_text().splitlines():
        if row := re.match(r"\| (\d+) \| ([^|]+)\|", line):
            table.update({name.rstrip("/"): int(row[1]) for name in re.findall(r"`([a-z_]+/?)`", row[2])})
    return table


def declared() -> set[str]:
    """Return the import names of the packages that setup.cfg requires."""
    lines = setup_lines("options", "install_requires")
    projects = [re.match(r"[A-Za-z0-9._-]+", line)[0].lower() for line in lines]
    return {name for project in projects for name in NAMES.get(project, project.replace("-", "_")).split()}


def imports(name: str, path) -> Iterator[tuple[str, int]]:
    """Yield (dotted name, line) of everything that a module imports, also within functions."""
    package = name.split(".")[:-1]
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *filter(None, [node.module])])
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def layer_breach(name: str, target: str, table: dict[str, int]) -> str:
    """Return what is wrong with ``meshd.x`` importing ``target``, or ''."""
    own, other = name.split(".")[1], target.split(".")[1] if "." in target else ""
    if target.startswith("meshd_plugins"):
        return "meshd imports no plugin: plugins come through entry points"
    if not target.startswith("meshd.") or own in ("__init__", TESTING) or other in (own, "__version__"):
        return ""
    if other == TESTING:
        return "only tests import meshd.testing"
    if other not in table:
        return f"{other} has no rank in docs/architecture.md"
    low, high = table[other], table.get(own, -1)
    return "" if low < high else f"rank {high} may not import rank {low}"


def plugin_breach(name: str, target: str) -> str:
    """Return what is wrong with a plugin's module importing ``target``, or ''."""
    top = target.split(".")[0]
    if top == "meshd":
        return "" if re.match(r"meshd\.api(\.|$)", target) else "a plugin imports meshd.api only"
    if top == "meshd_plugins":
        own = name.split(".")[1]
        return "" if target.split(".")[1:2] == [own] else "a plugin imports its own folder only"
    is_known = top in sys.stdlib_module_names or top in declared()
    return "" if is_known else f"{top} is not in setup.cfg's install_requires"


class TestLayers(TestCase):
    def test_each_module_imports_from_lower_ranks_only(self):
        table = ranks()
        self.assertGreater(len(table), 12)
        for name, path in modules():
            for target, line in imports(name, path):
                is_plugin = name.startswith("meshd_plugins.")
                breach = plugin_breach(name, target) if is_plugin else layer_breach(name, target, table)
                self.assertFalse(breach, f"{path}:{line}: {name} imports {target}: {breach}")

    def test_only_the_command_line_imports_the_global_reactor(self):
        for name, path in modules():
            for target, line in imports(name, path):
                if target.startswith("twisted.internet.reactor"):
                    self.assertTrue(name.startswith("meshd.cli."), f"{path}:{line}: {name} imports the global reactor")

    def test_nothing_imports_asyncio(self):
        for name, path in modules():
            for target, line in imports(name, path):
                self.assertNotEqual(target.split(".")[0], "asyncio", f"{path}:{line}: {name} imports asyncio")

    def test_time_and_chance_come_from_outside(self):
        for name, path in modules():
            if name in ("meshd.runtime.clock", "meshd.supervisor.__main__"):
                continue
            for target, line in (*imports(name, path), *module_attributes(path)):
                is_bad = target == "time.time" or re.match(r"random\.(?!Random$|SystemRandom$)", target)
                self.assertFalse(is_bad, f"{path}:{line}: {name} uses {target}: expected site.clock or site.random")

    def test_every_shipped_plugin_loads_without_a_reactor_or_a_loop(self):
        self.refuse("twisted.internet.reactor", "twisted.internet.asyncioreactor", "uvloop", "grpc", "twisted.web")

    def test_what_takes_memory_is_imported_only_where_it_is_configured(self):
        self.refuse("twisted.names", "brotli", "isal", "meshd_plugins.consistent_hash.table",
                    "meshd_plugins.rate_limit.redis", "meshd_plugins.discovery.kubernetes_source")

    def refuse(self, *bad):
        """Import every shipped plugin in a fresh process; none of these modules may come with them."""
        names = [line.split("=")[1].strip() for line in setup_lines("options.entry_points", "meshd.plugins")]
        code = f"""
import importlib, sys
for name in {names!r}:
    importlib.import_module(name)
    for bad in {bad!r}:
        assert bad not in sys.modules, f"{{name}} imports {{bad}}"
"""
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
        self.assertEqual(run.returncode, 0, run.stderr)


def module_attributes(path) -> Iterator[tuple[str, int]]:
    """Yield (``module.attribute``, line) for what a file takes from the modules time and random by attribute."""
    tree = syntax(path)
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
            yield f"{node.value.id}.{node.attr}", node.lineno
