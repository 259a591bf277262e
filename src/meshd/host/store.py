"""Which listening sockets systemd keeps for us over a restart, and the names that they come back under.

A name may hold no ":" and 255 characters (sd_notify(3), FDNAME). Ours tell listener and address, percent-encoded, so
that a socket comes back to the very listener that had it, and to none whose address was changed meanwhile.
"""

import os
import socket
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

from meshd.host.notify import Notify

MARK = "meshd"
ADMIN = "admin"
"""The name of the admin API's socket."""
MAX_NAME_CHARACTERS = 255


def fd_name(listener: str, address: str) -> str:
    """Return the name for the socket of a listener at a configured address; "" where it would be too long."""
    name = ",".join((MARK, quote(listener, safe=""), quote(address, safe="")))
    return name if len(name) <= MAX_NAME_CHARACTERS else ""


def listener_of(name: str) -> tuple[str, str] | None:
    """Return (listener, configured address) of a name that ``fd_name`` made, None for others."""
    parts = name.split(",")
    if len(parts) != 3 or parts[0] != MARK:
        return None
    return unquote(parts[1]), unquote(parts[2])


def kept_name(listener: str, address: str, is_foreign: bool) -> str:
    """Return the name under which systemd keeps a socket, "" for one that it does not: its own (foreign), the admin
    API's, one whose file goes with us, or a UDP socket (whose clients ask again).
    """
    is_kept = not (is_foreign or listener == ADMIN or address.startswith(("unix:/", "udp/")))
    return fd_name(listener, address) if is_kept else ""


def identity(sock: socket.socket) -> int:
    """Return what two descriptors of one socket have in common."""
    return os.fstat(sock.fileno()).st_ino


class Store:
    """What systemd keeps. ``handed`` are the (name, socket) that it has just handed back: it keeps those still."""

    def __init__(self, notify: Notify, handed: Iterable[tuple[str, socket.socket]] = ()) -> None:
        self._notify = notify
        self._kept = {name: identity(sock) for name, sock in handed if listener_of(name) is not None}

    def keep(self, sockets: Mapping[str, socket.socket]) -> None:
        """Let systemd keep exactly these, by name. One that was renamed is forgotten first: a socket is kept once."""
        if not self._notify.is_on:
            return
        wanted = {name: identity(sock) for name, sock in sockets.items()}
        for name in [name for name, what in self._kept.items() if wanted.get(name) != what]:
            self._notify.forget(name)
        for name in [name for name, what in wanted.items() if self._kept.get(name) != what]:
            self._notify.store(name, sockets[name])
        self._kept = wanted
