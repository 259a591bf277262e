"""The plugins of a child: those that its filter's configuration names, and others when they are asked for."""

from typing import Any

from meshd.api import PluginError, PluginType
from meshd.isolation.message import Opening
from meshd.registry import LOADED, Entry
from meshd.registry.entry import Loader
from meshd.registry.source import Source, installed, local


class ChildRegistry:
    """Has ``type``, ``entry`` and ``names`` as ``Registry`` has; loads a module when a type of it is first wanted.

    Only what the parent runs is loaded: where other code is installed by now, the child is refused.
    """

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._sources: dict[tuple[str, str], Source] = {}
        self._places = {(kind, name): place for kind, name, place in opening.types}
        self._loader = Loader()
        self._loaded: dict[tuple[str, str], Entry] = {}
        for one in installed():
            self._sources[one.name, one.distribution] = one
        for one in local(opening.dir) if opening.dir is not None else ():
            self._sources[one.name, one.distribution] = one
        for key in opening.entries:
            self._load(key)

    def _load(self, key: tuple[str, str]) -> Entry:
        found = self._loaded.get(key)
        if found is not None:
            return found
        source = self._sources.get(key)
        if source is None:
            raise PluginError(f"plugin {key[0]!r} of {key[1]}: expected it to be installed as the parent has it")
        if self._opening.fingerprint and _row(source) not in self._opening.fingerprint:
            text = "other code is installed than meshd runs: expected a restart of meshd"
            raise PluginError(f"plugin {key[0]!r} of {key[1]}: {text}")
        entry = self._loaded[key] = self._loader.load(source)
        if entry.status != LOADED:
            raise PluginError(f"{entry.label}: not loaded: {entry.reason}")
        return entry

    def type(self, kind: str, name: str) -> PluginType | None:
        """Return the type, or None where no plugin of the parent offers it."""
        entry = self.entry(kind, name)
        return None if entry is None else next(one for one in entry.types if (one.kind, one.name) == (kind, name))

    def entry(self, kind: str, name: str) -> Any:
        """Return the plugin that offers the type, loaded, or None."""
        place = self._places.get((kind, name))
        return None if place is None else self._load(self._opening.known[place])

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names of all types of ``kind``."""
        return tuple(sorted(name for known, name in self._places if known == kind))


def _row(source: Source) -> tuple[str, str, str]:
    return source.distribution, source.version, source.digest
