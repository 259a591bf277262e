"""/discovery: where the endpoints of clusters come from, how old that is, and what would be found now."""

from collections.abc import Iterable, Iterator
from typing import Any

from twisted.internet.defer import maybeDeferred

from meshd.admin.page import Query, Reply, document
from meshd.admin.stream import rows_json, streamed


def discovery_fact(discovery: Any, cluster: Any) -> dict:
    """Return one discovery of a live cluster; what it does not tell of itself is told of the cluster."""
    fact = getattr(discovery, "fact", None)
    plain = {"type": cluster.spec.discovery.type, "source": "", "state": "ok", "endpoints": len(cluster.endpoints)}
    return {"cluster": cluster.name, **plain, **(fact() if callable(fact) else {})}


def endpoint_fact(spec: Any) -> dict:
    """Return one EndpointSpec."""
    return {
        "address": spec.address, "weight": spec.weight, "priority": spec.priority, "locality": spec.locality,
        "labels": dict(spec.labels), "source": spec.source,
    }


def found_facts(rows: Iterable[Any]) -> Iterator[dict]:
    """Yield what a look has found: labels as found, the endpoint that they come to, or the cause why there is none."""
    for row in rows:
        endpoint = None if row.endpoint is None else endpoint_fact(row.endpoint)
        yield {"discovered": row.labels, "endpoint": endpoint, "cause": row.cause}


def in_force(cluster: Any) -> Iterator[dict]:
    """Yield the endpoints that a cluster has."""
    for endpoint in cluster.endpoints:
        yield {"endpoint": endpoint_fact(endpoint.spec)}


def discovery(daemon: Any, query: Query) -> Any:
    """All discoveries; or one, with its endpoints, or with what one more look finds."""
    pairs = daemon.discoveries()
    name = query.get("name")
    if not name:
        return streamed({}, "discoveries", rows_json(discovery_fact(*pair) for pair in pairs))
    found = next((pair for pair in pairs if pair[1].name == name), None)
    if found is None:
        known = ", ".join(sorted(cluster.name for _, cluster in pairs)) or "there is none"
        return document({"error": f"cluster {name!r}: no discovery: expected one of: {known}"}, 404)
    look = getattr(found[0], "find", None)
    if query.choice("look", ("0", "1")) == "0" or look is None:
        return _one(found, (), in_force(found[1]))
    return maybeDeferred(look).addCallbacks(
        lambda seen: _one(found, seen[1], found_facts(seen[0])),
        lambda why: _one(found, (" ".join(str(why.value).split()) or why.type.__name__,), ()))


def _one(pair: tuple[Any, Any], faults: Iterable[str], targets: Iterable[dict]) -> Reply:
    return streamed({**discovery_fact(*pair), "faults": list(faults)}, "targets", rows_json(targets))
