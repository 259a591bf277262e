"""One plugin module as the registry keeps it, and the way from a source to it: every reason to refuse stands here."""

import re
import time
from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

import attrs
import pluggy

from meshd.api import API_VERSION, KINDS, PluginError, PluginType, hook
from meshd.registry.api_range import api_fits
from meshd.registry.source import Source

LOADED = "loaded"
REFUSED = "refused"
SKIPPED = "skipped"
HOOK = "meshd_plugins"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")


@attrs.frozen(kw_only=True)
class Entry:
    """One plugin module: who ships it, what it offers, whether it was loaded, and why not in one line.

    ``api`` is what it states as ``MESHD_API``, "" where it states nothing or could not be imported.
    """

    name: str
    distribution: str = ""
    version: str = ""
    module: str = ""
    api: str = ""
    types: tuple[PluginType, ...] = ()
    status: str = LOADED
    reason: str = ""
    load_s: float = 0.0

    @property
    def label(self) -> str:
        """Name the plugin for people: ``plugin 'hello' of acme-hello 1.2``."""
        return f"plugin {self.name!r} of {self.distribution} {self.version}".strip()


def one_line(error: BaseException) -> str:
    """Return ``error`` in one line of at most 300 characters; its class too, unless it is meshd's own."""
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}".rstrip(": ")


class Loader:
    """Loads sources one after the other into one pluggy manager, and keeps what is taken already."""

    def __init__(self, taken: Mapping[tuple[str, str], Entry] = MappingProxyType({})) -> None:
        self._manager = pluggy.PluginManager("meshd")
        self._manager.add_hookspecs(hook)
        self._taken: dict[tuple[str, str], Entry] = dict(taken)

    def load(self, source: Source) -> Entry:
        """Return the entry of ``source``, loaded or refused; never raises."""
        began = time.perf_counter()
        entry = _entry(source)
        try:
            module = source.load()
            entry = attrs.evolve(entry, api=str(getattr(module, "MESHD_API", None) or ""))
            types = self._types(module, source)
            self._check_free(types, entry)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may even call sys.exit() while it is imported
            return attrs.evolve(entry, status=REFUSED, reason=one_line(error))
        entry = attrs.evolve(entry, types=types, load_s=time.perf_counter() - began)
        self._taken.update({(one.kind, one.name): entry for one in types})
        return entry

    def _types(self, module: Any, source: Source) -> tuple[PluginType, ...]:
        _check_api(getattr(module, "MESHD_API", None))
        offered = self._hook_of(module, f"{source.distribution}:{source.name}")()
        types = tuple(offered) if offered is not None else ()
        for one in types:
            _check_type(one)
        return types

    def _hook_of(self, module: Any, name: str) -> Any:
        """Register ``module`` and return its hook's function; raises PluginError where its hooks are wrong."""
        try:
            self._manager.register(module, name=name)
            self._manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            self._forget(module)
            raise PluginError(_hook_fault(module, error)) from None
        for one in self._manager.hook.meshd_plugins.get_hookimpls():
            if one.plugin is module and not (one.hookwrapper or one.wrapper):
                return one.function
        self._forget(module)
        marked = " (there is one that is not marked)" if hasattr(module, HOOK) else ""
        raise PluginError(f"hook: none: expected a function {HOOK}() marked with @hookimpl{marked}")

    def _forget(self, module: Any) -> None:
        if self._manager.is_registered(module):
            self._manager.unregister(module)

    def _check_free(self, types: tuple[PluginType, ...], entry: Entry) -> None:
        seen: dict[tuple[str, str], Entry] = {}
        for one in types:
            key = (one.kind, one.name)
            other = self._taken.get(key) or seen.get(key)
            if other is not None:
                what = f"{one.kind} {one.name!r}: already offered by {other.label}"
                raise PluginError(f"{what}: expected a name of its own")
            seen[key] = entry


def _entry(source: Source) -> Entry:
    return Entry(name=source.name, distribution=source.distribution, version=source.version, module=source.module)


def _hook_fault(module: Any, error: Exception) -> str:
    unknown = [name for name, value in vars(module).items() if getattr(value, "meshd_impl", None) and name != HOOK]
    if unknown:
        return f"hook {unknown[0]!r}: unknown: expected {HOOK!r}"
    return f"hook {HOOK!r}: {' '.join(str(error).split())}: expected a function without arguments"


def _check_api(wanted: Any) -> None:
    try:
        fits = wanted is None or api_fits(wanted)
    except ValueError as error:
        raise PluginError(f"MESHD_API: {error}") from None
    if not fits:
        raise PluginError(f"MESHD_API: {wanted!r}: this meshd has plugin API {'.'.join(map(str, API_VERSION))}")


def _check_type(one: Any) -> None:
    if not isinstance(one, PluginType):
        raise PluginError(f"{HOOK}(): returned {one!r}: expected PluginType objects")
    where = f"{one.kind} {one.name!r}"
    if one.kind not in KINDS:
        near = get_close_matches(str(one.kind), KINDS, 1)
        raise PluginError(f"{where}: unknown kind: expected {near[0] if near else 'one of ' + ', '.join(KINDS)!r}")
    if not isinstance(one.name, str) or not _NAME.fullmatch(one.name):
        raise PluginError(f"{where}: bad name: expected a letter, then letters, digits, '_', '-' or '.'")
    if not callable(one.build) or not callable(one.references):
        raise PluginError(f"{where}: build and references: expected functions")
    if one.config is not None:
        _check_config(one.config, where)


def _check_config(cls: Any, where: str) -> None:
    if not isinstance(cls, type) or not attrs.has(cls):
        raise PluginError(f"{where}: config {cls!r}: expected a class made with @config")
    for field in attrs.fields(cls):
        if not isinstance(field.metadata, Mapping) or "spec" not in field.metadata:
            raise PluginError(f"{where}: config {cls.__name__}.{field.name}: expected an option(...)")
