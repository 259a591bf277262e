"""HTTP/2 field sections to blocks of lines and back; called by ``meshd.http.h2``. ``section.pyx`` is the compiled twin.

A section is a tuple of (name, value); a block is ``bytes`` in which each line is preceded by CRLF.
"""

_NOT_SENT = frozenset((
    b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"host", b"http2-settings",
))
_PSEUDO = {b":method": 1, b":scheme": 2, b":authority": 3, b":path": 4, b":protocol": 5}


def pseudo(section: tuple) -> tuple:
    """Return (count, method, scheme, authority, path, protocol) of the fields that a request's section begins with.

    None for what is not there. ``count`` is below 0 where one is unknown or comes again: -1 less its index.
    """
    found = [0, None, None, None, None, None]
    for at, (name, value) in enumerate(section):
        if name[:1] != b":":
            break
        place = _PSEUDO.get(name, 0)
        if not place or found[place] is not None:
            found[0] = -1 - at
            break
        found[place] = value
        found[0] = at + 1
    return tuple(found)


def blocks(section: tuple, first: int, host: bytes | None) -> tuple:
    """Return (block, its lower-cased copy, size, crumbs) of the fields from index ``first`` on, ``host`` as a line in
    front where it is not None.

    ``block`` is None where a name or a value has CR or LF. ``size`` is the whole section's: names, values and 32 bytes
    for each field (RFC 9113 6.5.2). ``crumbs`` is how many Cookie fields there are.
    """
    size = sum([len(name) + len(value) + 32 for name, value in section])
    raw = b"".join([b"\r\n%b: %b" % (name, value) for name, value in section[first:]])
    count = max(0, len(section) - first)
    if host is not None:
        raw = b"\r\nhost: " + host + raw
        count += 1
    if raw.count(b"\r") != count or raw.count(b"\n") != count:
        return None, None, size, 0
    return raw, raw.lower(), size, sum([name == b"cookie" for name, _ in section[first:]])


def split(raw: bytes, low: bytes, section: list) -> list:
    """Append the lines of a block (``low``: in lower case) to ``section``, names in lower case, and return it.

    Left out are fields of one connection (RFC 9113 8.2.2) and Host; of TE remains ``trailers``.
    """
    at = 2
    while at < len(raw):
        end = raw.find(b"\r\n", at)
        if end < 0:
            end = len(raw)
        colon = low.find(b":", at, end)
        if colon > at and (name := low[at:colon]) not in _NOT_SENT:
            if name != b"te":
                section.append((name, raw[colon + 1:end].strip(b" \t")))
            elif b"trailers" in [member.strip(b" \t") for member in low[colon + 1:end].split(b",")]:
                section.append((b"te", b"trailers"))
        at = end + 2
    return section
