"""/clusters: every cluster, its breaker, its counters and its endpoints, in Envoy's lines or as JSON."""

from collections.abc import Iterable, Iterator
from typing import Any

from meshd.admin.page import Query, Reply
from meshd.admin.stream import rows_json, streamed
from meshd.model.health import words
from meshd.upstream.cluster import COUNTERS

BREAKER_NAMES = {"connections": "max_connections", "pending": "max_pending_requests",
                 "requests": "max_requests", "retries": "max_retries"}
"""Envoy's names of the limits on /clusters."""


def cluster_fact(cluster: Any) -> dict:
    """Return one live cluster as a dict."""
    names = [row[0] for row in COUNTERS] + ["active_connections", "active_requests"]
    return {
        "name": cluster.name,
        "load_balancer": cluster.spec.load_balancer.type if cluster.spec.load_balancer else "round_robin",
        "circuit_breaker": {name: {"used": used, "limit": limit}
                            for name, (used, limit) in cluster.breaker.state().items()},
        "counters": {name: getattr(cluster.cells, name).value for name in names},
        "idle_connections": cluster.idle,
        "groups": cluster.set.groups(),
        "endpoints": [_endpoint(endpoint, cluster.verdicts) for endpoint in cluster.endpoints],
    }


def _endpoint(endpoint: Any, verdicts: Any) -> dict:
    pools = endpoint.pool.every()
    return {
        "address": endpoint.address, "priority": endpoint.priority,
        "weight": round(endpoint.weight, 3) if endpoint.warm_from else endpoint.spec.weight,
        "locality": endpoint.locality, "labels": dict(endpoint.labels), "healthy": endpoint.healthy,
        "health": words(endpoint.bits), "why": verdicts.why(endpoint.address, endpoint.bits),
        "source": endpoint.spec.source, "active_requests": endpoint.active,
        "connections": sum(len(one.connections) for one in pools),
        "idle_connections": sum(len(one.idle) for one in pools), "pending": sum(len(one.waiters) for one in pools),
    }


def clusters(daemon: Any, query: Query) -> Reply:
    """Each cluster with its endpoints."""
    return clusters_reply(daemon.clusters(query.get("name")), query)


def clusters_reply(rows: Iterable[dict], query: Query) -> Reply:
    """Return /clusters."""
    if query.choice("format", ("text", "json")) == "json":
        return streamed({}, "clusters", rows_json(rows))
    return Reply(_lines(rows))


def _lines(rows: Iterable[dict]) -> Iterator[bytes]:
    for row in rows:
        lines = [f"{row['name']}::load_balancer::{row['load_balancer']}"]
        for name, state in row["circuit_breaker"].items():
            label = BREAKER_NAMES.get(name, name)
            lines.append(f"{row['name']}::default_priority::{label}::{state['limit']}")
            lines.append(f"{row['name']}::default_priority::{name}_used::{state['used']}")
        lines += [f"{row['name']}::{name}::{value}" for name, value in row["counters"].items()]
        for endpoint in row["endpoints"]:
            lines += _endpoint_lines(row["name"], endpoint)
        yield ("\n".join(lines) + "\n").encode()


def _endpoint_lines(name: str, endpoint: dict) -> list[str]:
    start = f"{name}::{endpoint['address']}::"
    return [
        f"{start}cx_active::{endpoint['connections']}", f"{start}rq_active::{endpoint['active_requests']}",
        f"{start}health_flags::{endpoint['health']}",
        f"{start}weight::{endpoint['weight']}", f"{start}locality::{endpoint['locality']}",
        f"{start}priority::{endpoint['priority']}",
    ]
