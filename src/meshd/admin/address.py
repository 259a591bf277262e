"""Where the admin API listens: a loopback port or a unix socket of mode 0600; bound here, for the service."""

import errno
import os
import socket
import stat
from typing import Any

from twisted.internet import unix
from twisted.internet.error import CannotListenError

from meshd.admin.guard import is_loopback_host
from meshd.errors import ConfigurationError
from meshd.wire.address import render as render_name

BACKLOG = 128
UNIX = "unix:"


def check(address: str) -> None:
    """Raise ConfigurationError where ``address`` could be reached from another machine."""
    if not address.startswith(UNIX) and not is_loopback_host(address):
        text = "reachable from other machines: expected loopback or unix:PATH"
        raise ConfigurationError(f"admin: address: {address}: {text}")


def bind(reactor: Any, address: str, factory: Any) -> Any:
    """Listen and return Twisted's port; raises ConfigurationError where not loopback, OSError where taken."""
    check(address)
    try:
        if address.startswith(UNIX):
            return _bind_unix(reactor, address[len(UNIX):], factory)
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        return reactor.listenTCP(int(port), factory, BACKLOG, "127.0.0.1" if host == "localhost" else host)
    except CannotListenError as error:
        cause = error.socketError
        number = getattr(cause, "errno", None)
        reason = os.strerror(number).lower() if number else str(cause)
        raise OSError(number, f"admin: {address}: cannot bind: {reason}") from None


def adopt(reactor: Any, sock: socket.socket, factory: Any) -> Any:
    """Accept on a socket that listens already and was handed over; return Twisted's port, which has a copy of it.

    Raises ConfigurationError where it could be reached from another machine.
    """
    with sock:
        if sock.family != socket.AF_UNIX:
            check(render_name(sock.getsockname()))
            return reactor.adoptStreamPort(sock.fileno(), sock.family, factory)
        port = unix.Port._fromListeningDescriptor(reactor, sock.fileno(), factory)
        port.mode = 0o600  # what reactor.adoptStreamPort makes is open to everybody
        port.startListening()
        return port


def leave(port: Any) -> None:
    """Accept no more on a socket that others go on with: its file stays, which Twisted's own end would remove."""
    port.stopReading()
    port.socket.close()


def _bind_unix(reactor: Any, path: str, factory: Any) -> Any:
    if path.startswith("@"):
        text = "any user could connect: expected a path, not an abstract name"
        raise ConfigurationError(f"admin: address: unix:{path}: {text}")
    _remove_stale(path)
    before = os.umask(0o177)  # the socket must not be open to others for the moment between bind and chmod
    try:
        return reactor.listenUNIX(path, factory, BACKLOG, 0o600)
    finally:
        os.umask(before)


def _remove_stale(path: str) -> None:
    """Remove the socket file of a process that is no more; raises OSError where one still answers."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, f"admin: unix:{path}: cannot bind: the file exists and is no socket")
    except FileNotFoundError:
        return
    probe = socket.socket(socket.AF_UNIX)
    try:
        probe.settimeout(1.0)
        probe.connect(path)
    except (ConnectionRefusedError, FileNotFoundError):
        _unlink(path)
        return
    except OSError:
        return  # the bind will say what is wrong
    finally:
        probe.close()
    raise OSError(errno.EADDRINUSE, f"admin: unix:{path}: cannot bind: address already in use")


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def render(port: Any, address: str) -> str:
    """Return the address in use: the port that the kernel chose where the configuration says 0."""
    if address.startswith(UNIX):
        return address
    found = port.getHost()
    return f"[{found.host}]:{found.port}" if ":" in found.host else f"{found.host}:{found.port}"
