"""Host-wide cells, or this process's own where it is the only worker: what sites and listeners are handed.

``arena`` is ``world.arena``: None makes the object of one process, which costs nothing for what it does not share.
"""

from collections.abc import Hashable
from typing import Any

from meshd.errors import MeshdError
from meshd.host.arena import Arena, ArenaError
from meshd.hot.bucket import Buckets
from meshd.hot.ledger import LOCKING, Ledger, SharedLedger
from meshd.hot.shared_bucket import LANES, SharedBuckets, shape


def open_arena(fd: int, slot: int) -> Arena:
    """Open a worker's arena from its inherited descriptor, for ``world.arena``; raises MeshdError."""
    try:
        return Arena.open(fd, slot, LOCKING)
    except ArenaError as error:
        raise MeshdError(str(error)) from None


def ledger(arena: Arena | None, key: Hashable, size: int) -> Ledger:
    """Return ``size`` counts, those of ``key`` where processes share them; raises MeshdError where there is no room."""
    if arena is None:
        return Ledger(size)
    return SharedLedger(size, _claim(arena, ("ledger", key), locks=size, rows=size))


def buckets(arena: Arena | None, key: Hashable, max_keys: int) -> Buckets | SharedBuckets:
    """Return a table of at most ``max_keys`` token buckets, in shared memory rounded up to sets of 16.

    Raises MeshdError where there is no room.
    """
    if arena is None:
        return Buckets(max_keys)
    body_bytes = shape(max_keys)[2]
    return SharedBuckets(max_keys, _claim(arena, ("buckets", key), locks=LANES, body_bytes=body_bytes))


def _claim(arena: Arena, key: Hashable, **parts: int) -> Any:
    try:
        return arena.claim(key, **parts)
    except (ArenaError, TypeError) as error:
        raise MeshdError(f"{key[1]!r}: {error}") from None
