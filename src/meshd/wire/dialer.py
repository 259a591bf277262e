"""Opens connections without waiting for them; called by the pools of ``upstream``."""

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from typing import Any

from meshd.wire import nobody, spare
from meshd.wire.address import host_of
from meshd.wire.poller import WRITE, Poller
from meshd.wire.sockets import make_transparent
from meshd.wire.wheel import Wheel

IP_BIND_ADDRESS_NO_PORT = 24
"""The kernel draws the port when it knows the destination, so that one may serve many (linux/in.h)."""
IP_LOCAL_PORT_RANGE = 51
CLIENT_PORTS = 32767 << 16 | 1024
"""From 1024 to 32767: the ports of clients themselves are above by default, and one that a client uses is not free."""
CLIENT_MARK = 1337
"""Of connections in a client's name: by it the rules of ``capture`` lead the answers back here."""


class Dial:
    """One connect under way. ``done(fd, reason)`` is called once: with a connected descriptor, or with None and why
    not.

    ``cancel()`` gives it up silently. Errors that the kernel names at once (EMFILE, no route) come through ``done``
    too, from within ``begin``. ``sources`` are addresses of ours to connect from, by their version of IP, and before
    them comes ``client``, which is somebody else's. ``began`` is when that was, in monotonic seconds.
    """

    __slots__ = ("poller", "done", "fd", "timer", "timeout_s", "sources", "client", "began")

    def __init__(
        self, poller: Poller, wheel: Wheel, timeout_s: float, done: Callable[[int | None, str], Any],
        sources: tuple[str, ...] = (), client: str = "",
    ) -> None:
        self.poller = poller
        self.done = done
        self.fd = -1
        self.timeout_s = timeout_s
        self.sources = sources
        self.client = client
        self.began = poller.now
        self.timer = wheel.timer(self.on_timeout)

    def expect(self) -> None:
        """Let the timeout run before there is an address: the name is being looked up."""
        self.timer.arm(self.poller.now + self.timeout_s)

    def begin(self, family: int, sockaddr: Any) -> None:
        """Start connecting."""
        self.began = self.poller.now
        try:
            sock = open_socket(family)
        except OSError as error:
            self.finish(None, reason_of(error.errno))
            return
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = self.bind(sock) or connect(sock, sockaddr)
        self.fd = sock.detach()
        if code in (0, errno.EINPROGRESS):
            self.timer.arm(self.poller.now + self.timeout_s)
            self.poller.register(self.fd, WRITE, self)
        else:
            self.finish(None, reason_of(code))

    def bind(self, sock: socket.socket) -> int:
        """Let it come from where it should; return errno."""
        if self.client and sock.family == (socket.AF_INET6 if ":" in self.client else socket.AF_INET):
            return bind_client(sock, self.client)
        return bind_source(sock, self.sources) if self.sources else 0

    def on_event(self, mask: int) -> None:
        """The kernel has decided."""
        borrowed = socket.socket(fileno=self.fd)
        code = borrowed.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        borrowed.detach()
        if code:
            self.finish(None, reason_of(code))
        else:
            fd = self.fd
            self.poller.detach(fd)
            self.finish(fd, "")

    def on_timeout(self, now: float) -> None:
        """Nobody answered."""
        self.finish(None, f"connect timed out after {self.timeout_s:g} s")

    def finish(self, fd: int | None, reason: str) -> None:
        """Report, once."""
        nobody.rest(self.timer)
        if fd is None and self.fd >= 0:
            self.poller.close(self.fd)
        self.fd = -1
        self.done(fd, reason)

    def cancel(self) -> None:
        """Nobody wants it any more."""
        nobody.rest(self.timer)
        if self.fd >= 0:
            self.poller.close(self.fd)
            self.fd = -1

    def on_bug(self) -> None:
        """The owner raised while it was told."""
        self.cancel()


def open_socket(family: int) -> socket.socket:
    """Return a new socket; raises OSError where no descriptor can be spared for it."""
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    if sock.fileno() >= spare.upstream_ceiling():
        sock.close()
        raise OSError(errno.EMFILE, "few descriptors are left")
    return sock


def bind_source(sock: socket.socket, sources: tuple[str, ...]) -> int:
    """Let a connection come from the address of its version of IP, if there is one; return errno. The port comes later.
    """
    is_v6 = sock.family == socket.AF_INET6
    source = next((one for one in sources if (":" in one) == is_v6), None)
    if source is None or sock.family == socket.AF_UNIX:
        return 0
    try:
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source, 0))
    except OSError as error:
        return error.errno or errno.EADDRNOTAVAIL
    return 0


def bind_client(sock: socket.socket, client: str) -> int:
    """Let a connection come from a client's address; return errno (EPERM without CAP_NET_ADMIN)."""
    try:
        make_transparent(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, CLIENT_MARK)
        with contextlib.suppress(OSError):  # Linux before 6.3
            sock.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, CLIENT_PORTS)
    except OSError as error:
        return error.errno or errno.EPERM
    return bind_source(sock, (client,))


def client_of(peer: str) -> str:
    """Return the address of a peer that a connection may be made in the name of, "" for one of this host or link."""
    host = "" if peer.startswith("unix:") else host_of(peer)
    return "" if host.startswith("127.") or host == "::1" or "%" in host else host


def connect(sock: socket.socket, sockaddr: Any) -> int:
    """Return errno of a connect; a path that is too long is named ENAMETOOLONG."""
    try:
        return sock.connect_ex(sockaddr)
    except OSError as error:
        return error.errno or errno.ENAMETOOLONG


def reason_of(code: int | None) -> str:
    """Return the words for an errno."""
    return os.strerror(code or errno.EIO).lower()


def begin_with(fd: int, data: bytes) -> None:
    """Send the first bytes of a new connection, below every layer; its buffer has room for as few as a header has.

    Where the connection is gone already, who reads from it hears of that.
    """
    with contextlib.suppress(OSError):
        os.write(fd, data)
