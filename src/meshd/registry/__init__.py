"""Which plugins there are: found once through entry points and the one-file folder, then frozen.

The config reader, ``--check`` and the runtime call ``Registry.load``; nothing here needs a reactor.
A plugin that cannot be used is recorded with its distribution and the reason in one line, and takes no part.
"""

import os
import platform
import sys
from collections.abc import Callable, Container, Iterable, Mapping
from importlib import metadata
from types import MappingProxyType
from typing import Any

import meshd
from meshd.api import KINDS, ConfigurationError, PluginType
from meshd.model.plugin import PluginSettings
from meshd.registry.entry import LOADED, REFUSED, SKIPPED, Entry, Loader
from meshd.registry.source import SHIPPED_BY, Source, installed, local

ALWAYS = "native"
"""The shipped dialect: without it no file can be read, so no load list leaves it out."""

OWN_PACKAGES = ("meshd", "meshd_plugins")


class Registry:
    """The plugin types that can be configured; never changes once made.

    ``plugins`` has an ``Entry`` for each plugin found, loaded or not. ``fingerprint`` is a tuple of (distribution,
    version, digest): where another process's differs, one of the two runs other code than is installed.
    """

    def __init__(
        self, entries: Iterable[Entry], fingerprint: tuple = (), look: Callable[[], tuple] | None = None
    ) -> None:
        self.plugins = tuple(entries)
        self.fingerprint = fingerprint
        self._look = look
        pairs = [(one, entry) for entry in self.plugins for one in entry.types]
        self._types = MappingProxyType({(one.kind, one.name): one for one, _ in pairs})
        self._entries = MappingProxyType({(one.kind, one.name): entry for one, entry in pairs})
        self._names = {kind: tuple(sorted(name for k, name in self._types if k == kind)) for kind in KINDS}
        self._modules = {entry.module.partition(":")[0]: entry for entry in self.plugins if entry.status == LOADED}

    @classmethod
    def load(
        cls,
        settings: PluginSettings = PluginSettings(),
        environ: Mapping[str, str] | None = None,
        *,
        points: Iterable[Any] | None = None,
    ) -> "Registry":
        """Find and load the plugins that ``settings`` and the environment select.

        ``MESHD_LOAD_PLUGINS`` (comma list) goes before ``settings.load``; empty leaves the shipped dialect alone.
        ``MESHD_TRACE_PLUGINS=1`` prints each plugin on standard error. ``points`` replaces the installed entry points.
        Raises ConfigurationError where ``settings.strict`` is set and a plugin cannot be loaded.
        """
        environ = os.environ if environ is None else environ
        sources = _sources(settings, points)
        wanted = _wanted(settings, environ)
        entries = [*_load_all(sources, wanted), *_missing(sources, wanted)]
        if environ.get("MESHD_TRACE_PLUGINS", "") not in ("", "0"):
            _trace(entries)
        registry = cls(
            entries, _fingerprint(sources, wanted), lambda: _fingerprint(_sources(settings, points), wanted))
        if settings.strict and registry.refused:
            raise ConfigurationError("; ".join(registry.warnings))
        return registry

    @classmethod
    def of(cls, *types: PluginType, distribution: str = "test") -> "Registry":
        """Make a registry of ``types`` alone (tests, and tools that need a few)."""
        return cls([Entry(name="given", distribution=distribution, version="0", types=types)])

    def plus(self, sources: Iterable[Source], without: Container[str] = ()) -> "Registry":
        """Return a registry with the plugins of these sources too, and without those of the modules in ``without``."""
        kept = Registry([entry for entry in self.plugins if entry.module.partition(":")[0] not in without])
        loader = Loader(kept._entries)
        return Registry([*kept.plugins, *map(loader.load, sources)], self.fingerprint)

    def is_current(self) -> bool:
        """Say whether what is installed now is what was loaded; nothing is imported for it."""
        return self._look is None or self._look() == self.fingerprint

    def type(self, kind: str, name: str) -> PluginType | None:
        """Return the type, or None where no loaded plugin offers it."""
        return self._types.get((kind, name))

    def entry(self, kind: str, name: str) -> Entry | None:
        """Return the plugin that offers the type, or None."""
        return self._entries.get((kind, name))

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names of all types of ``kind``, sorted; raises KeyError on a kind that does not exist."""
        return self._names[kind]

    @property
    def refused(self) -> tuple[Entry, ...]:
        """The plugins that were wanted and cannot be used."""
        return tuple(entry for entry in self.plugins if entry.status == REFUSED)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for each refused plugin, for the log."""
        return tuple(f"{entry.label}: not loaded: {entry.reason}" for entry in self.refused)

    def owner(self, module: str) -> Entry | None:
        """Return the plugin that ``module`` (a name) belongs to: itself, its package, or its top-level package."""
        name = module
        while name:
            entry = self._modules.get(name)
            if entry is not None:
                return entry
            name = name.rpartition(".")[0]
        top = module.partition(".")[0]
        if top in OWN_PACKAGES:
            return None
        return next((entry for name, entry in self._modules.items() if name.partition(".")[0] == top), None)


def _sources(settings: PluginSettings, points: Iterable[Any] | None) -> list[Source]:
    found = sorted(installed(points), key=lambda source: source.order)
    return found + list(local(settings.dir)) if settings.dir is not None else found


def _wanted(settings: PluginSettings, environ: Mapping[str, str]) -> tuple[str, ...] | None:
    text = environ.get("MESHD_LOAD_PLUGINS")
    if text is None:
        return settings.load
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _is_wanted(source: Source, wanted: tuple[str, ...] | None) -> bool:
    always = source.name == ALWAYS and source.distribution == SHIPPED_BY
    return wanted is None or source.name in wanted or always


def _load_all(sources: Iterable[Source], wanted: tuple[str, ...] | None) -> list[Entry]:
    loader = Loader()
    return [loader.load(source) if _is_wanted(source, wanted) else _skipped(source) for source in sources]


def _skipped(source: Source) -> Entry:
    return Entry(
        name=source.name, distribution=source.distribution, version=source.version, module=source.module,
        status=SKIPPED, reason="not in the load list",
    )


def _missing(sources: Iterable[Source], wanted: tuple[str, ...] | None) -> list[Entry]:
    known = {source.name for source in sources}
    reason = "no installed distribution offers it"
    return [
        Entry(name=name, distribution="nobody", status=REFUSED, reason=reason)
        for name in dict.fromkeys(wanted or ()) if name not in known
    ]


def _fingerprint(sources: Iterable[Source], wanted: tuple[str, ...] | None) -> tuple:
    rows = {(one.distribution, one.version, one.digest) for one in sources if _is_wanted(one, wanted)}
    try:
        version = metadata.version(SHIPPED_BY)
    except metadata.PackageNotFoundError:
        version = meshd.__version__
    return tuple(sorted(rows | {(SHIPPED_BY, version, ""), ("python", platform.python_version(), "")}))


def _trace(entries: Iterable[Entry]) -> None:
    for entry in entries:
        what = ", ".join(f"{one.kind} {one.name}" for one in entry.types) if entry.status == LOADED else entry.reason
        print(f"{entry.label}: {entry.module}: {entry.status}: {what} ({entry.load_s * 1e3:.1f} ms)", file=sys.stderr)


__all__ = ["ALWAYS", "LOADED", "REFUSED", "SHIPPED_BY", "SKIPPED", "Entry", "Registry"]
