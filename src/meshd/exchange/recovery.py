"""What few requests need on their way upstream: their own wishes, priority, more timers, Envoy's fields.

``forward`` and the exchange call it only where the plan has an ``Extra`` or the request x-envoy fields; ``More`` is
what such an exchange remembers. It also chooses anew where the balancer comes back to an endpoint that failed.
"""

from typing import Any

import attrs

from meshd.api.exchange import Extra
from meshd.exchange import asked, call_time, forward, mirror
from meshd.exchange.reply import explain
from meshd.http import flag as flags
from meshd.http import grpc

NOTHING = Extra()
ATTEMPT_COUNT = b"x-envoy-attempt-count"
IS_TIMEOUT_RETRY = b"x-envoy-is-timeout-retry"
EXPECTED = b"x-envoy-expected-rq-timeout-ms"


class More:
    """``others`` are attempts in flight beside the exchange's (hedging), ``shadows`` mirrored requests whose body still
    comes, ``calls`` delayed calls by name. ``began`` is when the last attempt did. ``tells_deadline``: the upstream
    gets what is left of the time as ``grpc-timeout``; ``watches_trailers``: they may lead to another attempt;
    ``call_rules`` is the route's Calls where this is one.
    """

    __slots__ = (
        "extra", "answers_204", "others", "shadows", "calls", "is_timeout_retry", "began", "tells_deadline",
        "watches_trailers", "call_rules",
    )

    def __init__(self, extra: Any, answers_204: bool) -> None:
        self.extra = extra
        self.answers_204 = answers_204
        self.others: list[Any] = []
        self.shadows: list[Any] = []
        self.calls: dict[str, Any] = {}
        self.is_timeout_retry = self.tells_deadline = self.watches_trailers = False
        self.began = 0.0
        self.call_rules: Any = None


def adapt(exchange: Any, plan: Any) -> Any:
    """Return the plan in force for this request; set ``exchange.more`` where it has more than a plan."""
    headers = exchange.request.headers
    wishes = asked.take(headers) if headers.low.find(asked.BEGIN) >= 0 else None
    extra, calls = plan.extra, plan.calls
    is_call = (calls is not None or bool(wishes)) and grpc.is_grpc(headers)
    if extra is None and not wishes and not is_call:
        return plan
    if extra is None:
        extra = NOTHING
    if wishes:
        extra = asked.extra_of(wishes, extra)
    more = exchange.more = More(extra, bool(wishes) and asked.ALT_RESPONSE in wishes)
    timeouts, retry = plan.timeouts, plan.retry
    if is_call and calls is not None and calls.timeout_max_s is not None:
        timeouts = call_time.route_timeouts(headers, timeouts, calls)
        more.tells_deadline = not extra.max_stream_s and calls.stream_max_s is None
    if wishes:
        timeouts, retry = asked.timeouts_of(wishes, timeouts), asked.retry_of(wishes, plan)
    more.call_rules = calls if is_call else None
    more.watches_trailers = is_call and getattr(retry, "judges_trailers", False)
    if timeouts is plan.timeouts and retry is plan.retry:
        return plan
    return attrs.evolve(plan, timeouts=timeouts, retry=retry)


def high(breaker: Any) -> Any:
    """Return the circuit breaker of priority ``high``, or the one for all where there is no other."""
    found = getattr(breaker, "high", None)
    return breaker if found is None else found


def begin(exchange: Any) -> None:
    """The request has been admitted: start the timers and the mirrors."""
    more = exchange.more
    limit_s = None
    if more.extra.max_stream_s or more.call_rules is not None:
        limit_s = call_time.stream_s(exchange.request.headers, more.extra.max_stream_s, more.call_rules)
    if limit_s is not None:
        left_s = max(0.0, limit_s - (exchange.poller.now - exchange.started))
        more.calls["stream"] = exchange.downstream.world.call_later(left_s, on_max_stream, exchange)
    if more.extra.mirrors and exchange.request.upgrade is None:
        mirror.begin(exchange)
    stamp(exchange)


