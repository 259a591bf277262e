"""One downstream HTTP/1.1 connection: steps 1 and 2 of the way of a request, and the last write of step 8.

Strategy: one exchange at a time, so pipelined requests are answered in order; what has been read beyond it waits in
the parser, within a bound. States follow from the parser's and from ``exchange``: idle, in a head, in an exchange,
discarding the rest of a request that has been answered, lingering (our side is closed, the client may still send).
"""

from typing import Any

from meshd.downstream.edge import refuse_connect
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

LINGER_S = 1.0
"""How long a client may still send after our last byte (Envoy's delayed_close_timeout)."""
DISCARD_BYTES = 65536
"""Rest of an answered request that is read to keep the connection, in bytes."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
UNDERSCORES = {"allow": "allow", "reject_request": "reject", "drop_header": "drop"}


class Connection:
    """``host`` is the client's address without port; ``is_draining``: the next answer is the last."""

    __slots__ = (
        "listener", "world", "poller", "descriptor", "parser", "exchange", "timer", "peer", "host", "host_bytes",
        "forwarded", "cells", "local", "id", "requests", "is_draining", "is_kept", "is_lingering", "head_since",
        "since", "limits", "times", "chain", "idle_since",
    )

    def __init__(self, listener: Any, fd: int, peer: str, host: str, local: str) -> None:
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
        self.descriptor = Descriptor(fd, world.poller, self)
        self.rest()

    # Bytes from the client

    def received(self, data: bytes) -> None:
        """Feed the codec."""
        if self.is_lingering:
            return
        parser = self.parser
        was_idle = parser.state == framing.IDLE
        try:
            parser.receive(data)
        except ProtocolError as error:
            self.on_protocol_error(error)
            return
        exchange = self.exchange
        if exchange is None:
            if was_idle and parser.state == framing.HEAD:
                self.head_since = self.poller.now
                if self.times.headers_s:
                    self.timer.arm(self.head_since + self.times.headers_s)
            return
        body = exchange.body
        if body is not None and not body.is_complete and self.times.body_gap_s:
            self.hurry(self.poller.now + self.times.body_gap_s)
        if parser.buffered > DISCARD_BYTES:
            self.descriptor.pause()

    def on_request(self, head: Any) -> None:
        """A head is whole: begin an exchange (codec's event)."""
        listener = self.listener
        self.chain = chain = listener.chain
        exchange = self.exchange = Exchange(self, chain, head, self.poller.now)
        self.requests += 1
        self.cells.requests.value += 1
        self.cells.active_requests.value += 1
        self.is_kept = head.keep_alive
        if listener.is_hasty:
            self.hurry(exchange.started + self.times.stream_idle_s)
        try:
            if head.method == b"CONNECT":
                refuse_connect(head)
            listener.edge.prepare(exchange)
        except ProtocolError as error:
            chain.active += 1
            exchange.reply(error.status, b"%b\n" % str(error).encode(), (), flags.DPE, error.detail)
            return
        except Redirect as redirect:
            chain.active += 1
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

    # What the exchange asks

    def begin(self, exchange: Any, head: Any) -> None:
        """Put the answer's head into the exchange's output."""
        request_head = exchange.request
        if exchange.is_tunnel:
            data = compose.response_head(head)[0]
            exchange.has_body = True
            self.descriptor_tunnel()
        else:
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
        body = exchange.body
        if body is None or body.is_complete or not exchange.is_local_reply:
            return True
        rest = exchange.request.content_length - exchange.request_bytes
        return exchange.request.content_length >= 0 and rest <= DISCARD_BYTES and not exchange.request.expect_continue

    def descriptor_tunnel(self) -> None:
        """From now on bytes are passed on as they are."""
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
        elif self.is_lingering and not descriptor.pending:
            self.timer.arm(self.poller.now + LINGER_S)

    def pause(self) -> None:
        """Take no more of the request for now."""
        self.descriptor.pause()

    def resume(self) -> None:
        """Take more of the request."""
        if self.descriptor.is_open and not self.is_lingering:
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
        else:
            self.descriptor.resume()
            self.timer.arm(self.poller.now + (self.times.body_gap_s or LINGER_S))

    def next(self) -> None:
        """Serve the next request on this connection."""
        self.rest()
        self.descriptor.resume()
        try:
            self.parser.next()
        except ProtocolError as error:
            self.on_protocol_error(error)

    def rest(self) -> None:
        """Wait for a request."""
        self.idle_since = self.poller.now
        if self.times.idle_s:
            self.timer.arm(self.idle_since + self.times.idle_s)

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
            self.timer.cancel()
            self.listener.closed(self)
        elif self.times.send_s:
            self.timer.arm(descriptor.last + self.times.send_s)

    # Time

    def on_timer(self, now: float) -> None:
        """Some deadline may have passed: find out which, and arm the next."""
        exchange = self.exchange
        if self.is_lingering or self.descriptor.is_closing:
            self.on_last_timer(now)
        elif exchange is None:
            self.on_rest_timer(now)
        else:
            exchange.on_timer(now)
            if self.exchange is exchange:
                self.on_silence(exchange, now)

    def on_last_timer(self, now: float) -> None:
        """Our last bytes are on their way: cut a client that does not take them."""
        late = self.descriptor.last + self.times.send_s
        if self.descriptor.pending and now < late:
            self.timer.arm(late)
        else:
            self.abort()

    def on_rest_timer(self, now: float) -> None:
        """No exchange: the head is late, or nobody needs the connection."""
        if self.parser.state == framing.HEAD and not self.is_draining:
            late = self.head_since + self.times.headers_s
            if now < late:
                self.timer.arm(late)
            elif self.times.headers_s:
                self.on_protocol_error(ProtocolError("the request's head took too long", 408, "request_header_timeout"))
        else:
            self.close()

    def on_silence(self, exchange: Any, now: float) -> None:
        """End an exchange in which nothing moves; arm the nearest deadline."""
        times = self.times
        body = exchange.body
        waits = [deadline for deadline in (exchange.deadline, exchange.try_deadline) if deadline]
        if times.stream_idle_s:
            waits.append(self.activity(exchange) + times.stream_idle_s)
            if now >= waits[-1]:
                exchange.fail(flags.SI, "silent for too long")
                return
        if body is not None and not body.is_complete and times.body_gap_s and not exchange.is_tunnel:
            waits.append(exchange.last_body + times.body_gap_s)
            if now >= waits[-1]:
                exchange.reply(408, b"the request's body took too long\n", (), flags.SI, "request_body_timeout")
                return
        if self.descriptor.pending and times.send_s:
            waits.append(self.descriptor.last + times.send_s)
            if now >= waits[-1]:
                exchange.abandon(flags.DC, "downstream_send_timeout")
                return
        if waits:
            self.timer.arm(min(waits))

    def activity(self, exchange: Any) -> float:
        """Return when a byte was last seen on either side."""
        attempt = exchange.attempt
        if attempt is not None and attempt.connection is not None:
            return max(self.descriptor.last, attempt.connection.descriptor.last)
        return self.descriptor.last
