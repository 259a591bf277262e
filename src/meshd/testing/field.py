"""Header fields as tests read them: names in any case, values as text; used by the client and the upstream."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t -~\x80-\xff]*)").fullmatch
SIZE = re.compile(rb"[0-9a-fA-F]{1,16}").fullmatch
"""The size of a chunk, in hex digits (RFC 9112 7.1)."""


class BadMessage(AssertionError):
    """What the peer wrote is no HTTP; a test fails by it."""


class Cut(Exception):
    """The connection ended inside a message; ``args`` are the part that came and whether it ended by a reset."""


class Fields(Mapping):
    """The fields of a message, in order. ``fields["Name"]`` is the first value as text, ``all("Name")`` are all."""

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self.pairs = list(pairs)

    def __getitem__(self, name: str | bytes) -> str:
        found = self.all(name)
        if not found:
            raise KeyError(name)
        return found[0]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.decode("latin-1").lower() for name, _ in self.pairs))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return f"Fields({self.pairs!r})"

    def all(self, name: str | bytes) -> list[str]:
        """Return every value of a field, [] where there is none."""
        wanted = encode(name).lower()
        return [value.decode("latin-1") for key, value in self.pairs if key.lower() == wanted]


def encode(text: str | bytes) -> bytes:
    """Return text as HTTP's bytes."""
    return text if isinstance(text, bytes) else str(text).encode("latin-1")


def pairs_of(headers: Any) -> list[tuple[bytes, bytes]]:
    """Return [(name, value)] of a mapping or of pairs, of text or bytes."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(encode(name), encode(value)) for name, value in pairs]


def lines_of(headers: Any) -> bytes:
    """Return field lines, each with its end."""
    return b"".join(b"%b: %b\r\n" % pair for pair in pairs_of(headers))


def fields_of(lines: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """Return [(lower-case name, value)] of field lines; BadMessage where RFC 9112 5 does not allow one."""
    pairs = []
    for line in lines:
        match = FIELD(line)
        if match is None:
            raise BadMessage(f"no field line: {line!r}")
        pairs.append((match[1].lower(), match[2].rstrip(b" \t")))
    return pairs
