"""Scanning of one head's bytes; called by the codecs in ``meshd.http``. ``field.pyx`` is the compiled twin.

Strategy: one pass says whether every line is well formed and which of the fields that steer framing it has, so that the
codec looks closer only at heads that have such fields. Possessive groups keep the patterns free of backtracking.
"""

import re

HOST, HOST_TWICE, LENGTH, LENGTH_TWICE, CODING, CODING_TWICE, CONNECTION, CONNECTION_TWICE = 1, 2, 4, 8, 16, 32, 64, 128
EXPECT, HOP, UNDERSCORE = 256, 512, 1024

_BITS = {
    b"host": (HOST, HOST_TWICE), b"content-length": (LENGTH, LENGTH_TWICE),
    b"transfer-encoding": (CODING, CODING_TWICE),
    b"connection": (CONNECTION, CONNECTION_TWICE), b"expect": (EXPECT, EXPECT),
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
# The usual block: the three most frequent special fields, each at most once, among plain ones. Groups: their values.
_usual = re.compile(
    _PLAIN + rb"(?:\r\n(?:(?(1)(?!))host:[ \t]*+([!-~]++)[ \t]*+|(?(2)(?!))content-length:[ \t]*+([!-~]++)[ \t]*+"
    + rb"|(?(3)(?!))connection:(" + _VALUE + rb"))" + _PLAIN + rb")*+"
).fullmatch
_underscore = re.compile(rb"\r\n[^:_]*+_").search
_request_line = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++( )[!\x22\x24-~]++ HTTP/1\.([01])").fullmatch


def scan_fields(low: bytes, wants_underscores: bool) -> tuple[int, int, int, int, int, int, int]:
    """Return (bits, then start and end of three values) of a lowered block whose lines are each preceded by CRLF.

    ``bits`` are the constants above; UNDERSCORE only where asked for. The values are those of the last Host and
    Content-Length line, without white space around them, and of the last Connection line, as it is; -1 and -1 without
    one. A malformed block gives -1 for the bits, and its first byte that cannot be at the first start.
    """
    match = _usual(low)
    if match is None:
        return _scan_closely(low, wants_underscores)
    _, (host, host_end), (length, length_end), (named, named_end) = match.regs
    bits = UNDERSCORE if wants_underscores and _underscore(low) else 0
    if host > 0:
        bits |= HOST
    if length > 0:
        bits |= LENGTH
    if named > 0:
        bits |= CONNECTION
    return bits, host, host_end, length, length_end, named, named_end


def _scan_closely(low: bytes, wants_underscores: bool) -> tuple[int, int, int, int, int, int, int]:
    stop = _lines(low).end()
    if stop != len(low):
        return -1, _first_bad(low, stop), -1, -1, -1, -1, -1
    bits = UNDERSCORE if wants_underscores and _underscore(low) else 0
    values = {b"host": (-1, -1), b"content-length": (-1, -1), b"connection": (-1, -1)}
    for match in _specials(low):
        name = match[1]
        once, again = _BITS[name]
        bits |= again if bits & once else once
        if name in values:
            values[name] = _line_end(low, match.end()) if name == b"connection" else _trim(low, match.end())
    return bits, *values[b"host"], *values[b"content-length"], *values[b"connection"]


def _line_end(low: bytes, start: int) -> tuple[int, int]:
    end = low.find(b"\r\n", start)
    return start, len(low) if end < 0 else end


def _trim(low: bytes, start: int) -> tuple[int, int]:
    start, end = _line_end(low, start)
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
