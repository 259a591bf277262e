"""A live listener: accepts connections, hands them the chain in force, survives reloads."""

import errno
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed

from meshd.downstream.arrival import Arrival
from meshd.downstream.live_chain import LiveChain
from meshd.downstream.lobby import Lobby
from meshd.errors import MeshdError
from meshd.hot import io
from meshd.model.chain_match import ChainMatch, ChainTable, Facts
from meshd.wire import spare
from meshd.wire.address import render
from meshd.wire.cell import ledger
from meshd.wire.descriptor import Descriptor
from meshd.wire.nobody import NOBODY
from meshd.wire.poller import READ
from meshd.wire.sockets import bind, make_transparent, set_mode, unlink_quietly

ACCEPTS = 64
"""Connections taken in one turn."""
LAST_S = 0.1
"""How long those who wait at a listener that ends are taken in, in one turn: some 4000 of them."""
RESPITE_S = 0.5
"""How long nothing is accepted after the process ran out of descriptors, and until it is looked again."""

COUNTERS = (
    ("connections", "envoy_listener_downstream_cx_total", "connections accepted"),
    ("requests", "envoy_http_downstream_rq_total", "requests received"),
    ("protocol_errors", "envoy_http_downstream_cx_protocol_error", "connections that broke HTTP"),
    ("refused", "envoy_listener_downstream_cx_overflow", "times that accepting was put off at max_connections"),
    ("exhausted", "meshd_listener_accept_errors_total", "accepting was put off for want of descriptors or memory"),
    ("shed", "envoy_http_downstream_rq_overload_close", "requests refused because of overload"),
    ("unkept", "envoy_http_downstream_cx_overload_disable_keepalive", "connections not kept because of overload"),
    ("rejected", "envoy_listener_downstream_cx_overload_reject", "connections refused because of overload"),
    ("unmatched", "envoy_listener_no_filter_chain_match", "connections closed because no filter chain takes them"),
    ("filter_timeouts", "envoy_listener_downstream_pre_cx_timeout", "connections whose listener filters took too long"),
    ("filter_closes", "envoy_listener_downstream_listener_filter_remote_close",
     "connections that clients closed before their listener filters were done"),
    ("direct", "meshd_listener_direct_refused_total", "connections refused because they were not captured"),
    ("filter_refused", "meshd_listener_filter_refused_total", "connections that a listener filter has refused"),
)
GAUGES = (
    ("active", "envoy_listener_downstream_cx_active", "connections open"),
    ("arriving", "envoy_listener_downstream_pre_cx_active", "connections that listener filters look at"),
    ("active_requests", "envoy_http_downstream_rq_active", "requests in flight"),
)


class Cells:
    """The counters of one listener."""

    __slots__ = tuple(row[0] for row in COUNTERS + GAUGES)

    def __init__(self, metrics: Any, name: str) -> None:
        for attribute, metric, doc in COUNTERS:
            setattr(self, attribute, metrics.counter(metric, doc, ("listener",)).cell(name))
        for attribute, metric, doc in GAUGES:
            setattr(self, attribute, metrics.gauge(metric, doc, ("listener",)).cell(name))


