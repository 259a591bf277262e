"""``meshctl plugins new``: writes the project of a plugin out of ``template/``, and never over anything."""

import re
from pathlib import Path
from typing import Any

import attrs
import click
from packaging.utils import canonicalize_name

from meshd.api import API_VERSION

TEMPLATE = Path(__file__).with_name("template")
FILES = {
    "setup.cfg": "setup.cfg.in",
    "pyproject.toml": "pyproject.toml.in",
    "README.md": "readme.md.in",
    ".gitignore": "gitignore.in",
    "meshd.yaml": "meshd.yaml.in",
    "src/{{module}}/__init__.py": "init.py.in",
    "src/{{module}}/filter.py": "filter.py.in",
    "src/{{module}}/balancer.py": "balancer.py.in",
    "tests/test_filter.py": "test_filter.py.in",
    "tests/test_balancer.py": "test_balancer.py.in",
    "tests/test_proxy.py": "test_proxy.py.in",
}
LICENCES = {"apache-2.0": "Apache-2.0", "mit": "MIT", "bsd-3-clause": "BSD-3-Clause"}
NO_LICENCE = "none"
PREFIX = "meshd-"
_NAME = re.compile(r"meshd-[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PLACE = re.compile(r"\{\{(\w+)\}\}")
MAX_NAME_CHARACTERS = 60
RESERVED = (
    "plugins", "name", "on-error", "disabled", "isolation", "percent", "canary-of", "null", "true", "false", "yes",
    "no", "on", "off", "y", "n",
)
"""meshd's own package, keys that stand beside a filter's type, and words that YAML reads as something else."""


@attrs.frozen(kw_only=True)
class Project:
    """The project of the distribution ``name``; raises ClickException where no plugin can be called so."""

    name: str
    licence: str
    author: str
    description: str
    year: int

    def __attrs_post_init__(self) -> None:
        if self.name in [PREFIX + word for word in RESERVED]:
            raise click.ClickException(f"name {self.name!r}: taken: expected another word after {PREFIX}")
        if not _NAME.fullmatch(self.name) or len(self.name) > MAX_NAME_CHARACTERS:
            raise click.ClickException(f"name {self.name!r}: expected {PREFIX} and words of lower-case letters and "
                                       f"digits, joined by '-'\nhelp: {_better(self.name)}")
        for what in ("author", "description"):
            text = getattr(self, what)
            if not text.strip() or not text.isprintable() or set(text) & set('"\\%'):
                raise click.ClickException(f'{what} {text!r}: expected one line of text without ", % and backslashes')

    @property
    def short(self) -> str:
        """The name without its prefix."""
        return self.name.removeprefix(PREFIX)

    @property
    def type(self) -> str:
        """The name of the filter's type, and of the entry point."""
        return self.short.replace("-", "_")

    def check_free(self, registry: Any) -> None:
        """Raise ClickException where another distribution offers these types already."""
        for kind, name in (("http_filter", self.type), ("load_balancer", f"{self.type}_sticky")):
            other = registry.entry(kind, name)
            if other is not None and canonicalize_name(other.distribution) != self.name:
                raise click.ClickException(
                    f"name {self.name!r}: {kind} {name!r} is taken by {other.label}: expected another name")

    def write(self, folder: Path) -> list[str]:
        """Write all files into ``folder``, which must be new or empty; return their names."""
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise click.ClickException(f"{folder}: is there already: expected a new or an empty folder")
        files = {self._filled(name): self._filled((TEMPLATE / file).read_text()) for name, file in FILES.items()}
        if self.licence != NO_LICENCE:
            files["LICENSE"] = self._filled((TEMPLATE / f"{self.licence}.in").read_text())
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return sorted(files)

    def _filled(self, text: str) -> str:
        words = self._words()
        return _PLACE.sub(lambda place: words[place[1]], text)

    def _words(self) -> dict[str, str]:
        licence = LICENCES.get(self.licence, "")
        return {
            "name": self.name, "short": self.short, "type": self.type, "module": self.name.replace("-", "_"),
            "author": self.author, "description": self.description.rstrip("."), "year": str(self.year),
            "api": f">={API_VERSION[0]},<{API_VERSION[0] + 1}",
            "licence_lines": f"license = {licence}\nlicense_files = LICENSE\n" if licence else "",
            "licence_sentence": f"\nLicence: [{licence}](LICENSE)" if licence else "",
        }


def _better(name: str) -> str:
    """Return a name that would do, made of ``name``."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-").removeprefix("meshd")
    better = PREFIX + words.lstrip("-0123456789")[:40].strip("-")
    return f"{better} would do" if _NAME.fullmatch(better) else "such as meshd-hello"
