"""``python -m meshd.config.reference > docs/configuration.md``: the reference page, made of the classes."""

import sys
from collections.abc import Iterator
from typing import Any

from meshd.config.child import find
from meshd.config.printing import flow
from meshd.config.transfer import REGISTRY
from meshd.document import option
from meshd.document.beside import BESIDE, LATER, Isolation
from meshd.document.code import CODES
from meshd.document.encode import encode
from meshd.document.plan import NO_DEFAULT, Field, options
from meshd.document.quantity import format_duration, format_size
from meshd.model.plugin import PluginSettings
from meshd.model.snapshot import Snapshot

OPENING = """\
# Configuration

<!-- Generated: python -m meshd.config.reference > docs/configuration.md -->

`meshd -c PATH` reads a file, or a folder's `*.yaml`, `*.yml` and `*.json` files in the order of their names (hidden
files are left out). `-c` may be given several times. The lists of several files (`listeners`, `clusters`, `documents`,
`telemetry`) follow one another; any other section may stand in one file only. `meshd --check` shows all faults at once;
`meshd --print-config` shows every value with the place that it comes from; `meshd --schema` prints a JSON Schema for
editors. A missing, empty or bad file never means defaults.

## How values are read

The same word means the same to meshd and to every YAML reader, or it is a fault (MSH0116).

| written | read as |
|---|---|
| `true`, `false` (also `True`, `TRUE`...) | truth value |
| `yes`, `no`, `on`, `off`, `y`, `n` | a fault: write `true` or `false`, or quote it. A choice takes its own words |
| `5`, `-5`, `0` | whole number |
| `2.9`, `1e3` | number; never rounded to a whole one |
| `010`, `0x1F`, `0o17`, `1_000`, `+5`, `.5`, `5.` | a fault: YAML readers disagree. Write it in plain decimal |
| `1:30`, `2024-01-01`, `.nan`, `.inf` | a fault unless quoted: sixties, dates and NaN are not inherited |
| `~`, `null`, nothing | nothing; accepted only where the default is nothing |
| `"5"` | text, and a fault where a number is expected |
| `5` where text is expected | a fault; in quotes it is text. Keys are always read as they are written |
| `!tag`, `<<:` | a fault |
| `&anchor`, `*alias` | accepted, at most 100 aliases in a file that stand for at most 100,000 values |

Bounds of a file: 16 MiB, 64 levels, 2,000,000 values, UTF-8 without control characters, one document.

* **time**: `250ms`, `5s`, `1m30s`, `1h` (units `us`, `ms`, `s`, `m`, `h`, `d`, from large to small); `0` is none
* **size**: `64KiB`, `1MiB`, `1MB`, or a whole number of bytes
* **address**: `HOST:PORT`, `[V6]:PORT`, `unix:PATH`; a host name only where it says so
* **file**: a path, read from the folder of the file that names it; `credential:NAME` is a credential that systemd gives
  to the service (`LoadCredential=NAME:PATH`; [operations.md](operations.md#credentials))
* **regex**: an [RE2](https://github.com/google/re2/wiki/Syntax) expression that must match the whole value
* **plugin**: `TYPE`, or `{TYPE: CONFIG, name: ..., on_error: fail-closed|fail-open, disabled: true|false}`; `name` is
  the type's when absent and must differ within one list. A filter of `listeners[].filters` before the last may also
  have `isolation`, `percent` and `canary_of` ([plugins.md](plugins.md)):
"""


def make_reference(registry: Any) -> str:
    """Return the page. ``registry`` is the shipped plugins'."""
    page = _Page(registry)
    return "\n".join([OPENING, *page.beside(), *page.sections(), *page.plugins(), *_codes()]) + "\n"


