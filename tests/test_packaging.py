"""What is shipped: packages, entry points, compiled leaves and their pure twins."""

import ast
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from unittest import TestCase

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import meshd
from meshd.hot import COMPILED, PURE, STALE, _digest, compiled, stale, states_in
from tests.tree import PACKAGES, ROOT, modules, setup_cfg, setup_lines

DATA = {"meshd.etc", "meshd.systemd"}
DEBIAN = ROOT / "contrib" / "debian"
MODULES = {"pyyaml": "yaml", "google-re2": "re2"}
"""Requirements whose module is not called as they are; hyphens aside."""


def python(code: str, **environment: str) -> str:
    """Run code in a fresh interpreter and return what it printed."""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=os.environ | environment
    )
    if run.returncode:
        raise AssertionError(run.stderr)
    return run.stdout.strip()


class TestPackages(TestCase):
    def test_setup_cfg_lists_every_folder_with_modules(self):
        folders = {name.rpartition(".")[0] for name, _ in modules()}
        self.assertEqual(sorted(setup_lines("options", "packages")), sorted(folders | DATA))

    def test_every_folder_with_modules_is_a_package(self):
        bare = [path for _, path in modules() if not path.with_name("__init__.py").exists()]
        self.assertEqual(bare, [])

    def test_every_plugin_has_an_entry_point_and_every_entry_point_a_plugin(self):
        named = {line.split("=")[1].strip() for line in setup_lines("options.entry_points", "meshd.plugins")}
        names = {".".join(name.split(".")[:2]) for name, _ in modules() if name.startswith("meshd_plugins.")}
        self.assertEqual(named, names - {"meshd_plugins.__init__"})

    def test_what_is_required_is_imported_and_documented(self):
        text = "\n".join(path.read_text() for _, path in modules())
        page = (ROOT / "docs" / "dependencies.md").read_text()
        for line in setup_lines("options", "install_requires"):
            name = re.match(r"[\w.-]+", line)[0]
            module = MODULES.get(name, name.replace("-", "_"))
            with self.subTest(package=name):
                self.assertRegex(text, rf"(?m)^\s*(import|from) {re.escape(module)}\b")
                self.assertRegex(page, rf"(?m)^\| {re.escape(name)} \|")

    def test_the_examples_and_the_unit_travel_as_package_data(self):
        data = dict(line.split("=") for line in setup_lines("options", "package_dir") if "=" in line)
        folders = {name.strip(): folder.strip() for name, folder in data.items()}
        self.assertTrue((ROOT / folders["meshd.etc"] / "meshd.yaml").is_file())
        self.assertTrue((ROOT / folders["meshd.systemd"] / "meshd.service").is_file())

    def test_each_folder_of_contrib_share_is_installed(self):
        share = ROOT / "contrib" / "share"
        folders = {path.parent.relative_to(ROOT / "contrib").as_posix() for path in share.rglob("*") if path.is_file()}
        data = dict(setup_cfg()["options.data_files"])
        self.assertEqual(data, {folder: f"contrib/{folder}/*" for folder in folders})

    def test_the_changelog_begins_with_this_version(self):
        first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
        self.assertEqual(first[1], meshd.__version__)


class TestDebian(TestCase):
    def test_its_version_is_meshds(self):
        first = re.match(r"meshd \((\S+)\) ", (DEBIAN / "changelog").read_text())
        self.assertEqual(first[1], meshd.__version__)

    def test_what_is_pinned_is_what_is_required(self):
        self.assertEqual(unmet(setup_lines("options", "install_requires"), DEBIAN / "requirements.txt"), [])

    def test_the_pinned_build_requirements_are_those_of_pyproject(self):
        with (ROOT / "pyproject.toml").open("rb") as file:
            required = tomllib.load(file)["build-system"]["requires"]
        self.assertEqual(unmet(required, DEBIAN / "build-requirements.txt"), [])

    def test_every_pin_has_a_hash(self):
        for name in ("requirements.txt", "build-requirements.txt"):
            pins = re.findall(r"(?m)^[\w.-]+==[^\\\n]*(?:\\\n[^\\\n]*)*", (DEBIAN / name).read_text())
            self.assertTrue(pins)
            self.assertEqual([pin for pin in pins if "--hash=sha256:" not in pin], [])

    def test_what_is_installed_exists_and_all_completions_are(self):
        sources = [line.split()[0] for line in (DEBIAN / "install").read_text().splitlines()]
        self.assertEqual([source for source in sources if not list(ROOT.glob(source))], [])
        folders = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "contrib/share").glob("*/*/*")}
        shares = {folder for folder in folders if not folder.startswith("contrib/share/man")}
        self.assertLessEqual({f"{folder}/*" for folder in shares}, set(sources))

    def test_its_scripts_are_valid(self):
        for name in ("postinst", "prerm", "postrm", "install-units", "tests/smoke"):
            run = subprocess.run(["sh", "-n", DEBIAN / name], capture_output=True, text=True, timeout=60)
            self.assertEqual(run.stderr, "", name)


