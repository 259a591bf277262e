"""The target and the Host of a request (RFC 9112 3.2, RFC 9110 7.2), brought to origin-form; called by the request
parser."""

import re

from meshd.errors import ProtocolError
from meshd.http import authority
from meshd.http.head import RequestHead

CONNECT = b"connect"
"""The name of the method CONNECT among upgrades, as in Envoy."""

_absolute = re.compile(rb"([A-Za-z][A-Za-z0-9+.\-]*+)://([^/?]*+)(.*+)").fullmatch


def check_host(head: RequestHead, has_two: bool) -> None:
    """Refuse more than one Host, one that is no authority, and none at all in HTTP/1.1."""
    if has_two:
        raise ProtocolError("host: expected one, got more")
    if head.host:
        authority.split(head.host)
    elif head.version > 10:
        raise ProtocolError("host: expected one, got none", 400, "missing_host_header")


def read(head: RequestHead) -> None:
    """Bring a target that is no path to origin-form; ``*`` and CONNECT's authority stay, anything else is refused."""
    target = head.target
    if head.method == b"CONNECT":
        if authority.split(target.lower())[1] is None:
            _refuse(target, "expected host:port with CONNECT")
        return
    if target == b"*" and head.method == b"OPTIONS":
        return
    match = _absolute(target)
    if match is None or not match[2]:
        _refuse(target, "expected a path or a URL")
    if match[1].lower() not in (b"http", b"https"):
        _refuse(target, "expected http or https", "http1.invalid_scheme")
    _take_authority(head, match[2].lower(), match[3])


def _refuse(target: bytes, what: str, detail: str = "http1.invalid_url") -> None:
    raise ProtocolError(f"target: {target[:80]!r}: {what}", 400, detail)


def _take_authority(head: RequestHead, host: bytes, rest: bytes) -> None:
    """The target's authority wins over the Host line, which is replaced (RFC 9112 3.2.2)."""
    authority.split(host)
    head.host = host
    head.headers.set(b"host", host)
    if not rest and head.method == b"OPTIONS":
        head.set_target(b"*")  # RFC 9112 3.2.4
    else:
        head.set_target(rest if rest[:1] == b"/" else b"/" + rest)
