"""Forwarding: from a plan to an attempt, its body, its timeouts and the next attempt. Called by the exchange alone."""

from typing import Any

from meshd.exchange import connect, hedge, recovery
from meshd.exchange.attempt import Attempt
from meshd.exchange.reply import explain
from meshd.http import compose, grpc
from meshd.http import flag as flags
from meshd.upstream.outcome import Outcome

REASONS = {flags.UF: "connect-failure", flags.UC: "reset", flags.UR: "reset", flags.UPE: "reset"}
"""Response flag of a failed attempt -> the word that retry policies know it by."""
HOLD_BYTES = 65536
"""Request body bytes held while no upstream takes them, until the downstream is paused."""


def begin(exchange: Any, plan: Any) -> None:
    """Choose the cluster, apply the route's edits, start the first attempt."""
    request = exchange.request
    if plan.extra is not None or request.headers.low.find(b"\r\nx-envoy-") >= 0:
        plan = recovery.adapt(exchange, plan)
    elif plan.calls is not None and grpc.is_grpc(request.headers):
        plan = recovery.adapt(exchange, plan)
    exchange.plan = plan
    clusters = plan.clusters
    row = clusters[0] if len(clusters) == 1 else draw(exchange, clusters)
    cluster = exchange.cluster = row[1]
    if row[2] is not None:
        row[2](exchange)
    if plan.on_request is not None:
        plan.on_request(exchange)
    if cluster is None:
        exchange.fail(flags.NC, "the cluster does not exist")
        return
    breaker = exchange.breaker = cluster.breaker
    if exchange.more is not None and exchange.more.extra.is_high:
        breaker = exchange.breaker = recovery.high(breaker)
    if not breaker.admit_request():
        cluster.cells.request_overflow.value += 1
        exchange.fail(flags.UO, "too many requests in flight")
        return
    exchange.is_admitted = True
    cluster.cells.active_requests.value += 1
    if request.upgrade is not None and (request.upgrade not in plan.upgrades or exchange.body is not None):
        request.upgrade = None
        if connect.refuse(exchange):
            return
    if exchange.body is not None and plan.retry is not None:
        exchange.body.replay_limit = plan.retry.body_limit_bytes
    if exchange.body is None or exchange.body.is_complete:
        start_timeouts(exchange)
    idle_s = plan.timeouts.idle_s
    if idle_s:
        exchange.downstream.hurry(exchange.poller.now + idle_s)
    if exchange.more is not None:
        recovery.begin(exchange)
    attempt(exchange)


def draw(exchange: Any, clusters: tuple) -> tuple:
    """Draw one of weighted clusters: share = weight / sum of weights (B10)."""
    point = exchange.downstream.world.random.random() * clusters[-1][0]
    for row in clusters:
        if point < row[0]:
            return row
    return clusters[-1]


def start_timeouts(exchange: Any) -> None:
    """The request is whole: the route's timeout runs from now (Envoy's rule), retries included; an attempt's, too."""
    timeouts = exchange.plan.timeouts
    request_s = timeouts.request_s
    if request_s and not exchange.is_tunnel:
        exchange.deadline = exchange.poller.now + request_s
        exchange.downstream.hurry(exchange.deadline)
    if timeouts.per_try_s and exchange.attempt is not None and exchange.response is None:
        exchange.try_deadline = exchange.poller.now + timeouts.per_try_s
        exchange.downstream.hurry(exchange.try_deadline)


