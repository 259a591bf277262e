"""The checkout as the repository-wide tests read it: its files, their syntax trees, and setup.cfg."""

import ast
import configparser
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (("meshd", ROOT / "src" / "meshd"), ("meshd_plugins", ROOT / "plugins"))


def modules() -> Iterator[tuple[str, Path]]:
    """Yield (dotted name, path) of every module that is shipped; a package's own module ends in ``.__init__``."""
    for package, root in PACKAGES:
        for path in sorted(root.rglob("*.py")):
            yield ".".join((package, *path.relative_to(root).with_suffix("").parts)), path


def sources() -> list[Path]:
    """Return every Python file of the project."""
    found = [ROOT / "setup.py", *(path for _, path in modules())]
    for folder in ("tests", "contrib"):
        found += sorted((ROOT / folder).rglob("*.py"))
    return found


@cache
def syntax(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(), path.as_posix())


@cache
def setup_cfg() -> configparser.ConfigParser:
    """Return setup.cfg."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def setup_lines(section: str, key: str) -> list[str]:
    """Return the lines of one value of setup.cfg."""
    return [line.strip() for line in setup_cfg()[section][key].splitlines() if line.strip()]
