"""/config_dump: the configuration in use with secrets masked, and where each value came from."""

from typing import Any

import attrs
from twisted.internet.defer import Deferred

from meshd.admin.page import BadQuery, Query, Reply, document
from meshd.admin.stream import config_json, is_small, streamed
from meshd.document import option
from meshd.document.encode import encode_class
from meshd.document.plan import plan_of
from meshd.model.snapshot import Loaded, Snapshot

RESOURCES = tuple(plan_of(Snapshot).fields)


def config_dump(daemon: Any, query: Query) -> Reply | Deferred:
    """The snapshot; ?resource=listeners|clusters|..., ?name=NAME for one of them, ?origins=1 with origins."""
    loaded = daemon.loaded
    if loaded is None:
        return document({"error": "no configuration is in use yet"}, 503)
    resource, name = query.get("resource"), query.get("name")
    if resource and resource not in RESOURCES:
        raise BadQuery(f"resource={resource!r}: expected one of {', '.join(RESOURCES)}")
    fields = {"generation": daemon.generation, "digest": loaded.digest, "files": list(loaded.files)}
    if query.get("origins") not in ("", "0", "false"):
        return daemon.origins().addCallback(lambda found: _dump(loaded, fields | {"origins": found}, resource, name))
    return _dump(loaded, fields, resource, name)


def _dump(loaded: Loaded, fields: dict, resource: str, name: str) -> Reply:
    snapshot = loaded.snapshot
    if name and resource in ("listeners", "clusters"):
        kept = tuple(item for item in getattr(snapshot, resource) if item.name == name)
        snapshot = attrs.evolve(snapshot, **{resource: kept})
    if is_small(snapshot):
        whole = encode_class(snapshot)
        return document(fields | ({resource: whole[resource]} if resource else {"snapshot": whole}))
    if resource:
        field = plan_of(Snapshot).fields[resource]
        return streamed(fields, resource, config_json(field.spec, getattr(snapshot, field.name)))
    return streamed(fields, "snapshot", config_json(option.Nested(Snapshot), snapshot))
