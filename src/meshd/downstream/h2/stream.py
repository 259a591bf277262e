"""One stream of a downstream HTTP/2 connection: for its exchange, the downstream; steps 1, 2 and 8 of a request's way.

Strategy: what a read makes is gathered as with HTTP/1.1 and handed to the session by ``flush``, so that an answer that
came in one read leaves as one HEADERS and one DATA. Flow control is the back-pressure: bytes that the exchange cannot
pass on hold their credit (``owed``) until it can, and an answer is read on only while its queue is short.
"""

import base64
from typing import Any

from meshd.downstream.edge import admit
from meshd.exchange.body import RequestBody
from meshd.http import flag as flags
from meshd.http.h2.code import CONNECT_ERROR, INTERNAL_ERROR
from meshd.http.head import ResponseHead
from meshd.http.headers import Headers

UPGRADE_FAILED = "upgrade_failed"
"""Envoy's response code detail for an upgrade that is not passed on."""
_ABANDONED = flags.DC | flags.DR | flags.DPE | flags.OM


class Stream:
    """``id`` is the connection's number, ``stream_id`` the stream's on it. ``exchange`` is None once it has ended.

    ``early`` are bytes of an extended CONNECT that is not granted yet, None otherwise. ``is_ended``: the client has
    sent all. ``last`` is when a byte was last seen, in monotonic seconds.
    """

    __slots__ = (
        "connection", "session", "stream_id", "exchange", "world", "poller", "listener", "peer", "host", "host_bytes",
        "forwarded", "local", "id", "head", "trailers", "early", "owed", "last", "is_over", "is_paused", "is_ended",
        "is_extended", "is_kept",
    )

    def __init__(self, connection: Any, stream_id: int) -> None:
        self.connection = connection
        self.session = connection.session
        self.stream_id = stream_id
        self.exchange = None
        self.world = connection.world
        self.poller = connection.poller
        self.listener = connection.listener
        self.peer = connection.peer
        self.host = connection.host
        self.host_bytes = connection.host_bytes
        self.forwarded = connection.forwarded
        self.local = connection.local
        self.id = connection.id
        self.head = self.trailers = self.early = None
        self.owed = 0
        self.last = self.poller.now
        self.is_over = self.is_paused = self.is_ended = self.is_extended = False
        self.is_kept = True

    # From the client

    def extend(self, head: Any) -> None:
        """The request is an extended CONNECT: what it sends waits until that is granted."""
        self.is_extended = True
        self.early = []
        add_key(head, self.world.random)

    def ask(self, exchange: Any, head: Any) -> None:
        """Apply the rules for heads, then ask the filters.

        A request of no bytes whose end is still to come may end with trailers, unlike one of HTTP/1.1.
        """
        if not self.is_ended and exchange.body is None and head.upgrade is None:
            exchange.body = RequestBody()
            exchange.request_ended = 0.0
        if not admit(self.listener.edge, exchange):
            return
        if self.is_extended and head.upgrade is None:
            exchange.reply(403, b"", (), 0, UPGRADE_FAILED)
            return
        exchange.chain.request(exchange)

    def received(self, data: bytes) -> None:
        """Body bytes have come; their credit goes back once they have been passed on."""
        self.last = self.poller.now
        size = len(data)
        if self.early is not None:
            self.early.append(data)
            self.owed += size
            return
        exchange = self.exchange
        if exchange is not None:
            exchange.on_body(data)
            if self.is_paused and self.exchange is not None:
                self.owed += size
                return
        self.session.consume(self.stream_id, size)

    def ended(self, trailers: Any) -> None:
        """The client has sent all of its message."""
        self.is_ended = True
        exchange = self.exchange
        if exchange is None:
            return
        if exchange.is_tunnel:
            self.half_close(exchange)
        elif exchange.body is not None:
            exchange.on_request_end(trailers)

    def half_close(self, exchange: Any) -> None:
        """The client's half of a tunnel is over."""
        exchange.attempt.connection.descriptor.half_close()
        self.listener.tunnel_ended(self, exchange)

    # What the exchange asks

    def begin(self, exchange: Any, head: Any) -> None:
        """Keep the answer's head for the next flush."""
        edge = self.listener.edge
        if edge.is_finishing:
            edge.finish(exchange, head)
        status = head.status
        if exchange.is_tunnel:
            exchange.has_body = True
            self.open_tunnel(exchange)
        else:
            exchange.has_body = not (
                exchange.request.method == b"HEAD" or status < 200 or status == 204 or status == 304)
            if self.is_extended and 200 <= status < 300:
                head = exchange.response = not_granted(exchange)
        self.head = head
        exchange.out.append(b"")

    def open_tunnel(self, exchange: Any) -> None:
        """The extended CONNECT is granted: pass on what came early."""
        early, self.early = self.early or (), None
        for data in early:
            exchange.on_body(data)
        self.resume()
        if self.is_ended:
            self.half_close(exchange)

    def inform(self, head: Any) -> None:
        """Send a 1xx."""
        self.session.respond(self.stream_id, head, False)
        self.connection.touch()

    def proceed(self) -> None:
        """Tell a client that waits for it to send its body."""
        self.inform(ResponseHead(100, Headers()))

    def write(self, exchange: Any, data: bytes) -> None:
        """Add body bytes to the exchange's output."""
        exchange.out.append(data)

    def finish(self, exchange: Any, trailers: Any) -> None:
        """The answer's body has ended."""
        self.is_over = True
        if trailers is not None and exchange.has_body and trailers.raw:
            self.trailers = trailers

    def flush(self, exchange: Any) -> None:
        """Hand the exchange's output to the session; pause the upstream where the client does not keep up."""
        out = exchange.out
        if not out and not self.is_over:
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self.last = self.poller.now
        session, stream_id, head = self.session, self.stream_id, self.head
        is_last = self.is_over and self.trailers is None
        if head is not None:
            self.head = None
            is_bare = is_last and not data
            session.respond(stream_id, head, is_bare)
            is_last = is_last and not is_bare
        if data or is_last:
            if session.send(stream_id, data, is_last) > self.connection.write_high_bytes and not self.is_over:
                self.hold_upstream(exchange)
        if self.trailers is not None:
            session.trailers(stream_id, self.trailers)
            self.trailers = None
        self.is_over = False  # its end is on its way
        self.connection.touch()

    def hold_upstream(self, exchange: Any) -> None:
        """Stop reading the answer until the client has taken some of it."""
        attempt = exchange.attempt
        if attempt is not None and attempt.connection is not None:
            attempt.connection.descriptor.pause()

    def writable(self) -> None:
        """The client has taken some of what was kept for it."""
        self.last = self.poller.now
        if self.exchange is not None:
            self.exchange.drained()

    def pause(self) -> None:
        """Take no more of the request for now: its bytes keep their credit."""
        self.is_paused = True

    def resume(self) -> None:
        """Take more of the request."""
        self.is_paused = False
        owed = self.owed
        if owed and self.early is None:
            self.owed = 0
            self.session.consume(self.stream_id, owed)
            self.connection.touch()

    def hurry(self, deadline: float) -> None:
        """Look at the deadlines at ``deadline``, or earlier if that was said before."""
        self.connection.hurry(deadline)

    def end_tunnel(self, exchange: Any) -> None:
        """The upstream's half of the tunnel is over."""
        self.is_over = True
        self.flush(exchange)
        self.listener.tunnel_ended(self, exchange)

    def complete(self, exchange: Any, is_whole: bool) -> None:
        """The exchange has ended: what is left of the stream is the connection's."""
        self.exchange = None
        self.last = self.poller.now
        self.early = None
        self.resume()
        connection = self.connection
        connection.cells.active_requests.value -= 1
        if not is_whole:
            if not (connection.is_busy or exchange.flags & _ABANDONED):
                connection.write_queued()  # what has been said of it goes before the reset
            connection.reset(self, CONNECT_ERROR if exchange.request.method == b"CONNECT" else INTERNAL_ERROR)
        elif not self.is_ended:
            connection.cut_short(self)


def not_granted(exchange: Any) -> ResponseHead:
    """Return what is answered where an upstream took an extended CONNECT for a plain GET: a 2xx would grant it."""
    is_asked = exchange.request.upgrade is not None
    if is_asked:
        exchange.flags |= flags.UPE
    exchange.detail = UPGRADE_FAILED
    exchange.has_body = False
    return ResponseHead(502 if is_asked else 403, Headers.of((b"content-length", b"0")))


def add_key(head: Any, random: Any) -> None:
    """Give a WebSocket handshake the key that HTTP/1.1 needs and RFC 8441 has not (RFC 6455 4.1)."""
    if head.upgrade == b"websocket" and b"sec-websocket-key" not in head.headers:
        head.headers.add(b"sec-websocket-key", base64.b64encode(random.getrandbits(128).to_bytes(16, "big")))
