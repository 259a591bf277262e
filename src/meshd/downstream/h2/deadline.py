"""The deadlines of one HTTP/2 connection and all of its streams; its one timer asks here which of them have passed."""

from typing import Any

from meshd.downstream.deadline import on_last_timer
from meshd.downstream.h2.stream import Stream
from meshd.http import flag as flags
from meshd.http.h2.code import ENHANCE_YOUR_CALM, INTERNAL_ERROR

KEEPALIVE = b"keepaliv"
JITTER = 0.15
"""Share of the interval by which a ping may be later, so that not all come at once (Envoy's default)."""


def on_timer(connection: Any, now: float) -> None:
    """Some deadline may have passed: find out which, and arm the next."""
    if connection.is_lingering or connection.descriptor.is_closing:
        on_last_timer(connection, now)
        return
    waits: list[float] = []
    for stream in list(connection.streams.values()):
        exchange = stream.exchange
        if exchange is None:
            on_flush(connection, stream, now, waits)
            continue
        exchange.on_timer(now)
        if stream.exchange is exchange:
            on_silence(connection, stream, exchange, now, waits)
    on_connection(connection, now, waits)
    if waits and not connection.is_lingering:
        connection.hurry(min(waits))


def on_silence(connection: Any, stream: Stream, exchange: Any, now: float, waits: list[float]) -> None:
    """End an exchange in which nothing moves; say when to look again."""
    times = connection.times
    for at in (exchange.deadline, exchange.try_deadline):
        if at:
            waits.append(at)
    idle_s = (exchange.plan is not None and exchange.plan.timeouts.idle_s) or times.stream_idle_s
    if idle_s:
        late = activity(stream, exchange) + idle_s
        if now >= late:
            exchange.fail(flags.SI, "silent for too long")
            return
        waits.append(late)
    body = exchange.body
    if body is not None and not body.is_complete and times.body_gap_s and not exchange.is_tunnel:
        since = now if stream.is_paused else exchange.last_body  # it cannot send what has no credit
        if now >= since + times.body_gap_s:
            exchange.reply(408, b"the request's body took too long\n", (), flags.SI, "request_body_timeout")
            return
        waits.append(since + times.body_gap_s)


def activity(stream: Stream, exchange: Any) -> float:
    """Return when a byte of the stream was last seen on either side."""
    attempt = exchange.attempt
    if attempt is not None and attempt.connection is not None:
        return max(stream.last, attempt.connection.descriptor.last)
    return stream.last


def on_flush(connection: Any, stream: Stream, now: float, waits: list[float]) -> None:
    """The exchange is over, the client has not taken all of it (Envoy's stream_flush_timeout)."""
    idle_s = connection.times.stream_idle_s
    if not idle_s:
        return
    if now >= stream.last + idle_s:
        connection.h2.flush_timeouts.value += 1
        connection.reset(stream, INTERNAL_ERROR)
    else:
        waits.append(stream.last + idle_s)


def on_connection(connection: Any, now: float, waits: list[float]) -> None:
    """Look at what concerns the whole connection."""
    times, descriptor = connection.times, connection.descriptor
    if descriptor.pending_bytes and times.send_s:
        if now >= descriptor.last + times.send_s:
            connection.abandon(flags.DC, "downstream_send_timeout")
            connection.abort()
            return
        waits.append(descriptor.last + times.send_s)
    if connection.next_ping and on_keepalive(connection, now, waits):
        return
    if connection.head_late:
        if now >= connection.head_late:
            connection.cells.protocol_errors.value += 1
            connection.abandon(flags.DPE, "request_header_timeout")
            connection.session.abort(ENHANCE_YOUR_CALM, "head: expected the rest of it in time")
            return
        waits.append(connection.head_late)
    if connection.finish_late:
        if now >= connection.finish_late:
            connection.finish()
        else:
            waits.append(connection.finish_late)
    if times.max_connection_s and not connection.is_draining:
        if now >= connection.since + times.max_connection_s:
            connection.h2.aged.value += 1
            connection.drain()
        else:
            waits.append(connection.since + times.max_connection_s)
    if times.idle_s and not connection.streams and not connection.is_draining:
        if now >= connection.idle_since + times.idle_s:
            connection.drain()
        else:
            waits.append(connection.idle_since + times.idle_s)


def on_keepalive(connection: Any, now: float, waits: list[float]) -> bool:
    """Send a ping where it is time, and say whether the connection has ended because one was not answered."""
    if connection.ping_late and now >= connection.ping_late:
        connection.h2.keepalive_timeouts.value += 1
        connection.abandon(flags.DC, "http2.keepalive_timeout")
        connection.abort()
        return True
    if not connection.ping_late and now >= connection.next_ping:
        connection.session.ping(KEEPALIVE)
        connection.ping_late = now + connection.keepalive.timeout_s
    waits.append(connection.ping_late or connection.next_ping)
    return False


def plan_head(connection: Any) -> None:
    """A field section has begun whose end has not come: it is waited for as the head of HTTP/1.1 is."""
    if not connection.gate.is_within:
        connection.head_late = 0.0
    elif not connection.head_late and connection.times.headers_s:
        connection.head_late = connection.poller.now + connection.times.headers_s
        connection.hurry(connection.head_late)


def plan_ping(connection: Any) -> None:
    """Say when the next keep-alive ping is due; the last one, if any, was answered."""
    connection.ping_late = 0.0
    jitter = 1.0 + JITTER * connection.world.random.random()
    connection.next_ping = connection.poller.now + connection.keepalive.interval_s * jitter
    connection.hurry(connection.next_ping)
