"""Scanning of one head's bytes; called by the codecs in ``meshd.http``. ``field.pyx`` is the compiled twin.

Strategy: one pass says whether every line is well formed and which of the fields that steer framing it has, so that the
codec looks closer only at heads that have such fields. Possessive groups keep the patterns free of backtracking.
"""

import re

HOST, HOST_TWICE, LENGTH, LENGTH_TWICE, CODING, CODING_TWICE = 1, 2, 4, 8, 16, 32
CONNECTION, EXPECT, HOP, UNDERSCORE = 64, 128, 256, 512

_BITS = {
    b"host": (HOST, HOST_TWICE), b"content-length": (LENGTH, LENGTH_TWICE),
    b"transfer-encoding": (CODING, CODING_TWICE), b"connection": (CONNECTION, CONNECTION), b"expect": (EXPECT, EXPECT),
    b"te": (HOP, HOP), b"trailer": (HOP, HOP), b"upgrade": (HOP, HOP), b"keep-alive": (HOP, HOP),
    b"proxy-connection": (HOP, HOP),
}

# RFC 9110 5.6.2 (token, upper case is gone from a lowered block) and 5.5 (field-value)
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9a-z]++"
_VALUE = rb"[\t -~\x80-\xff]*+"
_SPECIAL = rb"(?:" + b"|".join(_BITS) + rb"):"
_PLAIN = rb"(?:\r\n(?!" + _SPECIAL + rb")" + _TOKEN + rb":" + _VALUE + rb")*+"

_lines = re.compile(rb"(?:\r\n" + _TOKEN + rb":" + _VALUE + rb")*+").match
_specials = re.compile(rb"\r\n(" + b"|".join(_BITS) + rb"):").finditer
_only_host = re.compile(_PLAIN + rb"\r\nhost:[ \t]*+([!-~]++)[ \t]*+" + _PLAIN).fullmatch
_only_length = re.compile(_PLAIN + rb"\r\ncontent-length:[ \t]*+([!-~]++)[ \t]*+" + _PLAIN).fullmatch
_underscore = re.compile(rb"\r\n[^:_]*+_").search
_request_line = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++( )[!\x22\x24-~]++ HTTP/1\.([01])").fullmatch


def scan_fields(low: bytes, is_response: bool, wants_underscores: bool) -> tuple[int, int, int]:
    """Return (bits, start, end) of a lowered block whose lines are each preceded by CRLF.

    ``bits`` are the constants above; UNDERSCORE only where asked for. ``start`` and ``end`` bound the value, without white
    space, of the last Host line (requests) or Content-Length line (responses), 0 and 0 without one.
    A malformed block gives (-1, offset of the first byte that cannot be, 0).
    """
    match = _only_length(low) if is_response else _only_host(low)
    if match is None:
        return _scan_closely(low, is_response, wants_underscores)
    bits = LENGTH if is_response else HOST
    if wants_underscores and _underscore(low):
        bits |= UNDERSCORE
    return bits, match.start(1), match.end(1)


def _scan_closely(low: bytes, is_response: bool, wants_underscores: bool) -> tuple[int, int, int]:
    stop = _lines(low).end()
    if stop != len(low):
        return -1, _first_bad(low, stop), 0
    bits = start = end = 0
    wanted = b"content-length" if is_response else b"host"
    for match in _specials(low):
        once, again = _BITS[match[1]]
        bits |= again if bits & once else once
        if match[1] == wanted:
            start, end = _trim(low, match.end())
    if wants_underscores and _underscore(low):
        bits |= UNDERSCORE
    return bits, start, end


def _trim(low: bytes, start: int) -> tuple[int, int]:
    end = low.find(b"\r\n", start)
    if end < 0:
        end = len(low)
    while start < end and low[start] in b" \t":
        start += 1
    while end > start and low[end - 1] in b" \t":
        end -= 1
    return start, end


_good_start = re.compile(rb"\r\n(?:" + _TOKEN + rb"(?::" + _VALUE + rb")?)?|\r\n?").match


def _first_bad(low: bytes, stop: int) -> int:
    match = _good_start(low, stop)
    return match.end() if match else stop


def request_line(data: bytes, start: int, end: int) -> int:
    """Return twice the offset of the space after the method, plus HTTP's minor version (0 or 1); -1 for anything else.

    The target is what lies between that space and nine bytes before ``end``: visible ASCII without ``#``.
    """
    match = _request_line(data, start, end)
    return -1 if match is None else match.start(1) * 2 + (data[end - 1] & 1)
