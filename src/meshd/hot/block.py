"""Look-ups and cuts in a block of field lines. Twin of ``block.pyx``, which does the same in C loops.

A block is ``bytes`` in which each line is preceded by CRLF; ``low`` is its lower-cased copy of the same length.
"""

MAX_DIGITS = 18  # below 2**63


def value_of(raw: bytes, low: bytes, needle: bytes) -> bytes | None:
    """Return the first value after ``needle`` (CRLF, name, colon) without white space around it, None without one."""
    start = low.find(needle)
    if start < 0:
        return None
    start += len(needle)
    end = raw.find(b"\r\n", start)
    return (raw[start:end] if end >= 0 else raw[start:]).strip(b" \t")


def cut(block: bytes, start: int, end: int) -> bytes:
    """Return ``block`` without what stands from ``start`` to before ``end``."""
    return block[:start] + block[end:]


def number(low: bytes, start: int, end: int) -> int:
    """Return what the digits from ``start`` to before ``end`` say; -1 where anything else is there or more than 18."""
    text = low[start:end]
    return int(text) if text.isdigit() and len(text) <= MAX_DIGITS else -1


def tagged(count: int, tail: bytes) -> bytes:
    """Return ``count`` (below 2**32) in eight hexadecimal digits, a hyphen and ``tail``."""
    return b"%08x-%b" % (count, tail)
