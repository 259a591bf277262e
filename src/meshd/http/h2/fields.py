"""Field sections as heads, and heads as field sections (RFC 9113 8, RFC 8441 4); called by both engines.

Strategy: the regular fields become the block of lines that ``Headers`` keeps, in one join, and one scan of that block
finds everything that steers (``hot/field``), as with HTTP/1.1: so nothing that HTTP/1.1 refuses can reach it by this
road. The engine has checked names and the ends of values (``strict.check`` does it for the pure one). What is malformed
raises ProtocolError, a stream error of the type PROTOCOL_ERROR (8.1.1), unless the status is another than 400: then
the request is well formed and is answered with it.
"""

import re

from meshd.errors import ProtocolError
from meshd.hot.field import (
    CODING, CONNECTION, EXPECT, HOP, HOST, HOST_TWICE, LENGTH, LENGTH_TWICE, UNDERSCORE, scan_fields,
)
from meshd.http import authority, framing
from meshd.http.head import RequestHead, ResponseHead
from meshd.http.headers import Headers

_SPECIFIC = (b"upgrade", b"keep-alive", b"proxy-connection")  # beside connection and transfer-encoding (8.2.2)
_NOT_SENT = frozenset((
    b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"host", b"http2-settings",
))
_HANDSHAKE = frozenset((b"sec-websocket-key", b"sec-websocket-accept"))  # RFC 8441 5: not used
_KNOWN_PSEUDO = (b":method", b":scheme", b":authority", b":path", b":protocol")

_is_method = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++").fullmatch
_is_path = re.compile(rb"/[!\x22\x24-~]*+").fullmatch  # visible, no fragment
_underscored = re.compile(rb"\r\n([^:\r]*_[^:\r]*):").findall

Fields = tuple[tuple[bytes, bytes], ...]
DETAIL = "http2.violation.of.messaging.rule"  # Envoy's


def malformed(text: str) -> ProtocolError:
    """Return the error for a message that breaks RFC 9113 8.1.1."""
    return ProtocolError(text, 400, DETAIL)


def _split(fields: Fields, known: tuple[bytes, ...]) -> tuple[dict[bytes, bytes], Fields]:
    """Return the pseudo-header fields, each at most once and before all others, and the rest."""
    pseudo = {}
    at = 0
    for name, value in fields:
        if name[:1] != b":":
            break
        if name not in known or name in pseudo:
            raise malformed(f"{name[:64]!r}: expected one of {b', '.join(known).decode()}, once")
        pseudo[name] = value
        at += 1
    return pseudo, fields[at:]


def _block(fields: Fields, limits) -> tuple[Headers, tuple]:
    """Return the fields as Headers and what ``scan_fields`` says of them."""
    headers = Headers(b"".join([b"\r\n%b: %b" % field for field in fields]))
    scan = scan_fields(headers.low, limits.underscores != "allow")
    if scan[0] < 0 or headers.low.count(b"\r\n") != len(fields):
        raise malformed("field section: expected names in lower case, values without control characters")
    bits = scan[0]
    if bits & (CODING | CONNECTION | HOP):
        _refuse_specific(headers, bits)
    if bits & LENGTH_TWICE:
        raise malformed("content-length: expected one, got more")
    return headers, scan


def _refuse_specific(headers: Headers, bits: int) -> None:
    """Refuse connection-specific fields (8.2.2)."""
    if bits & CONNECTION:
        raise malformed("connection: expected none in HTTP/2")
    if bits & CODING:
        raise malformed("transfer-encoding: expected none in HTTP/2")
    for name in _SPECIFIC:
        if name in headers:
            raise malformed(f"{name.decode()}: expected none in HTTP/2")
    te = headers.get_all(b"te")
    if te and [value.lower() for value in te] != [b"trailers"]:
        raise malformed(f"te: {b', '.join(te)[:64]!r}: expected trailers")


