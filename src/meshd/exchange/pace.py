"""A response body that leaves at a rate: what a fault filter asks of ``site.pace_response``.

Strategy: a token bucket of bytes, of two slices' size and half full at the start: no burst passes then, and a timer
that comes late costs no rate. Bytes beyond it are held as those of a head that waits are (``held.py``): nothing more
is read of the upstream meanwhile, so what is held is what one read of it brought. It stands before every other
transform, so it paces what comes.
"""

from typing import Any

from meshd.hot.bucket import TokenBucket
from meshd.wire.nobody import rest

SLICE_S = 0.05
"""Seconds between two writes (Envoy's fill interval of a stream's rate limit)."""


class Pace:
    """In the place of ``Held`` while bytes wait.

    In the first t seconds at most ``bytes_per_s * (t + SLICE_S)`` bytes leave, in any t one slice more.
    """

    __slots__ = ("exchange", "bucket", "timer", "source", "pieces", "waiting", "is_over", "is_tunnel_over", "trailers",
                 "is_passing")

    def __init__(self, exchange: Any, bytes_per_s: float) -> None:
        self.exchange = exchange
        slice_bytes = max(1.0, bytes_per_s * SLICE_S)
        self.bucket = TokenBucket(bytes_per_s, 2 * slice_bytes, exchange.poller.now)
        self.bucket.take(exchange.poller.now, slice_bytes)
        self.timer = exchange.downstream.world.wheel.timer(self.on_timer)
        self.source: Any = None
        self.pieces: list[bytes] = []
        self.waiting: Any = None
        self.is_over = self.is_tunnel_over = self.is_passing = False
        self.trailers: Any = None

    def __call__(self, data: bytes, is_end: bool) -> bytes:
        """Return what may leave now (a transform of the response's chunks), and hold the rest."""
        if self.is_passing or not data:
            return data
        count = self.grant(len(data), self.exchange.poller.now)
        if count < len(data):
            self.pieces.append(data[count:])
            self.hold()
        return data[:count]

    def grant(self, size_bytes: int, now: float) -> int:
        """Return how many of ``size_bytes`` may leave at ``now``, and count them."""
        count = min(size_bytes, int(self.bucket.available(now) + 1e-6))
        if count:
            self.bucket.take(now, count)
        return count

    def hold(self) -> None:
        """Stand in the way of what follows, and read no more of it."""
        exchange = self.exchange
        exchange.held = self
        attempt = exchange.attempt
        if attempt is not None and attempt.connection is not None and self.source is None:
            self.source = attempt.connection.descriptor
            self.source.hold()
        self.timer.arm(exchange.poller.now + SLICE_S)

    def on_timer(self, now: float) -> None:
        """A slice is over: pass what may leave."""
        exchange = self.exchange
        exchange.held = None
        self.pass_on(now)
        if exchange.is_ended:
            return
        if self.pieces:
            self.hold()
        elif self.is_over:
            exchange.finish_answer(self.trailers)
        else:
            self.let_go()
            exchange.drained()
        exchange.flush()

    def pass_on(self, now: float) -> None:
        """Give the exchange its share of what is held."""
        self.is_passing = True
        pieces = self.pieces
        while pieces and not self.exchange.is_ended:
            data = pieces[0]
            count = self.grant(len(data), now)
            if not count:
                break
            if count == len(data):
                del pieces[0]
            else:
                pieces[0] = data[count:]
            self.exchange.on_upstream_body(data[:count])
        self.is_passing = False

    def let_go(self) -> None:
        """Let the upstream be read again."""
        source, self.source = self.source, None
        if source is not None:
            source.free()

    def keep(self, data: bytes) -> bool:
        """Keep what comes behind what is held."""
        self.pieces.append(data)
        return True

    def end(self, trailers: Any) -> None:
        """The body has come to its end: the connection may serve others, what is held goes on by and by."""
        self.is_over = True
        self.trailers = trailers
        source = self.source
        self.let_go()
        if source is not None:
            source.resume()

    def cancel(self) -> None:
        """The exchange has ended."""
        self.pieces.clear()
        self.let_go()
        rest(self.timer)


def pace_response(exchange: Any, bytes_per_s: float) -> Pace:
    """Let the body of the answer whose head has come leave at ``bytes_per_s``; ``cancel()`` it when that has ended."""
    pace = Pace(exchange, bytes_per_s)
    others = exchange.response_transform
    exchange.response_transform = pace if others is None else after(pace, others)
    return pace


def after(pace: Pace, others: Any) -> Any:
    """Return the transform of ``pace``, then the others."""
    def both(data: bytes, is_end: bool) -> bytes:
        return others(pace(data, is_end), is_end)
    return both
