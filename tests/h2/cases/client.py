"""What a client of ours does with servers of all kinds: the peer is a script.

A case: the client has sent a GET on stream 1 and, where ``more`` says so, others; the script's bytes follow a SETTINGS
frame. ``told`` is what the sink must hear of stream 1 (kinds of events), ``code`` what the client says on the wire
(RST_STREAM of stream 1, or GOAWAY where the connection ends). ``others``: what may be told instead.
"""

import attrs

from meshd.http.h2.code import (
    COMPRESSION_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, STREAM_CLOSED,
)
from tests.h2.wire import (
    ACK, END_STREAM, PADDED, continuation, data, frame, goaway, headers, literal, ping, priority, push_promise, rst,
    settings, window_update,
)
from tests.h2.words import LESS_PADDING, MALFORMED, PUSH, REFUSED, SPACES

OK = ((b":status", b"200"),)
DONE = ("response", "end", "closed")
HEADLESS = ("response", "closed")


@attrs.frozen
class ClientCase:
    """See the module."""

    section: str
    name: str
    send: bytes
    told: tuple = ()
    codes: tuple = ()
    body: bytes = b""
    method: bytes = b"GET"
    first: bytes = settings()
    others: tuple = ()
    words: str = ""
    status: int = 200

    @property
    def id(self) -> str:
        """Names the case in reports."""
        return f"{self.section} {self.name}"


def good(section: str, name: str, *send: bytes, told=DONE, **more) -> ClientCase:
    """The answer is taken."""
    return ClientCase(section, name, b"".join(send), told, **more)


def broken(section: str, name: str, *send: bytes, told=("reset",), codes=(PROTOCOL_ERROR,), **more) -> ClientCase:
    """The answer is malformed: a stream error."""
    return ClientCase(section, name, b"".join(send), told, codes, **more)


def fatal(section: str, name: str, *send: bytes, codes=(PROTOCOL_ERROR,), told=("error",), **more) -> ClientCase:
    """The connection ends."""
    return ClientCase(section, name, b"".join(send), told, codes, **more)


def _fields(*fields):
    return headers(1, (*OK, *fields), True)


LENGTH_5 = headers(1, (*OK, (b"content-length", b"5")), False)