def _join_cookies(headers: Headers) -> None:
    """Make one line of the crumbs (8.2.3)."""
    crumbs = headers.get_all(b"cookie")
    if len(crumbs) > 1:
        headers.set(b"cookie", b"; ".join(crumbs))


def _measure(fields: Fields, limits) -> None:
    """Refuse a field section that is larger than was announced (6.5.2)."""
    size = 32 * len(fields)
    for name, value in fields:
        size += len(name) + len(value)
    if size > limits.max_head_bytes:
        raise ProtocolError(f"head: expected at most {limits.max_head_bytes} bytes", 431, "http2.too_large_headers")
    if len(fields) > limits.max_fields:
        raise ProtocolError(f"head: expected at most {limits.max_fields} fields", 431, "http2.too_many_headers")


def read_request(fields: Fields, is_last: bool, limits) -> RequestHead:
    """Return the head of a request; see ``RequestHead``.

    ``:authority`` (else Host) is the ``host`` line of its headers. An extended CONNECT is the upgrade that it is in
    HTTP/1.1, as in Envoy: method GET, ``upgrade`` the protocol, content_length 0. ``content_length`` is -1 where it is
    not said.
    """
    _measure(fields, limits)
    pseudo, rest = _split(fields, _KNOWN_PSEUDO)
    headers, scan = _block(rest, limits)
    bits = scan[0]
    length = headers.low[scan[3]:scan[4]]
    if headers.low.find(b"\r\ncookie:") >= 0:
        _join_cookies(headers)  # moves what scan says
    method = pseudo.get(b":method", b"")
    if not _is_method(method):
        raise malformed(f":method: {method[:64]!r}: expected a token")
    host = _read_host(pseudo.get(b":authority"), headers, bits)
    head = RequestHead(method, _read_target(pseudo, method, host), host, 20, headers)
    head.scheme = pseudo.get(b":scheme", b"http").lower()
    if b":protocol" in pseudo:
        _read_protocol(head, pseudo, limits)
    elif bits & LENGTH:
        head.content_length = _read_length(length, is_last)
    elif not is_last:
        head.content_length = -1
    if bits & EXPECT:
        _read_expect(head)
    if bits & UNDERSCORE:
        _read_underscores(headers, limits)
    return head


def _read_host(value: bytes | None, headers: Headers, bits: int) -> bytes:
    """Return the authority in lower case; Host, which is put in where it is missing, must say the same (8.3.1)."""
    if bits & HOST_TWICE:
        raise malformed("host: expected one, got more")
    named = headers.get(b"host") if bits & HOST else None
    if value is None:
        value = named
    if not value:
        raise malformed(":authority: expected one")
    host = value.lower()
    if host not in authority._known:
        authority.split(host)
    if named is None:
        line = b"\r\nhost: " + value
        headers.raw = line + headers.raw
        headers.low = line.lower() + headers.low
    elif named.lower() != host:
        raise malformed(f"host: {named[:64]!r}: expected {value[:64]!r} as in :authority")
    return host


def _read_target(pseudo: dict[bytes, bytes], method: bytes, host: bytes) -> bytes:
    """Return the target: the path, ``*``, or the authority of a plain CONNECT (8.3.1, 8.5)."""
    path, scheme = pseudo.get(b":path"), pseudo.get(b":scheme")
    if method == b"CONNECT" and b":protocol" not in pseudo:
        if path is not None or scheme is not None:
            raise malformed("CONNECT: expected neither :path nor :scheme")
        if b":authority" not in pseudo or authority.split(host)[1] is None:
            raise malformed("CONNECT: expected host:port as :authority")
        return host
    if path is None or scheme is None:
        raise malformed(f"{':path' if path is None else ':scheme'}: expected one")
    if scheme.lower() not in (b"http", b"https"):
        raise malformed(f":scheme: {scheme[:64]!r}: expected http or https")
    if not _is_path(path) and (path != b"*" or method != b"OPTIONS"):
        raise malformed(f":path: {path[:64]!r}: expected a path without a fragment")
    return path


