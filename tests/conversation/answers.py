"""Hostile and odd HTTP/1.1 responses as data: what an upstream sends and what must become of it; see ``cases``."""

from typing import NamedTuple


class Answer(NamedTuple):
    """A response that must come out; ``ending`` is how: ``end``, ``open`` (more may come) or ``tunnel``."""

    status: int = 200
    body: bytes = b""
    keep_alive: bool = True
    ending: str = "end"


class Reply(NamedTuple):
    """``data`` answers a request with ``method``; ``is_closed`` says that the connection ends after it. ``refusal`` is
    the detail of the 502 (``truncated`` when the end came too early), empty when all is taken. ``answers`` come out
    before it, interim ones too. ``names`` are the fields that must be left in the last one, None where it does not
    matter."""

    name: str
    data: bytes
    method: bytes
    is_closed: bool
    refusal: str
    answers: tuple[Answer, ...]
    names: tuple[bytes, ...] | None


_CODEC = "http1.codec_error"


def _good(name, data, *answers, method=b"GET", is_closed=False, names=None):
    return Reply(name, data, method, is_closed, "", answers or (Answer(),), names)


def _bad(name, data, refusal=_CODEC, answers=(), method=b"GET", is_closed=False):
    return Reply(name, data, method, is_closed, refusal, tuple(answers), None)


