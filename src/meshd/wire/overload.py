"""What the process refuses at the moment: one object on the World, read on a request's road, written by the monitor.

Strategy: nobody asks at each request. When an action begins or ends, its followers (the listeners) are told and lay out
anew what the next request gets.
"""

import weakref
from typing import Any

from meshd.wire import spare

MOST_GUESTS = 8
"""Clients at once that are let in only to be refused."""


class Overload:
    """``disables_keepalive``, ``stops_requests`` and ``stops_connections`` are the actions in force.

    ``headers`` go with each refusal; ``max_wait_s`` is how long clients are left in the accept queue; ``guests`` are
    those that were let in since, to be refused.
    """

    __slots__ = (
        "disables_keepalive", "stops_requests", "stops_connections", "headers", "max_wait_s", "guests", "followers",
    )

    def __init__(self) -> None:
        self.disables_keepalive = False
        self.stops_requests = False
        self.stops_connections = False
        self.headers: tuple[tuple[bytes, bytes], ...] = ((b"retry-after", b"1"),)
        self.max_wait_s = 5.0
        self.guests = 0
        self.followers: weakref.WeakSet[Any] = weakref.WeakSet()

    def change(self, *, disables_keepalive: bool, stops_requests: bool, stops_connections: bool) -> None:
        """Put the actions in force; followers hear of it by ``follow()``."""
        self.disables_keepalive = disables_keepalive
        self.stops_requests = stops_requests
        self.stops_connections = stops_connections
        for follower in list(self.followers):
            follower.follow()

    @property
    def has_room(self) -> bool:
        """Say whether one more guest may come in: at most half of what clients leave to upstreams is lent to them."""
        return self.guests < min(MOST_GUESTS, (spare.upstream_ceiling() - spare.client_ceiling()) // 2)
