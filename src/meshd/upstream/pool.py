"""The connections to one endpoint: idle ones, those being dialed, and the attempts that wait for one.

Strategy: last used, first taken, so that a pool shrinks to what the load needs. A waiting attempt is served by
whichever comes first, its own dial or another's release. The circuit breaker counts connections and waiters.
"""

from collections import deque
from functools import partial
from typing import Any

from meshd.http import flag
from meshd.upstream.connection import UpstreamConnection
from meshd.wire.name import Name


class Pool:
    """``family`` and ``sockaddr`` are where to connect. ``cluster`` gives settings, breaker and counters; a reload
    replaces it.
    """

    __slots__ = ("world", "poller", "address", "family", "sockaddr", "name", "cluster", "settings", "connect_timeout_s",
                 "max_idle", "max_requests", "idle_timeout_s", "idle", "waiters", "connections", "dialing",
                 "is_retired")

    def __init__(self, world: Any, address: str, target: tuple[int, Any] | None) -> None:
        self.world = world
        self.poller = world.poller
        self.address = address
        self.family, self.sockaddr = target or (0, None)
        self.name = None if target else Name(world, address)
        self.cluster: Any = None
        self.settings: Any = None
        self.connect_timeout_s = 5.0
        self.max_idle = self.max_requests = 0
        self.idle_timeout_s = 0.0
        self.idle: list[UpstreamConnection] = []
        self.waiters: deque[Any] = deque()
        self.connections: set[UpstreamConnection] = set()
        self.dialing = 0
        self.is_retired = False

    def bind(self, cluster: Any) -> None:
        """Take settings and counters from ``cluster`` from now on."""
        self.cluster = cluster
        self.settings = settings = cluster.spec.pool
        self.max_idle = settings.max_idle
        self.max_requests = settings.max_requests_per_connection
        self.idle_timeout_s = settings.idle_timeout_s
        self.connect_timeout_s = cluster.spec.connect_timeout_s
        self.is_retired = False

    def take(self, attempt: Any) -> UpstreamConnection | None:
        """Return an idle connection, or None: then ``attempt.on_connection`` or ``attempt.on_failure`` follows."""
        if self.idle:
            cluster = self.cluster
            cluster.idle -= 1
            return self.idle.pop()
        if not self.cluster.breaker.admit_pending():
            self.cluster.cells.pending_overflow.value += 1
            attempt.on_failure(flag.UO, "too many requests wait for a connection", False)
            return None
        self.waiters.append(attempt)
        if self.dialing < len(self.waiters):
            self.open()
        return None

    def open(self) -> None:
        """Dial one more connection, if the breaker lets it or there is none at all (as Envoy does)."""
        is_counted = self.cluster.breaker.admit_connection()
        if not is_counted:
            self.cluster.cells.connection_overflow.value += 1
            if self.connections:
                return
        connection = UpstreamConnection(self, is_counted)
        self.connections.add(connection)
        self.dialing += 1
        cells = self.cluster.cells
        cells.connections.value += 1
        cells.active_connections.value += 1
        if self.name is None:
            connection.dial.begin(self.family, self.sockaddr)
        else:
            connection.dial.expect()
            self.name.ask(partial(self.on_named, connection))

    def on_named(self, connection: UpstreamConnection) -> None:
        """The endpoint's name has been looked up, or could not be."""
        if connection.dial is None:
            return
        target = self.name.next_target()
        if target is None:
            connection.dial.finish(None, self.name.reason)
        else:
            connection.dial.begin(*target)

    def on_dialed(self, connection: UpstreamConnection) -> None:
        """A connection is ready."""
        self.dialing -= 1
        self.put(connection)

    def on_dial_failed(self, connection: UpstreamConnection, reason: str) -> None:
        """A dial failed: fail its waiter, and all of them where nothing else is on its way."""
        self.dialing -= 1
        self.cluster.cells.connect_failures.value += 1
        self.forget(connection)
        count = len(self.waiters) if not self.connections else max(0, len(self.waiters) - self.dialing)
        failed = [self.next_waiter() for _ in range(count)]
        for attempt in failed:
            attempt.on_failure(flag.UF, reason, False)

    def next_waiter(self) -> Any:
        """Return the attempt that has waited longest."""
        self.cluster.breaker.release_pending()
        return self.waiters.popleft()

    def put(self, connection: UpstreamConnection) -> None:
        """Take a connection that is new or that has served a whole exchange: give it to who waits, or keep it."""
        limit = self.max_requests
        cluster = self.cluster
        if limit and connection.requests >= limit or self.is_retired and connection.requests:
            connection.close()
        elif self.waiters:
            self.next_waiter().on_connection(connection)
        elif self.is_retired or cluster.idle >= self.max_idle:
            connection.close()
        else:
            cluster.idle += 1
            self.idle.append(connection)
            if self.idle_timeout_s:
                connection.timer.arm(self.poller.now + self.idle_timeout_s)

    def on_closed(self, connection: UpstreamConnection) -> None:
        """A connection has closed for whatever reason."""
        if connection in self.connections:
            if connection in self.idle:
                self.idle.remove(connection)
                self.cluster.idle -= 1
            self.forget(connection)
            if self.dialing < len(self.waiters):
                self.open()

    def forget(self, connection: UpstreamConnection) -> None:
        """Uncount a connection."""
        self.connections.discard(connection)
        self.cluster.cells.active_connections.value -= 1
        if connection.is_counted:
            self.cluster.breaker.release_connection()

    def give_up(self, attempt: Any) -> None:
        """``attempt`` waits no more."""
        if attempt in self.waiters:
            self.waiters.remove(attempt)
            self.cluster.breaker.release_pending()

    def retire(self) -> None:
        """Close what is idle now and the rest when it comes back."""
        self.is_retired = True
        for connection in list(self.idle):
            connection.close()