def _read_protocol(head: RequestHead, pseudo: dict[bytes, bytes], limits) -> None:
    """Make an upgrade of an extended CONNECT (RFC 8441 4)."""
    protocol = pseudo[b":protocol"]
    if head.method != b"CONNECT" or not limits.allow_connect or not _is_method(protocol):
        raise malformed(f":protocol: {protocol[:64]!r}: expected none")
    if b":authority" not in pseudo or b"content-length" in head.headers:
        raise malformed("CONNECT: expected :authority and no content-length")
    head.method = b"GET"
    head.upgrade = protocol.lower()


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
    _measure(fields, limits)
    pseudo, rest = _split(fields, (b":status",))
    headers, scan = _block(rest, limits)
    text = pseudo.get(b":status", b"")
    if len(text) != 3 or not text.isdigit() or not 100 <= int(text) <= 599 or text == b"101":
        raise malformed(f":status: {text[:64]!r}: expected 100 to 599 without 101")
    head = ResponseHead(int(text), headers, b"", 20)
    if head.status < 200:
        if is_last or scan[0] & LENGTH:
            raise malformed(f":status: {head.status}: expected neither an end nor content-length")
        head.content_length = 0
    elif scan[0] & LENGTH:
        head.content_length = framing.read_length(headers.low[scan[3]:scan[4]])
    elif is_last or head.status == 204 or head.status == 304:
        head.content_length = 0
    return head


def read_trailers(fields: Fields, limits) -> Headers:
    """Return a trailer section; fields that must not stand there are refused or dropped as with HTTP/1.1."""
    _measure(fields, limits)
    if any(name[:1] == b":" for name, _ in fields):
        raise malformed("trailers: expected no pseudo-header field")
    headers, scan = _block(fields, limits)
    for name in framing.REFUSED_IN_TRAILERS:
        if name in headers:
            raise malformed(f"trailers: {name.decode()}: expected none")
    for name in framing.DROPPED_IN_TRAILERS:
        headers.remove(name)
    return headers


def write_request(head: RequestHead) -> list[tuple[bytes, bytes]]:
    """Return the fields of a request; ``head.upgrade`` becomes an extended CONNECT."""
    host = head.headers.get(b"host") or head.host
    if head.method == b"CONNECT":
        return [(b":method", b"CONNECT"), (b":authority", host), *_fields(head.headers)]
    if head.upgrade:
        return [(b":method", b"CONNECT"), (b":protocol", head.upgrade), (b":scheme", head.scheme),
                (b":authority", host), (b":path", head.target),
                *[field for field in _fields(head.headers) if field[0] not in _HANDSHAKE]]
    return [(b":method", head.method), (b":scheme", head.scheme), (b":authority", host), (b":path", head.target),
            *_fields(head.headers)]


def write_response(head: ResponseHead) -> list[tuple[bytes, bytes]]:
    """Return the fields of an answer; 101 becomes the 200 that grants an extended CONNECT."""
    status = head.status
    if status == 101:
        return [(b":status", b"200"), *[field for field in _fields(head.headers) if field[0] not in _HANDSHAKE]]
    return [(b":status", b"%d" % status), *_fields(head.headers)]


def write_trailers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the fields of a trailer section."""
    return _fields(headers)


def _fields(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the fields that may be sent: connection-specific ones and Host are left out, TE but for ``trailers``."""
    fields = [field for field in headers if field[0] not in _NOT_SENT]
    if headers.low.find(b"\r\nte:") >= 0:
        fields = [(name, value) for name, value in fields if name != b"te"]
        if b"trailers" in [part.strip(b" \t") for part in (headers.joined(b"te") or b"").lower().split(b",")]:
            fields.append((b"te", b"trailers"))
    return fields
