"""What the deadline of a gRPC call (``grpc-timeout``) does to a request; ``recovery`` asks, for few routes.

Envoy has two roads, and so has this. The route's ``max_stream_duration`` with ``grpc_timeout_header_max`` bounds the
whole call from its first byte (its connection manager's refreshDurationTimeout); the older ``max_grpc_timeout``, which
Istio sets, makes the deadline the route's timeout, which runs from the request's end (its FilterUtility::finalTimeout).
"""

from typing import Any

import attrs

from meshd.api.exchange import Calls, Timeouts
from meshd.http import grpc


def route_timeouts(headers: Any, own: Timeouts, calls: Calls) -> Timeouts:
    """Return the timeouts of a gRPC call: its own deadline, without one none, at most what ``calls`` says (0: any)."""
    request_s = grpc.timeout_s(headers) or 0.0
    if calls.timeout_offset_s < request_s:
        request_s -= calls.timeout_offset_s
    most_s = calls.timeout_max_s
    if most_s and (not request_s or request_s > most_s):
        request_s = most_s
    per_try_s = own.per_try_s if not request_s or own.per_try_s < request_s else 0.0
    return attrs.evolve(own, request_s=request_s, per_try_s=per_try_s)


def stream_s(headers: Any, max_stream_s: float, calls: Calls | None) -> float | None:
    """Return how long a request may live in seconds, None for any time; the upstream is told where it is a call."""
    is_heeded = calls is not None and calls.stream_max_s is not None
    asked_s = grpc.timeout_s(headers) if is_heeded else None
    if asked_s is None:
        limit_s = max_stream_s or None
    else:
        limit_s = max(0.0, min(asked_s, calls.stream_max_s or asked_s) - calls.stream_offset_s)
    if limit_s is not None and grpc.is_grpc(headers):
        headers.set(grpc.TIMEOUT, grpc.timeout_text(limit_s))
    return limit_s
