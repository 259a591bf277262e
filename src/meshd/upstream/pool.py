"""The connections to one endpoint: idle ones, those being dialed, and the attempts that wait for one.

Strategy: last used, first taken, so that a pool shrinks to what the load needs. A waiting attempt is served by
whichever comes first, its own dial or another's release. The circuit breaker counts connections and waiters. Where TLS
asks for the name of each request's host, there is a pool below for each name, and where connections begin with a PROXY
protocol header, for each pair of downstream addresses (as in Envoy), and where they come from the client's address,
for each client: a connection is for one of them.
"""

from functools import partial
from typing import Any

from meshd.http import flag
from meshd.upstream.connection import UpstreamConnection
from meshd.wire.address import parse
from meshd.wire.dialer import client_of
from meshd.wire.name import Name
from meshd.wire.proxy_protocol import header

MAX_BRANCHES = 100
"""Names for which an endpoint has pools at once, beside those where somebody waits; the one that was not asked for
longest makes room."""
MAX_CLIENTS = 2000
"""The same for the clients that PROXY protocol headers speak of, or whose addresses connections come from."""


class Pool:
    """``family`` and ``sockaddr`` are where to connect, or ``name`` knows it; found out with the first connection.
    ``cluster`` gives settings, breaker, TLS and counters; a reload replaces it. ``server_name`` is what TLS asks for,
    ``preface`` what a connection begins with, below TLS: a PROXY protocol header of version ``proxied``, or nothing.
    ``client`` is whose address connections come from (``as_client``), "" where that is our own. ``branches`` are the
    pools by name, preface and client where requests have a say in these, else None.
    """

    __slots__ = ("world", "poller", "address", "family", "sockaddr", "name", "cluster", "settings", "connect_timeout_s",
                 "max_idle", "max_requests", "idle_timeout_s", "idle", "waiters", "connections", "dialing",
                 "is_retired", "high", "max_connections", "max_age_s", "tls", "server_name", "branches", "preface",
                 "proxied", "is_branch", "as_client", "client")

    protocol = "http1"
    alpn = ("http/1.1",)

    def __init__(self, world: Any, address: str) -> None:
        self.world = world
        self.poller = world.poller
        self.address = address
        self.family = 0
        self.sockaddr: Any = None
        self.name: Any = None
        self.cluster: Any = None
        self.settings: Any = None
        self.connect_timeout_s = 5.0
        self.max_idle = self.max_requests = 0
        self.max_connections = 0
        self.idle_timeout_s = self.max_age_s = 0.0
        self.high: Any = None
        self.idle: list[UpstreamConnection] = []
        self.waiters: list[Any] = []
        self.connections: set[UpstreamConnection] = set()
        self.dialing = 0
        self.is_retired = False
        self.tls: Any = None
        self.server_name = ""
        self.preface = b""
        self.proxied: str | None = None
        self.as_client = False
        self.client = ""
        self.is_branch = False
        self.branches: dict[tuple[str, bytes, str], Pool] | None = None

    def bind(self, cluster: Any) -> None:
        """Take settings and counters from ``cluster`` from now on."""
        self.cluster = cluster
        self.settings = settings = cluster.spec.pool
        self.max_idle = settings.max_idle
        self.max_requests = settings.max_requests_per_connection
        self.idle_timeout_s = settings.idle_timeout_s
        self.max_age_s = settings.max_connection_duration_s
        self.high = getattr(cluster.breaker, "high", None)
        self.max_connections = getattr(cluster.breaker, "max_connections_per_endpoint", 0)
        self.connect_timeout_s = cluster.spec.connect_timeout_s
        self.is_retired = False
        self.part_by(cluster.tls, cluster.spec.proxy_protocol, cluster.spec.use_original_src)

    def bind_as(self, other: "Pool") -> None:
        """Take what ``other`` has from its cluster: the same for a thousand pools."""
        self.cluster = other.cluster
        self.settings = other.settings
        self.max_idle = other.max_idle
        self.max_requests = other.max_requests
        self.idle_timeout_s = other.idle_timeout_s
        self.max_age_s = other.max_age_s
        self.high = other.high
        self.max_connections = other.max_connections
        self.connect_timeout_s = other.connect_timeout_s
        self.is_retired = False
        self.part_by(other.tls, other.proxied, other.as_client)

    def part_by(self, tls: Any, proxied: str | None, as_client: bool) -> None:
        """Take the TLS for new connections, None for plain ones, the version of their PROXY protocol headers, and
        whether they come from the client's address. A pool of one name and client keeps to them.
        """
        self.tls, self.proxied, self.as_client = tls, proxied, as_client
        if self.is_branch:
            return
        is_auto = tls is not None and tls.is_auto
        if tls is not None and not is_auto:
            self.server_name = tls.name_for("", self.address)
        if not is_auto and proxied is None and not as_client:
            return
        self.branches = self.branches or {}
        for branch in self.branches.values():
            branch.bind_as(self)

    def branch(self, attempt: Any) -> "Pool":
        """Return the pool for the host and the client of a request; who asks for nobody has a header that says so."""
        branches = self.branches
        name, preface, client = self.server_name, b"", ""
        asked = getattr(attempt, "exchange", None)
        if self.tls is not None and self.tls.is_auto:
            name = self.tls.name_for(attempt.server_name(), self.address)
        if self.proxied is not None:
            preface = header(self.proxied) if asked is None else header(self.proxied, asked.peer, asked.local)
        if self.as_client and asked is not None:
            client = client_of(asked.peer)
        found = branches.pop((name, preface, client), None)
        if found is None:
            found = type(self)(self.world, self.address)
            found.be_branch(name, preface, self.name, client)
            found.bind_as(self)
            self.make_room(MAX_CLIENTS if self.proxied is not None or self.as_client else MAX_BRANCHES)
        branches[name, preface, client] = found
        return found

    def make_room(self, most: int) -> None:
        """Drop pools below that were not asked for longest; not where somebody waits, who could not give up then."""
        branches = self.branches
        while len(branches) >= most:
            key = next((key for key, one in branches.items() if not any(part.waiters for part in one.every())), None)
            if key is None:
                return
            branches.pop(key).retire()

    def be_branch(self, server_name: str, preface: bytes, name: Any, client: str) -> None:
        """Be for one name and client alone; ``name`` knows the way to the endpoint."""
        self.is_branch = True
        self.server_name, self.preface, self.name, self.client = server_name, preface, name, client

    def every(self) -> list["Pool"]:
        """Return this pool and those below it."""
        return [self, *self.branches.values()] if self.branches else [self]

    def take(self, attempt: Any) -> UpstreamConnection | None:
        """Return an idle connection, or None: then ``attempt.on_connection`` or ``attempt.on_failure`` follows."""
        if self.branches is not None:
            return self.branch(attempt).take(attempt)
        if self.idle:
            cluster = self.cluster
            cluster.idle -= 1
            return self.idle.pop()
        breaker = self.cluster.breaker if self.high is None else self.breaker_of(attempt)
        if not breaker.admit_pending():
            self.cluster.cells.pending_overflow.value += 1
            attempt.on_failure(flag.UO, "too many requests wait for a connection", False)
            return None
        self.waiters.append(attempt)
        self.reach(breaker)
        return None

    def reach(self, breaker: Any) -> None:
        """Dial another connection, if more attempts wait than there are on their way."""
        if self.dialing < len(self.waiters):
            self.open(breaker)

    def breaker_of(self, attempt: Any) -> Any:
        """Return the circuit breaker of an attempt's priority."""
        return self.high if self.high is not None and attempt.is_high else self.cluster.breaker

    def open(self, breaker: Any) -> None:
        """Dial one more connection, if the breaker lets it or there is none at all (as Envoy does)."""
        limit = self.max_connections
        is_counted = not (limit and len(self.connections) >= limit) and breaker.admit_connection()
        if not is_counted:
            self.cluster.cells.connection_overflow.value += 1
            if self.connections:
                return
        connection = self.make(breaker if is_counted else None)
        self.connections.add(connection)
        self.dialing += 1
        cells = self.cluster.cells
        cells.connections.value += 1
        cells.active_connections.value += 1
        if self.name is None and self.sockaddr is None:
            self.locate()
        if self.name is None:
            connection.dial.begin(self.family, self.sockaddr)
        else:
            connection.dial.expect()
            self.name.ask(partial(self.on_named, connection))

    def call(self, name: Any) -> None:
        """Find addresses by ``name`` from now on."""
        self.name = name

    def make(self, breaker: Any) -> UpstreamConnection:
        """Return a connection that is to be dialed."""
        return UpstreamConnection(self, breaker)

    def locate(self) -> None:
        """Read the address."""
        target = target_of(self.address)
        if target is None:
            self.name = Name(self.world, self.address)
        else:
            self.family, self.sockaddr = target

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
        attempt = self.waiters.pop(0)
        self.breaker_of(attempt).release_pending()
        return attempt

    def put(self, connection: UpstreamConnection) -> None:
        """Take a connection that is new or that has served a whole exchange: give it to who waits, or keep it."""
        limit = self.max_requests
        cluster = self.cluster
        if limit and connection.requests >= limit or self.is_retired and connection.requests:
            connection.close()
        elif self.max_age_s and self.poller.now - connection.since >= self.max_age_s:
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
            if self.max_age_s:
                self.bound_age(connection)

    def bound_age(self, connection: UpstreamConnection) -> None:
        """An unused connection closes when it is as old as it may be."""
        late = connection.since + self.max_age_s
        if not self.idle_timeout_s or late < connection.timer.deadline:
            connection.timer.arm(late)

    def on_closed(self, connection: UpstreamConnection) -> None:
        """A connection has closed for whatever reason."""
        if connection in self.connections:
            if connection in self.idle:
                self.idle.remove(connection)
                self.cluster.idle -= 1
            self.forget(connection)
            if self.waiters:
                self.reach(self.breaker_of(self.waiters[0]))

    def forget(self, connection: UpstreamConnection) -> None:
        """Uncount a connection."""
        self.connections.discard(connection)
        self.cluster.cells.active_connections.value -= 1
        if connection.counted_by is not None:
            connection.counted_by.release_connection()

    def give_up(self, attempt: Any) -> None:
        """``attempt`` waits no more."""
        if attempt in self.waiters:
            self.waiters.remove(attempt)
            self.breaker_of(attempt).release_pending()
        elif self.branches:
            for branch in self.branches.values():
                branch.give_up(attempt)

    def retire(self) -> None:
        """Close what is idle now and the rest when it comes back."""
        self.is_retired = True
        if self.idle:
            for connection in list(self.idle):
                connection.close()
        if self.branches:
            for branch in self.branches.values():
                branch.retire()


def target_of(address: str) -> tuple[int, Any] | None:
    """Return (family, sockaddr), or None for a name that has to be resolved first."""
    try:
        return parse(address)
    except ValueError:
        return None