def _ok(*lines: bytes, body: bytes = b"", line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join((line, *lines, b"", body))


def _five(*lines: bytes, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return _ok(*lines, b"Content-Length: 5", body=b"hello", line=line)


def _chunks(body: bytes, *lines: bytes) -> bytes:
    return _ok(b"Transfer-Encoding: chunked", *lines, body=body)


_HELLO = Answer(body=b"hello")
_START = Answer(ending="open")
_NONE = b"Content-Length: 0"

LINES = (
    _good("status/plain", _five(), _HELLO),
    _good("status/no-reason", _five(line=b"HTTP/1.1 200 "), _HELLO),
    _good("status/no-space-no-reason", _five(line=b"HTTP/1.1 200"), _HELLO),
    _good("status/long-reason", _five(line=b"HTTP/1.1 200 It's all\t\xe9 fine"), _HELLO),
    _good("status/1.0", _five(line=b"HTTP/1.0 200 OK"), Answer(body=b"hello", keep_alive=False)),
    _good("status/599", _five(line=b"HTTP/1.1 599 Odd"), Answer(599, b"hello")),
    _bad("status/two-digits", _five(line=b"HTTP/1.1 20 OK")),
    _bad("status/four-digits", _five(line=b"HTTP/1.1 2000 OK")),
    _bad("status/one-digit", _five(line=b"HTTP/1.1 2")),
    _bad("status/letters", _five(line=b"HTTP/1.1 OK")),
    _bad("status/missing", _five(line=b"HTTP/1.1 ")),
    _bad("status/zero", _five(line=b"HTTP/1.1 000 X")),
    _bad("status/099", _five(line=b"HTTP/1.1 099 X")),
    _bad("status/600", _five(line=b"HTTP/1.1 600 X")),
    _bad("status/999", _five(line=b"HTTP/1.1 999 X")),
    _bad("status/minus", _five(line=b"HTTP/1.1 -20 X")),
    _bad("status/plus", _five(line=b"HTTP/1.1 +20 X")),
    _bad("status/decimal", _five(line=b"HTTP/1.1 200.1 X")),
    _bad("status/hex", _five(line=b"HTTP/1.1 0xC X")),
    _bad("status/two-spaces", _five(line=b"HTTP/1.1  200 OK")),
    _bad("status/tab", _five(line=b"HTTP/1.1\t200 OK")),
    _bad("status/space-before", _five(line=b" HTTP/1.1 200 OK")),
    _bad("status/empty-line-before", b"\r\n" + _five()),
    _bad("status/bare-lf", b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"),
    _bad("status/bare-lf-all", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    _bad("status/bare-cr-in-reason", _five(line=b"HTTP/1.1 200 O\rK")),
    _bad("status/nul-in-reason", _five(line=b"HTTP/1.1 200 O\0K")),
    _bad("status/escape-in-reason", _five(line=b"HTTP/1.1 200 \x1b[2J")),
    _bad("status/version-1.2", _five(line=b"HTTP/1.2 200 OK")),
    _bad("status/version-2.0", _five(line=b"HTTP/2.0 200 OK")),
    _bad("status/version-0.9", b"<html>hello</html>"),
    _bad("status/lower-case", _five(line=b"http/1.1 200 OK")),
    _bad("status/icy", _five(line=b"ICY 200 OK")),
    _bad("status/request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    _bad("status/tls-alert", b"\x15\x03\x01\x00\x02\x02\x50"),
    _bad("status/http-2-settings", b"\0\0\0\x04\0\0\0\0\0"),
)

FIELDS = (
    _good("resp/field-empty", _five(b"A:"), _HELLO, names=(b"a", b"content-length")),
    _good("resp/field-latin-1", _five(b"A: \xe9"), _HELLO),
    _good("resp/field-repeated", _five(b"Set-Cookie: a", b"Set-Cookie: b"), _HELLO,
          names=(b"set-cookie", b"set-cookie", b"content-length")),
    _good("resp/two-hosts-mean-nothing", _five(b"Host: a", b"Host: b"), _HELLO),
    _bad("resp/field-fold", _five(b"A: b", b" c")),
    _bad("resp/field-fold-tab", _five(b"A: b", b"\tc")),
    _bad("resp/field-space-before-colon", _five(b"A : b")),
    _bad("resp/field-space-before-first", _five(b" A: b")),
    _bad("resp/field-empty-name", _five(b": b")),
    _bad("resp/field-no-colon", _five(b"Ab")),
    _bad("resp/field-nul", _five(b"A: \0")),
    _bad("resp/field-bare-cr", _five(b"A: b\rC: d")),
    _bad("resp/field-bare-lf", _five(b"A: b\nC: d")),
    _bad("resp/field-bare-lf-end", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n"),
    _bad("resp/field-control", _five(b"A: \x07")),
    _bad("resp/field-latin-1-name", _five(b"\xe9: b")),
    _bad("resp/length-space-before-colon", _ok(b"Content-Length : 5", body=b"hello")),
    _bad("resp/too-many-fields", _five(*[b"A%d: b" % number for number in range(100)]), "http1.too_many_headers"),
    _bad("resp/too-large", _five(b"A: " + b"b" * 61440), "http1.headers_too_large"),
    _bad("resp/endless", _five()[:17] + b"A: b\r\n" * 10240, "http1.headers_too_large"),
    _bad("resp/endless-reason", b"HTTP/1.1 200 " + b"a" * 61440, "http1.headers_too_large"),
)

LENGTHS = (
    _good("resp/cl-zero", _ok(_NONE)),
    _good("resp/cl-leading-zeros", _ok(b"Content-Length: 005", body=b"hello"), _HELLO),
    _good("resp/cl-short-so-far", _ok(b"Content-Length: 6", body=b"hello"), Answer(body=b"hello", ending="open")),
    _good("resp/until-close", _ok(body=b"hello"), Answer(body=b"hello", keep_alive=False), is_closed=True),
    _good("resp/until-close-empty", _ok(), Answer(keep_alive=False), is_closed=True),
    _good("resp/until-close-1.0", _ok(body=b"hello", line=b"HTTP/1.0 200 OK"), Answer(body=b"hello", keep_alive=False),
          is_closed=True),
    _good("resp/until-close-1.0-keep-alive", _ok(b"Connection: keep-alive", body=b"hello", line=b"HTTP/1.0 200 OK"),
          Answer(body=b"hello", keep_alive=False), is_closed=True),
    _good("resp/until-close-open", _ok(body=b"hello"), Answer(body=b"hello", keep_alive=False, ending="open")),
    _bad("resp/cl-duplicate-same", _five(b"Content-Length: 5")),
    _bad("resp/cl-duplicate-other", _five(b"Content-Length: 4")),
    _bad("resp/cl-list", _ok(b"Content-Length: 5, 5", body=b"hello")),
    _bad("resp/cl-empty", _ok(b"Content-Length:")),
    _bad("resp/cl-plus", _ok(b"Content-Length: +5", body=b"hello")),
    _bad("resp/cl-minus", _ok(b"Content-Length: -1")),
    _bad("resp/cl-hex", _ok(b"Content-Length: 0x5", body=b"hello")),
    _bad("resp/cl-underscore", _ok(b"Content-Length: 1_0")),
    _bad("resp/cl-overflow", _ok(b"Content-Length: 18446744073709551621", body=b"hello")),
    _bad("resp/cl-word", _ok(b"Content-Length: five", body=b"hello")),
    _bad("resp/cl-truncated", _ok(b"Content-Length: 6", body=b"hello"), "truncated", [Answer(body=b"hello",
                                                                                             ending="open")],
         is_closed=True),
    _bad("resp/head-truncated", b"HTTP/1.1 200 OK\r\nContent-", "truncated", is_closed=True),
    _bad("resp/line-truncated", b"HTT", "truncated", is_closed=True),
    _bad("resp/chunks-truncated", _chunks(b"5\r\nhello\r\n"), "truncated", [Answer(body=b"hello", ending="open")],
         is_closed=True),
    _bad("resp/chunk-data-truncated", _chunks(b"6\r\nhello"), "truncated", [Answer(body=b"hello", ending="open")],
         is_closed=True),
    _bad("resp/trailers-truncated", _chunks(b"5\r\nhello\r\n0\r\n"), "truncated", [Answer(body=b"hello",
                                                                                          ending="open")],
         is_closed=True),
    _bad("resp/cl-too-short", _ok(b"Content-Length: 4", body=b"hello"), answers=[Answer(body=b"hell")]),
    _bad("resp/two-answers", _five() + _five(), answers=[_HELLO]),
    _bad("resp/empty-line-behind", _five() + b"\r\n", answers=[_HELLO]),
    _bad("resp/body-for-length-zero", _ok(_NONE, body=b"hello"), answers=[Answer()]),
)

_BOTH = "http1.content_length_and_chunked_not_allowed"
_CODING = "http1.invalid_transfer_encoding"

CHUNKS = (
    _good("resp/chunked", _chunks(b"5\r\nhello\r\n0\r\n\r\n"), _HELLO, names=()),
    _good("resp/chunked-two", _chunks(b"2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n"), _HELLO),
    _good("resp/chunked-trailers", _chunks(b"0\r\nGrpc-Status: 0\r\n\r\n", b"Trailer: Grpc-Status"),
          names=(b"trailer",)),
    _good("resp/chunked-so-far", _chunks(b"5\r\nhel"), Answer(body=b"hel", ending="open")),
    _bad("resp/chunked-and-length", _five(b"Transfer-Encoding: chunked"), _BOTH),
    _bad("resp/chunked-1.0", _ok(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n", line=b"HTTP/1.0 200 OK"),
         "http1.transfer_encoding_not_allowed"),
    _bad("resp/identity", _ok(b"Transfer-Encoding: identity", body=b"hello"), _CODING),
    _bad("resp/gzip-chunked", _ok(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), _CODING),
    _bad("resp/chunked-twice", _ok(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
         _CODING),
    _bad("resp/chunked-gzip", _ok(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), _CODING),
    _bad("resp/coding-empty", _ok(b"Transfer-Encoding:", body=b"0\r\n\r\n"), _CODING),
    _bad("resp/chunk-size-letters", _chunks(b"xyz\r\n"), answers=[_START]),
    _bad("resp/chunk-size-empty", _chunks(b"\r\n"), answers=[_START]),
    _bad("resp/chunk-size-plus", _chunks(b"+5\r\nhello\r\n0\r\n\r\n"), answers=[_START]),
    _bad("resp/chunk-size-space", _chunks(b"5 \r\nhello\r\n0\r\n\r\n"), answers=[_START]),
    _bad("resp/chunk-size-17-digits", _chunks(b"0" * 16 + b"5\r\nhello\r\n0\r\n\r\n"), answers=[_START]),
    _bad("resp/chunk-bare-lf", _chunks(b"5\nhello\n0\n\n"), answers=[_START]),
    _bad("resp/chunk-data-too-long", _chunks(b"5\r\nhello!\r\n0\r\n\r\n"), answers=[_START]),
    _bad("resp/chunk-extension-bare-lf", _chunks(b"5;a\nb\r\nhello\r\n0\r\n\r\n"), answers=[_START]),
    _bad("resp/trailer-length", _chunks(b"0\r\nContent-Length: 5\r\n\r\n"), answers=[_START]),
    _bad("resp/trailer-fold", _chunks(b"0\r\nA: b\r\n c\r\n\r\n"), answers=[_START]),
    _bad("resp/trailers-too-large", _chunks(b"0\r\nA: " + b"b" * 61440 + b"\r\n\r\n"), "http1.headers_too_large",
         [_START]),
    _bad("resp/second-answer-after-chunks", _chunks(b"0\r\n\r\n") + _five(), answers=[Answer()]),
)

BODILESS = (
    _good("resp/head-with-length", _ok(b"Content-Length: 5"), method=b"HEAD", names=(b"content-length",)),
    _good("resp/head-chunked", _ok(b"Transfer-Encoding: chunked"), method=b"HEAD", names=()),
    _good("resp/head-without", _ok(), method=b"HEAD"),
    _good("resp/204", _ok(line=b"HTTP/1.1 204 No Content"), Answer(204)),
    _good("resp/204-length-zero", _ok(_NONE, line=b"HTTP/1.1 204 No Content"), Answer(204), names=()),
    _good("resp/304", _ok(line=b"HTTP/1.1 304 Not Modified"), Answer(304)),
    _good("resp/304-with-length", _ok(b"Content-Length: 5", line=b"HTTP/1.1 304 Not Modified"), Answer(304),
          names=(b"content-length",)),
    _good("resp/304-chunked", _ok(b"Transfer-Encoding: chunked", line=b"HTTP/1.1 304 Not Modified"), Answer(304)),
    _bad("resp/head-with-body", _five(), answers=[Answer()], method=b"HEAD"),
    _bad("resp/head-two-lengths", _ok(b"Content-Length: 5", b"Content-Length: 5"), method=b"HEAD"),
    _bad("resp/204-with-length", _five(line=b"HTTP/1.1 204 X"), "http1.content_length_not_allowed"),
    _bad("resp/204-chunked", _ok(b"Transfer-Encoding: chunked", line=b"HTTP/1.1 204 X", body=b"0\r\n\r\n"),
         "http1.transfer_encoding_not_allowed"),
    _bad("resp/204-with-body", _ok(line=b"HTTP/1.1 204 X", body=b"hello"), answers=[Answer(204)]),
    _bad("resp/304-with-body", _five(line=b"HTTP/1.1 304 X"), answers=[Answer(304)]),
)

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
_SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"

INTERIM = (
    _good("resp/100", _CONTINUE + _five(), Answer(100), _HELLO),
    _good("resp/100-and-103", _CONTINUE + _HINTS + _five(), Answer(100), Answer(103), _HELLO),
    _good("resp/eight-interim", _HINTS * 8 + _five(), *[Answer(103)] * 8, _HELLO),
    _good("resp/100-alone", _CONTINUE, Answer(100)),
    _good("resp/199", _ok(line=b"HTTP/1.1 199 X") + _five(), Answer(199), _HELLO),
    _good("resp/101", _SWITCH, Answer(101, ending="tunnel"), names=()),
    _good("resp/101-with-bytes", _SWITCH + b"\x81\0HTTP/1.1 200 OK\r\n\r\n",
          Answer(101, b"\x81\0HTTP/1.1 200 OK\r\n\r\n", ending="tunnel")),
    _good("resp/101-length-zero", _SWITCH[:-2] + b"Content-Length: 0\r\n\r\nx", Answer(101, b"x", ending="tunnel"),
          names=()),
    _good("resp/100-then-101", _CONTINUE + _SWITCH, Answer(100), Answer(101, ending="tunnel")),
    _good("resp/connect-200", _ok(body=b"\0raw"), Answer(200, b"\0raw", ending="tunnel"), method=b"CONNECT"),
    _good("resp/connect-403", _five(line=b"HTTP/1.1 403 No"), Answer(403, b"hello"), method=b"CONNECT"),
    _bad("resp/nine-interim", _HINTS * 9 + _five(), answers=[Answer(103)] * 8),
    _bad("resp/100-with-length", _ok(b"Content-Length: 5", line=b"HTTP/1.1 100 X", body=b"hello"),
         "http1.content_length_not_allowed"),
    _bad("resp/100-chunked", _ok(b"Transfer-Encoding: chunked", line=b"HTTP/1.1 100 X", body=b"0\r\n\r\n"),
         "http1.transfer_encoding_not_allowed"),
    _bad("resp/100-with-body", _ok(line=b"HTTP/1.1 100 X", body=b"hello"), answers=[Answer(100)]),
    _bad("resp/101-without-upgrade", b"HTTP/1.1 101 X\r\n\r\n"),
    _bad("resp/101-chunked", _SWITCH[:-2] + b"Transfer-Encoding: chunked\r\n\r\n",
         "http1.transfer_encoding_not_allowed"),
    _bad("resp/101-with-length", _SWITCH[:-2] + b"Content-Length: 5\r\n\r\nhello", "http1.content_length_not_allowed"),
    _bad("resp/connect-200-length", _five(), "http1.content_length_not_allowed", method=b"CONNECT"),
    _bad("resp/connect-200-chunked", _chunks(b"0\r\n\r\n"), "http1.transfer_encoding_not_allowed", method=b"CONNECT"),
    _bad("resp/interim-truncated", _CONTINUE + b"HTTP/1.1 2", "truncated", [Answer(100)], is_closed=True),
)

_LAST = Answer(body=b"hello", keep_alive=False)

HOPS = (
    _good("resp/close", _five(b"Connection: close"), _LAST, names=(b"content-length",)),
    _good("resp/close-list", _five(b"Connection: foo, Close", b"Foo: bar"), _LAST, names=(b"content-length",)),
    _good("resp/close-two-lines", _five(b"Connection: keep-alive", b"Connection: close"), _LAST,
          names=(b"content-length",)),
    _good("resp/keep-alive", _five(b"Connection: keep-alive", b"Keep-Alive: timeout=5, max=100"), _HELLO,
          names=(b"content-length",)),
    _good("resp/keep-alive-1.0", _five(b"Connection: Keep-Alive", line=b"HTTP/1.0 200 OK"), _HELLO),
    _good("resp/named-field", _five(b"X-A: b", b"Connection: x-a", b"X-B: c"), _HELLO, names=(b"x-b",
                                                                                              b"content-length")),
    _good("resp/names-content-length", _five(b"Connection: content-length"), _HELLO, names=(b"content-length",)),
    _good("resp/names-set-cookie", _five(b"Connection: set-cookie", b"Set-Cookie: a"), _HELLO,
          names=(b"set-cookie", b"content-length")),
    _good("resp/proxy-connection", _five(b"Proxy-Connection: close"), _HELLO, names=(b"content-length",)),
    _good("resp/upgrade-offered", _five(b"Connection: upgrade", b"Upgrade: h2c"), _HELLO, names=(b"content-length",)),
    _good("resp/proxy-authenticate-stays", _five(b"Proxy-Authenticate: Basic"), _HELLO,
          names=(b"proxy-authenticate", b"content-length")),
    _good("resp/trailer-without-chunks", _five(b"Trailer: a"), _HELLO, names=(b"content-length",)),
    _bad("resp/connection-option-with-space", _five(b"Connection: a b"), "http1.connection_header_rejected"),
)

ANSWERS = LINES + FIELDS + LENGTHS + CHUNKS + BODILESS + INTERIM + HOPS
