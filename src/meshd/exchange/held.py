"""A response on hold: its head is with a filter that waits, and what follows must not overtake it.

The exchange makes one when ``on_response`` returns a Deferred. The upstream is paused, so what is held is what one
read of it brought.
"""

from typing import Any

from twisted.internet.defer import Deferred


class Held:
    """``is_over``: the body has ended, with ``trailers``; ``is_tunnel_over``: the upstream's half of a tunnel has."""

    __slots__ = ("waiting", "pieces", "is_over", "is_tunnel_over", "trailers")

    def __init__(self) -> None:
        self.waiting: Deferred | None = None
        self.pieces: list[bytes] = []
        self.is_over = self.is_tunnel_over = False
        self.trailers: Any = None

    def keep(self, data: bytes) -> bool:
        """Keep what came before the head may go; say whether no more of it should be read."""
        self.pieces.append(data)
        return True

    def end(self, trailers: Any) -> None:
        """The body is whole."""
        self.is_over = True
        self.trailers = trailers

    def cancel(self) -> None:
        """The exchange has ended: nobody waits any more."""
        waiting, self.waiting = self.waiting, None
        self.pieces.clear()
        if waiting is not None:
            waiting.cancel()


class Gathered(Held):
    """A filter wants the body before its head goes: ``done`` gets the first ``limit`` bytes at its end. Nothing of the
    body is sent, and what is beyond the limit is dropped.
    """

    __slots__ = ("done", "limit", "size")

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.done: Deferred = Deferred()
        self.limit = limit
        self.size = 0

    def keep(self, data: bytes) -> bool:
        """Keep what there is room for, and let more come."""
        room = self.limit - self.size
        if room > 0:
            self.pieces.append(data[:room])
            self.size += min(room, len(data))
        return False

    def end(self, trailers: Any) -> None:
        """The body is whole."""
        super().end(trailers)
        body = b"".join(self.pieces)
        self.pieces.clear()
        self.done.callback(body)


def gather(exchange: Any, limit: int) -> Deferred:
    """Return a Deferred of the first ``limit`` bytes of the answer's body, which does not go on; its head waits."""
    before = exchange.held
    gathered = exchange.held = Gathered(limit)
    if before is not None:
        for data in before.pieces:
            gathered.keep(data)
        if before.is_over:
            gathered.end(before.trailers)
        else:
            exchange.drained()
    return gathered.done


def release(exchange: Any) -> None:
    """Send the head that was held, and what has come after it."""
    held, exchange.held = exchange.held, None
    if exchange.is_tunnel:
        exchange.response_transform = None
    exchange.downstream.begin(exchange, exchange.response)
    for data in held.pieces:
        exchange.on_upstream_body(data)
    if held.is_over:
        exchange.finish_answer(held.trailers)
        return
    exchange.drained()
    exchange.flush()
    if held.is_tunnel_over and not exchange.is_ended:
        exchange.downstream.end_tunnel(exchange)
