"""HTTP/2 field sections to blocks of lines and back; called by ``meshd.http.h2``. ``section.pyx`` is the compiled twin.

A section is a tuple of (name, value); a block is ``bytes`` in which each line is preceded by CRLF.
"""

_NOT_SENT = frozenset((
    b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"host", b"http2-settings",
    b"te",
))


def join(section: tuple, first: int) -> bytes:
    """Return the block of the fields from index ``first`` on, as they are."""
    return b"".join([b"\r\n%b: %b" % field for field in section[first:]])


def split(raw: bytes, low: bytes, section: list) -> list:
    """Append the lines of a block (``low``: in lower case) to ``section``, names in lower case, and return it.

    Left out are fields of one connection (RFC 9113 8.2.2), Host and TE.
    """
    at = 2
    while at < len(raw):
        end = raw.find(b"\r\n", at)
        if end < 0:
            end = len(raw)
        colon = low.find(b":", at, end)
        if colon > at and (name := low[at:colon]) not in _NOT_SENT:
            section.append((name, raw[colon + 1:end].strip(b" \t")))
        at = end + 2
    return section


def size_of(section: tuple) -> int:
    """Return the size of a section: names, values and 32 bytes for each field (RFC 9113 6.5.2)."""
    return sum([len(name) + len(value) + 32 for name, value in section])
