"""``meshctl plugins check``: loads every installed plugin without a daemon, and says what is wrong with each.

It is loaded by the registry's own loader, so a plugin is refused here for the reasons that the daemon has.
"""

import contextlib
import importlib.util
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs
import click
from packaging.utils import canonicalize_name

from meshd.api import API_VERSION
from meshd.cli.plugin.installed import MESHD, Installed
from meshd.document.nearest import nearest
from meshd.document.plan import plan_of
from meshd.errors import PluginError
from meshd.registry import REFUSED, Entry, Registry
from meshd.registry.api_range import api_fits
from meshd.registry.entry import Loader, one_line
from meshd.registry.source import installed, local

AGES = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
API = ".".join(map(str, API_VERSION))


@attrs.frozen(kw_only=True)
class Finding:
    """One plugin and what is to be said of it; with ``errors`` it is of no use, ``notes`` are neither good nor bad."""

    entry: Entry
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sign(self) -> str:
        """How it is: ok, warn or bad."""
        return "bad" if self.errors else "warn" if self.warnings else "ok"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        entry = self.entry
        return {
            "name": entry.name, "distribution": entry.distribution, "version": entry.version, "module": entry.module,
            "api": {"stated": entry.api or None, "fits": _fits(entry.api), "have": API}, "status": entry.status,
            "types": [{"kind": one.kind, "name": one.name} for one in entry.types],
            "errors": list(self.errors), "warnings": list(self.warnings), "notes": list(self.notes),
        }


def examine(folder: str | None = None) -> list[Finding]:
    """Load all plugins, those of one file in ``folder`` too, and return what is found; what they print is no data."""
    sources = sorted(installed(), key=lambda source: source.order) + (list(local(folder)) if folder else [])
    loader = Loader()
    with contextlib.redirect_stdout(sys.stderr):
        loaded = [_loaded(loader, source) for source in sources]
        registry = Registry(entry for entry, _ in loaded)
        environment = Installed()
        names = Counter(entry.name for entry, _ in loaded)
        return [_finding(entry, old, registry, environment, names[entry.name] > 1) for entry, old in loaded]


def chosen(findings: list[Finding], names: tuple[str, ...]) -> list[Finding]:
    """Return those that ``names`` mean, by entry point or by distribution; all without names."""
    wanted = set()
    for name in names:
        found = {id(one) for one in findings if name == one.entry.name or _is_of(one, name)}
        if not found:
            known = {word for one in findings for word in (one.entry.name, one.entry.distribution)}
            guess = nearest(name, sorted(known))
            hint = f"did you mean {guess}?" if guess else "meshctl plugins list --local has all"
            raise click.ClickException(f"plugin {name!r}: not installed\nhelp: {hint}")
        wanted |= found
    return [one for one in findings if not names or id(one) in wanted]


def _is_of(one: Finding, distribution: str) -> bool:
    return canonicalize_name(one.entry.distribution) == canonicalize_name(distribution)


def _loaded(loader: Loader, source: Any) -> tuple[Entry, tuple[str, ...]]:
    """Return the entry and what old things its own code used while it was imported."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        entry = loader.load(source)
    folder = _home(source.module)
    texts = [f"deprecated: {' '.join(str(one.message).split())} ({os.path.basename(one.filename)}:{one.lineno})"
             for one in caught if issubclass(one.category, AGES) and folder and one.filename.startswith(folder)]
    return entry, tuple(dict.fromkeys(texts))


def _home(module: str) -> str:
    """Return the file or folder that a plugin's code is in, "" where it cannot be found."""
    top = module.partition(":")[0].partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return getattr(sys.modules.get(top), "__file__", None) or ""
    folders = list(spec.submodule_search_locations or ())
    return folders[0] + os.sep if folders else spec.origin or ""


def _finding(
    entry: Entry, old: tuple[str, ...], registry: Registry, environment: Installed, is_name_shared: bool
) -> Finding:
    errors, notes = ([entry.reason], []) if entry.status == REFUSED else _built(entry, registry)
    unmet = () if entry.distribution == MESHD else environment.unmet(entry.distribution)
    doubts = [*_api_doubts(entry), *old]
    if is_name_shared:
        doubts.append(f"entry point {entry.name!r}: another plugin has the same: plugins.load cannot tell them apart")
    return Finding(entry=entry, errors=(*errors, *unmet), warnings=tuple(doubts), notes=tuple(notes))


def _built(entry: Entry, registry: Registry) -> tuple[list[str], list[str]]:
    """Build each type with its defaults; return (errors, notes)."""
    from meshd.runtime.build import check_type
    errors, notes = [], []
    for one in entry.types:
        required = plan_of(one.config).required if one.config is not None else ()
        what = f"{one.kind}/{one.name}"
        try:
            if required:
                notes.append(f"{what}: interface not looked at: it cannot be built without {', '.join(required)}")
            else:
                check_type(one.kind, one.name, registry)
        except PluginError as error:
            errors.append(f"{what}: {error}")
        except Exception as error:  # a plugin's own code, which may want a configuration that means something
            notes.append(f"{what}: interface not looked at: cannot be built with its defaults: {one_line(error)}")
    return errors, notes


def _api_doubts(entry: Entry) -> Iterator[str]:
    if entry.status == REFUSED:
        return
    if not entry.api:
        if entry.distribution != MESHD:
            yield f'MESHD_API: not stated: expected such as MESHD_API = ">={API_VERSION[0]},<{API_VERSION[0] + 1}"'
    elif _fits(entry.api, (API_VERSION[0] + 1, 0)):
        yield f"MESHD_API: {entry.api!r} takes plugin API {API_VERSION[0] + 1} too, which will break something"


def _fits(wanted: str, have: tuple[int, ...] = API_VERSION) -> bool | None:
    try:
        return api_fits(wanted, have) if wanted else None
    except ValueError:
        return False