class LiveListener:
    """``chains`` are its live filter chains by name; ``connections`` are those open, of all of them.

    ``whole`` is the one chain that takes every connection as it is accepted, None where one has to be chosen; ``sole``
    likewise, where its layer (TLS) comes first.
    ``places`` counts the connections of all workers of this host. Making one and ``bind`` raise MeshdError.
    ``is_foreign``: the socket stays open elsewhere when it is closed here, so its file is not ours to remove.
    Overload changes ``is_accepting``; ``held_since`` is when that ended (monotonic seconds, 0.0 while it has not).
    ``built`` in the methods is a mapping of what the runtime has made for a listener: Chain by the chain's name.
    """

    def __init__(self, spec: Any, built: Any, world: Any, listener_filters: Any = None) -> None:
        self.spec = spec
        self.name = spec.name
        self.world = world
        self.cells = Cells(world.metrics, spec.name)
        self.connections: set[Any] = set()
        self.places = ledger(world.arena, ("listener", spec.name, spec.address), 1)
        self.accepts = ACCEPTS if world.arena is None else 1  # what others can take, one worker leaves to them
        self.socket: socket.socket | None = None
        self.local = self.place = spec.address
        self.is_accepting = False
        self.is_foreign = self.is_anywhere = False
        self.ceiling = 0
        self.held_since = 0.0
        self.respite: Any = None
        self.emptied: list[Deferred] = []
        self.end: Callable[[], Any] | None = None
        self.lobby = Lobby(self)
        self.chains: dict[str, LiveChain] = {}
        self.arrange(built, listener_filters)
        world.overload.followers.add(self)

    def bind(self) -> None:
        """Take the address or the socket that was handed over; connections queue but are not served until ``start``."""
        sock = self.world.sockets.take(self.spec.name, self.spec.address)
        self.is_foreign = sock is not None and self.world.sockets.is_foreign(sock)
        try:
            sock = sock or bind(self.spec.address, self.spec.backlog, self.spec.socket_mode)
            if self.spec.transparent:
                make_transparent(sock)
        except OSError as error:
            cause = (error.strerror or str(error)).lower()
            raise MeshdError(f"listener {self.spec.name}: {self.spec.address}: cannot bind: {cause}") from None
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # those that are accepted inherit it
        self.socket = sock
        self.local = render(sock.getsockname())
        self.is_anywhere = self.local.startswith(("0.0.0.0:", "[::]:"))

    def start(self) -> None:
        """Serve."""
        self.is_accepting = True
        self.held_since = 0.0
        self.ceiling = spare.client_ceiling()
        self.world.poller.register(self.socket.fileno(), READ, self)
        if self.world.overload.stops_connections:
            self.hold()

    def replace(self, spec: Any, built: Any, listener_filters: Any = None) -> list[LiveChain]:
        """Serve the next requests by this specification; open connections stay.

        Return the chains that it has no more, which are to be drained.
        """
        if spec.backlog != self.spec.backlog and self.socket is not None:
            self.socket.listen(spec.backlog)  # the kernel takes the new length for the queue that is there
        if spec.transparent != self.spec.transparent and self.socket is not None:
            make_transparent(self.socket, spec.transparent)
        if spec.socket_mode not in (None, self.spec.socket_mode) and not self.is_foreign:
            set_mode(spec.address, spec.socket_mode)
        self.spec = spec
        return self.arrange(built, listener_filters)

    def arrange(self, built: Any, listener_filters: Any) -> list[LiveChain]:
        """Lay the chains out; return those that have gone. One that speaks something else now is another one."""
        before, self.chains = self.chains, {}
        table, fallback = ChainTable(), self.spec.default_filter_chain
        for spec in self.spec.chains:
            live = before.get(spec.name)
            if live is not None and live.protocol == spec.protocol:
                del before[spec.name]
                live.replace(spec, built[spec.name])
            else:
                live = LiveChain(self, spec, built[spec.name])
            self.chains[spec.name] = live
            if fallback is None or spec.name != fallback.name:
                table.add(spec.match, live)
        self.table = table
        self.fallback = None if fallback is None else self.chains[fallback.name]
        self.listener_filters = listener_filters
        only = self.only_chain()
        self.whole, self.sole = (only, None) if only is None or only.transport is None else (None, only)
        self.lobby.replace(self.whole if self.whole is not None and self.whole.protocol == "http" else None)
        return list(before.values())

    def only_chain(self) -> LiveChain | None:
        """Return the chain of every connection, if there is nothing to be looked at."""
        (first, *others) = self.chains.values()
        is_plain = self.listener_filters is None and first.spec.match == ChainMatch()
        if first.transport is not None and self.spec.use_original_dst:
            return None
        return first if is_plain and not others else None

    def chain_for(self, facts: Facts) -> LiveChain | None:
        """Return the chain that takes a connection, or None."""
        found = self.table.find(facts)
        return self.fallback if found is None else found

    def follow(self) -> None:
        """What the process refuses has changed."""
        for chain in self.chains.values():
            chain.heed()
        if not self.world.overload.stops_connections:
            self.go_on()
        elif self.is_accepting:
            self.hold()

    def on_event(self, mask: int) -> None:
        """Called by the poller: somebody wants in."""
        for _ in range(self.accepts):
            if not self.places.take(0, self.spec.limits.max_connections):
                self.cells.refused.value += 1
                self.hold()
                return
            number = self.accept()
            if number is None:
                self.places.give(0)
                return
            if number >= self.ceiling:
                self.on_shortage("few descriptors are left")
                return

    def accept(self) -> int | None:
        """Take one client in, who has a place; return the descriptor's number, or None where nobody could be taken."""
        try:
            found = io.accept(self.socket.fileno())
        except OSError as error:
            self.on_accept_error(error)
            return None
        if found is None:
            return None
        try:
            self.admit(*found)
        except BaseException:
            self.places.give(0)
            raise
        return found[0]

    def on_bug(self) -> None:
        """Beginning to serve a client raised: the others are served all the same."""

    def on_accept_error(self, error: OSError) -> None:
        """Wait a little where descriptors or memory are short; anything else concerns one client only."""
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            self.on_shortage(error.strerror.lower())

    def on_shortage(self, reason: str) -> None:
        """Leave clients in the queue until there are descriptors again."""
        self.cells.exhausted.value += 1
        self.world.log.warn(
            "listener {name}: accept: {reason}: new connections wait", name=self.spec.name, reason=reason)
        self.hold()

    def admit(self, fd: int, peer: str, client: str, host: Any = None) -> Any:
        """Begin to serve a client, as ``meshd.hot.io.accept`` returns it; ``host`` is the lobby where that is who it
        belongs to.
        """
        local = self.local_of(fd)
        host = host or self.whole
        if host is None:
            connection = Arrival(self, fd, peer, client, local, self.sole)
        else:
            connection = host.connect(Descriptor(fd, self.world.poller, NOBODY), peer, client, local)
        self.connections.add(connection)
        self.cells.connections.value += 1
        self.cells.active.value += 1
        connection.serve(b"", None)
        return connection

    def served(self, arrival: Arrival, chain: LiveChain, descriptor: Any, protocol: str) -> Any:
        """A chain takes an arrival over; return the connection in its place."""
        connection = chain.connect(descriptor, arrival.peer, arrival.client, arrival.local, protocol)
        self.connections.discard(arrival)
        self.connections.add(connection)
        if arrival.is_draining:
            connection.drain()
        return connection

    def local_of(self, fd: int) -> str:
        """Return our address on a connection; asked of the kernel only where the listener has no single one."""
        return io.local(fd) if self.spec.transparent or self.is_anywhere else self.local

    def hold(self) -> None:
        """Leave clients in the queue for a while."""
        if self.is_accepting:
            self.withdraw()
            self.held_since = self.world.clock.now()
            self.look_later()

    def look_later(self) -> None:
        """Look whether clients can be accepted again, in a while."""
        if self.respite is None:
            self.respite = self.world.call_later(RESPITE_S, self.look)

    def look(self) -> None:
        """The while is over."""
        self.respite = None
        self.go_on()

    def withdraw(self) -> None:
        """Watch the socket no more."""
        self.lobby.close()
        if self.is_accepting:
            self.is_accepting = False
            self.world.poller.detach(self.socket.fileno())

    def go_on(self) -> None:
        """Accept again, or see later; those who have waited long enough by then are let in to be refused."""
        if self.socket is None or self.is_accepting:
            return
        overload = self.world.overload
        if not (overload.stops_connections or self.is_short()):
            self.lobby.close()
            self.start()
            return
        self.look_later()
        if self.world.clock.now() - self.held_since >= overload.max_wait_s:
            self.lobby.open()

    def is_short(self) -> bool:
        """Say whether no descriptor is left for clients."""
        try:
            return spare.lowest_free(self.socket.fileno()) >= self.ceiling
        except OSError:
            return True

    def swap(self, connection: Any, other: Any) -> None:
        """``other`` serves the client of ``connection`` from now on."""
        self.connections.discard(connection)
        self.connections.add(other)

    def closed(self, connection: Any) -> bool:
        """A connection has ended; say whether it was one of ours."""
        if connection not in self.connections:
            return False
        self.connections.discard(connection)
        self.places.give(0)
        self.cells.active.value -= 1
        if not self.connections:
            self.leave()
            emptied, self.emptied = self.emptied, []
            for deferred in emptied:
                deferred.callback(None)
        return True

    def leave(self) -> None:
        """Give up the host's count once nobody is here and nobody can come any more."""
        if self.socket is None and not self.connections:
            self.places.close()

    def close(self) -> None:
        """Accept no more and free the address; connections stay, and so do those that the kernel has taken for us."""
        if self.socket is not None:
            self.take_last()
            self.withdraw()
            self.socket.close()
            self.socket = None
            if self.spec.address.startswith("unix:/") and not self.is_foreign:
                unlink_quietly(self.spec.address[5:])
        self.leave()

    def take_last(self, is_all: bool = False) -> None:
        """Take in whom the kernel has taken for us: it resets them, unless the socket stays open elsewhere; all of them
        where nobody serves them there.
        """
        late, cell = self.world.clock.now() + LAST_S, self.cells.connections
        for _ in range(1 if self.is_foreign and not is_all else self.spec.backlog):
            before = cell.value
            if self.is_accepting:
                self.on_event(READ)
            if cell.value == before or self.world.clock.now() > late:
                return

    def drain(self, deadline_s: float) -> Deferred:
        """Ask every connection to close; return a Deferred that fires when all have, or were cut after
        ``deadline_s``.
        """
        for connection in list(self.connections):
            connection.drain()
        if not self.connections:
            return succeed(None)
        emptied: Deferred = Deferred()
        self.emptied.append(emptied)
        cut = self.world.call_later(deadline_s, self.cut)
        emptied.addBoth(lambda result: cut.cancel() if cut.active() else None)
        return emptied

    def drain_chain(self, chain: LiveChain, deadline_s: float) -> Deferred:
        """Ask the connections of a chain that has gone to close; the Deferred is as that of ``drain``."""
        emptied: Deferred = Deferred()
        if not chain.count:
            return succeed(None)
        chain.on_empty = lambda: emptied.callback(None)
        for connection in list(self.connections):
            if connection.listener is chain:
                connection.drain()
        cut = self.world.call_later(deadline_s, self.cut, chain)
        return emptied.addBoth(lambda result: cut.cancel() if cut.active() else None)

    def cut(self, chain: LiveChain | None = None) -> None:
        """The deadline has passed: end what is left, of one chain where it is given."""
        for connection in list(self.connections):
            if chain is None or connection.listener is chain:
                connection.lost("drain deadline")
                if connection.descriptor is not None and connection.descriptor.is_open:
                    connection.abort()
