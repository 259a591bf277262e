"""Addresses as configured: ``HOST:PORT``, ``[V6]:PORT``, ``unix:PATH``."""

import ipaddress
import re

UNIX = "unix:"
LONGEST_UNIX_PATH = 107
"""Bytes that fit into sockaddr_un."""

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


class BadAddress(ValueError):
    """The text is no address; ``hint`` says what was probably meant."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def split_address(text: str) -> tuple[str, int | None]:
    """Return (host without brackets, port), or (``unix:PATH``, None). Raises ``BadAddress`` where the form is wrong."""
    if text.startswith(UNIX):
        return _unix(text), None
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or not rest.startswith(":"):
            raise BadAddress("expected [V6]:PORT")
        return _v6(host), _port(rest[1:])
    host, colon, port = text.rpartition(":")
    if ":" in host:
        raise BadAddress("expected an IPv6 address in brackets", f"write [{host}]:{port}")
    if not colon:
        raise BadAddress("expected HOST:PORT, [V6]:PORT or unix:PATH", f"add a port: {text}:80" if text else "")
    if host in ("", "*"):
        raise BadAddress("expected a host before the port", f"write 0.0.0.0:{port} for all addresses")
    return host, _port(port)


def check_address(text: str, is_name_allowed: bool) -> None:
    """Raise ``BadAddress`` unless ``text`` is an address; a name in place of the IP only where it can be resolved."""
    host, port = split_address(text)
    if port is None or ":" in host or is_ipv4(host):
        return
    if not is_name_allowed:
        raise BadAddress("expected an IP address before the port", "write 127.0.0.1" if host == "localhost" else "")
    if not is_name(host):
        raise BadAddress("expected a host name or an IP address before the port")


def is_local(text: str) -> bool:
    """Say whether a good address can be reached from this machine alone."""
    host, port = split_address(text)
    if port is None:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_ipv4(host: str) -> bool:
    """Say whether the text is an IPv4 address in dotted decimal."""
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def is_name(host: str) -> bool:
    """Say whether the text can be a DNS name (a name of digits and dots alone is a broken IPv4 address)."""
    labels = host.removesuffix(".").split(".")
    return len(host) <= 253 and not labels[-1].isdigit() and all(_LABEL.fullmatch(label) for label in labels)


def _unix(text: str) -> str:
    path = text[len(UNIX):]
    if not path or "\0" in path:
        raise BadAddress("expected a path after unix:")
    if len(path.encode(errors="replace")) > LONGEST_UNIX_PATH:
        raise BadAddress(f"expected a path of at most {LONGEST_UNIX_PATH} bytes after unix:")
    return text


def _v6(host: str) -> str:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        raise BadAddress("expected an IPv6 address between the brackets") from None
    return host


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or not 1 <= int(text) <= 65535:
        raise BadAddress("expected a port from 1 to 65535 after the last colon")
    return int(text)
