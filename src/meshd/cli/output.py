"""What meshctl writes: tables for people, JSON, YAML and names for machines; data on stdout, all else on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from meshd.cli import terminal

API_VERSION = "cli.meshd.io/v1"
FORMS = ("table", "wide", "json", "yaml", "name")
GAP = "   "
NO_DATA = "-"


@attrs.frozen
class Column:
    """One column of a table: its header, the key of the row that it shows, and whether only ``-o wide`` has it."""

    header: str
    key: str
    is_wide: bool = False


@attrs.frozen(kw_only=True)
class View:
    """How a verb writes."""

    form: str = "table"
    has_headers: bool = True
    color: str = "auto"
    stream: Any = attrs.field(factory=lambda: sys.stdout)

    @property
    def has_color(self) -> bool:
        """Say whether to colour."""
        return terminal.wants_color(self.color, self.stream)

    def write(self, text: str) -> None:
        """Write data."""
        self.stream.write(text)

    def paint(self, text: str, color: str) -> str:
        """Return ``text`` in a colour where there is any."""
        return terminal.paint(text, color, self.has_color)

    def sign(self, name: str) -> str:
        """Return the sign ``ok``, ``warn`` or ``bad``, coloured."""
        color = {"ok": "green", "warn": "yellow", "bad": "red"}[name]
        return self.paint(terminal.glyph(name, self.stream), color)

    def items(self, kind: str, rows: Sequence[dict], columns: Sequence[Column]) -> None:
        """Write a list of things in the form that was asked for."""
        if self.form == "name":
            self.write("".join(f"{cell(row.get(columns[0].key))}\n" for row in rows))
        elif self.form in ("json", "yaml"):
            self.document(kind, {"items": list(rows)})
        else:
            shown = [column for column in columns if self.form == "wide" or not column.is_wide]
            self.table([column.header for column in shown], [[row.get(column.key) for column in shown] for row in rows])

    def document(self, kind: str, fields: dict) -> None:
        """Write one document as JSON or YAML."""
        whole = {"apiVersion": API_VERSION, "kind": kind, **fields}
        if self.form == "yaml":
            import yaml
            self.write(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=120))
        else:
            self.write(json.dumps(whole, indent=2, ensure_ascii=False) + "\n")

    def table(self, headers: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
        """Write aligned columns."""
        cells = [[cell(value) for value in row] for row in rows]
        if self.has_headers:
            cells.insert(0, list(headers))
        if not cells:
            return
        widths = [max(len(row[index]) for row in cells) for index in range(len(cells[0]))]
        for row in cells:
            self.write(GAP.join(text.ljust(width) for text, width in zip(row, widths)).rstrip() + "\n")


def cell(value: Any) -> str:
    """Return a value as a table shows it; ``-`` for no data."""
    if value is None or value == "" or value == [] or value == {}:
        return NO_DATA
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(cell(item) for item in value)
    if isinstance(value, dict):
        return ",".join(f"{key}={cell(item)}" for key, item in value.items())
    return " ".join(str(value).split())


def duration(seconds: float) -> str:
    """Return a duration as people say it: ``18ms``, ``3s``, ``2h5m``, ``4d1h``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    whole = int(seconds)
    for size, name, rest, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            more = whole % size // rest
            return f"{whole // size}{name}" + (f"{more}{small}" if more else "")
    return f"{whole}s"
