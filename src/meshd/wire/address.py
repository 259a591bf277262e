"""Addresses as the configuration writes them (HOST:PORT, [V6]:PORT, unix:PATH) and as the kernel wants them."""

import socket
from typing import Any


def parse(text: str) -> tuple[int, Any]:
    """Return (family, sockaddr) of a numeric address; ValueError where HOST is a name."""
    start, _, end = text.rpartition(":")
    try:  # most are of this kind, and a thousand may come in one turn of the reactor
        socket.inet_pton(socket.AF_INET, start)
        return socket.AF_INET, (start, int(end))
    except OSError:
        pass
    if text.startswith("unix:"):
        path = text[5:]
        return socket.AF_UNIX, "\0" + path[1:] if path.startswith("@") else path
    host, port = split(text)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host.split("%")[0])
    except OSError:
        raise ValueError(f"{text}: expected a numeric address, got the name {host!r}") from None
    return family, (host, port)


def split(text: str) -> tuple[str, int]:
    """Return (host without brackets, port)."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def render(name: Any) -> str:
    """Return the text of what the kernel gives: (host, port, ...) or a path."""
    if isinstance(name, tuple):
        host = name[0]
        return f"[{host}]:{name[1]}" if ":" in host else f"{host}:{name[1]}"
    if isinstance(name, bytes):
        name = name.decode("utf-8", "replace")
    return f"unix:@{name[1:]}" if name[:1] == "\0" else f"unix:{name}"


def host_of(text: str) -> str:
    """Return the host of a rendered address; a unix address is returned whole."""
    if text.startswith("unix:"):
        return text
    return split(text)[0]
