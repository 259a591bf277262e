"""The lock file: the plugin distributions and what they brought, each with the hash of its file; pip can read it.

The same installation gives the same bytes, whatever the order in which it came about.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import click
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from meshd.cli.plugin.installed import MESHD, Installed
from meshd.cli.plugin.plan import Item, Plan

NAME = "plugins.lock"
HEADER = """\
# Written by "meshctl plugins": the plugins of this meshd, and what they brought.
# On another host:  meshctl plugins install --yes -r plugins.lock   (or: pip install --require-hashes -r plugins.lock)
"""
_HASH = re.compile(r"--hash=(\w+:[0-9a-f]+)")


class Lock:
    """A lock file. ``lines`` are its requirements by name; a file that is not there yet has none."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._text = _read(path)
        self.lines = _parsed(self._text, path)

    def check_writable(self) -> None:
        """Raise ClickException where the file cannot be written."""
        folder = os.path.dirname(os.path.abspath(self.path))
        if not os.path.isdir(folder):
            raise click.ClickException(f"lock {self.path}: {folder}: no such folder: expected one for the lock file")
        if not os.access(folder, os.W_OK):
            raise click.ClickException(
                f"lock {self.path}: {folder}: no write permission\nhelp: run it as root (sudo), or name another --lock")

    def update(self, plan: Plan, installed: Installed) -> None:
        """Take in what was installed, leave out what has gone, and write the file where that changes it."""
        wanted = installed.closure(*installed.plugins()) - {MESHD}
        lines = {**self.lines, **{item.name: _line(item) for item in plan.items if item.hashes}}
        self.lines = {name: line for name, line in sorted(lines.items())
                      if name in wanted and _version(line) in (None, installed.version(name))}
        unknown = [f"# {name}=={installed.version(name)}: no hash is known, it was installed otherwise\n"
                   for name in sorted(wanted - installed.closure(MESHD) - set(self.lines))]
        text = HEADER + "".join(_wrapped(line) for line in self.lines.values()) + "".join(unknown)
        if text != self._text:
            _write(self.path, text)
            self._text = text


def _line(item: Item) -> str:
    """Return the requirement for other hosts: a file of this one is named by its version and hash alone."""
    where = f"{item.name} @ {item.url}" if item.is_direct and not item.url.startswith("file:") else (
        f"{item.name}=={item.version}")
    return " ".join([where, *(f"--hash={one}" for one in item.hashes)])


def _wrapped(line: str) -> str:
    what, *hashes = re.split(r" (?=--hash=)", line)
    return " \\\n    ".join([what, *hashes]) + "\n"


def _version(line: str) -> str | None:
    found = re.match(r"[\w.-]+==(\S+)", line)
    return found[1] if found else None


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8"
        raise click.ClickException(f"lock {path}: {why.lower()}: expected a file of requirements with hashes") from None


def _parsed(text: str, path: str) -> Mapping[str, str]:
    lines = {}
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        line = line.partition("#")[0].strip() if line.startswith("#") else line.strip()
        if not line:
            continue
        try:
            name = canonicalize_name(Requirement(line.partition("--hash=")[0].strip()).name)
        except InvalidRequirement:
            raise click.ClickException(f"lock {path}: {line!r}: expected NAME==VERSION --hash=sha256:...") from None
        hashes = [f"--hash={one}" for one in _HASH.findall(line)]
        lines[name] = " ".join([line.partition("--hash=")[0].strip(), *hashes])
    return lines


def _write(path: str, text: str) -> None:
    """Write by way of a new file, so that nobody reads half of it."""
    try:
        handle, name = tempfile.mkstemp(prefix=".plugins.lock-", dir=os.path.dirname(os.path.abspath(path)))
        with open(handle, "w") as file:
            file.write(text)
            os.fchmod(handle, 0o644)
        os.replace(name, path)
    except OSError as error:
        raise click.ClickException(f"lock {path}: {(error.strerror or str(error)).lower()}") from None
