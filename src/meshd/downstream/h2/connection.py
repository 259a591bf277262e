"""One downstream HTTP/2 connection: owns a session, and makes an exchange for each stream.

Strategy: all streams share one session, one descriptor and one timer. Nothing is written when a stream has something to
say: the connection stands in the poller's line and takes what the session has at the end of the batch, in one write.
What the kernel does not take stays in the session, whose queues pause the upstreams.
"""

from typing import Any

from meshd.downstream.h2 import behind, deadline
from meshd.downstream.h2.stream import Stream
from meshd.exchange.exchange import Exchange
from meshd.http import flag as flags
from meshd.http.h2 import session
from meshd.http.h2.code import ENHANCE_YOUR_CALM, INTERNAL_ERROR
from meshd.http.h2.sink import Sink
from meshd.wire.nobody import part

LINGER_S = 1.0
"""How long a client may still send after our last byte (Envoy's delayed_close_timeout)."""
DRAIN_S = 5.0
"""Longest wait for the answer to the ping behind the first GOAWAY (Envoy's drain_timeout)."""
NOBODY = Sink()


class H2Connection:
    """``streams`` by number: those that the session has not closed; ``cut`` are those whose answer is whole while their
    request is not. ``is_calling``: the ping behind the first GOAWAY is to be sent. ``ping_late`` and ``next_ping`` are
    deadlines of the keep-alive, ``finish_late`` that of the second GOAWAY, ``head_late`` that of a head whose end has
    not come, 0.0 where there is none. ``is_left``: the client has said GOAWAY.

    ``session`` and ``gate`` are None until the client says something or we do: it costs a tenth of the handshake, and
    some connections are made in advance and say nothing. So our SETTINGS go with the first answer.
    """

    __slots__ = (
        "listener", "world", "poller", "descriptor", "session", "gate", "streams", "timer", "peer", "host",
        "host_bytes", "forwarded", "scheme", "security", "cells", "h2", "local", "id", "requests", "limits", "times",
        "since", "idle_since", "write_high_bytes", "keepalive", "next_ping", "ping_late", "finish_late", "is_draining",
        "is_finished", "is_lingering", "is_busy", "is_queued", "is_calling", "is_left", "head_late", "cut", "is_parted",
    )

    def __init__(self, listener: Any, descriptor: Any, peer: str, host: str, local: str) -> None:
        world = self.world = listener.world
        self.listener = listener
        self.poller = world.poller
        self.peer, self.host = peer, host
        self.host_bytes = host.encode("latin-1", "replace")
        self.security = descriptor.security
        self.scheme = scheme = b"http" if self.security is None else b"https"
        self.forwarded = b"\r\nx-forwarded-for: %b\r\nx-forwarded-proto: %b" % (self.host_bytes, scheme)
        self.cells = listener.cells
        rules = listener.http2
        self.h2 = rules.cells
        self.local = local
        self.id = world.unique()
        self.requests = 0
        spec = listener.spec
        self.limits = spec.limits
        self.times = spec.timeouts
        self.write_high_bytes = spec.limits.buffer_high_bytes
        self.keepalive = rules.keepalive
        self.streams: dict[int, Stream] = {}
        self.cut: list[Stream] = []
        self.is_draining = self.is_finished = self.is_lingering = self.is_busy = False
        self.is_queued = self.is_calling = self.is_left = self.is_parted = False
        self.since = self.idle_since = self.poller.now
        self.next_ping = self.ping_late = self.finish_late = self.head_late = 0.0
        self.timer = world.wheel.timer(self.on_timer)
        self.session = self.gate = None
        self.h2.connections.value += 1
        self.h2.active.value += 1
        self.descriptor = descriptor
        descriptor.owner = self
        self.rest()
        if self.keepalive.interval_s:
            deadline.plan_ping(self)
        if self.times.max_connection_s:
            self.hurry(self.since + self.times.max_connection_s)

    def begin(self) -> None:
        """Make the session, which has our SETTINGS to say."""
        if self.session is None:
            rules = self.listener.http2
            self.session = session.start(
                session.SERVER, rules.settings, self, rules.engine, lambda poller=self.poller: poller.now)
            self.gate = self.session.gate

    # Bytes

    def serve(self, early: bytes, arrival: Any) -> None:
        """Serve from now on; ``early`` are bytes that have come already."""
        if early:
            self.received(early)

    def received(self, data: bytes) -> None:
        """Feed the session, then write what came of it."""
        if self.is_lingering:
            return
        if self.session is None:
            self.begin()
        self.is_busy = True
        try:
            self.session.receive(data)
        finally:
            self.is_busy = False
        if self.gate.is_within or self.head_late:
            deadline.plan_head(self)
        self.touch()

    def touch(self) -> None:
        """There may be something to write: at the end of the batch, or now where there is none."""
        if self.is_busy or self.is_queued:
            return
        if self.poller.beat:
            self.is_queued = True
            self.poller.unsent.append(self)
        else:
            self.write_queued()

    def write_queued(self) -> None:
        """Write what the session has, unless the client does not keep up: then ``drained`` comes back to it."""
        self.is_queued = False
        descriptor = self.descriptor
        if self.is_lingering or not descriptor.is_open or descriptor.pending_bytes > self.write_high_bytes:
            return
        data = self.session.take()
        if self.is_left and not (self.streams or self.is_finished):
            self.finish(False)
            data += self.session.take()
        if data:
            descriptor.send(data)
        if self.cut or self.is_calling:
            behind.write(self, descriptor)
        if self.session.is_closed or self.is_finished and not self.session.open_streams:
            self.linger()
        elif descriptor.pending_bytes and self.times.send_s:
            self.hurry(descriptor.last + self.times.send_s)

    def drained(self) -> None:
        """The client has taken some of what was kept for it."""
        descriptor = self.descriptor
        if not descriptor.is_open:
            self.close()
        elif self.is_lingering:
            if not descriptor.pending:
                self.timer.arm(self.poller.now + LINGER_S)
        elif descriptor.pending_bytes <= self.limits.buffer_low_bytes:
            self.write_queued()

    def received_eof(self) -> None:
        """The client will send nothing more: the end, as HTTP/2 has no half of a connection."""
        self.lost("closed by the client")

    def lost(self, reason: str, detail: str = "downstream_remote_disconnect", bit: int = flags.DC) -> None:
        """The connection has ended, and with it all streams."""
        self.abandon(bit, detail)
        self.close()

    def abandon(self, bit: int, detail: str) -> None:
        """End all exchanges."""
        for stream in list(self.streams.values()):
            if stream.exchange is not None:
                stream.exchange.abandon(bit, detail)
        self.h2.streams.value -= len(self.streams)
        self.streams.clear()

    # What the session tells

    def on_request(self, stream_id: int, head: Any, is_last: bool) -> None:
        """A head is whole: begin an exchange."""
        listener = self.listener
        chain = listener.chain
        head.scheme = self.scheme
        stream = self.streams[stream_id] = Stream(self, stream_id)
        stream.is_ended = is_last
        exchange = stream.exchange = Exchange(stream, chain, head, self.poller.now)
        if self.security is not None:
            exchange.security = self.security
        chain.active += 1
        self.requests += 1
        self.cells.requests.value += 1
        self.cells.active_requests.value += 1
        self.h2.requests.value += 1
        self.h2.streams.value += 1
        if not self.is_draining:
            self.heed_limits(listener)
        times = self.times
        if times.stream_idle_s:
            self.hurry(exchange.started + times.stream_idle_s)
        if head.upgrade is not None:
            stream.extend(head)
        try:
            stream.ask(exchange, head)
        except Exception:
            self.on_stream_bug(stream)

    def heed_limits(self, listener: Any) -> None:
        """Begin to drain where this is the last request, or connections are not kept at the moment."""
        limit = self.limits.max_requests_per_connection
        if limit and self.requests >= limit:
            self.h2.spent.value += 1
            self.drain()
        elif not (listener.is_keeping or listener.keep()):
            self.drain()

    def on_body(self, stream_id: int, data: bytes) -> None:
        """Body bytes; what follows an answer is dropped."""
        stream = self.streams.get(stream_id)
        if stream is None:
            self.session.consume(stream_id, len(data))
            return
        if self.times.body_gap_s:
            self.hurry(self.poller.now + self.times.body_gap_s)
        try:
            stream.received(data)
        except Exception:
            self.on_stream_bug(stream)

    def on_end(self, stream_id: int, trailers: Any) -> None:
        """A request is whole."""
        stream = self.streams.get(stream_id)
        if stream is not None:
            try:
                stream.ended(trailers)
            except Exception:
                self.on_stream_bug(stream)

    def on_reset(self, stream_id: int, code: int, is_local: bool) -> None:
        """A stream is gone: by the client, or because it broke the protocol on it."""
        stream = self.forget(stream_id)
        exchange = stream.exchange if stream is not None else None
        if exchange is None:
            return
        if is_local:
            exchange.abandon(flags.DPE, "http2.violation.of.messaging.rule")
        else:
            exchange.abandon(flags.DR, "http2.remote_reset")

    def on_closed(self, stream_id: int) -> None:
        """Both sides have ended a stream, and the client was sent all of it."""
        self.forget(stream_id)

    def on_writable(self, stream_id: int) -> None:
        """A stream's queue is short again."""
        stream = self.streams.get(stream_id)
        if stream is not None:
            stream.writable()

    def on_settings(self, max_concurrent_streams: int, allows_connect: bool) -> None:
        """We begin no streams."""

    def on_goaway(self, last_stream_id: int, code: int, debug: bytes) -> None:
        """The client is about to leave: when it has its answers, the connection has no more use."""
        self.is_left = True
        self.touch()

    def on_ping_ack(self, payload: bytes) -> None:
        """The client is there; what it sent before it knew of the first GOAWAY has come."""
        if payload == behind.LAST_CALL:
            self.finish()
        elif payload == deadline.KEEPALIVE and self.ping_late:
            deadline.plan_ping(self)

    def on_error(self, code: int, detail: str, message: str) -> None:
        """The client broke HTTP/2, or flooded us."""
        self.cells.protocol_errors.value += 1
        self.abandon(flags.OM if code == ENHANCE_YOUR_CALM else flags.DPE, detail)

    def on_count(self, name: str) -> None:
        """Something that Envoy counts."""
        self.h2.counts[name].value += 1

    # Streams

    def forget(self, stream_id: int) -> Stream | None:
        """A stream is over; return it."""
        stream = self.streams.pop(stream_id, None)
        if stream is not None:
            self.h2.streams.value -= 1
            if not self.streams:
                self.rest()
        return stream

    def reset(self, stream: Stream, code: int) -> None:
        """End a stream at once."""
        if self.forget(stream.stream_id) is not None:
            self.session.reset(stream.stream_id, code)
            self.touch()

    def cut_short(self, stream: Stream) -> None:
        """A request is answered before it is whole."""
        if stream.stream_id in self.streams:
            self.cut.append(stream)
            self.touch()

    def on_stream_bug(self, stream: Stream) -> None:
        """Something escaped that no rule foresees: it costs its own stream."""
        self.world.log.failure("bug: unexpected error in a request of listener {name}", name=self.listener.name)
        if stream.exchange is not None:
            stream.exchange.reply(500, b"internal error\n", detail="internal_error")

    # Ends

    def rest(self) -> None:
        """Wait for a request."""
        self.idle_since = self.poller.now
        if self.times.idle_s:
            self.hurry(self.idle_since + self.times.idle_s)

    def hurry(self, deadline: float) -> None:
        """Look at the deadlines at ``deadline``, or earlier if that was said before."""
        timer = self.timer
        if not timer.deadline or deadline < timer.deadline:
            timer.arm(deadline)

    def drain(self) -> None:
        """Say that the connection will end (RFC 9113 6.8); what is on its way is served all the same.

        A ping follows the first GOAWAY: its answer says that the client has read that, so the second one loses nothing.
        """
        if self.is_draining:
            return
        self.begin()
        self.is_draining = self.is_calling = True
        self.session.shut_down()
        self.finish_late = self.poller.now + min(DRAIN_S, self.times.send_s or DRAIN_S)
        self.hurry(self.finish_late)
        self.touch()

    def finish(self, touches: bool = True) -> None:
        """Take no more streams, and close when there are none."""
        if not self.is_finished:
            self.begin()
            self.is_draining = self.is_finished = True
            self.finish_late = 0.0
            self.h2.goaway.value += 1
            self.session.finish()
            if touches:
                self.touch()

    def linger(self) -> None:
        """Our last byte has been written: close our half and let the client read it, for a while."""
        self.is_lingering = True
        self.descriptor.half_close()
        if self.descriptor.is_open:
            self.descriptor.resume()
            self.timer.arm(self.poller.now + LINGER_S)

    def on_bug(self) -> None:
        """Something raised that is no stream's."""
        if self.descriptor.is_open:
            self.begin()
            self.session.abort(INTERNAL_ERROR)
            self.lost("internal error")

    def abort(self) -> None:
        """Close with a reset."""
        self.descriptor.abort()
        self.close()

    def close(self) -> None:
        """Close, after what is kept has been written (as long as the client takes it)."""
        descriptor = self.descriptor
        if descriptor.is_open:
            descriptor.close()
        if not descriptor.is_open:
            self.part()
        elif self.times.send_s:
            self.timer.arm(descriptor.last + self.times.send_s)

    def part(self) -> None:
        """Untie what is held in a circle."""
        part(self)
        if self.session is not None:
            self.session.sink = NOBODY
        if not self.is_parted:
            self.is_parted = True
            self.h2.active.value -= 1
            self.is_lingering = True
            self.listener.closed(self)

    # Time

    def on_timer(self, now: float) -> None:
        """Some deadline may have passed: find out which, and arm the next."""
        self.begin()
        self.is_busy = True
        try:
            deadline.on_timer(self, now)
        finally:
            self.is_busy = False
        self.touch()
