"""Hostile and odd HTTP/1.1 requests as data: what goes over the wire and what must become of it.

Used by the parser's own tests and by the suite that sends the same bytes to the daemon and its peers over sockets.
"""

from tests.conversation.bodies import CHUNKS, CODINGS, LENGTHS, TRAILERS
from tests.conversation.case import (
    HELLO, NEXT, NEXT_REQUEST, POST, REST, Case, Request, bad, chunks, get, good, line, post,
)
from tests.conversation.heads import FIELDS, HOSTS, LINES, TARGETS

__all__ = ["CASES", "Case", "Request"]

CLOSED = Request(keep_alive=False)

HOPS = (
    good("hop/close", get(b"Connection: close"), CLOSED, names=(b"host",)),
    good("hop/close-upper-case", get(b"CONNECTION: CLOSE"), CLOSED, names=(b"host",)),
    good("hop/close-in-list", get(b"Connection: keep-alive, close"), CLOSED, names=(b"host",)),
    good("hop/close-in-second-line", get(b"Connection: keep-alive", b"Connection: close"), CLOSED, names=(b"host",)),
    good("hop/keep-alive", get(b"Connection: Keep-Alive", b"Keep-Alive: timeout=5"), names=(b"host",)),
    good("hop/empty-members", get(b"Connection: , ,close,"), CLOSED, names=(b"host",)),
    good("hop/empty", get(b"Connection:"), names=(b"host",)),
    good("hop/named", get(b"Connection: x-a", b"X-A: b", b"X-B: c"), names=(b"host", b"x-b")),
    good("hop/named-before", get(b"X-A: b", b"x-a: c", b"Connection: close, X-A"), CLOSED, names=(b"host",)),
    good("hop/proxy-connection", get(b"Proxy-Connection: close"), names=(b"host",)),
    good("hop/te-trailers", get(b"TE: trailers", b"Connection: TE"), names=(b"host", b"te")),
    good("hop/te-gzip", get(b"TE: gzip", b"Connection: TE"), names=(b"host",)),
    good("hop/te-list", get(b"TE: gzip, trailers"), names=(b"host", b"te")),
    good("hop/upgrade-without-connection", get(b"Upgrade: websocket"), names=(b"host",)),
    good("hop/upgrade-h2c", get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA"),
          names=(b"host",)),
    good("hop/trailer-without-chunks", get(b"Trailer: a"), names=(b"host",)),
    good("hop/connection-names-host", get(b"Connection: host"), names=(b"host",)),
    good("hop/connection-names-content-length", post(b"Connection: content-length", b"Content-Length: 5",
                                                       body=b"hello"),
          HELLO, names=(b"host", b"content-length")),
    good("hop/connection-names-transfer-encoding", chunks(b"5" + REST, b"Connection: transfer-encoding"), HELLO),
    good("hop/connection-names-x-forwarded-for", get(b"Connection: close, X-Forwarded-For",
                                                       b"X-Forwarded-For: 1.2.3.4"),
          CLOSED, names=(b"host", b"x-forwarded-for")),
    good("hop/connection-names-authorization", get(b"Connection: authorization", b"Authorization: x"),
          names=(b"host", b"authorization")),
    good("hop/connection-names-cookie", get(b"Connection: cookie", b"Cookie: x"), names=(b"host", b"cookie")),
    good("hop/connection-names-connection", get(b"Connection: connection, close"), CLOSED, names=(b"host",)),
    good("hop/1.0", b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", CLOSED),
    good("hop/1.0-keep-alive", b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", Request(),
          names=(b"host",)),
    good("hop/1.0-keep-alive-and-close", b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n",
          CLOSED),
    good("hop/1.0-upgrade", b"GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", CLOSED,
          names=(b"host",)),
    good("hop/1.0-body", b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
          Request(b"POST", body=b"hi", keep_alive=False)),
    bad("hop/connection-option-with-space", get(b"Connection: a b"), 400, "http1.connection_header_rejected"),
    bad("hop/connection-option-quoted", get(b'Connection: "close"'), 400, "http1.connection_header_rejected"),
    bad("hop/connection-option-with-colon", get(b"Connection: :path"), 400, "http1.connection_header_rejected"),
)

EXPECTS = (
    good("expect/continue", post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"), HELLO),
    good("expect/upper-case", post(b"EXPECT: 100-Continue", b"Content-Length: 5", body=b"hello"), HELLO),
    good("expect/without-body", get(b"Expect: 100-continue")),
    bad("expect/unknown", post(b"Expect: 200-ok", b"Content-Length: 5", body=b"hello"), 417),
    bad("expect/list", post(b"Expect: 100-continue, x", b"Content-Length: 5", body=b"hello"), 417),
    bad("expect/word-before", post(b"Expect: y 100-continue", b"Content-Length: 5", body=b"hello"), 417),
    bad("expect/empty", post(b"Expect:", b"Content-Length: 5", body=b"hello"), 417),
    bad("expect/twice", post(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"),
         417),
)

PIPES = (
    good("pipe/two", NEXT * 2, NEXT_REQUEST, NEXT_REQUEST),
    good("pipe/hundred", NEXT * 100, *[NEXT_REQUEST] * 100),
    good("pipe/empty-line-between", NEXT + b"\r\n" + NEXT, NEXT_REQUEST, NEXT_REQUEST),
    good("pipe/bodies", post(b"Content-Length: 5", body=b"hello") * 3 + chunks(b"5" + REST) * 3, *[HELLO] * 6),
    bad("pipe/bad-second", NEXT + b"BAD\r\n\r\n", requests=(NEXT_REQUEST,)),
    bad("pipe/two-empty-lines-between", NEXT + b"\r\n\r\n" + NEXT, requests=(NEXT_REQUEST,)),
    bad("pipe/body-one-too-long", post(b"Content-Length: 4", body=b"hello\r\n\r\n"), requests=(POST,)),
)

SIZES = (
    good("size/target-large", line(b"GET /" + b"a" * 60000 + b" HTTP/1.1"), Request(target=b"/" + b"a" * 60000)),
    bad("size/target-too-large", line(b"GET /" + b"a" * 61440 + b" HTTP/1.1"), 414, "http1.headers_too_large"),
    bad("size/target-endless", b"GET /" + b"a" * 61440, 414, "http1.headers_too_large"),
    bad("size/field-too-large", get(b"A: " + b"b" * 61440), 431, "http1.headers_too_large"),
    bad("size/field-endless", get()[:-2] + b"A: " + b"b" * 61440, 431, "http1.headers_too_large"),
    bad("size/fields-endless", get()[:-2] + b"A: b\r\n" * 10240, 431, "http1.headers_too_large"),
)

CASES = LINES + TARGETS + HOSTS + FIELDS + LENGTHS + CODINGS + CHUNKS + TRAILERS + HOPS + EXPECTS + PIPES + SIZES
