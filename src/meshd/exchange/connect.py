"""CONNECT on its way: forwarded like a request, or ended here, where the bytes behind it go to an endpoint of TCP.

``forward`` asks for the attempt, the exchange whether an answer opens the tunnel. A POST may stand for CONNECT where
the route says so (Envoy's ``allow_post``): its body goes to the endpoint, and what that sends is the answer's body.
"""

from typing import Any

from meshd.exchange.attempt import Attempt
from meshd.exchange.trailed import TrailedAttempt
from meshd.http import flag as flags
from meshd.http.head import ResponseHead
from meshd.http.headers import Headers
from meshd.upstream.connection import UpstreamConnection
from meshd.upstream.stream import Stream
from meshd.wire.proxy_protocol import header


def refuse(exchange: Any) -> bool:
    """Answer CONNECT on a route that does not serve it; say whether it was."""
    is_asked: bool = exchange.request.method == b"CONNECT"
    if is_asked:
        exchange.reply(404, b"", (), flags.NR, "route_not_found")
    return is_asked


def opens(request: Any, head: Any) -> bool:
    """Say whether an answer opens the tunnel that CONNECT asks for (RFC 9110 9.3.6)."""
    is_open: bool = request.method == b"CONNECT" and 200 <= head.status < 300
    if is_open:
        head.content_length = 0
    return is_open


def attempt(exchange: Any, endpoint: Any) -> Attempt:
    """Return an attempt of a kind that few requests need."""
    rules, method = exchange.plan.connect, exchange.request.method
    if rules is not None and (method == b"CONNECT" or method == b"POST" and rules.allow_post):
        return TcpAttempt(exchange, endpoint)
    if exchange.more is not None and exchange.more.watches_trailers:
        return TrailedAttempt(exchange, endpoint)
    return Attempt(exchange, endpoint)


class Untold(Stream):
    """The exchange tells those who observe endpoints how its attempts go."""

    __slots__ = ()

    def observe(self, status: int, bit: int, reason: str) -> None:
        """Say nothing."""

    def later(self, reason: str) -> None:
        """Tell the attempt at once, as pools do."""
        self.release()
        self.tell(reason)


class TcpAttempt(Attempt):
    """Connects to its endpoint of TCP, anew each time, and answers 200 when it has (Envoy's way)."""

    __slots__ = ("stream",)

    def __init__(self, exchange: Any, endpoint: Any) -> None:
        Attempt.__init__(self, exchange, endpoint)
        endpoint.active -= 1  # the stream counts
        self.stream = Untold(exchange.downstream.world, exchange.cluster, self)

    def run(self) -> None:
        """Connect; ``opened`` or ``lost`` follows."""
        stream, exchange = self.stream, self.exchange
        if stream.admit():
            stream.ends = exchange.peer, exchange.local
            stream.dial_to(self.endpoint)

    def opened(self) -> None:
        """The endpoint is there: send what there is of the body, then agree."""
        exchange = self.exchange
        if exchange.request.method == b"CONNECT":
            self.is_tunnel = True
        connection = TcpLease(self)
        self.on_connection(connection)
        if not self.is_ended:
            self.on_response(ResponseHead(200, Headers()))
        exchange.flush()

    def lost(self, reason: str) -> None:
        """There is no connection."""
        self.on_failure(self.stream.flag, reason, False)
        self.exchange.flush()

    def cancel(self) -> None:
        """Give up: a tunnel that is not whole ends with a reset (RFC 9113 8.5)."""
        if not self.is_ended:
            self.end()
            connection, self.connection = self.connection, None
            if connection is None:
                self.stream.close()
            elif self.exchange.half_ended > 1:
                connection.close()
            else:
                connection.abort()

    def end(self) -> None:
        """Uncount."""
        self.is_ended = True
        self.pay_back()


class TcpLease(UpstreamConnection):
    """A connection of TCP with the face of a stream of HTTP/2, of which a head is not sent."""

    __slots__ = ("stream",)

    def __init__(self, attempt: TcpAttempt) -> None:
        stream = self.stream = attempt.stream
        self.pool = attempt.pool
        self.local = stream.local
        self.attempt = None
        self.requests = 0
        self.is_multiplexed = True
        self.is_refused = self.answered = False
        self.descriptor = stream.descriptor
        self.descriptor.owner = self

    def lease(self, attempt: Any, method: bytes, is_upgrade: bool) -> None:
        """Serve ``attempt`` from now on."""
        self.attempt = attempt

    def begin(self, head: Any, is_last: bool) -> None:
        """Say where the client is, where that is wanted."""
        exchange = self.attempt.exchange
        version = exchange.plan.connect.proxy_protocol
        if version is not None:
            self.descriptor.send(header(version, exchange.peer, exchange.local))
        if is_last:
            self.descriptor.half_close()

    def complete(self, trailers: Any) -> None:
        """The request is whole: so is the client's half."""
        self.descriptor.half_close()

    def received(self, data: bytes) -> None:
        """Bytes from the endpoint."""
        attempt = self.attempt
        attempt.on_body(data)
        if self.attempt is attempt:
            attempt.flush()

    def received_eof(self) -> None:
        """The endpoint will send nothing more."""
        attempt = self.attempt
        if self.descriptor.is_cut:
            self.lost("connection closed by upstream without TLS's close_notify")
        elif attempt.is_tunnel:
            attempt.on_tunnel_eof()
        else:
            attempt.on_end(None)

    def lost(self, reason: str) -> None:
        """The socket broke."""
        attempt = self.attempt
        self.close()
        if attempt is not None:
            attempt.on_failure(flags.UC, reason, False)

    def release(self, is_reusable: bool) -> None:
        """Both messages are whole, or not: it serves no other request."""
        self.close()

    def abort(self) -> None:
        """End it with a reset."""
        self.descriptor.abort()
        self.close()

    def close(self) -> None:
        """Close, and leave the cluster."""
        self.attempt = None
        self.stream.close()