class TestLeaves(TestCase):
    def test_no_library_is_stale(self):
        self.assertEqual(stale(), [], "build them again: python setup.py build_ext --inplace, or pip install .")

    def test_every_pyx_has_a_twin_with_the_same_names(self):
        for _, root in PACKAGES:
            for path in root.rglob("*.pyx"):
                with self.subTest(leaf=path.stem):
                    self.assertEqual(compiled_names(path), pure_names(path.with_suffix(".py")))

    def test_no_source_imports_cython(self):
        for name, path in modules():
            self.assertNotRegex(path.read_text(), r"(?m)^\s*(import|from) cython", name)

    def test_pure_mode_passes_libraries_over(self):
        code = "import meshd.hot; print(set(meshd.hot.compiled().values()) <= {'pure'})"
        self.assertEqual(python(code, MESHD_PURE="1"), "True")

    def test_pure_mode_loads_the_source(self):
        leaves = list(compiled())
        code = f"import importlib\nfor n in {leaves!r}: print(importlib.import_module(n).__file__)"
        files = python(code, MESHD_PURE="1").split()
        self.assertEqual([name for name in files if not name.endswith(".py")], [])


class TestStaleness(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.stem = self.root / "leaf"
        for suffix, text in ((".py", "a = 1\n"), (".pxd", "cdef int a\n")):
            self.stem.with_suffix(suffix).write_text(text)

    def state(self):
        return states_in(self.root, "x")

    def build(self):
        self.stem.with_name("leaf" + EXTENSION_SUFFIXES[0]).write_bytes(b"\x7fELF" + _digest(self.stem) + b"\0")

    def test_a_leaf_without_a_library_is_pure(self):
        self.assertEqual(self.state(), {"x.leaf": PURE})

    def test_a_library_that_carries_the_hash_of_its_source_is_compiled(self):
        self.build()
        self.assertEqual(self.state(), {"x.leaf": COMPILED})

    def test_an_edit_of_the_source_or_of_its_pxd_makes_the_library_stale(self):
        for suffix in (".py", ".pxd"):
            self.build()
            self.stem.with_suffix(suffix).write_text("b = 2\n")
            self.assertEqual(self.state(), {"x.leaf": STALE})

    def test_a_library_that_is_left_from_a_former_leaf_is_stale(self):
        self.build()
        self.stem.with_suffix(".pxd").unlink()
        self.assertEqual(self.state(), {"x.leaf": STALE})


def unmet(required: list[str], lock: Path) -> list[str]:
    """Return the requirements that no pin of a lock file meets."""
    pins = dict(re.findall(r"(?m)^([\w.-]+)==([^\s;\\]+)", lock.read_text()))
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    wanted = [Requirement(line) for line in required]
    return [str(one) for one in wanted if pins.get(canonicalize_name(one.name), "0") not in one.specifier]


def compiled_names(path: Path) -> set[str]:
    """Return the public functions and classes that Python sees of a ``.pyx``."""
    found = re.findall(r"(?m)^(?:def|cpdef(?: [\w* ]+)?|cdef class|class) (\w+)\s*[(:]", path.read_text())
    return {name for name in found if not name.startswith("_")}


def pure_names(path: Path) -> set[str]:
    """Return the public functions and classes of a ``.py``."""
    nodes = ast.parse(path.read_text()).body
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in nodes if isinstance(node, kinds) and not node.name.startswith("_")}
