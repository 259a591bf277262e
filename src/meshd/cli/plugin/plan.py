"""What an installation would come to: pip's own resolution (its report of a dry run), read and judged."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import attrs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from meshd.cli.plugin.installed import MESHD, Installed

_DEPENDS = re.compile(r"^\s+(?P<who>\S+ \S+) depends on (?P<what>.+)$", re.M)
_ASKED = re.compile(r"^\s+The user requested (?P<what>[^(].*)$", re.M)
_FOUND_NONE = re.compile(r"satisfies the requirement (?P<what>.+?) \(from (?P<who>[^()]+)\)", re.M)


@attrs.frozen(kw_only=True)
class Item:
    """One distribution that would be installed. ``hashes`` (``sha256:...``) are empty for folders and repositories."""

    name: str
    version: str
    previous: str | None = None
    url: str = ""
    hashes: tuple[str, ...] = ()
    is_direct: bool = False

    @property
    def change(self) -> str:
        """Say in one word what happens to it: new, upgrade, downgrade or reinstall."""
        if self.previous is None:
            return "new"
        if self.previous == self.version:
            return "reinstall"
        try:
            return "upgrade" if Version(self.version) > Version(self.previous) else "downgrade"
        except InvalidVersion:
            return "change"

    @property
    def line(self) -> str:
        """The requirement that means exactly this file or folder."""
        where = f"{self.name} @ {self.url}" if self.is_direct else f"{self.name}=={self.version}"
        return " ".join([where, *(f"--hash={one}" for one in self.hashes)])


@attrs.frozen
class Plan:
    """All distributions that would be installed, by name."""

    items: tuple[Item, ...]

    @classmethod
    def of_report(cls, report: dict[str, Any], installed: Installed) -> "Plan":
        """Read ``pip install --report`` (pip's installation report, version 1)."""
        items = [_item(row, installed) for row in report["install"]]
        return cls(tuple(sorted(items, key=lambda item: item.name)))

    @property
    def versions(self) -> dict[str, str]:
        """The version of each name."""
        return {item.name: item.version for item in self.items}

    def changed_libraries(self, installed: Installed) -> tuple[Item, ...]:
        """Return the items that meshd itself requires and that would change."""
        ours = installed.closure(MESHD)
        return tuple(item for item in self.items if item.name in ours and item.previous is not None)

    def refusals(self, installed: Installed) -> Iterator[str]:
        """Yield why this must not be installed: it changes meshd, or breaks what meshd or a plugin requires."""
        versions = self.versions
        if MESHD in versions:
            yield f"it would put meshd {versions[MESHD]} in the place of meshd {installed.version(MESHD)}"
        for name in sorted(installed.closure(MESHD, *installed.plugins()) - set(versions)):
            before = set(installed.unmet(name))
            for text in installed.unmet(name, versions):
                if text not in before:
                    yield f"{name} {installed.version(name)} {text} would be installed"


def clashes(text: str) -> list[str]:
    """Return which requirements on meshd, or of meshd, kept pip from a resolution, out of what it said."""
    needs = [(match["who"], _requirement(match["what"])) for pattern in (_DEPENDS, _FOUND_NONE)
             for match in pattern.finditer(text)]
    ours = {need.name for who, need in needs if need is not None and who.split()[0] == MESHD}
    found = [f"{who} requires {need}" for who, need in needs if _matters(need, ours)]
    asked = [_requirement(match["what"]) for match in _ASKED.finditer(text)]
    found += [f"{need} was asked for" for need in asked if _matters(need, set())]
    return list(dict.fromkeys(found))


def _matters(need: Requirement | None, ours: set[str]) -> bool:
    if need is None:
        return False
    return need.name in ours or canonicalize_name(need.name) == MESHD and bool(need.specifier or need.url)


def _requirement(text: str) -> Requirement | None:
    try:
        return Requirement(text.strip())
    except InvalidRequirement:
        return None


def _item(row: dict[str, Any], installed: Installed) -> Item:
    about, source = row["metadata"], row["download_info"]
    name = canonicalize_name(about["name"])
    return Item(
        name=name, version=about["version"], previous=installed.version(name), url=_url(source),
        hashes=_hashes(source),
        is_direct=row.get("is_direct", False),
    )


def _hashes(source: dict[str, Any]) -> tuple[str, ...]:
    """Return the hashes of an archive, in the words of pip 22.2 and newer.

    Before 23.0 pip says one hash in its old way; before 23.1 (Debian 12 has 23.0) it says none for a file of this host.
    """
    archive = source.get("archive_info")
    if archive is None:
        return ()
    place = urlsplit(source["url"])
    known = archive.get("hashes", {})
    if not known and "hash" in archive:
        known = dict([archive["hash"].split("=", 1)])
    if not known and place.scheme == "file":
        with open(url2pathname(place.path), "rb") as file:
            known = {"sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    return tuple(f"{kind}:{value}" for kind, value in sorted(known.items()))


def _url(source: dict[str, Any]) -> str:
    """Return the address as a requirement has it: a repository's names the commit."""
    url = source["url"]
    if "vcs_info" in source:
        url = f"{source['vcs_info']['vcs']}+{url}@{source['vcs_info']['commit_id']}"
    return f"{url}#subdirectory={source['subdirectory']}" if source.get("subdirectory") else url
