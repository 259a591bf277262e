"""A connection of a plugin's own (``site.dial``): health checkers and probes use it; traffic has pools."""

from typing import Any

from meshd.wire.address import parse
from meshd.wire.descriptor import Descriptor
from meshd.wire.dialer import Dial, begin_with
from meshd.wire.name import Name
from meshd.wire.nobody import NOBODY


class Stream:
    """``receiver``, which may be replaced, has ``opened()``, ``received(data)`` and, once and last, ``lost(reason)``.

    Nothing comes after ``close``. ``preface`` is sent first, below TLS. ``tls``, where it is given, is spoken
    (``meshd.tls.client``); ``host`` is the name that it asks for where its settings name none, ``alpn`` what it offers
    where they say nothing.
    """

    def __init__(self, world: Any, address: str, receiver: Any, timeout_s: float, tls: Any = None,
                 host: str = "", alpn: tuple[str, ...] = (), preface: bytes = b"") -> None:
        self.receiver: Any = receiver
        self._address = address
        self._timeout_s = timeout_s
        self._tls = tls
        self._host = host
        self._preface = preface
        self._alpn = alpn
        self._is_ready = tls is None
        self._world = world
        self.descriptor: Descriptor | None = None
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
        if self._preface:
            begin_with(fd, self._preface)
        tls = self._tls
        if tls is None:
            self.descriptor = Descriptor(fd, self._world.poller, self)
            self.receiver.opened()
        else:
            name = tls.name_for(self._host, self._address)
            tls.connect(fd, self, name, self._address, self._timeout_s, self._alpn)

    def secured(self, protocol: str = "") -> None:
        """TLS has agreed on everything."""
        self._is_ready = True
        self.receiver.opened()

    def send(self, data: bytes) -> None:
        """Write ``data``; nothing happens before ``opened`` and after the end."""
        if self._is_ready and self.descriptor is not None:
            self.descriptor.send(data)

    def close(self) -> None:
        """Nobody wants it any more."""
        self.receiver = None
        if self._dial is not None:
            self._dial.cancel()
            self._dial = None
        if self.descriptor is not None:
            descriptor, self.descriptor = self.descriptor, None
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
        self.descriptor = None
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