def attempt(exchange: Any) -> None:
    """Make one attempt at an endpoint."""
    cluster = exchange.cluster
    try:
        endpoint = cluster.pick(exchange) if exchange.wanted is None else cluster.wanted(exchange)
        if exchange.tried and endpoint in exchange.tried and exchange.wanted is None:
            endpoint = recovery.reselect(exchange, endpoint)
    except Exception:
        exchange.downstream.world.log.failure("bug: unexpected error in the balancer of {name}", name=cluster.name)
        endpoint = None
    if endpoint is None:
        exchange.fail(flags.NC if cluster.spec.missing else flags.UH, "no endpoint can be used")
        return
    exchange.endpoint = endpoint
    exchange.attempts += 1
    cluster.cells.requests.value += 1
    per_try_s = exchange.plan.timeouts.per_try_s
    if per_try_s and (exchange.body is None or exchange.body.is_complete):
        exchange.try_deadline = exchange.poller.now + per_try_s
        exchange.downstream.hurry(exchange.try_deadline)
    if exchange.plan.connect is None and (exchange.more is None or not exchange.more.watches_trailers):
        made = Attempt(exchange, endpoint)
    else:
        made = connect.attempt(exchange, endpoint)
    exchange.attempt = made
    if exchange.is_retry_admitted:
        exchange.is_retry_admitted = False
        made.retry_of = exchange.breaker
    if exchange.more is not None:
        recovery.attempt(exchange, made)
    made.run()


def observe(exchange: Any, tried: Any, status: int, headers: Any, bit: int, reason: str) -> None:
    """Tell the cluster's outlier detector and balancer how an attempt ended: at its head, or at its failure.

    A gRPC status in the head of a call counts as the HTTP status that stands for it (Envoy's router); one in trailers
    comes too late.
    """
    if headers is not None and grpc.STATUS in headers and grpc.is_grpc(exchange.request.headers):
        status = grpc.HTTP_STATUS.get(grpc.status_in(headers), 500)
    seconds = exchange.poller.now - tried.since if tried.began else 0.0
    try:
        exchange.cluster.observe(tried.endpoint, Outcome(status, headers, bit, tried.began, reason, seconds))
    except Exception:
        log, name = exchange.downstream.world.log, exchange.cluster.name
        log.failure("bug: unexpected error in what observes {name}", name=name)


def add_headers(exchange: Any) -> None:
    """Put the fields that a balancer or a filter has asked for on the answer."""
    for name, value in exchange.added:
        exchange.response.headers.add(name, value)


def send_request(exchange: Any, attempt: Any) -> None:
    """Send the head and what there is of the body in one write."""
    request = exchange.request
    now = exchange.poller.now
    exchange.upstream_began = attempt.since = now
    connection = attempt.connection
    exchange.upstream_local = connection.local
    exchange.upstream_security = connection.descriptor.security
    if connection.is_multiplexed:
        stream_request(exchange, attempt, connection)
        return
    data = exchange.upstream_head
    if data is None:
        if request.expect_continue:
            request.headers.remove(b"expect")
        data = exchange.upstream_head = compose.request_head(request, request.upgrade is not None)
        exchange.is_chunked_up = request.content_length < 0
    body = exchange.body
    if body is not None:
        if request.expect_continue and not exchange.request_bytes and not body.is_complete:
            exchange.downstream.proceed()
        data = with_body(exchange, body, data)
    connection.descriptor.send(data)
    if body is not None and not body.is_complete:
        exchange.downstream.resume()


def stream_request(exchange: Any, attempt: Any, connection: Any) -> None:
    """Send the head and what there is of the body on a stream of HTTP/2."""
    request, body = exchange.request, exchange.body
    exchange.is_chunked_up = False
    if request.expect_continue:
        request.headers.remove(b"expect")
    is_whole = body is not None and body.is_complete
    is_empty = body is None or is_whole and not body.held and body.trailers is None
    connection.begin(request, is_empty and request.upgrade is None)
    if body is None or attempt.is_ended:
        return
    if request.expect_continue and not exchange.request_bytes and not is_whole:
        exchange.downstream.proceed()
    for data in body.held:
        connection.descriptor.send(data)
    body.taken()
    if is_whole:
        connection.complete(body.trailers)
    else:
        exchange.downstream.resume()


