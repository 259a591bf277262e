"""Hostile and odd HTTP/1.1 requests as data: what goes over the wire and what must become of it.

Used by the parser's own tests and by the suite that sends the same bytes to the daemon and its peers over sockets.
"""

from typing import NamedTuple


class Request(NamedTuple):
    """A request that must come out: ``body`` less its framing, ``keep_alive`` as the client wants it."""

    method: bytes = b"GET"
    target: bytes = b"/"
    host: bytes = b"a"
    body: bytes = b""
    keep_alive: bool = True


class Case(NamedTuple):
    """``status`` 0: all of ``data`` is taken; else the refusal, after ``requests`` have come out. ``names`` are the fields
    of the last request that must be left, None where it does not matter."""

    name: str
    data: bytes
    status: int
    detail: str
    requests: tuple[Request, ...]
    names: tuple[bytes, ...] | None


_CODEC = "http1.codec_error"


def _bad(name, data, status=400, detail=_CODEC, requests=()):
    return Case(name, data, status, detail, tuple(requests), None)


def _good(name, data, *requests, names=None):
    return Case(name, data, 0, "", requests or (Request(),), names)


def _line(line: bytes) -> bytes:
    return line + b"\r\nHost: a\r\n\r\n"


def _get(*lines: bytes, host: bytes = b"Host: a") -> bytes:
    return b"\r\n".join((b"GET / HTTP/1.1", host, *lines, b"", b""))


