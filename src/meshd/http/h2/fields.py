"""Field sections as heads, and heads as field sections (RFC 9113 8, RFC 8441 4); called by both engines.

Strategy: the regular fields become the block of lines that ``Headers`` keeps, in one join, and one scan of that block
finds everything that steers (``hot/field``), as with HTTP/1.1: so nothing that HTTP/1.1 refuses can reach it by this
road. The engine has checked names and the ends of values (``strict.check`` does it for the pure one). What is malformed
raises ProtocolError, a stream error of the type PROTOCOL_ERROR (8.1.1), unless the status is another than 400: then
the request is well formed and is answered with it.
"""

import re
from collections import namedtuple

from meshd.errors import ProtocolError
from meshd.hot.field import (
    CODING, CODING_TWICE, CONNECTION, CONNECTION_TWICE, EXPECT, HOP, HOST, HOST_TWICE, LENGTH, LENGTH_TWICE,
    UNDERSCORE, scan_fields,
)
from meshd.hot.section import blocks, pseudo, split
from meshd.http import authority, framing
from meshd.http.head import RequestHead, ResponseHead
from meshd.http.headers import Headers
from meshd.http.target import CONNECT

try:
    from ngh2 import NeverIndexedHeader as Secret  # a pair that no table may keep, as its engine takes it
except ImportError:
    Secret = namedtuple("Secret", ("name", "value"))

_SPECIFIC = (b"upgrade", b"keep-alive", b"proxy-connection")  # beside connection and transfer-encoding (8.2.2)
_HANDSHAKE = frozenset((b"sec-websocket-key", b"sec-websocket-accept"))  # RFC 8441 5: not used
_RARE = CODING | CODING_TWICE | CONNECTION | CONNECTION_TWICE | HOP | LENGTH_TWICE
_statuses = {status: (b":status", b"%d" % status) for status in range(100, 600)}
_known_hosts = authority._known
_known_methods = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS"))

_is_method = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++").fullmatch
_is_path = re.compile(rb"/[!\x22\x24-~]*+").fullmatch  # visible, no fragment
_underscored = re.compile(rb"\r\n([^:\r]*_[^:\r]*):").findall

Fields = tuple[tuple[bytes, bytes], ...]
DETAIL = "http2.violation.of.messaging.rule"  # Envoy's


def malformed(text: str) -> ProtocolError:
    """Return the error for a message that breaks RFC 9113 8.1.1."""
    return ProtocolError(text, 400, DETAIL)


def _block(fields: Fields, first: int, host: bytes | None, limits) -> tuple:
    """Return the fields from ``first`` on as Headers, with ``host`` in front, and what ``scan_fields`` says of them."""
    raw, low, size, crumbs = blocks(fields, first, host)
    if size > limits.max_head_bytes or len(fields) > limits.max_fields:
        _refuse_size(size, limits)
    if raw is None:
        raise malformed("field section: expected names and values without CR and LF")
    scan = scan_fields(low, limits.underscores != "allow")
    bits = scan[0]
    headers = Headers.pair(raw, low)
    if bits & _RARE:
        if bits < 0:
            raise malformed("field section: expected names in lower case, values without control characters")
        if bits & LENGTH_TWICE:
            raise malformed("content-length: expected one, got more")
        _refuse_specific(headers, bits)
    if crumbs > 1:
        headers.set(b"cookie", b"; ".join(headers.get_all(b"cookie")))  # 8.2.3
        scan = scan_fields(headers.low, limits.underscores != "allow")  # the others have moved
    for field in fields:
        if type(field) is not tuple:
            headers.secret = frozenset([pair[0] for pair in fields if type(pair) is not tuple])
            break
    return headers, scan


def _refuse_specific(headers: Headers, bits: int) -> None:
    """Refuse connection-specific fields (8.2.2)."""
    if bits & (CONNECTION | CONNECTION_TWICE):
        raise malformed("connection: expected none in HTTP/2")
    if bits & (CODING | CODING_TWICE):
        raise malformed("transfer-encoding: expected none in HTTP/2")
    for name in _SPECIFIC:
        if name in headers:
            raise malformed(f"{name.decode()}: expected none in HTTP/2")
    te = headers.get_all(b"te")
    if te and [value.lower() for value in te] != [b"trailers"]:
        raise malformed(f"te: {b', '.join(te)[:64]!r}: expected trailers")


def _refuse_size(size: int, limits) -> None:
    """Refuse a field section that is larger than was announced (6.5.2)."""
    if size > limits.max_head_bytes:
        raise ProtocolError(f"head: expected at most {limits.max_head_bytes} bytes", 431, "http2.too_large_headers")
    raise ProtocolError(f"head: expected at most {limits.max_fields} fields", 431, "http2.too_many_headers")


