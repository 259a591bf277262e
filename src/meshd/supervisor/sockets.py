"""The listening sockets of all workers: bound once, kept until nobody needs them, passed on to each worker."""

import os
import socket
from collections.abc import Iterable
from typing import Any

from meshd.host.channel import MAX_FDS
from meshd.host.store import ADMIN
from meshd.wire.datagram import bind_datagram, index_of, place_of, share, yield_address
from meshd.wire.sockets import Sockets, bind, set_mode, unlink_quietly

ADMIN_BACKLOG = 128
PRIVATE = 0o177
"""The umask under which the admin API's socket file is made: no other user may open it."""

Key = tuple[str, str]
"""(name of the listener, address as the configuration has it)."""


class CannotBind(Exception):
    """The text says which listener, where, and why."""


class Shelf:
    """``held`` are the sockets in use, by name and address; ``given`` those that came from outside."""

    def __init__(self) -> None:
        self.given = Sockets()
        self.held: dict[Key, socket.socket] = {}

    def prepare(self, outline: dict[str, Any]) -> dict[Key, socket.socket]:
        """Return a socket for all that ``outline`` names, new ones bound; raises CannotBind with nothing left bound."""
        wanted = [(name, place, backlog, mode) for name, address, backlog, protocol, mode in outline["listeners"]
                  for place in _places(address, protocol, outline["workers"])]
        wanted.append((ADMIN, outline["admin"], ADMIN_BACKLOG, None))
        found: dict[Key, socket.socket] = {}
        by_address = {address: sock for (_, address), sock in self.held.items()}
        try:
            for name, address, backlog, mode in wanted:
                sock = self.held.get((name, address)) or by_address.get(address)
                if sock is not None and mode is not None and not self._is_foreign(sock):
                    set_mode(address, mode)
                sock = sock or self.given.take_place(name, address)
                found[name, address] = sock or _bound(name, address, backlog, mode)
                if index_of(address) == 0:
                    share(found[name, address])
        except CannotBind:
            self.undo(found)
            raise
        return found

    def undo(self, prepared: dict[Key, socket.socket]) -> None:
        """Close what was bound for a configuration that is not taken."""
        for (_, address), sock in prepared.items():
            if sock not in self.held.values():
                self._close(sock, address)

    def keep(self, prepared: dict[Key, socket.socket]) -> None:
        """These are in use from now on; the others are closed."""
        old, self.held = self.held, prepared
        kept = set(prepared.values())
        for (_, address), sock in old.items():
            if sock not in kept:
                self._close(sock, address)

    def close(self, *, is_handed_over: bool = False) -> None:
        """Close all; socket files stay where another generation goes on with them."""
        for (_, address), sock in self.held.items():
            if is_handed_over:
                sock.close()
            else:
                self._close(sock, address)
        self.held = {}

    def rows(self) -> list[tuple[int, str, str, bool]]:
        """Return each as ``meshd.host.handover.Listening``, for another generation."""
        return [
            (sock.fileno(), name, address, self._is_foreign(sock)) for (name, address), sock in self.held.items()
        ]

    def _is_foreign(self, sock: socket.socket) -> bool:
        return self.given.is_foreign(sock)

    def _close(self, sock: socket.socket, address: str) -> None:
        is_foreign = self._is_foreign(sock)
        if index_of(address) is not None and not is_foreign:
            yield_address(sock)
        sock.close()
        if address.startswith("unix:/") and not is_foreign:
            unlink_quietly(address[5:])


def _places(address: str, protocol: str, workers: int) -> list[str]:
    """Return the names of the sockets of a listener: of UDP one for each worker, else one that all share."""
    return [address] if protocol != "udp" else [place_of(address, index) for index in range(workers)]


def _bound(name: str, address: str, backlog: int, mode: str | None) -> socket.socket:
    before = os.umask(PRIVATE) if name == ADMIN else None
    try:
        index = index_of(address)
        if index is not None:
            return bind_datagram(address.split("/", 2)[2], joins=index > 0)
        return bind(address.replace("localhost:", "127.0.0.1:") if name == ADMIN else address, backlog, mode)
    except (OSError, ValueError) as error:
        cause = (getattr(error, "strerror", None) or str(error)).lower()
        where = "admin" if name == ADMIN else f"listener {name}"
        raise CannotBind(f"{where}: {address}: cannot bind: {cause}") from None
    finally:
        if before is not None:
            os.umask(before)


def portions(keys: Iterable[Key]) -> list[list[Key]]:
    """Return the keys in lists that one message can carry."""
    keys = list(keys)
    return [keys[start : start + MAX_FDS] for start in range(0, len(keys), MAX_FDS)]
