"""/config_dump: the configuration in use with secrets masked, and where each value came from."""

from typing import Any

from twisted.internet.defer import Deferred

from meshd.admin.page import BadQuery, Query, Reply, document
from meshd.document.encode import encode_class

RESOURCES = ("node", "admin", "documents", "listeners", "clusters", "telemetry", "plugins", "drain")


def config_dump(daemon: Any, query: Query) -> Reply | Deferred:
    """The snapshot; ?resource=listeners|clusters|..., ?name=NAME for one of them, ?origins=1 with origins."""
    loaded = daemon.loaded
    if loaded is None:
        return document({"error": "no configuration is in use yet"}, 503)
    fields = {"generation": daemon.generation, "digest": loaded.digest, "files": list(loaded.files)}
    fields |= _chosen(encode_class(loaded.snapshot), query.get("resource"), query.get("name"))
    if query.get("origins") not in ("", "0", "false"):
        return daemon.origins().addCallback(lambda origins: document(fields | {"origins": origins}))
    return document(fields)


def _chosen(snapshot: dict, resource: str, name: str) -> dict:
    if not resource:
        return {"snapshot": snapshot}
    if resource not in RESOURCES:
        raise BadQuery(f"resource={resource!r}: expected one of {', '.join(RESOURCES)}")
    found = snapshot[resource]
    if name and isinstance(found, list):
        found = [item for item in found if isinstance(item, dict) and item.get("name") == name]
    return {resource: found}
