"""Framing and connection rules that requests and responses share (RFC 9112 6, RFC 9110 7.6); called by the codecs.

The fields of ``KEPT`` are never taken out of a head because ``Connection`` names them: they frame the message or say
who is asking, so a client that names them wants to strip what a proxy in front of us has added (CVE-2022-31813).
RFC 9110 7.6.1 forbids a sender to name fields that are meant for every recipient, which all of these are.
"""

import re

from meshd.errors import ProtocolError
from meshd.hot import block
from meshd.http.headers import Headers

IDLE, HEAD, BODY, DONE, TUNNEL, FAILED = range(6)

LAST_BYTES = 1024
"""A head's fields up to this are remembered on their connection, in case the next ones are the same."""

MAX_LENGTH_DIGITS = 18  # below 2**63 bytes
PART_BYTES = 1024  # a longer part of a start line is not looked at again with each byte that comes

KEPT = frozenset((
    b"host", b"content-length", b"content-type", b"content-encoding", b"content-range", b"trailer", b"expect", b"date",
    b"authorization", b"cookie", b"set-cookie", b"location", b"forwarded", b"via", b"range", b"cache-control",
    b"proxy-authorization", b"proxy-authenticate", b"www-authenticate", b"x-request-id", b"x-real-ip",
    b"traceparent", b"tracestate", b"x-b3-traceid", b"x-b3-spanid", b"x-b3-sampled", b"b3",
))
KEPT_PREFIXES = (b"x-forwarded-", b"x-envoy-", b"x-meshd-")  # not in trailers either

# What a trailer section may not carry (RFC 9110 6.5.1): fields that frame or route refuse the message; those that
# authenticate, steer the connection or must be known before the body are dropped, as a recipient may.
REFUSED_IN_TRAILERS = (b"transfer-encoding", b"content-length", b"host", b"connection")
DROPPED_IN_TRAILERS = (
    b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"expect", b"authorization",
    b"proxy-authorization",
    b"proxy-authenticate", b"www-authenticate", b"cookie", b"set-cookie", b"content-type", b"content-encoding",
    b"content-range", b"cache-control", b"max-forwards", b"forwarded", b"location", b"range", b"via", b"x-request-id",
)

_HOP_BY_HOP = (b"keep-alive", b"proxy-connection", b"upgrade")
_is_token = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++").fullmatch


def read_length(value: bytes, status: int = 400) -> int:
    """Return the bytes that a Content-Length value declares; anything but digits is refused with ``status``."""
    if value.isdigit() and len(value) <= MAX_LENGTH_DIGITS:
        return int(value)
    raise ProtocolError(f"content-length: {value[:64]!r}: expected 1 to {MAX_LENGTH_DIGITS} digits", status)


def check_coding(headers: Headers, status: int = 400, unknown_status: int = 501) -> None:
    """Refuse every Transfer-Encoding but one single ``chunked`` (RFC 9112 6.1)."""
    values = headers.get_all(b"transfer-encoding")
    if values == [b"chunked"] or len(values) == 1 and values[0].lower() == b"chunked":
        return
    codings = [coding.strip(b" \t").lower() for coding in b",".join(values).split(b",")]
    is_list = len(values) == 1 and all(codings) and codings.count(b"chunked") <= 1
    is_last = b"chunked" not in codings or codings[-1] == b"chunked"
    raise ProtocolError(f"transfer-encoding: {b', '.join(values)[:64]!r}: expected chunked alone",
                        unknown_status if is_list and is_last else status, "http1.invalid_transfer_encoding")


def options(headers: Headers, status: int = 400) -> list[bytes]:
    """Return the connection options, in lower case; one that is no token is refused."""
    found = []
    for value in headers.get_all(b"connection"):
        for option in value.lower().split(b","):
            option = option.strip(b" \t")
            if option:
                if not _is_token(option):
                    raise ProtocolError(f"connection: {option[:64]!r}: expected a token", status,
                                        "http1.connection_header_rejected")
                found.append(option)
    return found


def strip_connection(headers: Headers, start: int, end: int) -> int:
    """Take out the one Connection line, whose value lies between ``start`` and ``end``, where it says a usual thing.

    Return 1 for ``keep-alive``, 0 for ``close``; -1 (nothing is taken) for anything else.
    """
    low = headers.low
    value = low[start:end].strip(b" \t")
    if value == b"keep-alive":
        keep = 1
    elif value == b"close":
        keep = 0
    else:
        return -1
    start -= 13  # CRLF, the name and its colon
    headers.raw = block.cut(headers.raw, start, end)
    headers.low = block.cut(low, start, end)
    return keep


def strip(headers: Headers, named: list[bytes]) -> None:
    """Take the hop-by-hop fields out of ``headers``, and those that Connection ``named`` (RFC 9110 7.6.1)."""
    low = headers.low
    if low.find(b"\r\nte:") >= 0:
        _strip_te(headers)
    for name in named:
        if name not in KEPT and name != b"te" and not name.startswith(KEPT_PREFIXES):
            headers.remove(name)
    headers.remove(b"connection")
    for name in _HOP_BY_HOP:
        headers.remove(name)


def _strip_te(headers: Headers) -> None:
    """Keep ``te: trailers``, which gRPC needs end to end, and nothing else of TE."""
    members = b",".join(headers.get_all(b"te")).lower().split(b",")
    headers.remove(b"te")
    if b"trailers" in [member.strip(b" \t") for member in members]:
        headers.add(b"te", b"trailers")
