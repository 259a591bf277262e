"""Faults on purpose to the native filter ``fault``: a rule's delay and abort, each drawn for itself."""

from meshd_plugins.istio.emit import At, field, seconds
from meshd_plugins.istio.schema.route import GRPC_STATUSES

MILLION = 1_000_000


def native_fault(injection):
    """Return what ``filters`` of a route says of the filter ``fault``, or None where nothing is ever injected.

    A share that is not given is none (Istio's rule).
    """
    if injection is None:
        return None
    found = {"delay": _delay(injection.delay), "abort": _abort(injection.abort)}
    if not any(found.values()):
        return None
    return {"fault": {"fault": At(injection.node, found)}}


def _delay(delay):
    if delay is None or not delay.fixed_delay_s:
        return None
    share = _share(delay, delay.percentage.value if delay.percentage is not None else delay.percent)
    return share and At(delay.node, {"fixed_delay": seconds(delay.fixed_delay_s), "percentage": share})


def _abort(abort):
    if abort is None:
        return None
    share = _share(abort, abort.percentage.value if abort.percentage is not None else 0)
    if share is None:
        return None
    if abort.grpc_status is not None:
        return At(abort.node, {"grpc_status": GRPC_STATUSES.index(abort.grpc_status), "percentage": share})
    return At(abort.node, {"http_status": abort.http_status, "percentage": share})


def _share(one, percent):
    """Return a native percentage, which knows one in a million, or None for none."""
    count = round(percent * MILLION / 100)
    return At(field(one, "percentage"), {"numerator": count, "denominator": "MILLION"}) if count else None
