"""A connection of TCP that a terminal filter serves itself (``session.serve``), in the place of a relay.

It has the face of ``wire/relay.py`` towards the connection: counts of both directions, when a byte last moved, ``cut``.
"""

from collections.abc import Callable
from typing import Any

from meshd.wire.nobody import NOBODY


class Tally:
    """Bytes of one direction. ``paused`` and ``resumed`` are not counted here."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Served:
    """``link`` of the filter (``ILink``). ``down`` counts what the client sent, ``up`` what it was sent.

    ``on_data`` and ``on_write`` are the filters before, or None.
    """

    __slots__ = ("connection", "descriptor", "server", "down", "up", "on_data", "on_write", "is_ended")

    def __init__(self, connection: Any, descriptor: Any, on_data: Any, on_write: Any) -> None:
        self.connection = connection
        self.descriptor = descriptor
        self.server: Any = NOBODY
        self.down, self.up = Tally(), Tally()
        self.on_data, self.on_write = on_data, on_write
        self.is_ended = False
        descriptor.owner = self

    def begin(self, make: Callable[["Served"], Any], early: bytes) -> None:
        """Let the filter make who serves; give it what has come already, and what comes."""
        self.server = make(self)
        if early:
            self.received(early)

    @property
    def last(self) -> float:
        """When a byte last moved either way."""
        return self.descriptor.last

    # The filter's side (ILink)

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait for the client to take them."""
        return self.descriptor.pending_bytes

    def send(self, data: bytes) -> None:
        """Write to the client."""
        if self.on_write is not None:
            data = self.on_write(data)
        self.up.count += len(data)
        if data:
            self.descriptor.send(data)

    def pause(self) -> None:
        """Read no more for now."""
        self.descriptor.pause()

    def resume(self) -> None:
        """Read again."""
        self.descriptor.resume()

    def close(self) -> None:
        """Close, once the client has taken what is kept for it."""
        if not self.is_ended:
            self.descriptor.close()
            if not self.descriptor.is_open:
                self.end("")

    # The descriptor's side

    def received(self, data: bytes) -> None:
        """Bytes of the client."""
        self.down.count += len(data)
        if self.on_data is not None:
            data = self.on_data(data)
        if data and not self.is_ended:
            self.server.received(data)

    def received_eof(self) -> None:
        """The client says nothing more."""
        self.server.received_eof()

    def drained(self) -> None:
        """The client has taken some of what was kept for it, or all of it at the end."""
        if not self.descriptor.is_open:
            self.end("")
        elif not self.descriptor.is_closing:
            self.server.drained()

    def lost(self, reason: str) -> None:
        """The client's socket broke."""
        self.end(reason)

    # The connection's side

    def drain(self) -> None:
        """Ask who serves to come to an end."""
        if not self.is_ended:
            self.server.drain()

    def cut(self, reason: str) -> None:
        """End it now."""
        if self.descriptor.is_open:
            if self.descriptor.pending:
                self.descriptor.abort()
            else:
                self.descriptor.close()
        self.end(reason)

    def end(self, reason: str) -> None:
        """It is over."""
        if self.is_ended:
            return
        self.is_ended = True
        server, self.server = self.server, NOBODY
        self.descriptor.owner = NOBODY
        server.lost(reason)
        self.connection.relay_ended(reason)
