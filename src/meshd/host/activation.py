"""Listening sockets, and bound ones of UDP, that systemd hands over (sd_listen_fds(3)): from .socket units, and from
the descriptor store.

Read once at the start, by the daemon or the supervisor, before anything else opens descriptors or starts a child.
"""

import os
import socket
from collections.abc import MutableMapping
from typing import NamedTuple

FIRST = 3
MAX_SOCKETS = 4096
VARIABLES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
INTERNET = FAMILIES[:2]
STREAM = "expected a listening stream socket, or a bound one of UDP"


class Activation(NamedTuple):
    """``sockets`` are (name, socket); ``faults`` say, one line each, what was not taken and is closed now."""

    sockets: list[tuple[str, socket.socket]]
    faults: list[str]


NOTHING_HANDED = Activation([], [])


def take(environment: MutableMapping[str, str], pid: int | None = None, first: int = FIRST) -> Activation:
    """Return the sockets that were handed to this process, and clean the environment. Never raises.

    ``first`` is the first descriptor. The name of a socket is its ``FileDescriptorName=``, by default its unit's.
    """
    count, owner, names = (environment.pop(name, "") for name in VARIABLES)
    found = Activation([], [])
    if not count or owner != str(os.getpid() if pid is None else pid):
        return found
    if not (count.isascii() and count.isdigit() and int(count[:9]) <= MAX_SOCKETS):
        found.faults.append(f"LISTEN_FDS: expected a number of at most {MAX_SOCKETS}, got {count[:40]!r}")
        return found
    given = names.split(":") if names else []
    for place in range(int(count)):
        name = given[place] if place < len(given) else ""
        _add(found, name, first + place)
    return found


def _add(found: Activation, name: str, number: int) -> None:
    try:
        found.sockets.append((name, _listening(number)))
    except OSError as error:
        found.faults.append(f"descriptor {number} {name!r} from systemd: {error.strerror}")


def _listening(number: int) -> socket.socket:
    """Return the socket of a descriptor, not inherited by children; raises OSError after closing anything else."""
    try:
        os.set_inheritable(number, False)
        sock = socket.socket(fileno=number)
    except OSError as error:
        _close(number)
        raise OSError(error.errno, f"{os.strerror(error.errno).lower()}: {STREAM}") from None
    if sock.family in INTERNET and sock.type == socket.SOCK_DGRAM and sock.getsockname()[1]:
        return sock
    is_stream = sock.family in FAMILIES and sock.type == socket.SOCK_STREAM
    if not is_stream or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        what = f"{getattr(sock.family, 'name', sock.family)} {getattr(sock.type, 'name', sock.type)}"
        sock.close()
        raise OSError(0, f"{what}, not listening: {STREAM}" if is_stream else f"{what}: {STREAM}")
    return sock


def _close(number: int) -> None:
    try:
        os.close(number)
    except OSError:
        pass
