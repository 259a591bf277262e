"""Where the admin API listens: a loopback port or a unix socket of mode 0600; bound here, for the service."""

import errno
import os
import socket
import stat
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.error import CannotListenError

from meshd.admin.guard import is_loopback_host
from meshd.admin.handed import HandedPort
from meshd.errors import ConfigurationError
from meshd.wire.address import render as rendered

BACKLOG = 128
UNIX = "unix:"


def adopt(reactor: Any, sock: socket.socket, factory: Any) -> HandedPort:
    """Listen on a socket that was handed over, wherever that is; raises ConfigurationError where not loopback."""
    bound = rendered(sock.getsockname())
    try:
        check(bound)
    except ConfigurationError:
        sock.close()
        raise
    port = HandedPort(reactor, sock, factory)
    port.startListening()
    return port


def check(address: str) -> None:
    """Raise ConfigurationError where others than this machine's users, or any of them, could reach ``address``."""
    text = ""
    if address.startswith(f"{UNIX}@"):
        text = "any user could connect: expected a path, not an abstract name"
    elif not address.startswith(UNIX) and not is_loopback_host(address):
        text = "reachable from other machines: expected loopback or unix:PATH"
    if text:
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


def leave(port: Any) -> None:
    """Accept no more on a socket that others go on with: its file stays, which Twisted's own end would remove."""
    if isinstance(port, HandedPort):
        port.stopListening()
    else:
        port.stopReading()
        port.socket.close()


def _bind_unix(reactor: Any, path: str, factory: Any) -> Any:
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
    found = port.getHost()
    if isinstance(found, UNIXAddress):
        return f"{UNIX}{os.fsdecode(found.name)}" if found.name else address
    return f"[{found.host}]:{found.port}" if ":" in found.host else f"{found.host}:{found.port}"
