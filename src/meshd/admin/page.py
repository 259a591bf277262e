"""What a page of the admin API is: a path, its methods, a function and a line of help."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import attrs

API_VERSION = "admin.meshd.io/v1"
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
GET = ("GET", "HEAD")
POST = ("POST",)


class BadQuery(Exception):
    """A page was asked for something that it does not know; the text says what was expected. Answered 400."""


@attrs.frozen
class Reply:
    """What a page answers. ``body`` is bytes, or an iterator of pieces that are written as the client takes them."""

    body: bytes | Iterator[bytes]
    status: int = 200
    content_type: str = TEXT


class Query:
    """The arguments of a request: ``?name=value``; the first value of a name counts."""

    def __init__(self, values: Mapping[str, list[str]]) -> None:
        self.values = dict(values)

    def get(self, name: str, default: str = "") -> str:
        """Return the value of ``name``."""
        found = self.values.get(name)
        return found[0] if found else default

    def choice(self, name: str, words: tuple[str, ...]) -> str:
        """Return the value of ``name``, the first word where it is not given; raises BadQuery."""
        found = self.get(name, words[0])
        if found not in words:
            raise BadQuery(f"{name}={found!r}: expected one of {', '.join(words)}")
        return found


@attrs.frozen(kw_only=True)
class Page:
    """One page. ``render(daemon, query)`` returns a Reply or a Deferred of one; ``daemon`` is an ``IDaemon``."""

    path: str
    render: Callable[[Any, Query], Any]
    help: str
    methods: tuple[str, ...] = GET


def text(body: str, status: int = 200) -> Reply:
    """Return a plain text reply."""
    return Reply(body.encode("utf-8", "replace"), status)


def document(fields: Mapping[str, Any], status: int = 200) -> Reply:
    """Return a JSON reply that carries the version of this API."""
    body = json.dumps({"apiVersion": API_VERSION, **fields}, indent=2, default=plain) + "\n"
    return Reply(body.encode(), status, JSON)


def plain(value: Any) -> Any:
    """Return what JSON can hold of a value of a plugin's own: bytes as text, else its repr."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return repr(value)


def table(rows: Iterable[tuple]) -> str:
    """Return rows as columns parted by three spaces; the first row is the header."""
    rows = [tuple(str(cell) for cell in row) for row in rows]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)
