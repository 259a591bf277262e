"""RFC 9113 5: states of streams, their numbers, how many there may be."""

from meshd.http.h2.code import (
    ENHANCE_YOUR_CALM, GOAWAY, MAX_CONCURRENT_STREAMS, MAX_STREAM_ID, PROTOCOL_ERROR, REFUSED_STREAM, RST_STREAM,
    STREAM_CLOSED,
)
from tests.h2.case import Alive, Answered, Case, Connection, Either, Frames, Stream, Until
from tests.h2.wire import GET, POST, continuation, data, frame, headers, priority, rst, window_update
from tests.h2.words import UNEXPECTED

BROKEN = Connection((PROTOCOL_ERROR,))
CLOSED = Either((Stream(1, (STREAM_CLOSED,)), Connection((STREAM_CLOSED, PROTOCOL_ERROR))))
OPEN = headers(1, POST, False)


def _many(their):
    limit = their.get(MAX_CONCURRENT_STREAMS, 1 << 31)
    if limit > 2000:
        return None
    return tuple(headers(1 + 2 * at, POST, False) for at in range(limit + 1))


def _refused(heard) -> bool:
    """The stream beyond the limit is refused, or the connection ends."""
    return heard.is_over or any(one.kind in (RST_STREAM, GOAWAY) and one.code in (
        REFUSED_STREAM, PROTOCOL_ERROR, ENHANCE_YOUR_CALM) for one in heard.frames)


CASES = (
    Case("5.1", "idle: DATA", data(1, b"x"), BROKEN),
    Case("5.1", "idle: RST_STREAM", rst(1), BROKEN),
    Case("5.1", "idle: WINDOW_UPDATE", window_update(1, 100), BROKEN),
    Case("5.1", "idle: CONTINUATION", continuation(1, b""), BROKEN),
    *(Case("5.1", f"idle behind others: {words}", (headers(1), send), BROKEN) for words, send in (
        ("DATA", data(3, b"x")), ("RST_STREAM", rst(3)), ("WINDOW_UPDATE", window_update(3, 100)))),
    Case("5.1", "idle: PRIORITY", (priority(1), headers(1)), Answered()),
    Case("5.1", "open: a body that comes in pieces", (OPEN, data(1, b"a", False), data(1, b"b")), Answered()),
    Case("5.1", "open: WINDOW_UPDATE", (OPEN, window_update(1, 100), data(1)), Answered()),
    Case("5.1", "open: RST_STREAM, then another request", (OPEN, rst(1), headers(3)), Answered((3,))),
    Case("5.1", "half-closed (remote): DATA", (headers(1), data(1, b"x")), CLOSED),
    Case("5.1", "half-closed (remote): HEADERS", (headers(1), headers(1, ((b"x", b"y"),))), CLOSED),
    Case("5.1", "half-closed (remote): CONTINUATION", (headers(1), continuation(1, b"")), BROKEN),
    Case("5.1", "half-closed (remote): WINDOW_UPDATE", (headers(1), window_update(1, 100)), Answered()),
    Case("5.1", "half-closed (remote): PRIORITY", (headers(1), priority(1)), Answered()),
    Case("5.1", "half-closed (remote): RST_STREAM", (headers(1), rst(1), headers(3)), Answered((3,))),
    Case("5.1", "closed by RST_STREAM: DATA", (OPEN, rst(1), data(1, b"x")), Either((CLOSED, Alive()))),
    Case("5.1", "closed by RST_STREAM: HEADERS", (OPEN, rst(1), headers(1)), Either((CLOSED, Alive()))),
    Case("5.1", "closed by RST_STREAM: PRIORITY", (OPEN, rst(1), priority(1), headers(3)), Answered((3,))),
    Case("5.1", "closed by RST_STREAM: another RST_STREAM", (OPEN, rst(1), rst(1), headers(3)),
         Either((Answered((3,)), CLOSED))),
    Case("5.1", "closed: DATA", (headers(1), Until(1), data(1, b"x")), Either((CLOSED, Alive()))),
    Case("5.1", "closed: HEADERS", (headers(1), Until(1), headers(1)), CLOSED,
         UNEXPECTED),
    Case("5.1", "closed: CONTINUATION", (headers(1), Until(1), continuation(1, b"")),
         Connection((PROTOCOL_ERROR, STREAM_CLOSED))),
    Case("5.1", "closed: WINDOW_UPDATE", (headers(1), Until(1), window_update(1, 100), headers(3)), Answered((3,))),
    Case("5.1", "closed: PRIORITY", (headers(1), Until(1), priority(1), headers(3)), Answered((3,))),
    Case("5.1", "closed: RST_STREAM", (headers(1), Until(1), rst(1), headers(3)), Answered((3,))),
    Case("5.1.1", "an even stream", headers(2), BROKEN),
    Case("5.1.1", "stream numbers that fall", (headers(5), headers(3)), Connection((PROTOCOL_ERROR, STREAM_CLOSED)),
         UNEXPECTED),
    Case("5.1.1", "stream numbers with gaps", (headers(5), headers(101), headers(1001)), Answered((5, 101, 1001))),
    Case("5.1.1", "the greatest stream number", headers(MAX_STREAM_ID), Answered((MAX_STREAM_ID,))),
    Case("5.1.1", "DATA on an even stream", data(2, b"x"), BROKEN),
    Case("5.1.2", "more streams than announced", _many, Frames(_refused)),
    Case("5.1.2", "as many streams one after the other", tuple(
        step for at in range(15) for step in (headers(1 + 2 * at), Until(1 + 2 * at))), Answered((29,))),
    Case("5.1.2", "streams that were reset make room", tuple(
        step for at in range(15) for step in (headers(1 + 2 * at, POST, False), rst(1 + 2 * at))) + (headers(31),),
        Answered((31,))),
    Case("5.3", "a stream that depends on itself", (OPEN, priority(1, 1), data(1)),
         Either((Answered(), Stream(1, (PROTOCOL_ERROR,), is_strict=False), BROKEN))),
    Case("5.3", "HEADERS that depends on itself", frame(1, 0x25, 1, b"\0\0\0\1\x10" + headers(1)[9:]),
         Either((Answered(), Stream(1, (PROTOCOL_ERROR,), is_strict=False), BROKEN))),
    Case("5.3", "exclusive PRIORITY of many streams",
         tuple(priority(1 + 2 * at, 0x80000000) for at in range(40)) + (headers(101),), Answered((101,))),
    Case("5.4.1", "after GOAWAY with an error the server closes", frame(0, 0, 0, b"x"), BROKEN),
    Case("5.4.2", "a stream error leaves other streams alone",
         (headers(1), headers(3, (*GET, (b"connection", b"close"))), headers(5)),
         Either((Answered((1, 5)), Connection((PROTOCOL_ERROR,))))),
)
