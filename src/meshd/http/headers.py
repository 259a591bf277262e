"""Fields of one head, kept as the block of lines that came; used by codecs, filters and the router.

Strategy: the block is one ``bytes`` in which each line is *preceded* by CRLF (``\\r\\nHost: a\\r\\nAccept: b``).
Look-ups search a lower-cased copy, so nothing is parsed that nobody asks for, and lines that nobody
touches leave as they came. The codec has validated the block before a Headers is made of it; values
given to ``set`` and ``add`` are checked here, so no edit can inject a line.
"""

from collections.abc import Iterator

from meshd.hot import block

CRLF = b"\r\n"
CR, LF, NUL = b"\r\n\0"  # numbers: ``in`` is ten times quicker with them


def _clean(value: bytes) -> bytes:
    if CR in value or LF in value or NUL in value:
        raise ValueError(f"field value {value!r}: expected no CR, LF or NUL")
    return value


class Headers:
    """A multimap of field names to values, both ``bytes``; names given to methods are lower case.

    ``raw`` is the block, ``low`` its lower-cased copy. Cost of a look-up is one search of the block. ``secret``: names
    of fields that came never indexed, as no table of HTTP/2 may keep them (RFC 7541 7.1.3), or None.
    """

    __slots__ = ("raw", "low", "secret")

    def __init__(self, raw: bytes = b"") -> None:
        self.raw = raw
        self.low = raw.lower()
        self.secret = None

    @classmethod
    def of(cls, *pairs: tuple[bytes, bytes]) -> "Headers":
        """Build from (name, value) pairs."""
        return cls(b"".join([b"\r\n" + name + b": " + _clean(value) for name, value in pairs]))

    def copy(self) -> "Headers":
        """Return an independent copy."""
        new = Headers.pair(self.raw, self.low)
        new.secret = self.secret
        return new

    @staticmethod
    def pair(raw: bytes, low: bytes) -> "Headers":
        """Build from a block and its lower-cased copy, which is at hand."""
        new = Headers.__new__(Headers)
        new.raw = raw
        new.low = low
        new.secret = None
        return new

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of ``name`` without surrounding white space, or None."""
        return block.value_of(self.raw, self.low, b"\r\n%b:" % name)

    def value(self, needle: bytes) -> bytes | None:
        """Return what ``get`` does for a name that was made a needle (CRLF, name, colon) at build time."""
        return block.value_of(self.raw, self.low, needle)

    def get_all(self, name: bytes) -> list[bytes]:
        """Return every value of ``name``, in order."""
        values = []
        needle = b"\r\n" + name + b":"
        start = self.low.find(needle)
        while start >= 0:
            start += len(needle)
            end = self.raw.find(CRLF, start)
            values.append((self.raw[start:end] if end >= 0 else self.raw[start:]).strip(b" \t"))
            start = self.low.find(needle, end) if end >= 0 else -1
        return values

    def joined(self, name: bytes) -> bytes | None:
        """Return every value of ``name`` joined by ``, `` (RFC 9110 5.3), or None."""
        values = self.get_all(name)
        return b", ".join(values) if values else None

    def __contains__(self, name: bytes) -> bool:
        return self.low.find(b"\r\n" + name + b":") >= 0

    def add(self, name: bytes, value: bytes) -> None:
        """Append a line; raises ValueError where ``value`` has CR, LF or NUL."""
        line = b"\r\n%b: %b" % (name, _clean(value))
        self.raw += line
        self.low += line.lower()

    def remove(self, name: bytes) -> bool:
        """Drop every line of ``name``; say whether there was one."""
        needle = b"\r\n" + name + b":"
        start = self.low.find(needle)
        if start < 0:
            return False
        while start >= 0:
            end = self.raw.find(CRLF, start + 2)
            tail = self.raw[end:] if end >= 0 else b""
            self.raw = self.raw[:start] + tail
            self.low = self.low[:start] + (self.low[end:] if end >= 0 else b"")
            start = self.low.find(needle, start)
        return True

    def set(self, name: bytes, value: bytes) -> None:
        """Replace every line of ``name`` by one."""
        self.remove(name)
        self.add(name, value)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield (lower-case name, value) of each line."""
        for line in self.raw.split(CRLF)[1:]:
            name, _, value = line.partition(b":")
            yield name.lower(), value.strip(b" \t")

    def __len__(self) -> int:
        return self.raw.count(CRLF)

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"