class _Page:
    def __init__(self, registry: Any) -> None:
        self.registry = registry
        self.done: set[type] = set()

    def beside(self) -> Iterator[str]:
        """The keys beside a plugin's type that only filters have."""
        yield from ("| key | value | default | |", "|---|---|---|---|")
        for key in LATER:
            form = BESIDE[key]
            default = f"`{flow(encode(form.spec, form.default))}`" if form.default else ""
            yield f"| `{key}` | {describe(form.spec)} | {default} | {_cell(form.doc)} |"
        yield from ("", "`isolation: process` is short for `isolation: {mode: process}`:", "")
        yield from (*self.table(Isolation), "")

    def sections(self) -> Iterator[str]:
        """The top level and everything below it."""
        yield from ("## Top level", "", *self.table(Snapshot), "")
        self.done.add(Snapshot)
        for field in options(Snapshot):
            yield from self.below(field.spec, field.key, "###")

    def below(self, spec: option.Spec, path: str, level: str) -> Iterator[str]:
        """The classes that a spec leads to, each once."""
        cls, path = _class_of(spec, path)
        if cls is None or cls in self.done:
            return
        self.done.add(cls)
        yield from (f"{level} `{path}`", "", _doc(cls), "", *self.table(cls), "")
        for field in options(cls):
            yield from self.below(field.spec, f"{path}.{field.key}", level)

    def table(self, cls: type) -> Iterator[str]:
        """One row for each key."""
        yield from ("| key | value | default | |", "|---|---|---|---|")
        for field in options(cls):
            yield f"| `{field.key}` | {describe(field.spec)} | {_default(field)} | {_cell(field.doc)} |"

    def plugins(self) -> Iterator[str]:
        """Every shipped plugin, by kind."""
        yield from ("## Plugins", "")
        for kind in sorted(self.kinds()):
            yield from (f"### Kind `{kind}`", "")
            for name in self.registry.names(kind):
                if _is_shipped(self.registry, kind, name):
                    yield from self.plugin(self.registry.type(kind, name))

    def kinds(self) -> set[str]:
        """Return the kinds that have a shipped plugin."""
        return {one.kind for entry in self.registry.plugins for one in entry.types}

    def plugin(self, one: Any) -> Iterator[str]:
        """One plugin type."""
        yield from (f"#### `{one.name}`", "", one.doc, "")
        if one.config is None or not options(one.config):
            yield from ("Takes no configuration.", "")
            return
        yield from (*self.table(one.config), "")
        self.done.add(one.config)
        for field in options(one.config):
            yield from self.below(field.spec, f"{one.name}.{field.key}", "#####")


def _is_shipped(registry: Any, kind: str, name: str) -> bool:
    return registry.entry(kind, name).distribution in ("meshd", "test")


def _class_of(spec: option.Spec, path: str) -> tuple[type | None, str]:
    if isinstance(spec, option.ListOf):
        return _class_of(spec.item, path + "[]")
    if isinstance(spec, option.MapOf):
        return _class_of(spec.value, path + ".KEY")
    return (spec.cls if isinstance(spec, option.Nested) else None), path


def _doc(cls: type) -> str:
    return " ".join((cls.__doc__ or "").split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _default(field: Field) -> str:
    if field.default is NO_DEFAULT:
        return "required"
    if field.default is None:
        return ""
    if isinstance(field.spec, option.Nested):
        return "see below"
    return f"`{_cell(flow(encode(field.spec, field.default)))}`"


def describe(spec: option.Spec) -> str:
    """Return what a value may be, in a few words of Markdown."""
    return _cell(_WORDS[type(spec)](spec))


def _span(what: str, low: str, high: str, is_low: bool, is_high: bool) -> str:
    """Return ``what`` with the bounds that are worth saying."""
    if is_low and is_high:
        return f"{what}, {low} to {high}"
    return f"{what}, at least {low}" if is_low else f"{what}, at most {high}" if is_high else what


def _bounds(what: str, spec: Any, free: Any, form: Any) -> str:
    is_low, is_high = spec.minimum != free.minimum, spec.maximum != free.maximum
    return _span(what, form(spec.minimum), form(spec.maximum), is_low, is_high)


_WORDS = {
    option.Text: lambda spec: f"text `{spec.pattern}`" if spec.pattern else "secret text" if spec.secret else "text",
    option.Integer: lambda spec: " or ".join((_bounds("whole number", spec, option.Integer(), str), *spec.words)),
    option.Number: lambda spec: _bounds("number", spec, option.Number(), repr),
    option.Boolean: lambda spec: "`true` or `false`",
    option.Duration: lambda spec: _bounds("time", spec, option.Duration(), format_duration),
    option.Size: lambda spec: _bounds("size", spec, option.Size(), format_size),
    option.Choice: lambda spec: " \\| ".join(f"`{word}`" for word in spec.words).replace("\\|", "or"),
    option.Regex: lambda spec: "regex",
    option.Address: lambda spec: "address (a host name is accepted)" if spec.resolve else "address",
    option.File: lambda spec: "file",
    option.Reference: lambda spec: f"name of a {spec.kind}",
    option.HeaderName: lambda spec: "header name",
    option.HeaderValue: lambda spec: "header value",
    option.ListOf: lambda spec: f"list of {describe(spec.item)}",
    option.MapOf: lambda spec: f"mapping to {describe(spec.value)}",
    option.Nested: lambda spec: f"section ({spec.cls.__name__})",
    option.PluginOf: lambda spec: f"plugin of kind `{spec.kind}`",
    option.Anything: lambda spec: "any value",
}


def _codes() -> Iterator[str]:
    yield from ("## Fault codes", "", "| code | what it means |", "|---|---|")
    for name, code in CODES.items():
        yield f"| {name} | {code.text} |"


def main() -> int:
    """Print the page of the shipped plugins."""
    sys.stdout.write(make_reference(find(REGISTRY)(PluginSettings())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
