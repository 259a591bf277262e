"""``--print-config``: the whole configuration as YAML that loads again, each value with its origin as a comment.

Needs a ``Loaded`` made with ``with_origins=True``. Secrets are masked.
"""

from collections.abc import Iterator
from typing import Any

import attrs

from meshd.document import option
from meshd.document.beside import BESIDE, LATER
from meshd.document.encode import encode
from meshd.document.fault import printable
from meshd.document.plan import plan_of
from meshd.document.scalar import TEXT, quoted, read
from meshd.model.snapshot import Loaded

COLUMN = 60
"""Where the comments begin, if the line leaves room."""


def print_config(loaded: Loaded) -> str:
    """Return the YAML text; ends with a line feed. What ``documents`` named is in it, so they are not named again."""
    origins, snapshot = loaded.origins, loaded.snapshot
    if snapshot.documents:
        origins = {**origins, "documents": f"{origins['documents']}: what they say stands in the sections below"}
        snapshot = attrs.evolve(snapshot, documents=())
    return "\n".join(_Printer(origins).section(snapshot, "", 0)) + "\n"


@attrs.frozen
class _Printer:
    origins: dict[str, str]

    def section(self, value: Any, path: str, depth: int) -> Iterator[str]:
        """Lines of a configuration object's keys."""
        for key, field in plan_of(type(value)).fields.items():
            place = f"{path}.{key}" if path else key
            yield from self.entry(key, field.spec, getattr(value, field.name), place, depth)

    def entry(self, key: str, spec: option.Spec, value: Any, path: str, depth: int) -> Iterator[str]:
        """Lines of ``key: value``."""
        begin = f"{'  ' * depth}{word(key)}:"
        lines = None if value is None else self.block(spec, value, path, depth + 1)
        if lines is None:
            yield self.commented(f"{begin} {flow(encode(spec, value))}", path)
            return
        yield self.commented(begin, path)
        yield from lines

    def block(self, spec: option.Spec, value: Any, path: str, depth: int) -> Iterator[str] | None:
        """Lines of a value that is written over several, or None for one that fits behind its key."""
        if isinstance(spec, option.Nested):
            return self.section(value, path, depth)
        if isinstance(spec, option.PluginOf):
            return self.plugin(value, path, depth)
        if isinstance(spec, option.ListOf) and value:
            return self.items(spec, value, path, depth)
        if isinstance(spec, option.MapOf) and value:
            return self.pairs(spec, value, path, depth)
        return None

    def plugin(self, value: Any, path: str, depth: int) -> Iterator[str]:
        """Lines of a plugin instance."""
        place = f"{path}.{value.type}"
        begin = f"{'  ' * depth}{word(value.type)}:"
        if value.config is None or not plan_of(type(value.config)).fields:
            yield self.commented(f"{begin} {{}}", path)
        else:
            yield self.commented(begin, path)
            yield from self.section(value.config, place, depth + 1)
        for key, form in BESIDE.items():
            given = getattr(value, key)
            if key not in LATER or given != form.default:
                yield from self.entry(key, form.spec, given, f"{path}.{key}", depth)

    def items(self, spec: option.ListOf, value: tuple, path: str, depth: int) -> Iterator[str]:
        """Lines of a list."""
        for place, item in enumerate(value):
            lines = self.block(spec.item, item, f"{path}[{place}]", depth + 1)
            if lines is None:
                yield self.commented(f"{'  ' * depth}- {flow(encode(spec.item, item))}", f"{path}[{place}]")
                continue
            first = next(lines)
            yield f"{'  ' * depth}- {first.lstrip()}"
            yield from lines

    def pairs(self, spec: option.MapOf, value: tuple, path: str, depth: int) -> Iterator[str]:
        """Lines of a mapping with keys of the user's."""
        for key, item in value:
            yield from self.entry(str(key), spec.value, item, f"{path}.{key}", depth)

    def commented(self, line: str, path: str) -> str:
        """Return the line with its origin behind it."""
        return f"{line:<{COLUMN}}  # {printable(self.origins.get(path, 'default of native'))}"


def word(text: str) -> str:
    """Return a word as YAML text, quoted where any reader could take it for something else."""
    is_safe = text.replace("_", "").replace("-", "").isalnum() and text.isascii() and not text.startswith("-")
    return text if is_safe and read(text)[0] is TEXT else quoted(text)


def flow(value: Any) -> str:
    """Return plain Python as YAML on one line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return word(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(str(key))}: {flow(one)}" for key, one in value.items()) + "}"
    return "[" + ", ".join(flow(one) for one in value) + "]"
