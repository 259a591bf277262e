"""What a native route does about failures as fields of an HTTP rule: retries, mirrors, faults; what has no field."""

from meshd_plugins.istio.schema.route import GRPC_STATUSES, RETRY_ON
from meshd_plugins.istio.write.form import destination, given, lose, seconds

UNPROCESSED = {"connect-failure", "refused-stream", "reset-before-request"}
"""Conditions on which the method does not matter."""
REMOTE_EVERY = 2
RETRIES = ("retry_on", "status_codes", "attempts", "methods", "base_s", "previous_hosts", "reselect_priority_every")
UNSAID = (
    "hedge_policy", "priority", "per_try_idle_timeout_s", "idle_timeout_s", "max_stream_duration_s",
    "grpc_timeout_header_max_s", "grpc_timeout_header_offset_s", "grpc_timeout_offset_s", "upgrades",
)
"""Options of a route without a field of Istio's."""


def retries(route, at, hashed, losses):
    """Return the ``retries`` of a route, or None; ``hashed`` are the names of clusters with consistent hashing."""
    plugin = route.retry
    if plugin is not None and plugin.disabled:
        return {"attempts": 0}
    if plugin is None or plugin.type != "retry" or plugin.config is None:
        if plugin is not None and plugin.type != "retry":
            losses.append(f"{at}: retry policy {plugin.type} is a plugin of meshd's alone")
        return None
    settings = plugin.config
    if not settings.attempts:
        return {"attempts": 0}
    is_usual = settings.cap_s is not None and abs(settings.cap_s - 10 * settings.base_s) < 1e-6
    lose(losses, at, settings, (*RETRIES, "cap_s") if is_usual else RETRIES, "retry: ")
    words = list(dict.fromkeys([*settings.retry_on, *map(str, settings.status_codes)]))
    lost = [word for word in words if word not in RETRY_ON and not word.isdecimal()]
    for word in lost:
        losses.append(f"{at}: retry: Istio does not know the condition {word}")
    if settings.methods != ("*",) and not set(words) <= UNPROCESSED:
        losses.append(f"{at}: retry: methods have no field of Istio's: all are retried")
    every = settings.reselect_priority_every
    if every not in (0, REMOTE_EVERY):
        losses.append(f"{at}: retry: reselect_priority_every {every} is said as {REMOTE_EVERY}")
    found = given(attempts=settings.attempts, retryOn=",".join(word for word in words if word not in lost),
                  perTryTimeout=seconds(route.per_try_timeout_s) if route.per_try_timeout_s else None,
                  backoff=seconds(settings.base_s), retryRemoteLocalities=bool(every) or None)
    if settings.previous_hosts == _is_hashed(route, hashed):
        found["retryIgnorePreviousHosts"] = settings.previous_hosts
    return found


def _is_hashed(route, hashed):
    """Say whether Istio leaves out the endpoints that were tried by default: not so with consistent hashing."""
    names = [route.cluster, *(getattr(one, "name", None) for one in route.weighted_clusters or ())]
    return any(name in hashed for name in names)


def mirrors(route, at, losses):
    """Return the ``mirrors`` of a route."""
    found = []
    for one in route.mirror:
        lose(losses, at, one, ("cluster", "percent"), "mirror: ")
        found.append({"destination": destination(one.cluster), "percentage": {"value": one.percent}})
    return found


def fault(route, at, losses):
    """Return the ``fault`` of a route, or None."""
    plugin = dict(route.filters).get("fault")
    if plugin is None or plugin.config is None:
        return None
    options = plugin.config
    lose(losses, at, options, ("delay", "abort"), "fault: ")
    found = {}
    for name, one in (("delay", options.delay), ("abort", options.abort)):
        if one is not None and one.is_by_header:
            losses.append(f"{at}: fault: {name} by header has no field of Istio's")
        elif one is not None:
            found[name] = {**_what(one), "percentage": {"value": 100.0 * one.percentage.numerator
                                                        / one.percentage.total}}
    return found or None


def _what(one):
    if getattr(one, "fixed_delay_s", None) is not None:
        return {"fixedDelay": seconds(one.fixed_delay_s)}
    if one.http_status is not None:
        return {"httpStatus": one.http_status}
    return {"grpcStatus": GRPC_STATUSES[one.grpc_status]}


def lose_rest(route, at, losses):
    """Say what else of a route that forwards has no field."""
    lose(losses, at, route, only=UNSAID)
    if route.max_grpc_timeout_s not in (None, route.timeout_s):
        losses.append(f"{at}: max_grpc_timeout has no field of Istio's, where it is the timeout")
