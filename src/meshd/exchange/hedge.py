"""Hedging: at the per-try timeout an attempt goes on beside the next one, and the first good head wins.

``forward`` calls ``begin``; the exchange asks ``absorbs_head`` and ``absorbs_failure`` while there are several attempts
(``more.others`` are the older ones, ``exchange.attempt`` is the newest, or None during its back-off). The rules are
Envoy's (``hedge_on_per_try_timeout``): an answer that would be retried does not win while another may still come.
"""

from typing import Any

from meshd.exchange import forward
from meshd.http import flag as flags
from meshd.upstream.outcome import Outcome


def begin(exchange: Any) -> None:
    """The per-try timeout passed: make another attempt beside it, if the policy and the breaker have one left."""
    slow = exchange.attempt
    if exchange.cluster.observe is not None:
        forward.observe(exchange, slow, 0, None, flags.UT, "per-try-timeout")
    delay_s = forward.judge(exchange, slow, Outcome(0, None, flags.UT, slow.began, "hedge"))
    if delay_s is None:
        return
    exchange.more.others.append(slow)
    exchange.more.is_timeout_retry = True
    exchange.attempt = None
    forward.again(exchange, delay_s)


def is_last(exchange: Any, attempt: Any) -> bool:
    """Say whether no other attempt is in flight or about to be."""
    others = [one for one in (*exchange.more.others, exchange.attempt) if one is not None and one is not attempt]
    return not others and exchange.retry_call is None


def absorbs_head(exchange: Any, attempt: Any, head: Any) -> bool:
    """Say whether the head of one of several attempts is dropped; otherwise it wins and the others are reset."""
    outcome = Outcome(head.status, head.headers, 0, True, "")
    if not is_last(exchange, attempt) and wants(exchange, outcome):
        is_newest = exchange.attempt is attempt
        leave(exchange, attempt)
        attempt.cancel()
        if is_newest:
            retry(exchange, attempt, outcome)
        return True
    leave(exchange, attempt)
    drop(exchange)
    newest, exchange.attempt = exchange.attempt, attempt
    if newest is not None:
        newest.cancel()
    if exchange.retry_call is not None:
        exchange.retry_call.cancel()
        exchange.retry_call = None
    if exchange.is_retry_admitted:
        exchange.is_retry_admitted = False
        exchange.breaker.release_retry()
    exchange.try_deadline = 0.0
    exchange.endpoint = attempt.endpoint
    exchange.upstream_began = attempt.since
    exchange.upstream_local = attempt.connection.local
    exchange.upstream_security = attempt.connection.descriptor.security
    return False


def absorbs_failure(exchange: Any, attempt: Any, bit: int, is_stale: bool) -> bool:
    """Say whether the failure of one of several attempts is passed over because another may still answer."""
    if is_last(exchange, attempt):
        leave(exchange, attempt)
        return False
    is_newest = exchange.attempt is attempt
    leave(exchange, attempt)
    if is_newest:
        word = forward.word_of(attempt, bit, is_stale)
        if word:
            retry(exchange, attempt, Outcome(0, None, bit, attempt.began, word))
    return True


def leave(exchange: Any, attempt: Any) -> None:
    """``attempt`` is not one of several any more."""
    if exchange.attempt is attempt:
        exchange.attempt = None
    else:
        exchange.more.others.remove(attempt)


def retry(exchange: Any, attempt: Any, outcome: Outcome) -> None:
    """The newest attempt has failed beside an older one: make another, or wait for the older one alone."""
    before = exchange.flags
    delay_s = forward.judge(exchange, attempt, outcome)
    if delay_s is None:
        exchange.flags = before
    else:
        forward.again(exchange, delay_s)


def wants(exchange: Any, outcome: Outcome) -> bool:
    """Say whether the policy would make another attempt after this answer, were there one left."""
    policy = exchange.plan.retry
    found = getattr(policy, "wants", None)
    if found is None:
        return outcome.status >= 500
    try:
        return found(exchange, outcome)
    except Exception:
        exchange.downstream.world.log.failure("bug: unexpected error in a retry policy")
        return False


def drop(exchange: Any) -> None:
    """Reset the older attempts."""
    others = exchange.more.others
    while others:
        others.pop().cancel()
