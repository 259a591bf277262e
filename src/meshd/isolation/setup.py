"""What a child is started with: which plugins to load, then their configurations as a pickle.

The pickle goes from the parent to its own child only, over a socket that nobody else has; the child reads it with the
reload's ``Unpickler``, which makes attrs classes of loaded modules and nothing else.
"""

import os
import pickle
from collections.abc import Iterator
from typing import Any

import attrs

from meshd.isolation.message import Opening, encode
from meshd.model.plugin import Plugin
from meshd.model.snapshot import Node
from meshd.registry import LOADED, Registry


@attrs.frozen(kw_only=True)
class Setup:
    """``parts`` are the filter's configuration and those that routes put in its place; each is built once."""

    name: str
    node: Node
    parts: tuple[Plugin, ...]
    owners: tuple[str, ...]


def frames(setup: Setup, registry: Registry, folder: str | None, memory_bytes: int) -> tuple[bytes, bytes]:
    """Return the payloads of the two frames that a child reads first."""
    known = [entry for entry in registry.plugins if entry.status == LOADED]
    needed = {registry.entry(one.kind, one.type).label for part in setup.parts for one in plugins_in(part)}
    opening = Opening(
        os.getpid(), memory_bytes, folder,
        tuple((entry.name, entry.distribution) for entry in known if entry.label in needed),
        tuple((entry.name, entry.distribution) for entry in known),
        tuple((one.kind, one.name, place) for place, entry in enumerate(known) for one in entry.types),
        tuple(tuple(row) for row in registry.fingerprint),
    )
    return encode(opening), pickle.dumps(setup, protocol=5)


def plugins_in(value: Any) -> Iterator[Plugin]:
    """Yield every plugin in a configuration, itself too where it is one."""
    if isinstance(value, Plugin):
        yield value
        yield from plugins_in(value.config)
    elif isinstance(value, tuple):
        for one in value:
            yield from plugins_in(one)
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from plugins_in(getattr(value, field.name))
