"""The parent's ends of what connects it with one child: frames both ways, and what the child prints.

Strategy: both are non-blocking sockets on the poller, so a child that blocks, floods or dies never holds the reactor.
Frames of one batch of the poller leave in one write. A child that does not read is given up beyond
``MAX_UNSENT_BYTES``; one that prints more than ``PRINT_BYTES_PER_S`` waits.
"""

import socket
from collections.abc import Callable
from typing import Any

from meshd.api import TokenBucket
from meshd.isolation.message import LENGTH, BadMessage, Frames, decode_upward
from meshd.wire.descriptor import Descriptor

MAX_UNSENT_BYTES = 16 * 1024 * 1024
PRINT_BYTES_PER_S = 65536
LINE_BYTES = 2048
LEFT_READS = 4
"""Reads of what a child had printed when it ended."""


class Channel:
    """``on_message(message)`` is called for each; ``on_end(reason)`` once, when nothing more will come ("": closed)."""

    def __init__(
        self, sock: socket.socket, poller: Any, on_message: Callable[[Any], Any], on_end: Callable[[str], Any]
    ) -> None:
        self._poller = poller
        self._on_message = on_message
        self._on_end = on_end
        self._frames = Frames()
        self._unsent: list[bytes] = []
        self.descriptor = Descriptor(sock.detach(), poller, self)

    def send(self, payload: bytes) -> bool:
        """Send one frame at the end of the batch; say False where the child has not read what it was sent before."""
        if self.descriptor.pending_bytes > MAX_UNSENT_BYTES:
            return False
        if not self._unsent:
            self._poller.unsent.append(self)
        self._unsent += (LENGTH.pack(len(payload)), payload)
        if not self._poller.beat:
            self._poller.settle()
        return True

    def write_queued(self) -> None:
        """Write the frames of this batch in one piece (called by the poller)."""
        data = b"".join(self._unsent)
        self._unsent.clear()
        descriptor = self.descriptor
        if not descriptor.is_open or not data:
            return
        if descriptor.pending:
            descriptor.send(data)
        else:
            descriptor.write(data)

    def finish(self) -> None:
        """Say that nothing more will be sent: the child ends once it has answered."""
        self.write_queued()
        if self.descriptor.is_open:
            self.descriptor.half_close()

    def close(self) -> None:
        """Give the socket up; ``on_end`` is not called."""
        self._on_end = _nothing
        self._on_message = _nothing
        self.descriptor.release()

    # What the descriptor says

    def received(self, data: bytes) -> None:
        """Bytes of the child."""
        try:
            for payload in self._frames.feed(data):
                self._on_message(decode_upward(payload))
        except (BadMessage, ValueError) as error:  # msgspec's errors are ValueErrors
            self._end(f"it wrote what is no message: {error}")

    def received_eof(self) -> None:
        """The child has closed its end."""
        self._end("")

    def lost(self, reason: str) -> None:
        """The socket broke."""
        self._end(reason)

    def drained(self) -> None:
        """The child takes bytes again."""

    def on_bug(self) -> None:
        """Called by the poller where a write failed unexpectedly."""
        self._end("internal error")

    def _end(self, reason: str) -> None:
        on_end = self._on_end
        self.close()
        on_end(reason)


def _nothing(*args: Any) -> None:
    """Stand for a callback that is not wanted any more."""


class Output:
    """What a child writes to its standard output and error, line by line, to ``on_line(text)``."""

    def __init__(self, sock: socket.socket, world: Any, on_line: Callable[[str], Any]) -> None:
        self._world = world
        self._on_line = on_line
        self._rest = b""
        self._budget = TokenBucket(PRINT_BYTES_PER_S, 8 * PRINT_BYTES_PER_S, world.clock.now())
        self.descriptor = Descriptor(sock.detach(), world.poller, self)

    def received(self, data: bytes) -> None:
        """Bytes of the child; where they are too many it must wait."""
        *lines, rest = (self._rest + data).split(b"\n")
        while len(rest) > LINE_BYTES:
            lines.append(rest[:LINE_BYTES])
            rest = rest[LINE_BYTES:]
        self._rest = rest
        for line in lines:
            if line.strip():
                self._on_line(line[:LINE_BYTES].decode("utf-8", "backslashreplace").rstrip())
        if not self._budget.take(self._world.clock.now(), min(len(data), self._budget.burst)):
            self.descriptor.pause()
            self._world.call_later(1.0, self._resume)

    def _resume(self) -> None:
        if self.descriptor.is_open:
            self.descriptor.resume()

    def received_eof(self) -> None:
        """It is closed, with the child or before it."""
        self.close()

    def lost(self, reason: str) -> None:
        """The socket broke."""

    def drained(self) -> None:
        """Nothing is ever sent."""

    def finish(self) -> None:
        """The child is gone: read what it left, within a bound, and no more."""
        for _ in range(LEFT_READS):
            if self.descriptor.is_open:
                self.descriptor.read()
        self.close()

    def close(self) -> None:
        """Read no more."""
        rest, self._rest = self._rest, b""
        if rest.strip():
            self._on_line(rest.decode("utf-8", "backslashreplace").rstrip())
        self.descriptor.release()
