"""UDP sockets: bound for a listener or connected to an endpoint; no dispatch. Imports the standard library alone, for
the supervisor.

Strategy: with several workers each has a socket of its own on the same address (SO_REUSEPORT), and the kernel gives
all datagrams of one pair of addresses to the same. The supervisor holds these sockets, so the set of them stays the
same while workers come and go. The first is bound without sharing, so that a stranger's port is still a conflict.
"""

import socket
import struct
from typing import Any

from meshd.wire.address import parse

PREFIX = "udp/"
"""Begins the name of a UDP socket where sockets are handed on: ``udp/INDEX/ADDRESS``, INDEX is the worker's place."""
ANY = ("0.0.0.0", "::")
ANCILLARY_BYTES = socket.CMSG_SPACE(20)
IP_PKTINFO = 8
_IN4 = struct.Struct("=I4s4s")
_IN6 = struct.Struct("=16sI")


def place_of(address: str, index: int) -> str:
    """Return the name of the socket of the worker ``index`` at ``address``."""
    return f"{PREFIX}{index}/{address}"


def index_of(place: str) -> int | None:
    """Return which worker a socket with this name is for; None where it is no UDP socket's."""
    return int(place.split("/", 2)[1]) if place.startswith(PREFIX) else None


def bind_datagram(address: str, *, joins: bool = False) -> socket.socket:
    """Return a new socket bound to ``address`` (``joins``: beside others that were bound before); raises OSError."""
    family, sockaddr = parse(address)
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, joins)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # only what ``yield_address`` has given up
        sock.bind(sockaddr)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        tell_destination(sock)
    except OSError:
        sock.close()
        raise
    return sock


def share(sock: socket.socket) -> None:
    """Let others join the address of a bound socket."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def yield_address(sock: socket.socket) -> None:
    """Let another socket be bound to the address of one that only sends any more."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def tell_destination(sock: socket.socket) -> None:
    """Where the socket has all addresses, have the kernel say which one each datagram came to."""
    if sock.getsockname()[0] in ANY:
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)


def destination(ancillary: list[Any]) -> bytes:
    """Return the packed address that a datagram came to, b"" where the socket has only one."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
            return _IN4.unpack(data[: _IN4.size])[2]
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            return _IN6.unpack(data[: _IN6.size])[0]
    return b""


def origin(packed: bytes) -> list[Any]:
    """Return what makes a datagram leave from this address of ours (``sendmsg``)."""
    if len(packed) == 4:
        return [(socket.IPPROTO_IP, IP_PKTINFO, _IN4.pack(0, packed, bytes(4)))]
    if len(packed) == 16:
        return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _IN6.pack(packed, 0))]
    return []


def connect_datagram(family: int, sockaddr: Any) -> socket.socket:
    """Return a new socket that exchanges datagrams with one address; raises OSError."""
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.connect(sockaddr)
    except OSError:
        sock.close()
        raise
    return sock