def with_body(exchange: Any, body: Any, head: bytes) -> bytes:
    """Return the head with all that is held of the body behind it."""
    parts = [head]
    for data in body.held:
        parts.append(compose.chunk(data) if exchange.is_chunked_up else data)
    if body.is_complete and exchange.is_chunked_up:
        parts.append(compose.last_chunk(body.trailers))
    body.taken()
    return b"".join(parts)


def pass_body(exchange: Any, data: bytes) -> None:
    """Send body bytes on, or hold them."""
    attempt = exchange.attempt
    if exchange.is_tunnel:
        if attempt is not None:
            push(exchange, attempt, data, False)
        return
    body = exchange.body
    if attempt is not None and attempt.connection is not None:
        body.passed(data)
        push(exchange, attempt, data, exchange.is_chunked_up)
        return
    body.hold(data)
    if exchange.reader is not None:
        feed_reader(exchange, body)
    elif body.size > HOLD_BYTES:
        exchange.downstream.pause()


def push(exchange: Any, attempt: Any, data: bytes, is_chunked: bool) -> None:
    """Write to the upstream, and stop reading from the downstream where it does not keep up."""
    attempt.send(data, is_chunked)
    connection = attempt.connection
    if connection is not None and connection.descriptor.pending_bytes > attempt.pool.settings.buffer_high_bytes:
        exchange.downstream.pause()


def feed_reader(exchange: Any, body: Any) -> None:
    """A filter waits for the whole body: give it, or say that it is too long."""
    deferred, limit = exchange.reader
    if body.size > limit:
        exchange.reader = None
        exchange.downstream.pause()
        deferred.callback(None)
    elif body.is_complete:
        exchange.reader = None
        deferred.callback(b"".join(body.held))


def end_body(exchange: Any, trailers: Any) -> None:
    """The request's body has ended."""
    body = exchange.body
    body.is_complete = True
    body.trailers = trailers
    attempt = exchange.attempt
    if attempt is not None and attempt.connection is not None:
        if attempt.connection.is_multiplexed:
            attempt.connection.complete(trailers)
        elif exchange.is_chunked_up:
            attempt.connection.descriptor.send(compose.last_chunk(trailers))
    if exchange.reader is not None:
        feed_reader(exchange, body)
    if exchange.plan is not None and not exchange.is_ended:
        start_timeouts(exchange)


def retry_response(exchange: Any, attempt: Any, head: Any) -> bool:
    """Ask the retry policy about an answer; say whether another attempt is made of it."""
    outcome = Outcome(head.status, head.headers, 0, True, "")
    delay_s = judge(exchange, attempt, outcome)
    if delay_s is None:
        return False
    exchange.attempt = None
    attempt.cancel()
    again(exchange, delay_s)
    return True


def retry_failure(exchange: Any, attempt: Any, bit: int, reason: str, is_stale: bool) -> None:
    """Ask the retry policy about a failure, and answer for it where there is no other attempt.

    An idle connection that the upstream closed just as it was taken has not seen the request: that counts as
    ``reset-before-request`` (RFC 9112 9.3.1), which a policy grants to idempotent requests.
    """
    exchange.failure = reason
    word = word_of(attempt, bit, is_stale)
    delay_s = judge(exchange, attempt, Outcome(0, None, bit, began(attempt), word)) if word else None
    if delay_s is None:
        exchange.fail(bit, reason)
    else:
        again(exchange, delay_s)


def word_of(attempt: Any, bit: int, is_stale: bool) -> str:
    """Return the word that retry policies know a failure by, or ''."""
    connection = attempt.connection
    if connection is not None and connection.is_refused:
        return "refused-stream"
    word = REASONS.get(bit, "")
    return "reset-before-request" if word == "reset" and (is_stale or not attempt.began) else word


def began(attempt: Any) -> bool:
    """Say whether the upstream may have seen the request."""
    connection = attempt.connection
    return attempt.began and not (connection is not None and connection.is_refused)


