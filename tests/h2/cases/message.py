"""RFC 9113 8.1: how messages are made of frames, and lengths."""

from meshd.http.h2.code import FRAME_SIZE_ERROR, HEADERS, PROTOCOL_ERROR, RST_STREAM
from tests.h2.case import Answered, Case, Connection, Either, Frames, Until, malformed
from tests.h2.wire import END_STREAM, GET, PADDED, POST, data, frame, headers, rst
from tests.h2.words import LENGTH, LESS_PADDING, MALFORMED


def _length(value: bytes, *bodies: bytes, more=()):
    """Return a request that says a length, and its body."""
    head = headers(1, (*POST, (b"content-length", value), *more), not bodies)
    return (head, *bodies)


TRAILERS = ((b"x-sum", b"1"),)
HEAD = ((b":method", b"HEAD"), *GET[1:])


def _has_no_body(heard) -> bool:
    answered = [one for one in heard.of(HEADERS, 1) if one.status]
    return bool(answered) and not any(one.payload for one in heard.of(0, 1)) and heard.is_alive and any(
        one.is_end for one in heard.frames if one.stream_id == 1)


CASES = (
    Case("8.1", "a request without a body", headers(1), Answered()),
    Case("8.1", "a request with a body", (headers(1, POST, False), data(1, b"hello")), Answered()),
    Case("8.1", "a body of no bytes", (headers(1, POST, False), data(1)), Answered()),
    Case("8.1", "many requests at once", b"".join(headers(1 + 2 * at) for at in range(8)),
         Answered(tuple(1 + 2 * at for at in range(8)))),
    Case("8.1", "trailers", (headers(1, POST, False), data(1, b"x", False), headers(1, TRAILERS)), Answered()),
    Case("8.1", "trailers without a body", (headers(1, POST, False), headers(1, TRAILERS)), Answered()),
    Case("8.1", "trailers of no fields", (headers(1, POST, False), data(1, b"x", False), headers(1, b"")),
         Either((Answered(), Connection((FRAME_SIZE_ERROR,))))),
    Case("8.1", "trailers that do not end the stream",
         (headers(1, POST, False), data(1, b"x", False), headers(1, TRAILERS, False), data(1)), malformed()),
    Case("8.1", "a second head on an open stream", (headers(1, POST, False), headers(1, POST, False)), malformed()),
    Case("8.1", "pseudo-header fields in trailers",
         (headers(1, POST, False), data(1, b"x", False), headers(1, ((b":path", b"/"),))), malformed(), MALFORMED),
    Case("8.1", "a status in trailers",
         (headers(1, POST, False), data(1, b"x", False), headers(1, ((b":status", b"200"),))), malformed(), MALFORMED),
    Case("8.1", "an upper-case name in trailers",
         (headers(1, POST, False), data(1, b"x", False), headers(1, ((b"X-Sum", b"1"),))), malformed(), MALFORMED),
    Case("8.1", "connection in trailers",
         (headers(1, POST, False), data(1, b"x", False), headers(1, ((b"connection", b"close"),))), malformed(),
         MALFORMED),
    Case("8.1", "transfer-encoding in trailers",
         (headers(1, POST, False), data(1, b"x", False), headers(1, ((b"transfer-encoding", b"chunked"),))),
         malformed(), MALFORMED),
    Case("8.1", "an answer to HEAD has no body", headers(1, HEAD), Frames(_has_no_body)),
    Case("8.1", "a client that resets a request is not answered any more", (headers(1, POST, False), rst(1)),
         Frames(lambda heard: heard.is_alive and not heard.of(HEADERS, 1) and not heard.of(RST_STREAM, 1))),
    Case("8.1.1", "content-length that is met", _length(b"5", data(1, b"hello")), Answered()),
    Case("8.1.1", "content-length that is met in pieces", _length(b"5", data(1, b"hel", False), data(1, b"lo")),
         Answered()),
    Case("8.1.1", "content-length that is met with padding",
         _length(b"5", frame(0, END_STREAM | PADDED, 1, b"\x03hello\0\0\0")), Answered(),
         LESS_PADDING),
    Case("8.1.1", "content-length that is met before trailers",
         _length(b"5", data(1, b"hello", False), headers(1, TRAILERS)), Answered()),
    Case("8.1.1", "content-length of 0 without a body", _length(b"0"), Answered()),
    Case("8.1.1", "content-length without a body", _length(b"1"), malformed(), LENGTH),
    Case("8.1.1", "content-length greater than the body", _length(b"6", data(1, b"hello")), malformed()),
    Case("8.1.1", "content-length less than the body", _length(b"4", data(1, b"hello")), malformed()),
    Case("8.1.1", "content-length less than the body in pieces",
         _length(b"4", data(1, b"hel", False), data(1, b"lo")), malformed()),
    Case("8.1.1", "content-length greater than the body in pieces",
         _length(b"6", data(1, b"hel", False), data(1, b"lo")), malformed()),
    Case("8.1.1", "content-length that trailers break",
         _length(b"6", data(1, b"hello", False), headers(1, TRAILERS)), malformed(), LENGTH),
    # in one write: a server may answer a request of length 0 before it sees that there is more
    Case("8.1.1", "content-length of 0 and a body", b"".join(_length(b"0", data(1, b"x"))), malformed()),
    Case("8.1.1", "two lengths that differ", _length(b"5", data(1, b"hello"), more=((b"content-length", b"6"),)),
         malformed()),
    Case("8.1.1", "two equal lengths", _length(b"5", data(1, b"hello"), more=((b"content-length", b"5"),)),
         Either((malformed(), Answered()))),
    Case("8.1.1", "content-length with a sign", _length(b"+5", data(1, b"hello")), malformed()),
    Case("8.1.1", "content-length below 0", _length(b"-1", data(1, b"")), malformed()),
    Case("8.1.1", "content-length that is a word", _length(b"five", data(1, b"hello")), malformed()),
    Case("8.1.1", "content-length with an underscore", _length(b"1_0", data(1, b"0123456789")), malformed()),
    Case("8.1.1", "content-length in hexadecimal", _length(b"0x5", data(1, b"hello")), malformed()),
    Case("8.1.1", "content-length without a value", _length(b"", data(1, b"hello")), malformed()),
    Case("8.1.1", "content-length as a list", _length(b"5, 5", data(1, b"hello")), Either((malformed(), Answered()))),
    Case("8.1.1", "content-length beyond 64 bits", _length(b"99999999999999999999999", data(1, b"x")), malformed()),
    Case("8.1.1", "a request after a malformed one", (*_length(b"1"), headers(3)),
         Either((Answered((3,)), Connection((PROTOCOL_ERROR,))))),
    Case("8.7", "requests one after the other", (headers(1), Until(1), headers(3), Until(3), headers(5)),
         Answered((1, 3, 5))),
)
