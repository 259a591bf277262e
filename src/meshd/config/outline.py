"""What a supervisor must know of a configuration, as plain data; written by the reader's child, read without meshd.

The supervisor runs no plugin and imports no model, so it cannot unpickle a snapshot: it binds what is named here and
passes the snapshot on to its workers unread.
"""

import os
from typing import Any

import attrs

from meshd.model.snapshot import AUTO, MAX_WORKERS, Loaded, Snapshot


def outline(loaded: Loaded) -> dict[str, Any]:
    """Return the outline as JSON can hold it; times in seconds."""
    snapshot = loaded.snapshot
    return {
        "fingerprint": loaded.fingerprint, "digest": loaded.digest, "workers": worker_count(snapshot),
        "listeners": [
            [one.name, one.address, one.backlog, one.protocol, one.socket_mode] for one in snapshot.listeners],
        "admin": snapshot.admin.address, "node": snapshot.node.id, "clusters": len(snapshot.clusters),
        "grace_s": snapshot.drain.grace_s, "deadline_s": snapshot.drain.deadline_s,
        "settings": attrs.asdict(snapshot.plugins), **attrs.asdict(snapshot.supervisor),
    }


def worker_count(snapshot: Snapshot) -> int:
    """Return how many processes carry traffic; ``auto`` is one for each processor that this process may use."""
    if snapshot.workers == AUTO:
        return min(len(os.sched_getaffinity(0)), MAX_WORKERS)
    return snapshot.workers
