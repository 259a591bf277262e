"""A place in a configuration file, with the text that stands there; made when a fault needs one.

Lines and columns count from 1, columns in characters; ``end_column`` is the first column after the place.
``line`` 0 means the file as a whole.
"""

import attrs

WINDOW = 400
"""Characters of a source line that are kept."""


@attrs.frozen
class Mark:
    """A place. ``text`` is its line (of a very long one a window from ``text_column`` on), ``before`` the two above."""

    file: str
    line: int = 0
    column: int = 0
    end_line: int = 0
    end_column: int = 0
    text: str = attrs.field(default="", eq=False, repr=False)
    text_column: int = attrs.field(default=1, eq=False, repr=False)
    before: tuple[str, ...] = attrs.field(default=(), eq=False, repr=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


def make_mark(file: str, lines: list[str], line: int, column: int, end_line: int, end_column: int) -> Mark:
    """Return the mark of a place (counted from 1) in a file of these lines; the end is clipped to the first line."""
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    if end_line > line or end_column <= column:
        end_column = max(column + 1, len(text.rstrip()) + 1) if end_line > line else column + 1
    start = 1
    if len(text) > WINDOW:
        start = max(1, column - WINDOW // 4)
        text = text[start - 1 : start - 1 + WINDOW]
    before = tuple(item[:WINDOW] for item in lines[max(0, line - 3) : line - 1])
    return Mark(file, line, column, max(line, min(end_line, line)), end_column, text, start, before)
