"""A connection of a plugin's own (``site.dial``): health checkers and probes use it; traffic has pools."""

from typing import Any

from meshd.wire.address import parse
from meshd.wire.descriptor import Descriptor
from meshd.wire.dialer import Dial
from meshd.wire.name import Name
from meshd.wire.nobody import NOBODY


class Stream:
    """``receiver``, which may be replaced, has ``opened()``, ``received(data)`` and, once and last, ``lost(reason)``.

    Nothing comes after ``close``. ``preface`` is sent first, before ``opened``.
    """

    def __init__(self, world: Any, address: str, receiver: Any, timeout_s: float, preface: bytes = b"") -> None:
        self.receiver: Any = receiver
        self._preface = preface
        self._world = world
        self._descriptor: Descriptor | None = None
        self._dial: Dial | None = Dial(world.poller, world.wheel, timeout_s, self._dialed)
        try:
            target = parse(address)
        except ValueError:
            name = Name(world, address)
            self._dial.expect()
            name.ask(lambda: self._named(name))
        else:
            self._dial.begin(*target)

    def _named(self, name: Name) -> None:
        if self._dial is None:
            return
        target = name.next_target()
        if target is None:
            self._dial.finish(None, name.reason)
        else:
            self._dial.begin(*target)

    def _dialed(self, fd: int | None, reason: str) -> None:
        self._dial = None
        if fd is None:
            self._end(reason)
            return
        self._descriptor = Descriptor(fd, self._world.poller, self)
        self.send(self._preface)
        self.receiver.opened()

    def send(self, data: bytes) -> None:
        """Write ``data``; nothing happens before ``opened`` and after the end."""
        if self._descriptor is not None and data:
            self._descriptor.send(data)

    def close(self) -> None:
        """Nobody wants it any more."""
        self.receiver = None
        if self._dial is not None:
            self._dial.cancel()
            self._dial = None
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            descriptor.owner = NOBODY
            descriptor.write_queued()
            descriptor.release()

    # The descriptor's owner

    def received(self, data: bytes) -> None:
        """Bytes have come."""
        if self.receiver is not None:
            self.receiver.received(data)

    def received_eof(self) -> None:
        """The peer sends nothing more."""
        self._end("closed by the peer")

    def lost(self, reason: str) -> None:
        """The socket broke."""
        self._descriptor = None
        self._end(reason)

    def drained(self) -> None:
        """What was kept has been written."""

    def on_bug(self) -> None:
        """The owner raised while it was told."""
        self._end("bug")

    def _end(self, reason: str) -> None:
        receiver = self.receiver
        self.close()
        if receiver is not None:
            receiver.lost(reason)
