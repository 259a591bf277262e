"""The request body on its way: held while no upstream can take it, kept for another attempt within a bound."""

from typing import Any

from twisted.internet.defer import Deferred, succeed


class RequestBody:
    """``held`` are the chunks not yet sent, or kept for replay; ``size`` their bytes. ``can_replay``: all that was sent
    is still held.
    """

    __slots__ = ("held", "size", "replay_limit", "can_replay", "is_complete", "trailers")

    def __init__(self) -> None:
        self.held: list[bytes] = []
        self.size = 0
        self.replay_limit = 0
        self.can_replay = True
        self.is_complete = False
        self.trailers = None

    def hold(self, data: bytes) -> None:
        """Keep a chunk that cannot be sent yet."""
        self.held.append(data)
        self.size += len(data)

    def taken(self) -> None:
        """Everything held is being sent: forget it unless it may have to be sent again."""
        if self.size > self.replay_limit:
            self.forget()

    def passed(self, data: bytes) -> None:
        """A chunk went straight through."""
        if self.can_replay:
            self.hold(data)
            self.taken()

    def forget(self) -> None:
        """Drop what is held: from now on another attempt is not possible, unless there was nothing."""
        self.can_replay = not self.size
        self.held.clear()
        self.size = 0


def read(exchange: Any, limit: int) -> Deferred:
    """Return a Deferred of the whole body, or of None when it is longer than ``limit`` bytes."""
    body = exchange.body
    if body is None:
        return succeed(b"")
    if body.is_complete or body.size > limit:
        return succeed(b"".join(body.held) if body.size <= limit else None)
    if exchange.request.expect_continue:
        exchange.downstream.proceed()
    deferred: Deferred = Deferred()
    exchange.reader = (deferred, limit)
    return deferred


def compose(first: Any, second: Any) -> Any:
    """Return the transform that applies ``first``, then ``second``."""
    def both(data: bytes, is_end: bool) -> bytes:
        return second(first(data, is_end), is_end)
    return both
