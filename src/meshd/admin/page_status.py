"""Pages that say how the daemon is: readiness, who it is, what it serves."""

import os
import platform
from typing import Any

from meshd import __version__
from meshd.admin.page import Query, Reply, document, table, text

JSON_OR_TEXT = ("text", "json")


def ready(daemon: Any, query: Query) -> Reply:
    """200 LIVE while traffic should come here; 503 before it serves, while it drains, after /healthcheck/fail."""
    if daemon.is_ready:
        return text("LIVE\n")
    return text(f"{daemon.state if daemon.state != 'LIVE' else 'FAILED HEALTHCHECK'}\n", 503)


def alive(daemon: Any, query: Query) -> Reply:
    """200 as long as the process answers: for a supervisor that restarts what hangs."""
    return text("OK\n")


def server_info(daemon: Any, query: Query) -> Reply:
    """Who this is and since when."""
    return info_reply(info(daemon), None)


def info_reply(found: dict, whole: dict | None) -> Reply:
    """Return /server_info; ``whole`` is what the supervisor of several workers knows, None with one process."""
    if whole is not None:
        kept = ("workers", "restarts", "last_reload", "generation", "heir")
        found = {**found, **{key: whole[key] for key in kept}, "pid": whole["pid"]}
        found["missing_workers"] = whole["missing"]
    return document(found)


def info(daemon: Any) -> dict:
    """Return what /server_info says."""
    loaded = daemon.loaded
    node = loaded.snapshot.node if loaded is not None else None
    return {
        "version": __version__, "python": platform.python_version(), "pid": os.getpid(),
        "state": daemon.state, "ready": daemon.is_ready, "uptime_s": round(daemon.uptime_s, 3),
        "started": round(daemon.started_wall, 3), "now": round(daemon.started_wall + daemon.uptime_s, 3),
        "generation": daemon.generation,
        "digest": loaded.digest if loaded is not None else None,
        "files": list(loaded.files) if loaded is not None else [], "paths": list(daemon.paths),
        "node": None if node is None else _node(node), "last_reload": daemon.last_reload,
        "listeners": len(loaded.snapshot.listeners) if loaded is not None else 0,
        "clusters": len(loaded.snapshot.clusters) if loaded is not None else 0,
        "workers": [{"index": 0, "pid": os.getpid()}], "heir": daemon.heir,
        "overload": daemon.overload(), "workload": daemon.workload(),
    }


def _node(node: Any) -> dict:
    return {
        "id": node.id, "role": node.role, "namespace": node.namespace, "service_account": node.service_account,
        "labels": dict(node.labels), "locality": node.locality,
    }


def listeners(daemon: Any, query: Query) -> Reply:
    """Each listener, its address and its connections."""
    return listeners_reply(daemon.listeners(), query)


def listeners_reply(rows: list[dict], query: Query) -> Reply:
    """Return /listeners."""
    if query.choice("format", JSON_OR_TEXT) == "json":
        return document({"listeners": rows})
    return text("".join(f"{row['name']}::{row['bound'] or row['address']}\n" for row in rows))


def plugins(daemon: Any, query: Query) -> Reply:
    """Each plugin, what it offers, how long it takes and how often it failed."""
    return plugins_reply(daemon.plugins(), query)


def plugins_reply(rows: list[dict], query: Query) -> Reply:
    """Return /plugins."""
    if query.choice("format", ("json", "text")) == "json":
        return document({"plugins": rows})
    columns = ("name", "distribution", "version", "status", "reason")
    return text(table([tuple(name.upper() for name in columns), *(_cells(row, columns) for row in rows)]))


def _cells(row: dict, columns: tuple) -> tuple:
    return tuple(row.get(name) or "-" for name in columns)
