"""The child's end of the socketpair: frames in, frames out.

Reading never waits once the reactor runs. Writing does, should the parent not read: a child has nothing better to do.
"""

import select
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from meshd.isolation.message import LENGTH, MAX_SETUP_BYTES, Frames, decode_downward, encode

READ_BYTES = 262144


@implementer(IReadDescriptor)
class Link:
    """``on_message(message)`` for each, ``on_end()`` when the parent has closed its end; both set before ``begin``."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._frames = Frames(MAX_SETUP_BYTES)
        self._waiting: list[bytes] = []
        self._out: list[bytes] = []
        self._is_reading = False
        self.on_message: Callable[[Any], Any]
        self.on_end: Callable[[], Any]

    def first(self) -> bytes:
        """Wait for a frame and return its payload; raises EOFError where the parent has gone."""
        while not self._waiting:
            data = self._sock.recv(READ_BYTES)
            if not data:
                raise EOFError
            self._waiting += self._frames.feed(data)
        return self._waiting.pop(0)

    def begin(self, reactor: Any) -> None:
        """Read from now on."""
        reactor.addReader(self)
        if self._waiting:
            reactor.callLater(0, self._take, ())

    def send(self, message: Any) -> None:
        """Send a message; those that are made while what came is worked off leave in one write."""
        payload = encode(message)
        self._out += (LENGTH.pack(len(payload)), payload)
        if not self._is_reading:
            self.flush()

    def flush(self) -> None:
        """Write everything; nothing where the parent has gone."""
        data = b"".join(self._out)
        self._out.clear()
        view = memoryview(data)
        while view:
            try:
                view = view[self._sock.send(view, socket.MSG_DONTWAIT):]
            except BlockingIOError:
                select.select((), (self._sock,), ())
            except OSError:
                return

    def _take(self, payloads: Any) -> None:
        waiting, self._waiting = self._waiting, []
        self._is_reading = True
        try:
            for payload in (*waiting, *payloads):
                self.on_message(decode_downward(payload))
        finally:
            self._is_reading = False
            self.flush()

    # What the reactor calls

    def fileno(self) -> int:
        """Return the socket's number."""
        return self._sock.fileno()

    def logPrefix(self) -> str:
        """Name this reader."""
        return "parent"

    def doRead(self) -> None:
        """Take what has come."""
        try:
            data = self._sock.recv(READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take(self._frames.feed(data))
        else:
            self.on_end()

    def connectionLost(self, reason: Any) -> None:
        """Called by the reactor when it is torn down."""
