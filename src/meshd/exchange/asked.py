"""What a request's own fields ask of retries and timeouts (Envoy's router, ``x-envoy-*``); ``recovery`` calls it.

Who may ask is decided before: a listener that takes the peer for the client (``use_remote_address``) has dropped these
fields from what came in. They are never sent on, as in Envoy. A value that is none counts as absent.
"""

from typing import Any

import attrs

from meshd.api.exchange import Extra, Timeouts

BEGIN = b"\r\nx-envoy-"
"""No field of these is in a block of lower-case lines without it."""
CONDITIONS = (b"x-envoy-retry-on", b"x-envoy-retry-grpc-on")
RETRY = (*CONDITIONS, b"x-envoy-max-retries", b"x-envoy-retriable-status-codes", b"x-envoy-retriable-header-names")
TIMEOUT = b"x-envoy-upstream-rq-timeout-ms"
PER_TRY = b"x-envoy-upstream-rq-per-try-timeout-ms"
ALT_RESPONSE = b"x-envoy-upstream-rq-timeout-alt-response"
HEDGE = b"x-envoy-hedge-on-per-try-timeout"
FIELDS = (*RETRY, TIMEOUT, PER_TRY, ALT_RESPONSE, HEDGE)
LONGEST = 9
"""Digits of a field in milliseconds."""


def take(headers: Any) -> dict[bytes, bytes]:
    """Remove the fields from ``headers`` and return them."""
    found = {}
    for name in FIELDS:
        value = headers.get(name)
        if value is not None:
            found[name] = value
            headers.remove(name)
    return found


def timeouts_of(asked: dict[bytes, bytes], own: Timeouts) -> Timeouts:
    """Return the timeouts in force: what is asked, else the route's."""
    request_s = milliseconds(asked.get(TIMEOUT), own.request_s)
    per_try_s = milliseconds(asked.get(PER_TRY), own.per_try_s)
    if request_s and per_try_s >= request_s:
        per_try_s = 0.0
    if request_s == own.request_s and per_try_s == own.per_try_s:
        return own
    return attrs.evolve(own, request_s=request_s, per_try_s=per_try_s)


def milliseconds(value: bytes | None, default: float) -> float:
    """Return seconds of a field in milliseconds."""
    if value is None or not value.isdigit() or len(value) > LONGEST:
        return default
    return int(value) / 1000.0


def extra_of(asked: dict[bytes, bytes], own: Extra) -> Extra:
    """Return the route's extras with the caller's wish for hedging."""
    value = asked.get(HEDGE)
    if value is None or value.lower() not in (b"true", b"false"):
        return own
    hedges = value.lower() == b"true"
    return own if hedges == own.hedges else attrs.evolve(own, hedges=hedges)


def retry_of(asked: dict[bytes, bytes], plan: Any) -> Any:
    """Return the retry policy in force: the plan's, or the one that its policy makes of the fields."""
    wishes = {name: asked[name] for name in RETRY if name in asked}
    if not wishes or plan.retry is None and not any(name in wishes for name in CONDITIONS):
        return plan.retry
    base = plan.asked_retry if plan.asked_retry is not None else plan.retry
    made = getattr(base, "asked", None)
    return plan.retry if made is None else made(wishes)
