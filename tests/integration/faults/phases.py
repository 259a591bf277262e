"""The phases of an answer in which an upstream fails, and what follows: the table of the page and of its test."""

from typing import NamedTuple

HEAD = b"HTTP/1.1 200 OK\r\nA: b\r\n"
LENGTH = HEAD + b"Content-Length: 10\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GARBAGE = b"\x00\x16\x03\x01 nonsense\r\n\r\n"
ENDINGS = ("close", "reset", "garbage")
CUT = "cut"
BEFORE, BEGUN = "before", "after"
TERMINATION, PROTOCOL = "connection_termination", "protocol_error"


class Phase(NamedTuple):
    """``what`` says what came before the fault, ``data`` is it; ``is_read``: the request was read first."""

    name: str
    what: str
    data: bytes
    began: str = BEFORE
    is_read: bool = True
    is_whole: bool = False


PHASES = (
    Phase("request-unread", "connection accepted", b"", is_read=False),
    Phase("request-read", "request read", b""),
    Phase("status-line", "part of the status line", b"HTTP/1.1 20"),
    Phase("fields", "part of the head", HEAD),
    Phase("interim", "a 103", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"),
    Phase("head-done", "the head", LENGTH, BEGUN),
    Phase("body", "half of a counted body", LENGTH + b"hello", BEGUN),
    Phase("chunk-size", "a chunk", CHUNKED + b"5\r\nhello\r\n", BEGUN),
    Phase("chunk-data", "half a chunk", CHUNKED + b"5\r\nhel", BEGUN),
    Phase("last-chunk", "the last chunk, no end of trailers", CHUNKED + b"5\r\nhello\r\n0\r\n", BEGUN),
    Phase("trailers", "a trailer", CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n", BEGUN),
    Phase("done", "all of it", LENGTH + b"helloworld", BEGUN, is_whole=True),
)


class Expected(NamedTuple):
    """``seen`` are the statuses, or CUT, that the client may get; ``ends`` are (flag, details) of the access log."""

    seen: tuple
    ends: tuple


WHOLE = Expected((200,), (("-", "via_upstream"),))


def end_of(began, reason):
    """Return the Expected of an answer that has, or has not, begun."""
    flag, status = {TERMINATION: ("UC", 503), PROTOCOL: ("UPE", 502)}[reason]
    seen = CUT if began == BEGUN else status
    return Expected((seen,), ((flag, f"upstream_reset_{began}_response_started{{{reason}}}"),))


def either(first, second):
    """Return the Expected of what may end in two ways."""
    return Expected(first.seen + second.seen, first.ends + second.ends)


def expected(phase, ending):
    """Return what follows from a fault. A reset may overtake what was sent before it: then nothing has begun."""
    is_part = phase.name in ("status-line", "fields")
    if ending == "garbage":
        is_body = phase.is_whole or phase.name in ("head-done", "body")  # counted bytes may be any
        return WHOLE if is_body else end_of(phase.began, PROTOCOL)
    if ending == "close":
        return WHOLE if phase.is_whole else end_of(phase.began, PROTOCOL if is_part else TERMINATION)
    found = either(end_of(phase.began, TERMINATION), end_of(BEFORE, TERMINATION))
    return either(found, WHOLE) if phase.is_whole else found


def rows():
    """Return the lines of the table for people."""
    lines = ["| phase | what came before | close | reset | garbage |", "| --- | --- | --- | --- | --- |"]
    for phase in PHASES:
        cells = [cell(expected(phase, ending), phase, ending) for ending in ENDINGS]
        lines.append(f"| {phase.name} | {phase.what} | {' | '.join(cells)} |")
    return lines


def cell(found, phase, ending):
    """Return what the client gets and the flag."""
    if ending == "reset" and phase.is_whole:
        return "200; cut `UC` or 503 `UC` where the reset overtakes the answer"
    if found == WHOLE:
        return "200" if phase.is_whole else "200, counted as body"
    flag = found.ends[0][0]
    return f"{found.seen[0]} `{flag}`"
