"""Configuration files to a ``Loaded`` snapshot, or all their faults. For ``--check``, the start, the reload's child.

    documents = read(paths)                     # files to trees
    settings = plugin_settings(documents)       # which plugins to load
    loaded = load_documents(documents, Registry.load(settings))
"""

import gc
import hashlib
from contextlib import contextmanager
from functools import partial
from typing import Any

from meshd.config.check import WATCHED, check
from meshd.config.age import Ages
from meshd.config.source import Documents, read
from meshd.document.context import Context
from meshd.document.decode import decode
from meshd.document.fault import Faults
from meshd.document.memory import Memory
from meshd.document.merge import canonical, merge
from meshd.document.node import Mapping, Node
from meshd.errors import ConfigurationError
from meshd.model.plugin import Plugin, PluginSettings
from meshd.model.snapshot import Loaded, Node as NodeSpec, Snapshot

NATIVE = "native"


def load(paths: list[str], registry: Any, *, with_origins: bool = False) -> Loaded:
    """Return the configuration in these files and folders. Raises ConfigurationError with all faults.

    ``registry`` has ``type(kind, name)`` and ``names(kind)`` as ``meshd.registry.Registry`` has.
    """
    with no_collection():
        return load_documents(read(paths), registry, with_origins=with_origins)


def plugin_settings(documents: Documents) -> PluginSettings:
    """Return the ``plugins`` section alone, which must be known before the plugins are loaded.

    Where it is bad the faults are kept with the documents, and ``load_documents`` raises them with all others.
    """
    context = Context(faults=documents.faults)
    found = PluginSettings()
    for root in documents.roots:
        section = root.get("plugins") if type(root) is Mapping else None
        if section is not None:
            found = decode(PluginSettings, section, context, "plugins") or PluginSettings()
    return found


def load_documents(
    documents: Documents, registry: Any, *, with_origins: bool = False, is_strict: bool = False,
    ages: Ages | None = None, memory: Memory | None = None,
) -> Loaded:
    """Return the configuration of documents that were read. Raises ConfigurationError with all faults.

    ``memory`` goes with one registry, and with neither origins nor strictness.
    """
    faults = documents.faults
    context = _context(registry, faults, with_origins)
    context.ages = ages or Ages(None)
    context.is_strict = is_strict
    context.memory = memory
    snapshot = _snapshot(documents, registry, context)
    check(context, documents.is_complete)
    found = faults.sorted()
    if faults.errors() or snapshot is None:
        raise ConfigurationError(_summary(found), found)
    text = [context.once("canonical", (root,), partial(canonical, root)) for root in documents.roots]
    digest = hashlib.sha256(b"\0".join(text)).hexdigest()[:16]
    return Loaded(
        snapshot=snapshot, digest=digest, files=documents.files, origins=context.origins or {},
        fingerprint=getattr(registry, "fingerprint", ()),
        warnings=found,
    )


def _summary(found: tuple) -> str:
    if not found:
        return "no configuration"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found[0]}{more}"


def _context(registry: Any, faults: Faults, with_origins: bool) -> Context:
    return Context(
        faults=faults, plugin_type=registry.type, plugin_names=registry.names, make_plugin=Plugin, watched=WATCHED,
        origins={} if with_origins else None, plugin_notes=tuple(getattr(registry, "warnings", ())),
    )


def _snapshot(documents: Documents, registry: Any, context: Context) -> Snapshot | None:
    """Give each document to the dialect that knows it, the native ones first, for they say who this proxy is.

    Every dialect returns sections of the native form; merged, they are decoded by one decoder.
    """
    dialects, groups = _grouped(documents, registry, context)
    sections: list[Node] = []
    context.is_node_known = bool(groups[NATIVE])
    for name, roots in groups.items():
        context.node = _node(sections, context)
        if roots:
            sections += dialects[name].load(tuple(roots), context)
    context.node = _node(sections, context)
    return decode(Snapshot, merge(Snapshot, tuple(sections) or _nothing(documents), context), context)


def status_of(documents: Documents, registry: Any) -> list[dict]:
    """Return what becomes of the documents that have a status, as their dialects say it (``IConfigDialect.status``)."""
    context = _context(registry, documents.faults, False)
    dialects, groups = _grouped(documents, registry, context)
    context.node = _node(list(groups[NATIVE]), context)
    found: list[dict] = []
    for name, roots in groups.items():
        tell = getattr(dialects[name], "status", None)
        if tell is not None and roots:
            found += tell(tuple(roots), context)
    return found


def _grouped(documents: Documents, registry: Any, context: Context) -> tuple[dict[str, Any], dict[str, list[Node]]]:
    """Return the dialects by name, and the documents that each of them knows."""
    names = sorted(registry.names("config_dialect"), key=lambda name: name != NATIVE)
    groups: dict[str, list[Node]] = {name: [] for name in names}
    dialects = {name: registry.type("config_dialect", name).build(None, None) for name in names}
    for root in documents.roots:
        name = next((name for name, dialect in dialects.items() if dialect.accepts(root)), None)
        if name is None:
            context.fault("MSH0013", root, "", f"no dialect knows this document, expected one of {', '.join(dialects)}")
            continue
        groups[name].append(root)
    return dialects, groups


def _nothing(documents: Documents) -> tuple[Node, ...]:
    """Return sections of nothing where there are documents: they need not say anything to this proxy."""
    return tuple(Mapping(root.source, root.line, root.column, {}) for root in documents.roots[:1])


def _node(sections: list[Node], context: Context) -> NodeSpec:
    """Return who this proxy is, as far as that is known."""
    found = next((one.get("node") for one in sections if type(one) is Mapping and one.get("node")), None)
    return (decode(NodeSpec, found, context, "node") if found is not None else None) or NodeSpec()


@contextmanager
def no_collection():
    """Keep the garbage collector away while a million small objects are made that all stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
