"""Attempts of gRPC calls whose retry policy goes by statuses: where one comes in trailers, it may be judged as well.

Strategy: the head of an answer waits for what the same read of the upstream has brought, and no longer. A server that
fails at once sends head and trailers together, so that nothing has been passed on when the status is known; one that
streams has sent its head alone, or a message with it, and that goes on as ever. Envoy looks at heads alone.
"""

from typing import Any

from meshd.exchange import forward
from meshd.exchange.attempt import Attempt
from meshd.http import grpc
from meshd.upstream.outcome import Outcome


class TrailedAttempt(Attempt):
    """``head`` waits, or is None."""

    __slots__ = ("head",)

    def __init__(self, exchange: Any, endpoint: Any) -> None:
        super().__init__(exchange, endpoint)
        self.head = None

    def on_response(self, head: Any) -> None:
        """Let the head wait, unless it says all."""
        may_have_trailers = head.content_length or head.version == 20
        if head.status == 200 and may_have_trailers and grpc.STATUS not in head.headers:
            self.head = head
        else:
            super().on_response(head)

    def on_body(self, data: bytes) -> None:
        """A message follows: the head goes on."""
        self.release()
        super().on_body(data)

    def on_end(self, trailers: Any) -> None:
        """The trailers say how the call went: another attempt, or the head goes on with them."""
        head = self.head
        if head is not None and not self.is_ended and self.is_retried(head, trailers):
            self.head = None
            return
        self.release()
        super().on_end(trailers)

    def flush(self) -> None:
        """The read is over: the head waits no more."""
        self.release()
        super().flush()

    def on_failure(self, flag: int, reason: str, is_stale: bool) -> None:
        """What has come of the answer goes on before it is cut."""
        self.release()
        super().on_failure(flag, reason, is_stale)

    def release(self) -> None:
        """Pass the head on."""
        head, self.head = self.head, None
        if head is not None and not self.is_ended:
            self.exchange.on_upstream_head(self, head)

    def is_retried(self, head: Any, trailers: Any) -> bool:
        """Ask the retry policy about the answer that the trailers complete."""
        exchange = self.exchange
        if trailers is None or grpc.STATUS not in trailers or exchange.more is not None and exchange.more.others:
            return False
        delay_s = forward.judge(exchange, self, Outcome(head.status, trailers, 0, True, ""))
        if delay_s is None:
            return False
        if exchange.cluster.observe is not None:
            forward.observe(exchange, self, head.status, head.headers, 0, "")
        exchange.attempt = None
        self.finish(head.keep_alive and (exchange.body is None or exchange.body.is_complete))
        forward.again(exchange, delay_s)
        return True
