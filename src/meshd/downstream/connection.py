"""One downstream HTTP/1.1 connection: steps 1 and 2 of the way of a request, and the last write of step 8.

Strategy: one exchange at a time, so pipelined requests are answered in order; what has been read beyond it waits in
the parser, within a bound. States follow from the parser's and from ``exchange``: idle, in a head, in an exchange,
discarding the rest of a request that has been answered, lingering (our side is closed, the client may still send).
"""

from typing import Any

from meshd.downstream import deadline
from meshd.downstream.edge import take_connect
from meshd.errors import ProtocolError
from meshd.exchange.exchange import Exchange
from meshd.http import compose
from meshd.http import flag as flags
from meshd.http import framing
from meshd.http.head import RequestHead
from meshd.http.headers import Headers
from meshd.http.path import Redirect
from meshd.http.request import RequestParser
from meshd.wire.descriptor import Descriptor
from meshd.wire.nobody import NOBODY, part

LINGER_S = 1.0
"""How long a client may still send after our last byte (Envoy's delayed_close_timeout)."""
DISCARD_BYTES = 65536
"""Rest of an answered request that is read to keep the connection, in bytes."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
UNDERSCORES = {"allow": "allow", "reject_request": "reject", "drop_header": "drop"}


class Connection:
    """``listener`` is the live chain (or the lobby) that it belongs to. ``host`` is the client's address without port;
    ``is_draining``: the next answer is the last.
    """

    __slots__ = (
        "listener", "world", "poller", "descriptor", "parser", "exchange", "timer", "peer", "host", "host_bytes",
        "forwarded", "cells", "local", "id", "requests", "is_draining", "is_kept", "is_lingering", "head_since",
        "since", "limits", "times", "chain", "idle_since",
    )

    def __init__(self, listener: Any, descriptor: Descriptor, peer: str, host: str, local: str) -> None:
        world = listener.world
        self.listener = listener
        self.world = world
        self.poller = world.poller
        self.exchange = None
        self.chain = None
        self.peer = peer
        self.host = host
        self.host_bytes = host.encode("latin-1", "replace")
        self.forwarded = b"\r\nx-forwarded-for: %b\r\nx-forwarded-proto: http" % self.host_bytes
        self.cells = listener.cells
        self.local = local
        self.id = world.unique()
        self.requests = 0
        self.is_draining = False
        self.is_kept = True
        self.is_lingering = False
        self.limits = limits = listener.spec.limits
        self.times = listener.spec.timeouts
        http = listener.spec.http
        self.parser = RequestParser(
            self, limits.max_head_bytes, limits.max_fields, http.accept_http_10,
            UNDERSCORES[http.headers_with_underscores_action])
        self.timer = world.wheel.timer(self.on_timer)
        self.since = self.idle_since = self.head_since = self.poller.now
        self.descriptor = descriptor
        descriptor.owner = self
        self.rest()

    def serve(self, early: bytes, arrival: Any) -> None:
        """Serve from now on; ``early`` are bytes that have come already."""
        if early:
            self.received(early)

    def received(self, data: bytes) -> None:
        """Feed the codec."""
        if self.is_lingering:
            return
        parser = self.parser
        is_head_new = parser.state != framing.HEAD
        count = self.requests
        try:
            parser.receive(data)
        except ProtocolError as error:
            self.on_protocol_error(error)
            return
        except Exception:
            self.on_bug()
            return
        exchange = self.exchange
        if exchange is None:
            if parser.state == framing.HEAD and (is_head_new or count != self.requests):
                self.expect_head()
            return
        body = exchange.body
        if body is not None and not body.is_complete and self.times.body_gap_s:
            self.hurry(self.poller.now + self.times.body_gap_s)
        if parser.buffered > DISCARD_BYTES:
            self.descriptor.pause()

    def expect_head(self) -> None:
        """A head has begun: its end must come in time."""
        self.head_since = self.poller.now
        if self.times.headers_s:
            self.timer.arm(self.head_since + self.times.headers_s)

    def on_request(self, head: Any) -> None:
        """A head is whole: begin an exchange (codec's event)."""
        listener = self.listener
        self.chain = chain = listener.chain
        exchange = self.exchange = Exchange(self, chain, head, self.poller.now)
        chain.active += 1
        self.requests += 1
        self.cells.requests.value += 1
        self.cells.active_requests.value += 1
        self.is_kept = head.keep_alive and (listener.is_keeping or listener.keep())
        if listener.is_hasty:
            self.hurry(exchange.started + self.times.stream_idle_s)
        try:
            if head.method == b"CONNECT":
                take_connect(head, listener.edge)
            listener.edge.prepare(exchange)
        except ProtocolError as error:
            exchange.reply(error.status, b"%b\n" % str(error).encode(), (), flags.DPE, error.detail)
            return
        except Redirect as redirect:
            exchange.reply(307, b"", ((b"location", redirect.target),), 0, "path_normalization_redirect")
            return
        chain.request(exchange)

    def on_body(self, data: bytes) -> None:
        """Body bytes (codec's event); what follows an answer is discarded."""
        exchange = self.exchange
        if exchange is not None:
            exchange.on_body(data)

    def on_end(self, trailers: Any) -> None:
        """The request is whole (codec's event)."""
        exchange = self.exchange
        if exchange is not None:
            if exchange.body is not None:
                exchange.on_request_end(trailers)
        elif self.is_lingering:
            self.close()
        elif self.is_kept:
            self.next()

    def received_eof(self) -> None:
        """The client will send nothing more: a tunnel's half, or the end."""
        exchange = self.exchange
        if exchange is None:
            self.close()
        elif exchange.is_tunnel:
            exchange.attempt.connection.descriptor.half_close()
            self.listener.tunnel_ended(self, exchange)
        else:
            exchange.abandon(flags.DC, "downstream_remote_disconnect")

    def lost(self, reason: str) -> None:
        """The socket broke."""
        exchange = self.exchange
        if exchange is not None:
            exchange.abandon(flags.DC, "downstream_remote_disconnect")
        self.close()

    def on_protocol_error(self, error: ProtocolError) -> None:
        """The client broke HTTP: one answer, then the end."""
        self.is_kept = False
        self.cells.protocol_errors.value += 1
        exchange = self.exchange
        if exchange is None:
            self.chain = chain = self.listener.chain
            head = RequestHead(b"", b"", b"", 11, Headers())
            exchange = self.exchange = Exchange(self, chain, head, self.poller.now)
            self.cells.active_requests.value += 1
            chain.active += 1
        exchange.reply(error.status, b"%b\n" % str(error).encode("latin-1", "replace"), (), flags.DPE, error.detail)

    def on_bug(self) -> None:
        """Something escaped that no rule foresees: log it once, answer 500 where nothing has been answered."""
        self.world.log.failure("bug: unexpected error in a request of listener {name}", name=self.listener.name)
        self.is_kept = False
        exchange = self.exchange
        if exchange is None:
            self.abort()
        else:
            exchange.reply(500, b"internal error\n", detail="internal_error")

    # What the exchange asks

    def begin(self, exchange: Any, head: Any) -> None:
        """Put the answer's head into the exchange's output."""
        request_head = exchange.request
        if exchange.is_tunnel:
            data = compose.response_head(head)[0]
            exchange.has_body = True
            self.descriptor_tunnel()
        else:
            edge = self.listener.edge
            if edge.is_finishing:
                edge.finish(exchange, head)
            keeps = self.is_kept and not self.is_draining and self.may_keep(exchange)
            data, exchange.is_chunked, must_close = compose.response_head(
                head, request_head.version, keeps, request_head.method)
            self.is_kept = keeps and not must_close
            is_bare = request_head.method == b"HEAD" or head.status < 200 or head.status in (204, 304)
            exchange.has_body = not is_bare
        exchange.out.append(data)

    def may_keep(self, exchange: Any) -> bool:
        """Say whether the connection can serve another request after this answer."""
        limit = self.limits.max_requests_per_connection
        if limit and self.requests >= limit:
            return False
        age_s = self.times.max_connection_s
        if age_s and self.poller.now - self.since >= age_s:
            return False
        return not exchange.is_local_reply or self.may_discard(exchange)

    def may_discard(self, exchange: Any) -> bool:
        """Say whether what is missing of the request is little enough to be read and dropped."""
        body = exchange.body
        if body is None or body.is_complete:
            return True
        request = exchange.request
        rest = request.content_length - exchange.request_bytes
        return request.content_length >= 0 and rest <= DISCARD_BYTES and not request.expect_continue

    def descriptor_tunnel(self) -> None:
        """From now on bytes are passed on as they are, those first that came early."""
        self.descriptor.resume()
        rest = self.parser.start_tunnel()
        if rest:
            self.on_body(rest)

    def inform(self, head: Any) -> None:
        """Send a 1xx at once."""
        self.descriptor.send(compose.response_head(head)[0])

    def proceed(self) -> None:
        """Tell a client that waits for it to send its body."""
        self.descriptor.send(CONTINUE)

    def write(self, exchange: Any, data: bytes) -> None:
        """Add body bytes to the exchange's output."""
        exchange.out.append(compose.chunk(data) if exchange.is_chunked else data)

    def finish(self, exchange: Any, trailers: Any) -> None:
        """Add what ends the body."""
        if exchange.is_chunked and exchange.has_body:
            exchange.out.append(compose.last_chunk(trailers))

    def flush(self, exchange: Any) -> None:
        """Write the exchange's output in one piece, and pause the upstream where the client does not keep up."""
        out = exchange.out
        if not out:
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        descriptor = self.descriptor
        if descriptor.is_open:
            descriptor.send(data)
            if descriptor.pending:
                if self.times.send_s:
                    self.hurry(descriptor.last + self.times.send_s)
                if descriptor.pending_bytes > self.limits.buffer_high_bytes:
                    self.hold_upstream(exchange)

    def hold_upstream(self, exchange: Any) -> None:
        """Stop reading the answer until the client has taken some of it."""
        attempt = exchange.attempt
        if attempt is not None and attempt.connection is not None:
            attempt.connection.descriptor.pause()

    def drained(self) -> None:
        """The client has taken some of what was kept for it."""
        descriptor = self.descriptor
        if self.exchange is not None:
            if descriptor.pending_bytes <= self.limits.buffer_low_bytes:
                self.exchange.drained()
        elif not descriptor.is_open:
            self.close()
        elif self.is_lingering:
            if not descriptor.pending:
                self.timer.arm(self.poller.now + LINGER_S)
        elif self.parser.state == framing.DONE and descriptor.pending_bytes <= self.limits.buffer_low_bytes:
            self.next()

    def pause(self) -> None:
        """Take no more of the request for now."""
        self.descriptor.pause()

    def resume(self) -> None:
        """Take more of the request, unless more than enough of the next ones is here."""
        if self.descriptor.is_open and not self.is_lingering and self.parser.buffered <= DISCARD_BYTES:
            self.descriptor.resume()

    def end_tunnel(self, exchange: Any) -> None:
        """The upstream's half of the tunnel is over."""
        self.descriptor.half_close()
        self.listener.tunnel_ended(self, exchange)

    def complete(self, exchange: Any, is_whole: bool) -> None:
        """The exchange has ended: go on to the next, or close."""
        self.exchange = None
        self.cells.active_requests.value -= 1
        if not self.descriptor.is_open:
            self.close()
        elif not is_whole:
            self.abort()
        elif not self.is_kept or self.is_draining:
            self.linger()
        elif self.parser.state == framing.DONE:
            self.next()
        elif not self.may_discard(exchange):
            self.is_kept = False
            self.linger()
        else:
            self.descriptor.resume()
            self.timer.arm(self.poller.now + (self.times.body_gap_s or LINGER_S))

    def next(self) -> None:
        """Serve the next request on this connection, once the client has taken enough of the answers so far."""
        descriptor = self.descriptor
        if descriptor.pending_bytes > self.limits.buffer_high_bytes:
            descriptor.pause()
            self.timer.arm(self.poller.now + (self.times.send_s or LINGER_S))
            return
        self.rest()
        descriptor.resume()
        parser = self.parser
        try:
            parser.next()
        except ProtocolError as error:
            self.on_protocol_error(error)
            return
        if self.exchange is not None:
            if parser.buffered > DISCARD_BYTES:
                descriptor.pause()
        elif parser.state == framing.HEAD:
            self.expect_head()

    def rest(self) -> None:
        """Wait for a request."""
        self.idle_since = self.poller.now
        if self.times.idle_s:
            self.timer.arm(self.idle_since + self.times.idle_s)
        else:
            self.timer.cancel()

    # Ends

    def linger(self) -> None:
        """Our last byte has been written: close our half and let the client read it, for a while."""
        if self.parser.state in (framing.IDLE, framing.DONE) and not self.parser.buffered:
            self.close()
            return
        self.is_lingering = True
        self.descriptor.half_close()
        self.descriptor.resume()
        self.timer.arm(self.poller.now + LINGER_S)

    def hurry(self, deadline: float) -> None:
        """Look at the deadlines at ``deadline``, or earlier if that was said before."""
        timer = self.timer
        if not timer.deadline or deadline < timer.deadline:
            timer.arm(deadline)

    def drain(self) -> None:
        """Close after the next answer; an idle connection gets a moment for a request that is on its way."""
        self.is_draining = True
        if self.exchange is None:
            self.timer.arm(self.poller.now + LINGER_S)

    def abort(self) -> None:
        """Close with a reset: what was sent is not whole."""
        self.descriptor.abort()
        self.close()

    def close(self) -> None:
        """Close, after what is kept has been written (as long as the client takes it)."""
        descriptor = self.descriptor
        if descriptor.is_open:
            descriptor.close()
        if not descriptor.is_open:
            part(self)
            self.parser.sink = NOBODY
            self.listener.closed(self)
        elif self.times.send_s:
            self.timer.arm(descriptor.last + self.times.send_s)

    # Time

    def on_timer(self, now: float) -> None:
        """Some deadline may have passed: find out which, and arm the next."""
        deadline.on_timer(self, now)
