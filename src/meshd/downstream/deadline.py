"""The deadlines of one downstream connection; its one timer asks here which of them have passed."""

from typing import Any

from meshd.errors import ProtocolError
from meshd.http import flag as flags
from meshd.http import framing
from meshd.wire.poller import READ


def on_timer(connection: Any, now: float) -> None:
    """Some deadline may have passed: find out which, and arm the next."""
    exchange = connection.exchange
    if connection.is_lingering or connection.descriptor.is_closing:
        on_last_timer(connection, now)
    elif exchange is None:
        on_rest_timer(connection, now)
    else:
        exchange.on_timer(now)
        if connection.exchange is exchange:
            on_silence(connection, exchange, now)


def on_last_timer(connection: Any, now: float) -> None:
    """Our last bytes are on their way: cut a client that does not take them; one that has them had time to go."""
    late = connection.descriptor.last + connection.times.send_s
    if not connection.descriptor.pending:
        connection.close()
    elif now < late:
        connection.timer.arm(late)
    else:
        connection.abort()


def on_rest_timer(connection: Any, now: float) -> None:
    """No exchange: the head is late, the client takes no answer, or nobody needs the connection."""
    times = connection.times
    descriptor = connection.descriptor
    if connection.is_draining:
        connection.close()
    elif connection.parser.state == framing.HEAD:
        late = connection.head_since + times.headers_s
        if now < late:
            connection.timer.arm(late)
        elif times.headers_s:
            connection.on_protocol_error(
                ProtocolError("the request's head took too long", 408, "request_header_timeout"))
    elif descriptor.pending and (not times.send_s or now < descriptor.last + times.send_s):
        connection.timer.arm(max(now, descriptor.last) + (times.send_s or 1.0))
    else:
        connection.close()


def on_silence(connection: Any, exchange: Any, now: float) -> None:
    """End an exchange in which nothing moves; arm the nearest deadline."""
    times = connection.times
    descriptor = connection.descriptor
    body = exchange.body
    waits = [deadline for deadline in (exchange.deadline, exchange.try_deadline) if deadline]
    idle_s = (exchange.plan is not None and exchange.plan.timeouts.idle_s) or times.stream_idle_s
    if idle_s:
        waits.append(activity(connection, exchange) + idle_s)
        if now >= waits[-1]:
            exchange.fail(flags.SI, "silent for too long")
            return
    if body is not None and not body.is_complete and times.body_gap_s and not exchange.is_tunnel:
        since = exchange.last_body if descriptor.mask & READ else now  # it cannot send what we do not read
        waits.append(since + times.body_gap_s)
        if now >= waits[-1]:
            exchange.reply(408, b"the request's body took too long\n", (), flags.SI, "request_body_timeout")
            return
    if descriptor.pending and times.send_s:
        waits.append(descriptor.last + times.send_s)
        if now >= waits[-1]:
            exchange.abandon(flags.DC, "downstream_send_timeout")
            return
    if waits:
        connection.timer.arm(min(waits))


def activity(connection: Any, exchange: Any) -> float:
    """Return when a byte was last seen on either side."""
    attempt = exchange.attempt
    if attempt is not None and attempt.connection is not None:
        return max(connection.descriptor.last, attempt.connection.descriptor.last)
    return connection.descriptor.last
