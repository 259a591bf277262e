"""Facts of several workers as those of one daemon: what they share stays, what each counts is added up."""

from collections.abc import Iterable
from typing import Any

Rows = list[dict[str, Any]]


def _grouped(answers: Iterable[Rows], key: str) -> list[Rows]:
    groups: dict[Any, Rows] = {}
    for rows in answers:
        for row in rows:
            groups.setdefault(row[key], []).append(row)
    return list(groups.values())


def _sums(rows: Rows, *names: str) -> dict[str, Any]:
    return {name: sum(row[name] for row in rows) for name in names}


def _added(tables: Iterable[dict[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for table in tables:
        for name, value in table.items():
            found[name] = found.get(name, 0) + value
    return found


def merged_listeners(answers: Iterable[Rows]) -> Rows:
    """Return the listeners; one accepts where any worker does."""
    return [
        {**rows[0], "accepting": any(row["accepting"] for row in rows), **_sums(rows, "connections"),
         "filter_chains": [
             {**same[0], **_sums(same, "connections")} for same in zip(*(row["filter_chains"] for row in rows))],
         "counters": _added(row["counters"] for row in rows)} for rows in _grouped(answers, "name")
    ]


def merged_clusters(answers: Iterable[Rows]) -> Rows:
    """Return the clusters. What a circuit breaker counts is common to all workers, so the largest view is taken."""
    return [
        {**rows[0], **_sums(rows, "idle_connections"), "counters": _added(row["counters"] for row in rows),
         "circuit_breaker": _breaker([row["circuit_breaker"] for row in rows]),
         "endpoints": _endpoints(row["endpoints"] for row in rows)} for rows in _grouped(answers, "name")
    ]


def _breaker(rows: Rows) -> dict[str, Any]:
    return {
        name: {"used": max(row[name]["used"] for row in rows), "limit": rows[0][name]["limit"]} for name in rows[0]
    }


def _endpoints(answers: Iterable[Rows]) -> Rows:
    return [
        {**next((row for row in rows if not row["healthy"]), rows[0]),
         **_sums(rows, "active_requests", "connections", "idle_connections", "pending")}
        for rows in _grouped(answers, "address")
    ]


def merged_plugins(answers: Iterable[Rows]) -> Rows:
    """Return the plugins; their uses are added up by name."""
    return [
        {**rows[0], "uses": _uses(row["uses"] for row in rows)} for rows in _grouped(answers, "module")
    ]


def _uses(answers: Iterable[Rows]) -> Rows:
    found: dict[tuple, Rows] = {}
    for uses in answers:
        seen: dict[tuple, int] = {}
        for use in uses:
            key = (use["kind"], use["name"])
            seen[key] = number = seen.get(key, 0) + 1
            found.setdefault((*key, number), []).append(use)
    return [_use(rows) for rows in found.values()]


def _use(rows: Rows) -> dict[str, Any]:
    odd = [row for row in rows if row["state"] != "in use"]
    return {
        **rows[0], "state": (odd or rows)[0]["state"], "faults": _added(row["faults"] for row in rows),
        "last_fault": next((row["last_fault"] for row in rows if row["last_fault"]), rows[0]["last_fault"]),
        **_sums(rows, "late"), "timings": _timings([row["timings"] for row in rows]),
    }


def _timings(rows: list[dict[str, dict]]) -> dict[str, dict]:
    found: dict[str, dict] = {}
    for row in rows:
        for phase, timing in row.items():
            old = found.get(phase)
            found[phase] = timing if old is None else _timing(old, timing)
    return found


def _timing(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    samples = one["samples"] + other["samples"]
    weighted = one["mean_s"] * one["samples"] + other["mean_s"] * other["samples"]
    return {
        **one, "samples": samples, "mean_s": weighted / samples if samples else 0.0,
        "longest_s": max(one["longest_s"], other["longest_s"]),
    }