CASES = (
    fatal("3.4", "a server that does not begin with SETTINGS", ping(), first=b""),
    fatal("3.4", "a server that speaks HTTP/1.1", b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", first=b"",
          codes=(PROTOCOL_ERROR, FRAME_SIZE_ERROR)),
    good("8.1", "an answer without a body", headers(1, OK), told=HEADLESS),
    good("8.1", "an answer with a body", headers(1, OK, False), data(1, b"hello"), body=b"hello"),
    good("8.1", "an answer in pieces", headers(1, OK, False), data(1, b"hel", False), data(1, b"lo", False), data(1),
         body=b"hello"),
    good("8.1", "an answer with trailers", headers(1, OK, False), data(1, b"x", False), headers(1, ((b"a", b"b"),)),
         body=b"x"),
    good("8.1", "trailers without a body", headers(1, OK, False), headers(1, ((b"a", b"b"),))),
    good("8.1", "interim answers", headers(1, ((b":status", b"103"),), False),
         headers(1, ((b":status", b"100"),), False), headers(1, OK),
         told=("informational", "informational", *HEADLESS)),
    good("8.1", "an answer, then RST_STREAM with NO_ERROR", headers(1, OK), rst(1, 0), told=HEADLESS),
    good("8.1", "padding", headers(1, OK, False), frame(0, END_STREAM | PADDED, 1, b"\2hi\0\0"), body=b"hi",
         words=LESS_PADDING),
    broken("8.1", "an interim answer that ends", headers(1, ((b":status", b"100"),)),
           others=(("error",),)),
    broken("8.1", "a body before the head", data(1, b"x"), others=(("error",),), words=MALFORMED),
    broken("8.1", "trailers that do not end", headers(1, OK, False), headers(1, ((b"a", b"b"),), False),
           told=("response", "reset")),
    broken("8.1", "pseudo-header fields in trailers", headers(1, OK, False), headers(1, OK), told=("response", "reset"),
           others=(("response", "error"),)),
    good("8.1.1", "content-length that is met", LENGTH_5, data(1, b"hello"), body=b"hello"),
    broken("8.1.1", "content-length greater than the body", LENGTH_5, data(1, b"hell"), told=("response", "reset")),
    broken("8.1.1", "content-length less than the body", LENGTH_5, data(1, b"hello!"), told=("response", "reset")),
    broken("8.1.1", "content-length that trailers break", LENGTH_5, data(1, b"hell", False),
           headers(1, ((b"a", b"b"),)), told=("response", "reset"), body=b"hell"),
    broken("8.1.1", "content-length without a body", _fields((b"content-length", b"5"))),
    broken("8.1.1", "content-length that is no number", headers(1, (*OK, (b"content-length", b"x")), False)),
    broken("8.1.1", "content-length twice",
           headers(1, (*OK, (b"content-length", b"5"), (b"content-length", b"6")), False)),
    good("8.1.1", "content-length of an answer to HEAD", _fields((b"content-length", b"5")), told=HEADLESS,
         method=b"HEAD"),
    good("8.1.1", "content-length of a 304", headers(1, ((b":status", b"304"), (b"content-length", b"5"))),
         told=HEADLESS, status=304),
    broken("8.1.1", "a body behind an answer to HEAD", headers(1, OK, False), data(1, b"x"), method=b"HEAD",
           told=("response", "reset"), others=(("response", "error"),)),
    broken("8.2.1", "a name in upper case", _fields((b"Foo", b"x"))),
    broken("8.2.1", "a name of no bytes", _fields((b"", b"x")), codes=(PROTOCOL_ERROR, COMPRESSION_ERROR)),
    broken("8.2.1", "a name with a colon", _fields((b"a:b", b"x"))),
    broken("8.2.1", "a value with CR LF", _fields((b"a", b"b\r\nc: d"))),
    broken("8.2.1", "a value with NUL", _fields((b"a", b"\0"))),
    broken("8.2.1", "a value with white space around it", _fields((b"a", b" b ")), words=SPACES),
    broken("8.2.2", "connection", _fields((b"connection", b"close"))),
    broken("8.2.2", "transfer-encoding", _fields((b"transfer-encoding", b"chunked"))),
    broken("8.2.2", "keep-alive", _fields((b"keep-alive", b"timeout=5"))),
    broken("8.2.2", "upgrade", _fields((b"upgrade", b"h2c"))),
    broken("8.3.2", "no :status", headers(1, ((b"a", b"b"),))),
    broken("8.3.2", "no field at all", headers(1, b""), codes=(PROTOCOL_ERROR, FRAME_SIZE_ERROR)),
    broken("8.3.2", "two :status", headers(1, OK + OK)),
    broken("8.3.2", "a :status that is a word", headers(1, ((b":status", b"OK"),))),
    broken("8.3.2", "a :status of two digits", headers(1, ((b":status", b"20"),))),
    broken("8.3.2", "a :status of four digits", headers(1, ((b":status", b"2000"),))),
    broken("8.3.2", "a :status with a reason", headers(1, ((b":status", b"200 OK"),))),
    broken("8.3.2", "a :status of 000", headers(1, ((b":status", b"000"),))),
    broken("8.3.2", "a :status behind a field", headers(1, ((b"a", b"b"), *OK))),
    broken("8.3.2", "a pseudo-header field of requests", headers(1, (*OK, (b":path", b"/")))),
    broken("8.6", "101", headers(1, ((b":status", b"101"),), False)),
    fatal("8.4", "a push that was not allowed", frame(4, ACK, 0), push_promise(1, 2)),
    fatal("5.1.1", "an answer on a stream that was not begun", headers(3, OK)),
    fatal("5.1.1", "an answer on an even stream", headers(2, OK)),
    fatal("5.1", "DATA on a stream that was not begun", data(5, b"x")),
    good("5.1", "RST_STREAM by the server", rst(1, 2), told=("reset",)),
    good("8.7", "a refused stream", rst(1, REFUSED_STREAM), told=("reset",)),
    good("6.8", "GOAWAY that refuses the request", goaway(0), told=("reset", "goaway"), words=REFUSED),
    good("6.8", "GOAWAY, then the answer", goaway(1), headers(1, OK), told=("goaway", *HEADLESS)),
    good("6.8", "two GOAWAYs, then the answer", goaway(2**31 - 1), goaway(1), headers(1, OK),
         told=("goaway", "goaway", *HEADLESS)),
    good("6.8", "two GOAWAYs, the second with an error, then the answer", goaway(2**31 - 1), goaway(1, 11, b"calm"),
         headers(1, OK), told=("goaway", "goaway", *HEADLESS)),
    good("6.8", "the answer, then a GOAWAY with an error", headers(1, OK), goaway(1, 2, b"oh"),
         told=(*HEADLESS, "goaway")),
    fatal("4.3", "a section that cannot be decoded", headers(1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
          codes=(COMPRESSION_ERROR,)),
    fatal("4.3", "a section with a hole", headers(1, OK, flags=0), ping(), continuation(1, b"")),
    fatal("4.2", "a frame larger than announced", frame(0, 0, 1, bytes(16385)), codes=(FRAME_SIZE_ERROR,)),
    fatal("6.5.2", "ENABLE_PUSH of 1 by a server", settings((2, 1)), words=PUSH),
    fatal("6.5", "SETTINGS with a length of 5", frame(4, 0, 0, bytes(5)), codes=(FRAME_SIZE_ERROR,)),
    fatal("6.7", "PING with a length of 7", frame(6, 0, 0, bytes(7)), codes=(FRAME_SIZE_ERROR,)),
    fatal("6.9", "a window above 2^31 - 1", window_update(0, 2**31 - 1), codes=(FLOW_CONTROL_ERROR,)),
    fatal("6.9", "an increment of 0", window_update(0, 0)),
    fatal("6.10", "CONTINUATION without HEADERS", continuation(1, b"")),
    fatal("6.1", "DATA on stream 0", data(0, b"x")),
    fatal("6.1", "more padding than payload", headers(1, OK, False), frame(0, PADDED, 1, b"\5hi"),
          told=("response", "error")),
    good("6.3", "PRIORITY by a server", priority(1), headers(1, OK), told=HEADLESS),
    good("5.5", "unknown frames and settings", frame(0xf0, 1, 1, b"x"), settings((0xff, 1)), headers(1, OK),
         told=HEADLESS),
    good("6.5.3", "an acknowledgement and many SETTINGS", frame(4, ACK, 0), settings((3, 5)), headers(1, OK),
         told=HEADLESS),
    good("RFC 7541 6.2.3", "fields never indexed", headers(1, literal(b":status", b"200", 0x10)), told=HEADLESS),
    good("4.3", "CONTINUATION", headers(1, literal(b":status", b"200")[:4], True, 0),
         continuation(1, literal(b":status", b"200")[4:]), told=HEADLESS),
    fatal("5.1", "a second answer behind the end", headers(1, OK), headers(1, OK), told=("response", "closed", "error"),
          codes=(STREAM_CLOSED, PROTOCOL_ERROR), others=(HEADLESS,)),
)
