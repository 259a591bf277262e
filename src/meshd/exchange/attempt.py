"""One try of an exchange at one endpoint: takes a lease, sends, receives, reports. Called by the exchange."""

from typing import Any

from meshd.http import compose


class Attempt:
    """``connection`` is the lease, None before and after. ``is_tunnel``: bytes are passed on as they are.

    ``since`` is when its first byte was sent, 0.0 before. ``retry_of`` is the circuit breaker that admitted it as a
    retry, or None; ``is_high``: it has priority.
    """

    __slots__ = (
        "exchange", "endpoint", "pool", "connection", "is_tunnel", "began", "is_ended", "since", "retry_of", "is_high",
    )

    def __init__(self, exchange: Any, endpoint: Any) -> None:
        self.exchange = exchange
        self.endpoint = endpoint
        self.pool = endpoint.pool
        self.connection = None
        self.is_tunnel = False
        self.began = False
        self.is_ended = self.is_high = False
        self.since = 0.0
        self.retry_of = None
        endpoint.active += 1

    @property
    def version(self) -> int:
        """The client's version of HTTP."""
        return self.exchange.request.version

    def run(self) -> None:
        """Take a lease: at once where there is one, else ``on_connection`` or ``on_failure`` follows."""
        connection = self.pool.take(self)
        if connection is not None:
            self.on_connection(connection)

    def on_connection(self, connection: Any) -> None:
        """The lease is here: send what there is of the request."""
        self.connection = connection
        request = self.exchange.request
        connection.lease(self, request.method, request.upgrade is not None and request.method != b"CONNECT")
        self.began = True
        self.exchange.on_lease(self)

    def server_name(self) -> str:
        """Return the host of the request, which TLS may ask for."""
        return self.exchange.request.host.decode("latin-1")

    def on_informational(self, head: Any) -> None:
        """A 1xx on the way."""
        self.exchange.on_informational(head)

    def on_response(self, head: Any) -> None:
        """The final head."""
        self.exchange.on_upstream_head(self, head)

    def on_body(self, data: bytes) -> None:
        """Bytes of the answer."""
        if not self.is_ended:
            self.exchange.on_upstream_body(data)

    def on_end(self, trailers: Any) -> None:
        """The answer is whole."""
        if not self.is_ended:
            self.exchange.on_upstream_end(self, trailers)

    def flush(self) -> None:
        """One read of the upstream has been worked off."""
        self.exchange.flush()

    def drained(self) -> None:
        """The upstream has taken what was kept for it."""
        self.exchange.on_upstream_drained(self)

    def on_tunnel_eof(self) -> None:
        """The upstream's half of a tunnel has ended."""
        self.exchange.on_upstream_tunnel_eof(self)

    def on_failure(self, flag: int, reason: str, is_stale: bool) -> None:
        """No connection, or it broke. ``is_stale``: it had served before and died without a byte of this answer."""
        if not self.is_ended:
            self.end()
            self.exchange.on_attempt_failed(self, flag, reason, is_stale)

    def send(self, data: bytes, is_chunked: bool) -> None:
        """Pass body bytes on."""
        connection = self.connection
        connection.descriptor.send(compose.chunk(data) if is_chunked and not connection.is_multiplexed else data)

    def finish(self, is_reusable: bool) -> None:
        """Both messages are whole, or not: give the lease back."""
        self.end()
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.release(is_reusable)

    def cancel(self) -> None:
        """Give up: nothing of it will be reported any more. A tunnel that is cut must not look whole."""
        if not self.is_ended:
            self.end()
            connection, self.connection = self.connection, None
            if connection is not None:
                if self.is_tunnel and self.exchange.half_ended < 2 and not connection.is_multiplexed:
                    connection.descriptor.abort()
                connection.abort()
            else:
                self.pool.give_up(self)

    def end(self) -> None:
        """Uncount."""
        self.is_ended = True
        self.endpoint.active -= 1
        if self.retry_of is not None:
            self.pay_back()

    def pay_back(self) -> None:
        """It does not count as a retry in flight any more."""
        breaker, self.retry_of = self.retry_of, None
        if breaker is not None:
            breaker.release_retry()
