"""The tree of one YAML file: scalars, sequences, mappings that know their place. Made by ``tree``, read by ``decode``.

Places are kept as numbers counted from 0; a ``Mark`` is made only for a fault or an origin.
"""

import re

from meshd.document.mark import Mark, make_mark

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


class Source:
    """One file: its name as given and its text, cut into lines when a fault wants to show one."""

    __slots__ = ("file", "text", "_lines")

    def __init__(self, file: str, text: str = "") -> None:
        self.file = file
        self.text = text
        self._lines: list[str] | None = None

    def lines(self) -> list[str]:
        """Return the lines without their ends, cut where YAML ends a line."""
        if self._lines is None:
            self._lines = _BREAK.split(self.text)
        return self._lines

    def mark(self, line: int, column: int, end_line: int, end_column: int) -> Mark:
        """Return the mark of a place counted from 0."""
        return make_mark(self.file, self.lines(), line + 1, column + 1, end_line + 1, end_column + 1)

    def whole(self) -> Mark:
        """Return the mark that means the whole file."""
        return Mark(self.file)


class Node:
    """A value and its place."""

    __slots__ = ("source", "line", "column", "end_line", "end_column")
    what = "a value"

    def mark(self) -> Mark:
        """Return the place, for a fault."""
        if self.line < 0:
            return self.source.whole()
        return self.source.mark(self.line, self.column, self.end_line, self.end_column)

    def where(self) -> str:
        """Return ``file:line:column``; the file alone where the line is negative, for what stands in none."""
        if self.line < 0:
            return self.source.file
        return f"{self.source.file}:{self.line + 1}:{self.column + 1}"


class Scalar(Node):
    """A word; ``plain`` when it stands without quotes."""

    __slots__ = ("text", "plain")

    def __init__(self, source, line, column, end_line, end_column, text, plain):
        self.source = source
        self.line = line
        self.column = column
        self.end_line = end_line
        self.end_column = end_column
        self.text = text
        self.plain = plain


class Sequence(Node):
    """A list of nodes."""

    __slots__ = ("items",)
    what = "a list"

    def __init__(self, source, line, column, items):
        self.source = source
        self.line = self.end_line = line
        self.column = self.end_column = column
        self.items = items


class Mapping(Node):
    """``entries`` maps the text of each key to (key scalar, value node), in the order of the file."""

    __slots__ = ("entries",)
    what = "a mapping"

    def __init__(self, source, line, column, entries):
        self.source = source
        self.line = self.end_line = line
        self.column = self.end_column = column
        self.entries = entries

    def get(self, key: str) -> Node | None:
        """Return the value of ``key`` or None."""
        entry = self.entries.get(key)
        return entry[1] if entry is not None else None
