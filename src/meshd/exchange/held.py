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