def _post(*lines: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join((b"POST / HTTP/1.1", b"Host: a", *lines, b"", body))


def _chunks(body: bytes, *lines: bytes) -> bytes:
    return _post(b"Transfer-Encoding: chunked", *lines, body=body)


_POST = Request(b"POST")
_HELLO = Request(b"POST", body=b"hello")
_NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
_NEXT_REQUEST = Request(target=b"/next")

LINES = (
    _good("line/plain", _line(b"GET / HTTP/1.1")),
    _good("line/custom-method", _line(b"FOO! / HTTP/1.1"), Request(b"FOO!")),
    _good("line/lower-case-method", _line(b"get / HTTP/1.1"), Request(b"get")),
    _good("line/query", _line(b"GET /?a=b&c HTTP/1.1"), Request(target=b"/?a=b&c")),
    _good("line/odd-characters", _line(b"GET /a|b{c}^`\"<> HTTP/1.1"), Request(target=b"/a|b{c}^`\"<>")),
    _good("line/two-slashes", _line(b"GET //b/c HTTP/1.1"), Request(target=b"//b/c")),
    _good("line/one-empty-line-before", b"\r\n" + _line(b"GET / HTTP/1.1")),
    _bad("line/two-empty-lines-before", b"\r\n\r\n" + _line(b"GET / HTTP/1.1")),
    _bad("line/bare-lf-before", b"\n" + _line(b"GET / HTTP/1.1")),
    _bad("line/bare-cr-before", b"\r" + _line(b"GET / HTTP/1.1")),
    _bad("line/space-before", b" " + _line(b"GET / HTTP/1.1")),
    _bad("line/two-spaces", _line(b"GET  / HTTP/1.1")),
    _bad("line/two-spaces-before-version", _line(b"GET /  HTTP/1.1")),
    _bad("line/tab", _line(b"GET\t/ HTTP/1.1")),
    _bad("line/space-after", _line(b"GET / HTTP/1.1 ")),
    _bad("line/space-in-target", _line(b"GET /a b HTTP/1.1")),
    _bad("line/vertical-tab", _line(b"GET\x0b/ HTTP/1.1")),
    _bad("line/form-feed-in-target", _line(b"GET /\x0c HTTP/1.1")),
    _bad("line/nul-in-target", _line(b"GET /\0 HTTP/1.1")),
    _bad("line/del-in-target", _line(b"GET /\x7f HTTP/1.1")),
    _bad("line/raw-utf-8-in-target", _line(b"GET /\xc3\xa9 HTTP/1.1")),
    _bad("line/bare-cr-in-target", _line(b"GET /\ra HTTP/1.1")),
    _bad("line/bare-lf-ends-it", b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    _bad("line/fragment", _line(b"GET /a#b HTTP/1.1"), 400, "http1.invalid_url"),
    _bad("line/no-target", _line(b"GET HTTP/1.1")),
    _bad("line/empty-target", _line(b"GET  HTTP/1.1")),
    _bad("line/no-version", _line(b"GET /")),
    _bad("line/http-0.9", b"GET /\r\n\r\n"),
    _bad("line/method-with-colon", _line(b"GE:T / HTTP/1.1")),
    _bad("line/method-in-parentheses", _line(b"(GET) / HTTP/1.1")),
    _bad("line/method-with-utf-8", _line(b"G\xc3\x89T / HTTP/1.1")),
    _bad("line/lower-case-version", _line(b"GET / http/1.1")),
    _bad("line/version-without-dot", _line(b"GET / HTTP/11")),
    _bad("line/version-with-three-digits", _line(b"GET / HTTP/1.10")),
    _bad("line/version-with-letter", _line(b"GET / HTTP/1.x")),
    _bad("line/version-with-comma", _line(b"GET / HTTP/1,1")),
    _bad("line/version-with-space", _line(b"GET / HTTP /1.1")),
    _bad("line/other-protocol", _line(b"GET / ICY/1.1")),
    _bad("line/version-1.2", _line(b"GET / HTTP/1.2"), 505, "http1.unsupported_version"),
    _bad("line/version-0.9", _line(b"GET / HTTP/0.9"), 505, "http1.unsupported_version"),
    _bad("line/version-2.0", _line(b"GET / HTTP/2.0"), 505, "http1.unsupported_version"),
    _bad("line/version-3.1", _line(b"GET / HTTP/3.1"), 505, "http1.unsupported_version"),
    _bad("line/http-2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http1.unsupported_version"),
    _bad("line/tls-client-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    _bad("line/proxy-protocol", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + _line(b"GET / HTTP/1.1")),
    _bad("line/status-line", b"HTTP/1.1 200 OK\r\n\r\n"),
)

TARGETS = (
    _good("target/absolute", _line(b"GET http://b/c?d HTTP/1.1"), Request(target=b"/c?d", host=b"b")),
    _good("target/absolute-upper-case", _line(b"GET HTTP://B:80/c HTTP/1.1"), Request(target=b"/c", host=b"b:80")),
    _good("target/absolute-https", _line(b"GET https://b/ HTTP/1.1"), Request(host=b"b")),
    _good("target/absolute-no-path", _line(b"GET http://b HTTP/1.1"), Request(host=b"b")),
    _good("target/absolute-query-only", _line(b"GET http://b?c HTTP/1.1"), Request(target=b"/?c", host=b"b")),
    _good("target/absolute-ipv6", _line(b"GET http://[::1]:8/ HTTP/1.1"), Request(host=b"[::1]:8")),
    _good("target/absolute-wins-over-host", _line(b"GET http://b/ HTTP/1.1"), Request(host=b"b"), names=(b"host",)),
    _good("target/absolute-1.0-no-host", b"GET http://b/ HTTP/1.0\r\n\r\n", Request(host=b"b", keep_alive=False)),
    _good("target/asterisk", _line(b"OPTIONS * HTTP/1.1"), Request(b"OPTIONS", b"*")),
    _good("target/absolute-options", _line(b"OPTIONS http://b HTTP/1.1"), Request(b"OPTIONS", b"*", b"b")),
    _good("target/connect", _line(b"CONNECT b:443 HTTP/1.1"), Request(b"CONNECT", b"b:443")),
    _bad("target/asterisk-with-get", _line(b"GET * HTTP/1.1"), 400, "http1.invalid_url"),
    _bad("target/authority-with-get", _line(b"GET b:80 HTTP/1.1"), 400, "http1.invalid_url"),
    _bad("target/relative", _line(b"GET a/b HTTP/1.1"), 400, "http1.invalid_url"),
    _bad("target/dots", _line(b"GET ../a HTTP/1.1"), 400, "http1.invalid_url"),
    _bad("target/query-only", _line(b"GET ?a HTTP/1.1"), 400, "http1.invalid_url"),
    _bad("target/other-scheme", _line(b"GET ftp://b/ HTTP/1.1"), 400, "http1.invalid_scheme"),
    _bad("target/file-scheme", _line(b"GET file:///etc/passwd HTTP/1.1"), 400, "http1.invalid_url"),
    _bad("target/scheme-without-slashes", _line(b"GET http:/b/ HTTP/1.1"), 400, "http1.invalid_url"),
    _bad("target/absolute-empty-authority", _line(b"GET http:///a HTTP/1.1"), 400, "http1.invalid_url"),
    _bad("target/absolute-userinfo", _line(b"GET http://u:p@b/ HTTP/1.1"), 400, "http1.invalid_url"),
    _bad("target/absolute-bad-port", _line(b"GET http://b:x/ HTTP/1.1"), 400, "http1.invalid_url"),
    _bad("target/absolute-backslash", _line(b"GET http://b\\c/ HTTP/1.1"), 400, "http1.invalid_url"),
    _bad("target/absolute-no-host", b"GET http://b/ HTTP/1.1\r\n\r\n", 400, "missing_host_header"),
    _bad("target/absolute-bad-host", _get(host=b"Host: a b").replace(b"GET /", b"GET http://b/"), 400, "http1.invalid_url"),
    _bad("target/connect-no-port", _line(b"CONNECT b HTTP/1.1"), 400, "http1.invalid_url"),
    _bad("target/connect-path", _line(b"CONNECT / HTTP/1.1"), 400, "http1.invalid_url"),
    _bad("target/connect-with-body", b"CONNECT b:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 400,
         "http1.content_length_not_allowed"),
)

HOSTS = (
    _good("host/port", _get(host=b"Host: a:8080"), Request(host=b"a:8080")),
    _good("host/upper-case", _get(host=b"HOST: A.Example"), Request(host=b"a.example")),
    _good("host/tabs-around", _get(host=b"Host:\ta\t "), Request()),
    _good("host/no-space", _get(host=b"Host:a"), Request()),
    _good("host/ipv4", _get(host=b"Host: 127.0.0.1:1"), Request(host=b"127.0.0.1:1")),
    _good("host/ipv6", _get(host=b"Host: [2001:DB8::1]:1"), Request(host=b"[2001:db8::1]:1")),
    _good("host/empty-port", _get(host=b"Host: a:"), Request(host=b"a:")),
    _good("host/underscore", _get(host=b"Host: a_b"), Request(host=b"a_b")),
    _good("host/last", _get(b"B: c", b"HoSt: d", host=b"A: b"), Request(host=b"d")),
    _good("host/1.0-without", b"GET / HTTP/1.0\r\n\r\n", Request(host=b"", keep_alive=False)),
    _good("host/name-as-suffix", _get(b"X-Host: b", b"Hosts: c")),
    _bad("host/none", b"GET / HTTP/1.1\r\n\r\n", 400, "missing_host_header"),
    _bad("host/none-with-others", b"GET / HTTP/1.1\r\nA: b\r\n\r\n", 400, "missing_host_header"),
    _bad("host/empty", _get(host=b"Host:"), 400, "missing_host_header"),
    _bad("host/blank", _get(host=b"Host:  \t"), 400, "missing_host_header"),
    _bad("host/two", _get(b"Host: b")),
    _bad("host/two-the-same", _get(b"Host: a")),
    _bad("host/two-in-1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
    _bad("host/three", _get(b"Host: a", b"A: b", b"host: a")),
    _bad("host/list", _get(host=b"Host: a, b"), 400, "http1.invalid_url"),
    _bad("host/space-inside", _get(host=b"Host: a b"), 400, "http1.invalid_url"),
    _bad("host/path", _get(host=b"Host: a/b"), 400, "http1.invalid_url"),
    _bad("host/url", _get(host=b"Host: http://a"), 400, "http1.invalid_url"),
    _bad("host/userinfo", _get(host=b"Host: u@a"), 400, "http1.invalid_url"),
    _bad("host/query", _get(host=b"Host: a?b"), 400, "http1.invalid_url"),
    _bad("host/fragment", _get(host=b"Host: a#b"), 400, "http1.invalid_url"),
    _bad("host/backslash", _get(host=b"Host: a\\b"), 400, "http1.invalid_url"),
    _bad("host/percent", _get(host=b"Host: a%00b"), 400, "http1.invalid_url"),
    _bad("host/quoted", _get(host=b'Host: "a"'), 400, "http1.invalid_url"),
    _bad("host/angle", _get(host=b"Host: <script>"), 400, "http1.invalid_url"),
    _bad("host/latin-1", _get(host=b"Host: \xe9"), 400, "http1.invalid_url"),
    _bad("host/port-only", _get(host=b"Host: :80"), 400, "http1.invalid_url"),
    _bad("host/port-letters", _get(host=b"Host: a:b"), 400, "http1.invalid_url"),
    _bad("host/port-too-large", _get(host=b"Host: a:65536"), 400, "http1.invalid_url"),
    _bad("host/port-six-digits", _get(host=b"Host: a:000080"), 400, "http1.invalid_url"),
    _bad("host/port-sign", _get(host=b"Host: a:+80"), 400, "http1.invalid_url"),
    _bad("host/two-ports", _get(host=b"Host: a:80:80"), 400, "http1.invalid_url"),
    _bad("host/ipv6-bare", _get(host=b"Host: ::1"), 400, "http1.invalid_url"),
    _bad("host/ipv6-open", _get(host=b"Host: [::1"), 400, "http1.invalid_url"),
    _bad("host/ipv6-wrong", _get(host=b"Host: [:::1]"), 400, "http1.invalid_url"),
    _bad("host/ipv6-zone", _get(host=b"Host: [fe80::1%25eth0]"), 400, "http1.invalid_url"),
    _bad("host/ipv6-trailer", _get(host=b"Host: [::1]a"), 400, "http1.invalid_url"),
    _bad("host/too-long", _get(host=b"Host: " + b"a" * 264), 400, "http1.invalid_url"),
)

FIELDS = (
    _good("head/empty-value", _get(b"A:"), names=(b"host", b"a")),
    _good("head/no-space", _get(b"A:b"), names=(b"host", b"a")),
    _good("head/tab-in-value", _get(b"A: b\tc")),
    _good("head/latin-1-value", _get(b"A: \xe9\xff\x80")),
    _good("head/colon-in-value", _get(b"A: b: c::")),
    _good("head/token-name", _get(b"!#$%&'*+-.^_`|~09: b")),
    _good("head/underscore-name", _get(b"a_b: c"), names=(b"host", b"a_b")),
    _good("head/repeated", _get(b"A: b", b"a: c"), names=(b"host", b"a", b"a")),
    _good("head/hundred-fields", _get(*[b"A%d: b" % number for number in range(99)])),
    _bad("head/hundred-and-one-fields", _get(*[b"A%d: b" % number for number in range(100)]), 431, "http1.too_many_headers"),
    _bad("head/hundred-and-one-short-fields", _get(*[b"A:"] * 100), 431, "http1.too_many_headers"),
    _bad("head/empty-name", _get(b": b")),
    _bad("head/no-colon", _get(b"Ab")),
    _bad("head/space-before-colon", _get(b"A : b")),
    _bad("head/tab-before-colon", _get(b"A\t: b")),
    _bad("head/space-in-name", _get(b"A b: c")),
    _bad("head/space-before-name", _get(b" A: b")),
    _bad("head/space-before-first-name", _get(host=b" Host: a")),
    _bad("head/fold-space", _get(b"A: b", b" c")),
    _bad("head/fold-tab", _get(b"A: b", b"\tc")),
    _bad("head/fold-empty", _get(b"A: b", b" ")),
    _bad("head/fold-host", _get(host=b"Host:\r\n a")),
    _bad("head/fold-length", _post(b"Content-Length:", b" 5", body=b"hello")),
    _bad("head/fold-coding", _post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n")),
    _bad("head/nul-in-name", _get(b"A\0: b")),
    _bad("head/nul-in-value", _get(b"A: b\0c")),
    _bad("head/control-in-value", _get(b"A: b\x01")),
    _bad("head/escape-in-value", _get(b"A: \x1b[2J")),
    _bad("head/vertical-tab-in-value", _get(b"A: b\x0bc")),
    _bad("head/del-in-value", _get(b"A: b\x7f")),
    _bad("head/bare-cr-in-value", _get(b"A: b\rC: d")),
    _bad("head/bare-cr-at-end", _get(b"A: b\r")),
    _bad("head/bare-lf-in-value", _get(b"A: b\nC: d")),
    _bad("head/bare-lf-ends-line", b"GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n"),
    _bad("head/bare-lf-ends-head", b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    _bad("head/lf-lf-ends-head", b"GET / HTTP/1.1\nHost: a\n\n"),
    _bad("head/latin-1-name", _get(b"\xe9: b")),
    _bad("head/quoted-name", _get(b'"a": b')),
    _bad("head/bracket-name", _get(b"a[b]: c")),
    _bad("head/slash-name", _get(b"a/b: c")),
    _bad("head/at-name", _get(b"a@b: c")),
    _bad("head/pseudo-name", _get(b":path: /b")),
    _bad("head/length-with-nul-name", _post(b"Content-Length\0: 5", body=b"hello")),
    _bad("head/length-with-space-name", _post(b"Content-Length : 5", body=b"hello")),
    _bad("head/coding-with-space-name", _post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n")),
    _bad("head/coding-with-cr-name", _post(b"\rTransfer-Encoding: chunked", body=b"0\r\n\r\n")),
)

LENGTHS = (
    _good("cl/zero", _post(b"Content-Length: 0"), _POST),
    _good("cl/five", _post(b"Content-Length: 5", body=b"hello"), _HELLO),
    _good("cl/lower-case-name", _post(b"content-length:5", body=b"hello"), _HELLO),
    _good("cl/leading-zeros", _post(b"Content-Length: 0005", body=b"hello"), _HELLO),
    _good("cl/tabs-around", _post(b"Content-Length:\t5\t", body=b"hello"), _HELLO),
    _good("cl/on-get", _get(b"Content-Length: 5") + b"hello", Request(body=b"hello")),
    _good("cl/on-get-zero", _get(b"Content-Length: 0")),
    _good("cl/then-next-request", _post(b"Content-Length: 5", body=b"hello") + _NEXT, _HELLO, _NEXT_REQUEST),
    _good("cl/body-like-a-request", _post(b"Content-Length: %d" % len(_NEXT), body=_NEXT), Request(b"POST", body=_NEXT)),
    _good("cl/post-without", _post() + _NEXT, _POST, _NEXT_REQUEST),
    _bad("cl/duplicate-same", _post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello")),
    _bad("cl/duplicate-other", _post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!")),
    _bad("cl/duplicate-case", _post(b"Content-Length: 5", b"A: b", b"CONTENT-LENGTH: 5", body=b"hello")),
    _bad("cl/list-same", _post(b"Content-Length: 5, 5", body=b"hello")),
    _bad("cl/list-other", _post(b"Content-Length: 5,6", body=b"hello!")),
    _bad("cl/empty", _post(b"Content-Length:", body=b"hello")),
    _bad("cl/blank", _post(b"Content-Length:  ", body=b"hello")),
    _bad("cl/plus", _post(b"Content-Length: +5", body=b"hello")),
    _bad("cl/minus", _post(b"Content-Length: -5", body=b"hello")),
    _bad("cl/minus-zero", _post(b"Content-Length: -0")),
    _bad("cl/underscore", _post(b"Content-Length: 1_0", body=b"hellohello")),
    _bad("cl/hex", _post(b"Content-Length: 0x5", body=b"hello")),
    _bad("cl/hex-letter", _post(b"Content-Length: a", body=b"hellohello")),
    _bad("cl/exponent", _post(b"Content-Length: 5e0", body=b"hello")),
    _bad("cl/decimal", _post(b"Content-Length: 5.0", body=b"hello")),
    _bad("cl/space-inside", _post(b"Content-Length: 5 5", body=b"hello")),
    _bad("cl/quoted", _post(b'Content-Length: "5"', body=b"hello")),
    _bad("cl/semicolon", _post(b"Content-Length: 5;", body=b"hello")),
    _bad("cl/superscript", _post(b"Content-Length: \xb2", body=b"he")),
    _bad("cl/overflow-64", _post(b"Content-Length: 18446744073709551621", body=b"hello")),
    _bad("cl/overflow-63", _post(b"Content-Length: 9223372036854775808", body=b"hello")),
    _bad("cl/overflow-32", _post(b"Content-Length: 4294967301000000000", body=b"hello")),
    _bad("cl/form-feed", _post(b"Content-Length: \x0c5", body=b"hello")),
    _bad("cl/vertical-tab-after", _post(b"Content-Length: 5\x0b", body=b"hello")),
)

_BOTH = "http1.content_length_and_chunked_not_allowed"
_CODING = "http1.invalid_transfer_encoding"

CODINGS = (
    _good("te/chunked", _chunks(b"5\r\nhello\r\n0\r\n\r\n"), _HELLO, names=(b"host",)),
    _good("te/upper-case", _post(b"TRANSFER-ENCODING: CHUNKED", body=b"0\r\n\r\n"), _POST),
    _good("te/white-space", _post(b"Transfer-Encoding:\t chunked \t", body=b"0\r\n\r\n"), _POST),
    _good("te/on-get", _get(b"Transfer-Encoding: chunked") + b"2\r\nhi\r\n0\r\n\r\n", Request(body=b"hi")),
    _bad("te/with-length", _post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400, _BOTH),
    _bad("te/before-length", _post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"), 400, _BOTH),
    _bad("te/with-zero-length", _post(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400, _BOTH),
    _bad("te/with-bad-length", _post(b"Content-Length: x", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400, _BOTH),
    _bad("te/identity-with-length", _post(b"Content-Length: 5", b"Transfer-Encoding: identity", body=b"hello"), 400, _BOTH),
    _bad("te/in-1.0", b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
         "http1.transfer_encoding_not_allowed"),
    _bad("te/identity", _post(b"Transfer-Encoding: identity"), 501, _CODING),
    _bad("te/gzip", _post(b"Transfer-Encoding: gzip"), 501, _CODING),
    _bad("te/gzip-chunked", _post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501, _CODING),
    _bad("te/unknown", _post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 501, _CODING),
    _bad("te/chunked-with-parameter", _post(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"), 501, _CODING),
    _bad("te/quoted", _post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), 501, _CODING),
    _bad("te/two-words", _post(b"Transfer-Encoding: chunked x", body=b"0\r\n\r\n"), 501, _CODING),
    _bad("te/chunked-identity", _post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"), 400, _CODING),
    _bad("te/chunked-gzip", _post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), 400, _CODING),
    _bad("te/chunked-twice", _post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), 400, _CODING),
    _bad("te/two-lines", _post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400, _CODING),
    _bad("te/two-lines-identity", _post(b"Transfer-Encoding: chunked", b"Transfer-encoding: identity", body=b"0\r\n\r\n"), 400,
         _CODING),
    _bad("te/empty", _post(b"Transfer-Encoding:", body=b"0\r\n\r\n"), 400, _CODING),
    _bad("te/leading-comma", _post(b"Transfer-Encoding: , chunked", body=b"0\r\n\r\n"), 400, _CODING),
    _bad("te/trailing-comma", _post(b"Transfer-Encoding: chunked,", body=b"0\r\n\r\n"), 400, _CODING),
    _bad("te/vertical-tab", _post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n")),
    _bad("te/nul", _post(b"Transfer-Encoding: chunked\0", body=b"0\r\n\r\n")),
)

_REST = b"\r\nhello\r\n0\r\n\r\n"

CHUNKS = (
    _good("chunk/empty", _chunks(b"0\r\n\r\n"), _POST),
    _good("chunk/two", _chunks(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), _HELLO),
    _good("chunk/hex-lower", _chunks(b"a\r\n0123456789\r\n0\r\n\r\n"), Request(b"POST", body=b"0123456789")),
    _good("chunk/hex-upper", _chunks(b"A\r\n0123456789\r\n0\r\n\r\n"), Request(b"POST", body=b"0123456789")),
    _good("chunk/leading-zeros", _chunks(b"0000000000000005" + _REST), _HELLO),
    _good("chunk/many-zeros-end", _chunks(b"5\r\nhello\r\n0000\r\n\r\n"), _HELLO),
    _good("chunk/then-next-request", _chunks(b"5" + _REST) + _NEXT, _HELLO, _NEXT_REQUEST),
    _good("chunk/data-with-crlf", _chunks(b"4\r\n\r\n\r\n\r\n0\r\n\r\n"), Request(b"POST", body=b"\r\n\r\n")),
    _good("chunk/extension", _chunks(b"5;a" + _REST), _HELLO),
    _good("chunk/extension-value", _chunks(b"5;a=b;c=d" + _REST), _HELLO),
    _good("chunk/extension-quoted", _chunks(b'5;a="b;\\"c,"' + _REST), _HELLO),
    _good("chunk/extension-white-space", _chunks(b"5 ; a = b" + _REST), _HELLO),
    _good("chunk/extension-at-end", _chunks(b"5\r\nhello\r\n0;a=b\r\n\r\n"), _HELLO),
    _bad("chunk/size-empty", _chunks(b"\r\nhello\r\n0\r\n\r\n"), requests=(_POST,)),
    _bad("chunk/size-plus", _chunks(b"+5" + _REST), requests=(_POST,)),
    _bad("chunk/size-minus", _chunks(b"-5" + _REST), requests=(_POST,)),
    _bad("chunk/size-0x", _chunks(b"0x5" + _REST), requests=(_POST,)),
    _bad("chunk/size-underscore", _chunks(b"0_5" + _REST), requests=(_POST,)),
    _bad("chunk/size-space-before", _chunks(b" 5" + _REST), requests=(_POST,)),
    _bad("chunk/size-space-after", _chunks(b"5 " + _REST), requests=(_POST,)),
    _bad("chunk/size-tab-after", _chunks(b"5\t" + _REST), requests=(_POST,)),
    _bad("chunk/size-space-inside", _chunks(b"0 5" + _REST), requests=(_POST,)),
    _bad("chunk/size-no-hex", _chunks(b"g" + _REST), requests=(_POST,)),
    _bad("chunk/size-comma", _chunks(b"5,5" + _REST), requests=(_POST,)),
    _bad("chunk/size-17-digits", _chunks(b"00000000000000005" + _REST), requests=(_POST,)),
    _bad("chunk/size-overflow", _chunks(b"10000000000000005" + _REST), requests=(_POST,)),
    _bad("chunk/size-bare-lf", _chunks(b"5\nhello\r\n0\r\n\r\n"), requests=(_POST,)),
    _bad("chunk/size-bare-cr", _chunks(b"5\rhello\r\n0\r\n\r\n"), requests=(_POST,)),
    _bad("chunk/size-cr-cr-lf", _chunks(b"5\r" + _REST), requests=(_POST,)),
    _bad("chunk/size-nul", _chunks(b"5\0" + _REST), requests=(_POST,)),
    _bad("chunk/size-line-too-long", _chunks(b"5;a=" + b"b" * 1024 + _REST), requests=(_POST,)),
    _bad("chunk/extension-bare-lf", _chunks(b"5;a\nhello\r\n0\r\n\r\n"), requests=(_POST,)),
    _bad("chunk/extension-bare-cr", _chunks(b"5;a\rb" + _REST), requests=(_POST,)),
    _bad("chunk/extension-nul", _chunks(b"5;\0" + _REST), requests=(_POST,)),
    _bad("chunk/extension-empty", _chunks(b"5;" + _REST), requests=(_POST,)),
    _bad("chunk/extension-no-name", _chunks(b"5;=b" + _REST), requests=(_POST,)),
    _bad("chunk/extension-no-value", _chunks(b"5;a=" + _REST), requests=(_POST,)),
    _bad("chunk/extension-open-quote", _chunks(b'5;a="b' + _REST), requests=(_POST,)),
    _bad("chunk/extension-two-words", _chunks(b"5;a b" + _REST), requests=(_POST,)),
    _bad("chunk/extension-trailing-space", _chunks(b"5;a " + _REST), requests=(_POST,)),
    _bad("chunk/extensions-total", _chunks(b"".join([b"1;" + b"a" * 1000 + b"\r\nx\r\n"] * 17)), requests=(_POST,)),
    _bad("chunk/data-too-long", _chunks(b"5\r\nhello!\r\n0\r\n\r\n"), requests=(_POST,)),
    _bad("chunk/data-too-short", _chunks(b"5\r\nhell\r\n0\r\n\r\n"), requests=(_POST,)),
    _bad("chunk/data-two-wrong-bytes", _chunks(b"5\r\nhelloXX0\r\n\r\n"), requests=(_POST,)),
    _bad("chunk/data-bare-lf", _chunks(b"5\r\nhello\n0\r\n\r\n"), requests=(_POST,)),
    _bad("chunk/data-bare-cr", _chunks(b"5\r\nhello\r0\r\n\r\n"), requests=(_POST,)),
    _bad("chunk/end-bare-lf", _chunks(b"0\n\n"), requests=(_POST,)),
    _bad("chunk/end-then-lf", _chunks(b"0\r\n\n"), requests=(_POST,)),
    _bad("chunk/end-then-junk", _chunks(b"0\r\nX\r\n\r\n"), requests=(_POST,)),
    _bad("chunk/end-then-request", _chunks(b"0\r\n") + _NEXT, requests=(_POST,)),
)

TRAILERS = (
    _good("trailer/one", _chunks(b"0\r\nX-Sum: 1\r\n\r\n"), _POST),
    _good("trailer/announced", _chunks(b"0\r\nX-Sum: 1\r\n\r\n", b"Trailer: X-Sum"), _POST, names=(b"host", b"trailer")),
    _good("trailer/two-then-next", _chunks(b"0\r\nA: b\r\nC: d\r\n\r\n") + _NEXT, _POST, _NEXT_REQUEST),
    _good("trailer/authorization-is-dropped", _chunks(b"0\r\nAuthorization: x\r\n\r\n"), _POST),
    _bad("trailer/content-length", _chunks(b"0\r\nContent-Length: 5\r\n\r\n"), requests=(_POST,)),
    _bad("trailer/transfer-encoding", _chunks(b"0\r\nTransfer-Encoding: chunked\r\n\r\n"), requests=(_POST,)),
    _bad("trailer/host", _chunks(b"0\r\nA: b\r\nhost: evil\r\n\r\n"), requests=(_POST,)),
    _bad("trailer/connection", _chunks(b"0\r\nConnection: close\r\n\r\n"), requests=(_POST,)),
    _bad("trailer/fold", _chunks(b"0\r\nA: b\r\n c\r\n\r\n"), requests=(_POST,)),
    _bad("trailer/space-before-colon", _chunks(b"0\r\nA : b\r\n\r\n"), requests=(_POST,)),
    _bad("trailer/no-colon", _chunks(b"0\r\nA\r\n\r\n"), requests=(_POST,)),
    _bad("trailer/empty-name", _chunks(b"0\r\n: b\r\n\r\n"), requests=(_POST,)),
    _bad("trailer/bare-lf", _chunks(b"0\r\nA: b\n\r\n"), requests=(_POST,)),
    _bad("trailer/bare-lf-end", _chunks(b"0\r\nA: b\r\n\n"), requests=(_POST,)),
    _bad("trailer/nul", _chunks(b"0\r\nA: \0\r\n\r\n"), requests=(_POST,)),
    _bad("trailer/too-many", _chunks(b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n"), 431, "http1.too_many_headers", (_POST,)),
    _bad("trailer/too-large", _chunks(b"0\r\nA: " + b"b" * 61440 + b"\r\n\r\n"), 431, "http1.headers_too_large", (_POST,)),
)

_CLOSED = Request(keep_alive=False)

HOPS = (
    _good("hop/close", _get(b"Connection: close"), _CLOSED, names=(b"host",)),
    _good("hop/close-upper-case", _get(b"CONNECTION: CLOSE"), _CLOSED, names=(b"host",)),
    _good("hop/close-in-list", _get(b"Connection: keep-alive, close"), _CLOSED, names=(b"host",)),
    _good("hop/close-in-second-line", _get(b"Connection: keep-alive", b"Connection: close"), _CLOSED, names=(b"host",)),
    _good("hop/keep-alive", _get(b"Connection: Keep-Alive", b"Keep-Alive: timeout=5"), names=(b"host",)),
    _good("hop/empty-members", _get(b"Connection: , ,close,"), _CLOSED, names=(b"host",)),
    _good("hop/empty", _get(b"Connection:"), names=(b"host",)),
    _good("hop/named", _get(b"Connection: x-a", b"X-A: b", b"X-B: c"), names=(b"host", b"x-b")),
    _good("hop/named-before", _get(b"X-A: b", b"x-a: c", b"Connection: close, X-A"), _CLOSED, names=(b"host",)),
    _good("hop/proxy-connection", _get(b"Proxy-Connection: close"), names=(b"host",)),
    _good("hop/te-trailers", _get(b"TE: trailers", b"Connection: TE"), names=(b"host", b"te")),
    _good("hop/te-gzip", _get(b"TE: gzip", b"Connection: TE"), names=(b"host",)),
    _good("hop/te-list", _get(b"TE: gzip, trailers"), names=(b"host", b"te")),
    _good("hop/upgrade-without-connection", _get(b"Upgrade: websocket"), names=(b"host",)),
    _good("hop/upgrade-h2c", _get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA"),
          names=(b"host",)),
    _good("hop/trailer-without-chunks", _get(b"Trailer: a"), names=(b"host",)),
    _good("hop/connection-names-host", _get(b"Connection: host"), names=(b"host",)),
    _good("hop/connection-names-content-length", _post(b"Connection: content-length", b"Content-Length: 5", body=b"hello"),
          _HELLO, names=(b"host", b"content-length")),
    _good("hop/connection-names-transfer-encoding", _chunks(b"5" + _REST, b"Connection: transfer-encoding"), _HELLO),
    _good("hop/connection-names-x-forwarded-for", _get(b"Connection: close, X-Forwarded-For", b"X-Forwarded-For: 1.2.3.4"),
          _CLOSED, names=(b"host", b"x-forwarded-for")),
    _good("hop/connection-names-authorization", _get(b"Connection: authorization", b"Authorization: x"),
          names=(b"host", b"authorization")),
    _good("hop/connection-names-cookie", _get(b"Connection: cookie", b"Cookie: x"), names=(b"host", b"cookie")),
    _good("hop/connection-names-connection", _get(b"Connection: connection, close"), _CLOSED, names=(b"host",)),
    _good("hop/1.0", b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", _CLOSED),
    _good("hop/1.0-keep-alive", b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", Request(), names=(b"host",)),
    _good("hop/1.0-keep-alive-and-close", b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n", _CLOSED),
    _good("hop/1.0-upgrade", b"GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", _CLOSED,
          names=(b"host",)),
    _good("hop/1.0-body", b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
          Request(b"POST", body=b"hi", keep_alive=False)),
    _bad("hop/connection-option-with-space", _get(b"Connection: a b"), 400, "http1.connection_header_rejected"),
    _bad("hop/connection-option-quoted", _get(b'Connection: "close"'), 400, "http1.connection_header_rejected"),
    _bad("hop/connection-option-with-colon", _get(b"Connection: :path"), 400, "http1.connection_header_rejected"),
)

EXPECTS = (
    _good("expect/continue", _post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"), _HELLO),
    _good("expect/upper-case", _post(b"EXPECT: 100-Continue", b"Content-Length: 5", body=b"hello"), _HELLO),
    _good("expect/without-body", _get(b"Expect: 100-continue")),
    _bad("expect/unknown", _post(b"Expect: 200-ok", b"Content-Length: 5", body=b"hello"), 417),
    _bad("expect/list", _post(b"Expect: 100-continue, x", b"Content-Length: 5", body=b"hello"), 417),
    _bad("expect/word-before", _post(b"Expect: y 100-continue", b"Content-Length: 5", body=b"hello"), 417),
    _bad("expect/empty", _post(b"Expect:", b"Content-Length: 5", body=b"hello"), 417),
    _bad("expect/twice", _post(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"), 417),
)

PIPES = (
    _good("pipe/two", _NEXT * 2, _NEXT_REQUEST, _NEXT_REQUEST),
    _good("pipe/hundred", _NEXT * 100, *[_NEXT_REQUEST] * 100),
    _good("pipe/empty-line-between", _NEXT + b"\r\n" + _NEXT, _NEXT_REQUEST, _NEXT_REQUEST),
    _good("pipe/bodies", _post(b"Content-Length: 5", body=b"hello") * 3 + _chunks(b"5" + _REST) * 3, *[_HELLO] * 6),
    _bad("pipe/bad-second", _NEXT + b"BAD\r\n\r\n", requests=(_NEXT_REQUEST,)),
    _bad("pipe/two-empty-lines-between", _NEXT + b"\r\n\r\n" + _NEXT, requests=(_NEXT_REQUEST,)),
    _bad("pipe/body-one-too-long", _post(b"Content-Length: 4", body=b"hello\r\n\r\n"), requests=(_POST,)),
)

SIZES = (
    _good("size/target-large", _line(b"GET /" + b"a" * 60000 + b" HTTP/1.1"), Request(target=b"/" + b"a" * 60000)),
    _bad("size/target-too-large", _line(b"GET /" + b"a" * 61440 + b" HTTP/1.1"), 414, "http1.headers_too_large"),
    _bad("size/target-endless", b"GET /" + b"a" * 61440, 414, "http1.headers_too_large"),
    _bad("size/field-too-large", _get(b"A: " + b"b" * 61440), 431, "http1.headers_too_large"),
    _bad("size/field-endless", _get()[:-2] + b"A: " + b"b" * 61440, 431, "http1.headers_too_large"),
    _bad("size/fields-endless", _get()[:-2] + b"A: b\r\n" * 10240, 431, "http1.headers_too_large"),
)

CASES = (LINES + TARGETS + HOSTS + FIELDS + LENGTHS + CODINGS + CHUNKS + TRAILERS + HOPS + EXPECTS + PIPES + SIZES)
