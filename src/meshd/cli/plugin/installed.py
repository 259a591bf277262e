"""The distributions of meshd's own environment, and who requires what; read from their metadata, nothing is loaded."""

import hashlib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from meshd.api import GROUP

MESHD = "meshd"


class Installed:
    """What is installed as this object is made. Names are canonical (``meshd-hello``, PEP 503)."""

    def __init__(self) -> None:
        importlib.invalidate_caches()
        self._all: dict[str, Any] = {}
        for dist in metadata.distributions():
            name = dist.metadata["Name"]
            if name:
                self._all.setdefault(canonicalize_name(name), dist)  # the first on the path is what gets imported

    def get(self, name: str) -> Any:
        """Return the distribution, or None."""
        return self._all.get(canonicalize_name(name))

    def version(self, name: str) -> str | None:
        """Return the version that is installed, or None."""
        dist = self.get(name)
        return None if dist is None else dist.version

    def digest(self, name: str) -> str:
        """Return a digest of where it is and of its files, "" where it is not installed: another build has another."""
        dist = self.get(name)
        text = None if dist is None else f"{dist.locate_file('')}\n{dist.read_text('RECORD') or dist.version}"
        return "" if text is None else hashlib.sha256(text.encode()).hexdigest()

    def plugins(self) -> dict[str, tuple[str, ...]]:
        """Return the distributions that offer plugins, meshd's own left out, with the names of their entry points."""
        found = {}
        for name, dist in sorted(self._all.items()):
            points = tuple(sorted(point.name for point in dist.entry_points if point.group == GROUP))
            if points and name != MESHD:
                found[name] = points
        return found

    def is_direct(self, name: str) -> bool:
        """Say whether it was installed from a folder, a file or an address, and not by its name."""
        dist = self.get(name)
        return dist is not None and dist.read_text("direct_url.json") is not None

    def requirements(self, name: str, extras: Iterable[str] = ()) -> Iterator[Requirement]:
        """Yield what a distribution requires here; requirements that cannot be read are left out."""
        dist = self.get(name)
        for line in (dist.requires or ()) if dist is not None else ():
            requirement = _requirement(line, extras)
            if requirement is not None:
                yield requirement

    def closure(self, *names: str) -> set[str]:
        """Return these distributions and all that they require, directly or not, as far as it is installed."""
        seen: set[tuple[str, tuple[str, ...]]] = set()
        todo: list[tuple[str, tuple[str, ...]]] = [(canonicalize_name(name), ()) for name in names]
        while todo:
            name, extras = one = todo.pop()
            if one in seen or name not in self._all:
                continue
            seen.add(one)
            todo += [(canonicalize_name(need.name), tuple(sorted(need.extras)))
                     for need in self.requirements(name, extras)]
        return {name for name, _ in seen}

    def users(self, name: str) -> list[str]:
        """Return the distributions that require ``name``."""
        return [other for other in sorted(self._all)
                if any(canonicalize_name(need.name) == name for need in self.requirements(other))]

    def unmet(self, name: str, versions: Mapping[str, str] | None = None) -> Iterator[str]:
        """Yield each requirement of ``name`` that is not met; ``versions`` go before those that are installed."""
        for need in self.requirements(name):
            other = canonicalize_name(need.name)
            version = (versions or {}).get(other) or self.version(other)
            if version is None:
                yield f"requires {_text(need)}: not installed"
            elif not need.specifier.contains(version, prereleases=True):
                yield f"requires {_text(need)}: {other} {version}"


def _requirement(line: str, extras: Iterable[str]) -> Requirement | None:
    try:
        found = Requirement(line)
    except InvalidRequirement:
        return None
    is_meant = found.marker is None or any(found.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    return found if is_meant else None


def _text(need: Requirement) -> str:
    return f"{need.name}{need.specifier}"