def judge(exchange: Any, attempt: Any, outcome: Outcome) -> float | None:
    """Return the seconds until the next attempt, or None; the flags then say what it was refused for (as Envoy's)."""
    policy = exchange.plan.retry
    body = exchange.body
    if policy is None or (body is not None and not body.can_replay):
        return None
    if outcome.reason != "hedge":
        attempt.pay_back()
    cells = exchange.cluster.cells
    try:
        delay_s = policy.judge(exchange, outcome)
    except Exception:
        exchange.downstream.world.log.failure("bug: unexpected error in a retry policy")
        return None
    if delay_s is None:
        return None
    if delay_s < 0:
        cells.retry_limit_exceeded.value += 1
        exchange.flags |= flags.URX
        return None
    if not exchange.breaker.admit_retry():
        cells.retry_overflow.value += 1
        exchange.flags |= flags.UO
        return None
    exchange.is_retry_admitted = True
    return delay_s


def again(exchange: Any, delay_s: float) -> None:
    """Make another attempt after ``delay_s`` seconds."""
    exchange.tried = recovery.tried(exchange)
    exchange.cluster.cells.retries.value += 1
    exchange.try_deadline = 0.0
    if exchange.more is not None:
        recovery.stamp(exchange)
    if delay_s <= 0:
        attempt(exchange)
    else:
        exchange.retry_call = exchange.downstream.world.call_later(delay_s, resume, exchange)


def resume(exchange: Any) -> None:
    """The back-off is over."""
    exchange.retry_call = None
    attempt(exchange)
    exchange.flush()


def release(exchange: Any) -> None:
    """Pay the circuit breaker back."""
    if exchange.is_admitted:
        exchange.is_admitted = False
        cluster = exchange.cluster
        cluster.cells.active_requests.value -= 1
        exchange.breaker.release_request()
        if exchange.is_retry_admitted:
            exchange.is_retry_admitted = False
            exchange.breaker.release_retry()
    if exchange.more is not None:
        recovery.end(exchange)


def on_timer(exchange: Any, now: float) -> None:
    """Act on the deadlines that have passed."""
    if exchange.deadline and now >= exchange.deadline:
        exchange.deadline = 0.0
        exchange.cluster.cells.timeouts.value += 1
        tried = exchange.attempt
        if tried is not None and exchange.response is None and exchange.cluster.observe is not None:
            observe(exchange, tried, 0, None, flags.UT, "timeout")
        time_out(exchange, "the route's timeout passed", "response_timeout")
    elif exchange.try_deadline and now >= exchange.try_deadline:
        exchange.try_deadline = 0.0
        if exchange.attempt is None or exchange.response is not None:
            return
        if exchange.more is not None and exchange.more.extra.hedges:
            hedge.begin(exchange)
            return
        exchange.cluster.cells.per_try_timeouts.value += 1
        expire_attempt(exchange, "the per-try timeout passed", "upstream_per_try_timeout")


def expire_attempt(exchange: Any, reason: str, detail: str) -> None:
    """An attempt took too long: another one, or 504."""
    tried, exchange.attempt = exchange.attempt, None
    is_begun = tried.began
    tried.cancel()
    if exchange.cluster.observe is not None:
        observe(exchange, tried, 0, None, flags.UT, "per-try-timeout")
    delay_s = judge(exchange, tried, Outcome(0, None, flags.UT, is_begun, "per-try-timeout"))
    if delay_s is not None:
        if exchange.more is not None:
            exchange.more.is_timeout_retry = True
        again(exchange, delay_s)
    elif not (exchange.more is not None and exchange.more.others):
        time_out(exchange, reason, detail)


def time_out(exchange: Any, reason: str, detail: str) -> None:
    """Answer 504, or 204 where the request asked for that (``x-envoy-upstream-rq-timeout-alt-response``)."""
    exchange.failure = reason
    is_asked = exchange.more is not None and exchange.more.answers_204
    status, body = (204, b"") if is_asked else (504, explain(exchange.flags | flags.UT))
    exchange.reply(status, body, (), flags.UT, detail)
