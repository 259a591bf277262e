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
GRPC_TIMEOUT = b"grpc-timeout"
GRPC_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
LONGEST = 8
"""Digits of a grpc-timeout (gRPC over HTTP/2, "Timeout"); of the x-envoy fields, one more."""


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
    if value is None or not value.isdigit() or len(value) > LONGEST + 1:
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


def grpc_timeout_s(headers: Any) -> float | None:
    """Return the seconds of a gRPC request's ``grpc-timeout``, None where it has none."""
    kind = headers.get(b"content-type")
    value = headers.get(GRPC_TIMEOUT) if kind is not None and kind.startswith(b"application/grpc") else None
    if value is None or not value[:-1].isdigit() or len(value) > LONGEST + 1:
        return None
    unit = GRPC_UNITS.get(value[-1:])
    return None if unit is None else int(value[:-1]) * unit


def grpc_text(seconds: float) -> bytes:
    """Return a ``grpc-timeout`` of so many seconds, in the finest unit of at most eight digits, rounded up."""
    for unit, size in ((b"n", 1e-9), (b"u", 1e-6), (b"m", 1e-3), (b"S", 1.0), (b"M", 60.0)):
        count = -int(-round(seconds / size, 6) // 1)
        if count < 10 ** LONGEST:
            return b"%d%b" % (count, unit)
    return b"%dH" % min(10 ** LONGEST - 1, -int(-seconds // 3600.0))


def within_grpc(headers: Any, own: Timeouts, most_s: float) -> Timeouts:
    """Return the timeouts with the request's ``grpc-timeout`` in the place of the route's, at most ``most_s`` (0: any).

    What is sent on is what is in force, as Envoy's (C2).
    """
    wanted = grpc_timeout_s(headers)
    if wanted is None:
        return own
    request_s = min(wanted, most_s) if most_s and wanted else most_s or wanted
    if request_s and request_s != wanted:
        headers.set(GRPC_TIMEOUT, grpc_text(request_s))
    per_try_s = own.per_try_s if not request_s or own.per_try_s < request_s else 0.0
    return attrs.evolve(own, request_s=request_s, per_try_s=per_try_s)
