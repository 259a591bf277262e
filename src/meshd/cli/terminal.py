"""What a stream can show: colour and glyphs; asked by both command lines."""

import os
from collections.abc import Mapping
from typing import Any

COLOR_CHOICES = ("auto", "always", "never")
CODES = {"red": "31", "yellow": "33", "green": "32", "bold": "1"}
GLYPHS = {"ok": ("\u221a", "ok"), "warn": ("\u203c", "!!"), "bad": ("\u00d7", "XX"), "arrow": ("->", "->")}


def wants_color(choice: str, stream: Any, environment: Mapping[str, str] = os.environ) -> bool:
    """Say whether to colour: not off a terminal, with ``NO_COLOR`` (no-color.org) or ``TERM=dumb``; ``always`` does."""
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    return bool(getattr(stream, "isatty", bool)())


def paint(text: str, color: str, is_on: bool) -> str:
    """Return ``text`` in ``color`` where ``is_on``."""
    return f"\x1b[{CODES[color]}m{text}\x1b[0m" if is_on else text


def glyph(name: str, stream: Any) -> str:
    """Return the sign ``ok``, ``warn`` or ``bad``: in ASCII where the stream cannot write the better one."""
    best, plain = GLYPHS[name]
    try:
        best.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return plain
    return best
