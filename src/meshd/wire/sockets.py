"""Listening sockets: those that were handed to this process, else bound anew; asked by listeners and the supervisor.

Strategy: systemd, a supervisor or the generation before may hold sockets already, with connections in their queues.
Such a socket is *given* under the name of its listener or its address; who needs a socket for that listener takes it,
and nothing is bound. A *foreign* one stays open elsewhere when it is closed here, so its file is not removed.
Imports the standard library alone, for the supervisor.
"""

import os
import socket
import stat
from collections.abc import Callable
from typing import Any

from meshd.wire.address import parse, render
from meshd.wire.datagram import index_of, place_of, tell_destination

IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75
"""Of linux/in.h and in6.h."""


class Given:
    """A socket that listens already. ``address`` is what the configuration said, "" where nobody told."""

    __slots__ = ("sock", "name", "address", "bound")

    def __init__(self, sock: socket.socket, name: str, address: str) -> None:
        self.sock = sock
        self.name = name
        self.address = address
        self.bound = render(sock.getsockname())

    def fits(self, name: str, address: str) -> bool:
        """Say whether it is the socket of the listener ``name`` at ``address``."""
        if self.address:
            return self.address == address and self.name in ("", name)
        return address == self.bound or self.name == name


class Sockets:
    """The sockets of one process. ``given`` are those that nobody has taken yet."""

    def __init__(self) -> None:
        self.given: list[Given] = []
        self._foreign: set[int] = set()

    def give(self, sock: socket.socket, name: str = "", address: str = "", *, is_foreign: bool = False) -> None:
        """Keep a listening socket for its listener; it becomes non-blocking and is not inherited."""
        sock.setblocking(False)
        sock.set_inheritable(False)
        (self._foreign.add if is_foreign else self._foreign.discard)(sock.fileno())
        self.given.append(Given(sock, name, address))

    def take(self, name: str, address: str) -> socket.socket | None:
        """Return the given socket of this listener, which is the caller's from now on; None where there is none."""
        for one in self.given:
            if one.sock.type == socket.SOCK_STREAM and one.fits(name, address):
                self.given.remove(one)
                return one.sock
        return None

    def take_datagram(self, name: str, address: str) -> Given | None:
        """Return the given UDP socket of this listener, which is the caller's from now on; None where there is none."""
        found = self._take_first(lambda one: index_of(one.address) is not None
                                 and one.address.split("/", 2)[2] == address)
        return found or self._take_bare(name, address)

    def _take_bare(self, name: str, address: str) -> Given | None:
        """Return a UDP socket that nobody has named as ours are, such as systemd's."""
        found = self._take_first(
            lambda one: one.sock.type == socket.SOCK_DGRAM and not one.address and one.fits(name, address))
        if found is not None:
            tell_destination(found.sock)
            found.address = place_of(address, 0)
        return found

    def take_place(self, name: str, place: str) -> socket.socket | None:
        """Return the given socket of the name under which it was handed on, or as ``take`` does."""
        if index_of(place) is None:
            return self.take(name, place)
        found = self._take_first(lambda one: one.address == place)
        if found is None and index_of(place) == 0:
            found = self._take_bare(name, place.split("/", 2)[2])
        return None if found is None else found.sock

    def _take_first(self, is_wanted: Callable[[Given], bool]) -> Given | None:
        for one in self.given:
            if is_wanted(one):
                self.given.remove(one)
                return one
        return None

    def is_foreign(self, sock: socket.socket) -> bool:
        """Say whether a socket that was just taken stays open elsewhere."""
        return sock.fileno() in self._foreign

    def close(self) -> list[str]:
        """Close what nobody took; return where it listened."""
        given, self.given = self.given, []
        for one in given:
            one.sock.close()
        return [one.bound for one in given]


def bind(address: str, backlog: int, mode: str | None = None) -> socket.socket:
    """Return a new listening socket, non-blocking; raises OSError. ``mode`` are the permissions of its file, in octal.

    There is no moment in which others could connect than those whom ``mode`` allows.
    """
    family, sockaddr = parse(address)
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_UNIX:
            clear_stale(sockaddr)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if mode is None:
            sock.bind(sockaddr)
        else:
            bind_private(sock, sockaddr, int(mode, 8))
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def make_transparent(sock: socket.socket, is_on: bool = True) -> None:
    """Let a socket take connections to addresses that are not ours; raises OSError (EPERM without CAP_NET_ADMIN)."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, is_on)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, is_on)


def bind_private(sock: socket.socket, path: str, mode: int) -> None:
    """Make the file of a unix socket with these permissions."""
    before = os.umask(0o777)
    try:
        sock.bind(path)
    finally:
        os.umask(before)
    os.chmod(path, mode)


def set_mode(address: str, mode: str) -> None:
    """Give the file of a unix socket other permissions, if it is there."""
    try:
        os.chmod(address[5:], int(mode, 8))
    except OSError:
        pass


def clear_stale(path: Any) -> None:
    """Remove a socket file that nobody listens on; raises OSError where somebody does."""
    is_path = isinstance(path, str) and not path.startswith("\0")
    if is_path and os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        finally:
            probe.close()


def unlink_quietly(path: str) -> None:
    """Remove a socket file if it is still there."""
    try:
        os.unlink(path)
    except OSError:
        pass
