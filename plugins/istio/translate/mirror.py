"""Mirrors of a VirtualService's rule to the native ``mirror`` of a route."""

from meshd_plugins.istio.emit import At

ALL = 100.0


def native_mirrors(rule, cluster):
    """Return the native mirrors, or None. ``cluster(destination)`` gives the name of a destination's cluster.

    A share that is not given is all; one of 0 mirrors nothing (Istio's rules).
    """
    found = []
    if rule.mirror is not None:
        found.append(_mirror(rule.mirror, _percent(rule), cluster))
    for one in rule.mirrors:
        percent = one.percentage.value if one.percentage is not None else ALL
        found.append(_mirror(one.destination, percent, cluster))
    return [one for one in found if one is not None] or None


def _percent(rule):
    if rule.mirror_percentage is not None:
        return rule.mirror_percentage.value
    old = rule.mirror_percent if rule.mirror_percent is not None else rule.mirror_percent_old
    return ALL if old is None else float(old)


def _mirror(destination, percent, cluster):
    if not percent:
        return None
    return At(destination.node, {"cluster": cluster(destination), "percent": percent if percent != ALL else None})
