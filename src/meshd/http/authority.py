"""Authorities (RFC 3986 3.2, RFC 9110 4.2): checked and split; called by the request parser and the router."""

import re
from ipaddress import IPv6Address

from meshd.errors import ProtocolError

MAX_HOST_BYTES = 255 + 8  # a DNS name or a bracketed address, and a port
_KNOWN_LIMIT = 4096

# reg-name with letters in either case; percent-encoding is left out: no resolver and no routing table means it
_NAME = rb"[A-Za-z0-9\-._~!$&'()*+,;=]++"
_authority = re.compile(rb"(" + _NAME + rb"|\[[0-9A-Fa-f:.]{2,45}+\])(?::([0-9]{0,5}+))?+").fullmatch

_known: dict[bytes, tuple[bytes, int | None]] = {}


def split(value: bytes, status: int = 400) -> tuple[bytes, int | None]:
    """Return (host, port or None) of ``a``, ``a:80``, ``[::1]:80``; anything else is refused with ``status``.

    An empty port (``a:``) is none, as RFC 3986 3.2.3 has it. User information is refused (RFC 9110 4.2.4).
    """
    found = _known.get(value)
    return _split(value, status) if found is None else found


def is_known(value: bytes) -> bool:
    """Say whether ``value`` was found good lately: the short cut of the request parser."""
    return value in _known


def _split(value: bytes, status: int) -> tuple[bytes, int | None]:
    match = _authority(value) if len(value) <= MAX_HOST_BYTES else None
    port = int(match[2]) if match and match[2] else None
    if match is None or (port or 0) > 65535 or value[:1] == b"[" and not _is_address(match[1][1:-1]):
        raise ProtocolError(f"host: {value[:80]!r}: expected a name or an address, and a port of at most 65535", status,
                            "http1.invalid_url")
    if len(_known) >= _KNOWN_LIMIT:
        _known.clear()
    found = _known[value] = match[1], port
    return found


def _is_address(text: bytes) -> bool:
    try:
        IPv6Address(text.decode("ascii"))
    except ValueError:
        return False
    return True
