"""Large JSON in pieces: a dump of 10,000 routes made at once would keep the reactor for two seconds.

Strategy: what is small is encoded at once by the C encoder; what is large is walked down to small parts, each of which
is a piece. The pieces are written one for each turn of the reactor (``site.Pieces``).
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from meshd.admin.page import API_VERSION, JSON, Reply, plain
from meshd.document import option
from meshd.document.encode import encode
from meshd.document.plan import plan_of
from meshd.model.plugin import Plugin

SMALL = 300
"""Values in a part that is encoded at once: about 0.5 ms."""
PIECE_CHARACTERS = 8192


def streamed(fields: dict, key: str, pieces: Iterable[str]) -> Reply:
    """Return a reply of ``fields`` and, last, ``key`` with the JSON in ``pieces``."""
    head = json.dumps({"apiVersion": API_VERSION, **fields}, default=plain)[:-1]
    return Reply(_bytes(_whole(head, key, pieces)), 200, JSON)


def _whole(head: str, key: str, pieces: Iterable[str]) -> Iterator[str]:
    yield f"{head}, {json.dumps(key)}: "
    yield from pieces
    yield "}\n"


def _bytes(texts: Iterable[str]) -> Iterator[bytes]:
    """Yield a piece after about ``PIECE_CHARACTERS`` characters."""
    kept: list[str] = []
    size = 0
    for text in texts:
        kept.append(text)
        size += len(text)
        if size >= PIECE_CHARACTERS:
            yield "".join(kept).encode()
            kept.clear()
            size = 0
    yield "".join(kept).encode()


def rows_json(rows: Iterable[dict]) -> Iterator[str]:
    """Yield a JSON list, one row on each line."""
    return _list(json.dumps(row, default=plain) for row in rows if row)


def _list(items: Iterable[str]) -> Iterator[str]:
    start = "[\n"
    for item in items:
        yield start + item
        start = ",\n"
    yield "[]" if start == "[\n" else "\n]"


def config_json(spec: option.Spec, value: Any) -> Iterator[str]:
    """Yield a configuration value as JSON in the words of the native file, secrets masked."""
    if is_small(value):
        yield json.dumps(encode(spec, value), default=plain)
    elif isinstance(spec, option.PluginOf):
        yield from _plugin_json(value)
    elif isinstance(spec, option.Nested):
        yield from _class_json(value)
    elif isinstance(spec, option.ListOf):
        yield "["
        for index, item in enumerate(value):
            yield ",\n" if index else "\n"
            yield from config_json(spec.item, item)
        yield "\n]"
    else:
        yield json.dumps(encode(spec, value), default=plain)


def _class_json(value: Any) -> Iterator[str]:
    start = "{"
    for key, field in plan_of(type(value)).fields.items():
        yield f"{start}{json.dumps(key)}: "
        yield from config_json(field.spec, getattr(value, field.name))
        start = ",\n"
    yield "}"


def _plugin_json(plugin: Plugin) -> Iterator[str]:
    """A plugin instance: what ``encode`` makes of it, with the configuration in pieces."""
    yield f"{{{json.dumps(plugin.type)}: "
    yield from _class_json(plugin.config)
    without = encode(option.PluginOf(kind=plugin.kind), attrs.evolve(plugin, config=None))
    for key in [key for key in without if key != plugin.type]:
        yield f", {json.dumps(key)}: {json.dumps(without[key])}"
    yield "}"


def is_small(value: Any) -> bool:
    """Say whether a configuration value holds at most ``SMALL`` values; looks at no more than these."""
    left = [value]
    seen = 0
    while left:
        one = left.pop()
        if isinstance(one, tuple):
            seen += len(one)
            left.extend(one[:SMALL])
        elif attrs.has(type(one)):
            found = [getattr(one, field.name) for field in attrs.fields(type(one))]
            seen += len(found)
            left.extend(item for item in found if isinstance(item, tuple) or attrs.has(type(item)))
        if seen > SMALL:
            return False
    return True
