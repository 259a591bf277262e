"""Bytes both ways between two connections: back-pressure, half-close, and no copy where there is much to move.

Strategy: what is read from one side is sent to the other at once; where that does not keep up, reading stops at a high
mark and goes on at a low one. The end of one direction is passed on alone; the relay ends with the second. Where both
sides are plain sockets and reads come full, the kernel moves the bytes itself, through a pipe (``hot/splice.py``),
until they come in small pieces again. ``relay.pxd`` types it for the compiled build.
"""

from typing import Any

from meshd.hot import splice
from meshd.wire.descriptor import Descriptor
from meshd.wire.nobody import NOBODY
from meshd.wire.poller import READ, WRITE

FULL_BYTES = 65536
"""What one read takes at most: as long as reads are full, there is more."""
FULL_READS = 4
"""So many full reads in turn until the kernel moves the bytes, and so many small moves until it does no more."""
SMALL_BYTES = 16384
MOVE_BYTES = 262144
"""Most bytes that are moved through a pipe at once."""


class Half:
    """One side: reads from ``descriptor``, writes to the other's. ``count`` are the bytes read.

    ``change(data)`` returns the bytes to be passed on in the place of those read; None where none looks at them.
    ``held`` bytes are in the pipe. ``paused`` and ``resumed`` are counters' cells of reading, or None.
    """

    __slots__ = ("relay", "descriptor", "other", "count", "is_eof", "change", "full", "pipe", "held", "paused",
                 "resumed")

    def __init__(self, relay: Any, descriptor: Any) -> None:
        self.relay = relay
        self.descriptor = descriptor
        self.other: Any = None
        self.count = 0
        self.is_eof = False
        self.change: Any = None
        self.full = 0
        self.pipe: Any = None
        self.held = 0
        self.paused: Any = None
        self.resumed: Any = None
        descriptor.owner = self

    def received(self, data: bytes) -> None:
        """Pass bytes on."""
        size = len(data)
        self.count += size
        if self.change is not None:
            data = self.change(data)
            if not data or self.other is None:
                return
        target = self.other.descriptor
        target.send(data)
        if self.other is None:  # the other side broke, and with it all is over
            return
        if target.pending_bytes:
            if target.pending_bytes > self.relay.high_bytes:
                self.pause()
        elif size < FULL_BYTES:
            self.full = 0
        else:
            self.full += 1
            if self.full >= FULL_READS and self.relay.is_raw:
                self.begin_moving()

    def pause(self) -> None:
        """The other side does not keep up: read no more for now."""
        self.descriptor.pause()
        if self.paused is not None:
            self.paused.value += 1

    def resume(self) -> None:
        """The other side has taken enough: read again."""
        if not self.descriptor.mask & READ and not self.is_eof:
            self.descriptor.resume()
            if self.resumed is not None:
                self.resumed.value += 1

    def drained(self) -> None:
        """This side has taken some of what was kept for it."""
        descriptor, other = self.descriptor, self.other
        if other is None:
            return
        if not descriptor.is_open:
            self.relay.check()
        elif self.relay.reason and not descriptor.is_closing:
            if not descriptor.pending:
                self.relay.end(self.relay.reason)
        elif other.held:
            other.push()
        elif descriptor.pending_bytes <= self.relay.low_bytes:
            other.resume()

    def received_eof(self) -> None:
        """This side will send nothing more."""
        self.is_eof = True
        other = self.other
        if other.is_eof:
            self.relay.finish()
        else:
            other.descriptor.half_close()

    def lost(self, reason: str) -> None:
        """This side's socket broke."""
        self.relay.on_lost(self, reason)

    # Moved by the kernel

    def begin_moving(self) -> None:
        """Let the kernel move the bytes from now on."""
        target = self.other.descriptor
        if target.queued is not None:
            target.write_queued()
        if target.pending or not target.is_open:
            return
        self.pipe = self.relay.pipes.take()
        self.full = 0
        if self.pipe is not None:
            self.descriptor.pump = self

    def end_moving(self) -> None:
        """Read as usual again."""
        pipe, self.pipe = self.pipe, None
        if pipe is not None:
            self.descriptor.pump = None
            self.relay.pipes.give(pipe, not self.held)
            self.held = self.full = 0

    def pull(self) -> int:
        """Called by the descriptor in place of a read; return what came, 0 at the end of the stream, -1 for nothing."""
        moved = splice.pull(self.descriptor.fd, self.pipe[1], MOVE_BYTES)
        if moved > 0:
            self.count += moved
            self.held = moved
            self.push()
            if moved < SMALL_BYTES:
                self.full += 1
                if self.full >= FULL_READS and not self.held:
                    self.end_moving()
            else:
                self.full = 0
        elif moved == 0:
            self.end_moving()
        return moved

    def push(self) -> None:
        """Move what is in the pipe to the other side, which says when it takes the rest."""
        target = self.other.descriptor
        if not target.is_open:
            return
        if target.queued is not None:
            target.write_queued()
        try:
            moved = splice.push(self.pipe[0], target.fd, self.held)
        except OSError as error:
            target.fail(error.strerror or "reset")
            return
        self.held -= moved
        if moved:
            target.last = target.poller.now
        if self.held:
            self.pause()
            target.watch(target.mask | WRITE)
        else:
            self.resume()


