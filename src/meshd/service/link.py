"""A worker's end of the channel to its supervisor: messages become calls in the reactor, with the heartbeat on."""

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReadWriteDescriptor
from zope.interface import implementer

from meshd.host.channel import Channel, ChannelEnded, Message

BEAT_S = 0.5
"""How often a worker says that its reactor is on time; the supervisor looks as often (``supervisor/team.py``)."""


@implementer(IReadWriteDescriptor)
class Link:
    """``handle(message)`` gets what the supervisor says; ``on_end()`` is called once, when it is no more."""

    def __init__(
        self, world: Any, sock: socket.socket, handle: Callable[[Message], Any], on_end: Callable[[], Any]
    ) -> None:
        self._channel = Channel(sock)
        self._world = world
        self._handle = handle
        self._on_end = on_end
        self._is_open = True
        self._numbers = 0
        self._asked: dict[int, Deferred] = {}
        self._emptied: Deferred | None = None

    def begin(self) -> None:
        """Listen to the supervisor."""
        self._world.reactor.addReader(self)

    def fileno(self) -> int:
        """Return the descriptor (IFileDescriptor)."""
        return self._channel.fileno()

    def logPrefix(self) -> str:
        """Name this for Twisted's log (ILoggingContext)."""
        return "meshd.link"

    def connectionLost(self, reason: Any) -> None:
        """Called by the reactor when it is torn down."""

    def doRead(self) -> None:
        """The supervisor has said something (IReadDescriptor)."""
        try:
            messages = self._channel.receive()
        except ChannelEnded:
            self.end()
            return
        for message in messages:
            self._world.run(self._received, message)

    def doWrite(self) -> None:
        """There is room (IWriteDescriptor)."""
        try:
            self._channel.flush()
        except ChannelEnded:
            self.end()
            return
        if not self._channel.wants_write:
            self._world.reactor.removeWriter(self)
            if self._emptied is not None:
                emptied, self._emptied = self._emptied, None
                emptied.callback(None)

    def _received(self, message: Message) -> None:
        head = message[0]
        if head["do"] in ("answers", "outcome"):
            self._asked.pop(head["id"]).callback(message)
        else:
            self._handle(message)

    def end(self) -> None:
        """The supervisor has gone, or is not needed any more."""
        if not self._is_open:
            return
        self._is_open = False
        self._world.reactor.removeReader(self)
        self._world.reactor.removeWriter(self)
        self._channel.close()
        self._on_end()

    def tell(self, head: dict[str, Any], payload: bytes = b"") -> None:
        """Say something to the supervisor."""
        if not self._is_open:
            return
        try:
            self._channel.send(head, payload)
        except ChannelEnded:
            self.end()
            return
        if self._channel.wants_write:
            self._world.reactor.addWriter(self)

    def ask(self, head: dict[str, Any]) -> Deferred:
        """Say something that is answered; the Deferred gets the answering message."""
        self._numbers += 1
        asked = self._asked[self._numbers] = Deferred()
        self.tell({**head, "id": self._numbers})
        return asked

    def emptied(self) -> Deferred:
        """Return a Deferred that fires when all has been said."""
        if not self._is_open or not self._channel.wants_write:
            return succeed(None)
        self._emptied = Deferred()
        return self._emptied
