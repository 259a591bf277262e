"""The clusters that a plan leads to: endpoints, balancer, limits and timeouts, each with the place it comes from."""

from typing import Any

from meshd.document.encode import encode_class
from meshd.document.plan import plan_of
from meshd.explain.tls import upstream_tls_fact
from meshd.model.health import FAILED, PENDING_CHECK, words

DEFAULT = "default of native"
BALANCER = "round_robin"


def cluster_fact(cluster: Any, is_live: bool) -> dict:
    """Return a cluster as plain data. ``endpoints`` is None where only a running daemon knows them."""
    spec = cluster.spec
    found = {
        "name": spec.name, "where": spec.where,
        "load_balancer": _plugin(spec.load_balancer, BALANCER),
        "circuit_breaker": _breaker(cluster),
        "connect_timeout": origin_of(spec, "connect_timeout_s"),
        "endpoints": [_endpoint(one, cluster.verdicts.why(one.address, one.bits)) for one in cluster.endpoints],
    }
    if spec.tls is not None:
        found["tls"] = upstream_tls_fact(spec.tls)
    if spec.discovery is not None:
        found["discovery"] = _plugin(spec.discovery, "")
        if not is_live:
            found["endpoints"] = None
    return found


def is_usable(fact: dict) -> bool:
    """Say whether a request to this cluster would find an endpoint; what is not known is taken to be well."""
    return fact["endpoints"] is None or any(one["healthy"] for one in fact["endpoints"])


def origin_of(options: Any, name: str) -> dict:
    """Return an option's value, with its origin: the object's place, or the default's where the value is that one."""
    value = getattr(options, name)
    default = next(field.default for field in plan_of(type(options)).fields.values() if field.name == name)
    return {"seconds": value, "where": DEFAULT if value == default else options.where}


def _plugin(plugin: Any, default: str) -> dict:
    if plugin is None:
        return {"type": default, "where": DEFAULT}
    config = {} if plugin.config is None else encode_class(plugin.config)
    return {"type": plugin.type, **({"config": config} if config else {}), "where": plugin.where}


def _breaker(cluster: Any) -> dict:
    plugin = cluster.spec.circuit_breaker
    limits = {name: {"limit": limit, "used": used} for name, (used, limit) in cluster.breaker.state().items()}
    return {"type": plugin.type if plugin else "limits", "limits": limits, "where": plugin.where if plugin else DEFAULT}


def _endpoint(one: Any, why: list) -> dict:
    is_well = not one.bits & FAILED & ~PENDING_CHECK  # nothing is checked where no daemon runs
    found = {"address": one.address, "healthy": is_well, "weight": one.spec.weight, "priority": one.priority}
    return found | {"active_requests": one.active, "health": words(one.bits), "why": why}