class Relay:
    """``owner`` has ``relay_ended(reason)``, called once: "" where both sides have sent their ends, else what broke.

    ``down`` and ``up`` are the halves. A buffer of more than ``high_bytes`` pauses the other side, until it has fallen
    to ``low_bytes``.
    """

    __slots__ = ("owner", "down", "up", "pipes", "is_raw", "high_bytes", "low_bytes", "is_ended", "reason")

    def __init__(self, owner: Any, down: Any, up: Any, pipes: Any, limits: Any) -> None:
        self.owner = owner
        self.pipes = pipes
        self.high_bytes = limits.buffer_high_bytes
        self.low_bytes = limits.buffer_low_bytes
        self.is_ended = False
        self.reason = ""
        self.down = Half(self, down)
        self.up = Half(self, up)
        self.down.other, self.up.other = self.up, self.down
        self.is_raw = pipes.is_usable and type(down) is Descriptor and type(up) is Descriptor

    def look(self, on_data: Any, on_write: Any) -> None:
        """Pass the bytes of the client, or those for it, through functions; None for one that does not care."""
        self.down.change, self.up.change = on_data, on_write
        self.is_raw = self.is_raw and on_data is None and on_write is None

    @property
    def last(self) -> float:
        """When a byte last moved either way."""
        return max(self.down.descriptor.last, self.up.descriptor.last)

    def finish(self) -> None:
        """Both sides have said that they send nothing more: close them once they have got everything."""
        for half in (self.up, self.down):
            half.end_moving()
            half.descriptor.close()
        self.check()

    def check(self) -> None:
        """End where nothing is left to be written."""
        if not self.is_ended and not self.down.descriptor.is_open and not self.up.descriptor.is_open:
            self.end(self.reason)

    def on_lost(self, half: Half, reason: str) -> None:
        """One side broke: the other gets what is kept for it, and a reset too, as what it has is not whole: unless the
        upstream had said before that there is no more.
        """
        if self.is_ended:
            return
        self.reason = reason
        other = half.other.descriptor
        if half is self.up and half.is_eof and other.is_open:
            other.close()
            self.check()
        elif half is self.up and other.pending and other.is_open and not half.held:
            other.pause()  # until it has taken that
        elif other.is_closing and other.is_open:
            pass  # it has sent its end, and only takes what is left
        else:
            other.abort()
            self.end(reason)

    def cut(self, reason: str) -> None:
        """End it now; who has not got everything gets a reset."""
        for half in (self.up, self.down):
            if half.descriptor.is_open:
                if half.descriptor.pending or half.other.held:
                    half.descriptor.abort()
                else:
                    half.descriptor.close()
        self.end(reason)

    def end(self, reason: str) -> None:
        """It is over: undo its circles."""
        if self.is_ended:
            return
        self.is_ended = True
        for half in (self.up, self.down):
            half.end_moving()
            if half.descriptor.is_open:
                half.descriptor.abort()
            half.descriptor.owner = NOBODY
        owner, self.owner = self.owner, None
        owner.relay_ended(reason)
        self.up.other = self.down.other = None
        self.up.relay = self.down.relay = None
        self.up.change = self.down.change = None
