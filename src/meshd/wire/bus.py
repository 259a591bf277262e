"""What the workers of one host tell one another: a message is passed on to all others by the supervisor.

With one worker there is nobody to tell. Messages of one worker come to each other one in their order; one that is
started later has not heard the earlier ones and asks.
"""

from collections.abc import Callable
from typing import Any

Message = dict[str, Any]


class Bus:
    """``send(topic, message)`` is the worker's, None where there is one worker."""

    def __init__(self) -> None:
        self.send: Callable[[str, Message], Any] | None = None
        self._listeners: dict[str, list[Callable[[Message], Any]]] = {}

    def heard(self, topic: str, message: Message) -> None:
        """Another worker has said something."""
        for listener in list(self._listeners.get(topic, ())):
            listener(message)

    def listen(self, topic: str, listener: Callable[[Message], Any]) -> None:
        """Call ``listener(message)`` for each message on ``topic``."""
        self._listeners.setdefault(topic, []).append(listener)

    def leave(self, topic: str, listener: Callable[[Message], Any]) -> None:
        """Call it no more."""
        found = self._listeners.get(topic, [])
        if listener in found:
            found.remove(listener)
        if not found:
            self._listeners.pop(topic, None)


class Peers:
    """``site.peers(topic)``: the same plugin in the other workers of this host."""

    def __init__(self, bus: Bus, topic: str) -> None:
        self._bus = bus
        self._topic = topic
        self._listener: Callable[[Message], Any] | None = None

    @property
    def are_there(self) -> bool:
        """Say whether there are other workers."""
        return self._bus.send is not None

    def begin(self, listener: Callable[[Message], Any]) -> None:
        """Call ``listener(message)`` for what the others tell, until ``end``."""
        self._listener = listener
        self._bus.listen(self._topic, listener)

    def tell(self, message: Message) -> None:
        """Tell the others ``message``, a dict ready for JSON."""
        if self._bus.send is not None:
            self._bus.send(self._topic, message)

    def end(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._bus.leave(self._topic, self._listener)
            self._listener = None