def read_request(fields: Fields, is_last: bool, limits) -> RequestHead:
    """Return the head of a request; see ``RequestHead``.

    ``:authority`` (else Host) is the ``host`` line of its headers. An extended CONNECT is the upgrade that it is in
    HTTP/1.1, as in Envoy: method GET, ``upgrade`` the protocol, content_length 0. ``content_length`` is -1 where it is
    not said.
    """
    first, method, scheme, value, path, protocol = pseudo(fields)
    if first < 0:
        name = fields[-1 - first][0]
        raise malformed(f"{name[:64]!r}: expected each pseudo-header field of requests once")
    headers, scan = _block(fields, first, value, limits)
    bits = scan[0]
    host = headers.low[scan[1]:scan[2]]
    if bits & HOST_TWICE or host not in _known_hosts:
        _check_host(headers, host, bits)
    if protocol is None and method != b"CONNECT":
        if method not in _known_methods:
            _check_method(method)
        _check_target(method, scheme, path)
        head = RequestHead(method, path, host, 20, headers)
        head.scheme = scheme.lower()
    else:
        head = _read_connect(method, scheme, value, path, protocol, headers, host, limits)
    if bits == HOST and is_last:
        return head
    if bits & LENGTH:
        head.content_length = _read_length(headers.low[scan[3]:scan[4]], is_last)
    elif not is_last and head.upgrade is None:
        head.content_length = -1
    if bits & (EXPECT | UNDERSCORE):
        _read_rare(head, bits, limits)
    return head


def _check_method(method: bytes | None) -> None:
    if method is None or not _is_method(method):
        raise malformed(f":method: {(method or b'')[:64]!r}: expected a token")


def _read_rare(head: RequestHead, bits: int, limits) -> None:
    if bits & EXPECT:
        _read_expect(head)
    if bits & UNDERSCORE:
        _read_underscores(head.headers, limits)


def _check_host(headers: Headers, host: bytes, bits: int) -> None:
    """Refuse no authority or a bad one, and a Host that says another thing than :authority, which is the first line
    (8.3.1); make them one."""
    if not host:
        raise malformed(":authority: expected one")
    authority.split(host)
    if not bits & HOST_TWICE:
        return
    values = headers.get_all(b"host")
    if len(values) > 2 or values[0].lower() != values[1].lower():
        raise malformed(f"host: {values[1][:64]!r}: expected {values[0][:64]!r} as in :authority, once")
    headers.remove(b"host")
    line = b"\r\nhost: " + values[0]
    headers.raw = line + headers.raw
    headers.low = line.lower() + headers.low


def _check_target(method: bytes, scheme: bytes | None, path: bytes | None) -> None:
    """Refuse a target that is neither a path nor ``*`` (8.3.1)."""
    if path is None or scheme is None:
        raise malformed(f"{':path' if path is None else ':scheme'}: expected one")
    if scheme != b"https" and scheme != b"http" and scheme.lower() not in (b"http", b"https"):
        raise malformed(f":scheme: {scheme[:64]!r}: expected http or https")
    if not _is_path(path) and (path != b"*" or method != b"OPTIONS"):
        raise malformed(f":path: {path[:64]!r}: expected a path without a fragment")


def _read_connect(method, scheme, value, path, protocol, headers: Headers, host: bytes, limits) -> RequestHead:
    """Return the head of a plain CONNECT (8.5), or the upgrade that an extended one is (RFC 8441 4)."""
    if value is None:
        raise malformed("CONNECT: expected :authority")
    if protocol is None:
        if path is not None or scheme is not None:
            raise malformed("CONNECT: expected neither :path nor :scheme")
        if authority.split(host)[1] is None:
            raise malformed("CONNECT: expected host:port as :authority")
        if headers.get(b"content-length") not in (None, b"0"):
            raise malformed("CONNECT: expected no content-length")
        head = RequestHead(method, host, host, 20, headers)
        head.upgrade = CONNECT
        return head
    if method != b"CONNECT" or not limits.allow_connect or not _is_method(protocol):
        raise malformed(f":protocol: {protocol[:64]!r}: expected none")
    if b"content-length" in headers:
        raise malformed("CONNECT: expected no content-length")
    _check_target(method, scheme, path)
    head = RequestHead(b"GET", path, host, 20, headers)
    head.scheme = scheme.lower()
    head.upgrade = protocol.lower()
    return head