def stamp(exchange: Any) -> None:
    """Write the fields that tell the upstream about the attempt that comes."""
    more, headers = exchange.more, exchange.request.headers
    extra = more.extra
    if extra.attempt_in_request:
        headers.set(ATTEMPT_COUNT, b"%d" % (exchange.attempts + 1))
    if extra.timeout_retry_in_request and exchange.attempts:
        headers.set(IS_TIMEOUT_RETRY, b"true" if more.is_timeout_retry else b"false")
    if extra.expected_timeout_in_request or more.tells_deadline:
        expected_s = expected(exchange)
        if more.tells_deadline and expected_s:
            headers.set(grpc.TIMEOUT, grpc.timeout_text(expected_s))
        if extra.expected_timeout_in_request and expected_s:
            headers.set(EXPECTED, b"%d" % round(expected_s * 1000.0))
        else:
            headers.remove(EXPECTED)
    more.is_timeout_retry = False
    exchange.upstream_head = None


def expected(exchange: Any) -> float:
    """Return the seconds that the attempt that comes may take, 0.0 for any number (Envoy's setTimeoutHeaders)."""
    timeouts = exchange.plan.timeouts
    left_s = timeouts.request_s
    if left_s and exchange.deadline:
        left_s = max(0.001, exchange.deadline - exchange.poller.now)
    if timeouts.per_try_s and not exchange.more.extra.hedges and (not left_s or timeouts.per_try_s < left_s):
        return timeouts.per_try_s
    return left_s


def attempt(exchange: Any, made: Any) -> None:
    """An attempt is about to run."""
    more = exchange.more
    made.is_high = more.extra.is_high
    more.began = exchange.poller.now
    if more.extra.per_try_idle_s:
        watch(exchange, made, more.extra.per_try_idle_s)


def watch(exchange: Any, made: Any, seconds: float) -> None:
    """Look for silence in ``seconds``."""
    calls = exchange.more.calls
    if "silence" in calls:
        calls.pop("silence").cancel()
    calls["silence"] = exchange.downstream.world.call_later(seconds, on_silence, exchange, made)


def on_silence(exchange: Any, made: Any) -> None:
    """The per-try idle timeout may have passed."""
    more = exchange.more
    del more.calls["silence"]
    if exchange.attempt is not made:
        return
    now, last = exchange.downstream.world.clock.now(), more.began
    if made.connection is not None:
        last = max(last, made.connection.descriptor.last)
    left_s = last + more.extra.per_try_idle_s - now
    if left_s > 0.0:
        watch(exchange, made, left_s)
        return
    exchange.cluster.cells.per_try_idle_timeouts.value += 1
    reason, detail = "the per-try idle timeout passed", "upstream_per_try_idle_timeout"
    if exchange.response is None:
        forward.expire_attempt(exchange, reason, detail)
    else:
        forward.time_out(exchange, reason, detail)
    exchange.flush()


def on_max_stream(exchange: Any) -> None:
    """The request has lived as long as it may: 504, or 408 where it is not whole yet (Envoy's rule)."""
    del exchange.more.calls["stream"]
    status = 504 if exchange.body is None or exchange.body.is_complete else 408
    is_call = grpc.is_grpc(exchange.request.headers)
    headers = ((grpc.STATUS, b"%d" % grpc.DEADLINE_EXCEEDED),) if is_call else ()
    exchange.reply(status, explain(flags.UMSDR), headers, flags.UMSDR, "max_duration_timeout")


def answer(exchange: Any) -> None:
    """A head is on its way back: say how many attempts it took."""
    if exchange.more.extra.attempt_in_response and exchange.attempts:
        exchange.response.headers.set(ATTEMPT_COUNT, b"%d" % exchange.attempts)


def end(exchange: Any) -> None:
    """The exchange has ended."""
    more = exchange.more
    while more.calls:
        more.calls.popitem()[1].cancel()
    if more.shadows:
        mirror.abandon(exchange)


def reselect(exchange: Any, endpoint: Any) -> Any:
    """The balancer has come back to an endpoint that failed: ask it again, as often as the policy says."""
    for _ in range(getattr(exchange.plan.retry, "host_selection_attempts", 0)):
        endpoint = exchange.cluster.pick(exchange)
        if endpoint not in exchange.tried:
            break
    return endpoint


def tried(exchange: Any) -> tuple[Any, ...]:
    """Return the endpoints that the next attempt is to leave out; none where the policy does not mind."""
    if getattr(exchange.plan.retry, "keeps_hosts", False):
        return ()
    return (*exchange.tried, exchange.endpoint)