def _read_length(value: bytes, is_last: bool) -> int:
    length = framing.read_length(value)
    if is_last and length:
        raise malformed(f"content-length: {length}: expected a body of that length, got none")
    return length


def _read_expect(head: RequestHead) -> None:
    values = head.headers.get_all(b"expect")
    if len(values) != 1 or values[0].lower() != b"100-continue":
        raise ProtocolError(f"expect: {b', '.join(values)[:64]!r}: expected 100-continue", 417)
    head.expect_continue = head.content_length != 0
    if not head.expect_continue:
        head.headers.remove(b"expect")


def _read_underscores(headers: Headers, limits) -> None:
    names = _underscored(headers.low)
    if limits.underscores == "reject":
        raise ProtocolError(f"field: {names[0]!r}: expected no underscore in a name", 400,
                            "http2.unexpected_underscore")
    for name in names:
        headers.remove(name)


def read_response(fields: Fields, is_last: bool, limits) -> ResponseHead:
    """Return the head of an answer, final or 1xx.

    ``content_length`` is -1 where it is not said. The session knows the request, and corrects what depends on it
    (HEAD, an upgrade that was granted).
    """
    text = fields[0][1] if fields and fields[0][0] == b":status" else b""
    headers, scan = _block(fields, 1, None, limits)
    if len(text) != 3 or not text.isdigit() or not 100 <= int(text) <= 599 or text == b"101":
        raise malformed(f":status: {text[:64]!r}: expected 100 to 599 without 101")
    head = ResponseHead(int(text), headers, b"", 20)
    if head.status < 200:
        if is_last or scan[0] & LENGTH:
            raise malformed(f":status: {head.status}: expected neither an end nor content-length")
        head.content_length = 0
    elif scan[0] & LENGTH:
        head.content_length = framing.read_length(headers.low[scan[3]:scan[4]])
        if head.status == 204:
            _read_none(head)
    elif is_last or head.status == 204 or head.status == 304:
        head.content_length = 0
    return head


def _read_none(head: ResponseHead) -> None:
    """A 204 has no content-length (RFC 9110 8.6): take out one that says so, refuse others, as libnghttp2 does."""
    if head.content_length:
        raise malformed(f"content-length: {head.content_length}: expected none with 204")
    head.headers.remove(b"content-length")


def read_trailers(fields: Fields, limits) -> Headers:
    """Return a trailer section; fields that must not stand there are refused or dropped as with HTTP/1.1."""
    if any(name[:1] == b":" for name, _ in fields):
        raise malformed("trailers: expected no pseudo-header field")
    headers, scan = _block(fields, 0, None, limits)
    for name in framing.REFUSED_IN_TRAILERS:
        if name in headers:
            raise malformed(f"trailers: {name.decode()}: expected none")
    for name in framing.DROPPED_IN_TRAILERS:
        headers.remove(name)
    return headers


def write_request(head: RequestHead) -> list[tuple[bytes, bytes]]:
    """Return the fields of a request; ``head.upgrade`` becomes an extended CONNECT."""
    host = head.headers.value(b"\r\nhost:") or head.host
    if head.method == b"CONNECT":
        return _fields(head.headers, [(b":method", b"CONNECT"), (b":authority", host)])
    if head.upgrade:
        section = [(b":method", b"CONNECT"), (b":protocol", head.upgrade), (b":scheme", head.scheme),
                   (b":authority", host), (b":path", head.target)]
        return [field for field in _fields(head.headers, section) if field[0] not in _HANDSHAKE]
    return _fields(head.headers, [(b":method", head.method), (b":scheme", head.scheme), (b":authority", host),
                                  (b":path", head.target)])


def write_response(head: ResponseHead) -> list[tuple[bytes, bytes]]:
    """Return the fields of an answer; 101 becomes the 200 that grants an extended CONNECT."""
    if head.status == 101:
        return [field for field in _fields(head.headers, [_statuses[200]]) if field[0] not in _HANDSHAKE]
    return _fields(head.headers, [_statuses.get(head.status) or (b":status", b"%d" % head.status)])


def write_trailers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the fields of a trailer section."""
    return _fields(headers, [])


def _fields(headers: Headers, section: list) -> list[tuple[bytes, bytes]]:
    """Append the fields that may be sent: connection-specific ones and Host are left out, TE but for ``trailers``.

    What came never indexed is sent so (RFC 7541 7.1.3).
    """
    found = split(headers.raw, headers.low, section)
    secret = headers.secret
    if secret is None:
        return found
    return [Secret(field[0], field[1]) if field[0] in secret else field for field in found]
