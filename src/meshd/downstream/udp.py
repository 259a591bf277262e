"""A live UDP listener: sessions between clients and endpoints, by the rules of Envoy's ``udp_proxy``.

Strategy: a session is a pair of addresses, the client's and ours, with a connected socket of its own towards one
endpoint, so that answers are told apart by the kernel. Datagrams are passed on as they come, some of each side in one
turn; what the kernel does not take at once is dropped and counted, for UDP has no back-pressure. A session asks its
cluster with each datagram of the client whether its endpoint is still there and well; if not, another takes over.
"""

import socket
from collections.abc import Callable, ValuesView
from typing import Any

from twisted.internet.defer import Deferred, succeed

from meshd.downstream.udp_session import ClusterCells, Session
from meshd.downstream.udp_told import told
from meshd.errors import MeshdError
from meshd.wire import spare
from meshd.wire.address import render
from meshd.wire.datagram import ANCILLARY_BYTES, bind_datagram, destination, origin, place_of, yield_address
from meshd.wire.poller import READ

BATCH = 64
"""Datagrams of clients that are taken in one turn."""
COUNTERS = (
    ("sessions", "envoy_udp_downstream_sess_total", "UDP sessions begun"),
    ("no_route", "envoy_udp_downstream_sess_no_route", "UDP datagrams dropped, as no session could begin"),
    ("idle", "envoy_udp_idle_timeout", "UDP sessions that ended for silence"),
    ("rx_bytes", "envoy_udp_downstream_sess_rx_bytes", "bytes of datagrams that came from clients"),
    ("rx_datagrams", "envoy_udp_downstream_sess_rx_datagrams", "datagrams that came from clients"),
    ("rx_errors", "envoy_udp_downstream_sess_rx_errors", "errors in receiving from clients"),
    ("dropped", "envoy_udp_downstream_rx_datagram_dropped",
     "datagrams of clients dropped: longer than max_rx_datagram, or beyond the limits of sessions"),
    ("tx_bytes", "envoy_udp_downstream_sess_tx_bytes", "bytes of datagrams sent to clients"),
    ("tx_datagrams", "envoy_udp_downstream_sess_tx_datagrams", "datagrams sent to clients"),
    ("tx_errors", "envoy_udp_downstream_sess_tx_errors", "datagrams for clients that could not be sent"),
)


class Cells:
    """The counters of one UDP listener."""

    __slots__ = tuple(row[0] for row in COUNTERS) + ("active",)

    def __init__(self, metrics: Any, name: str) -> None:
        for attribute, metric, doc in COUNTERS:
            setattr(self, attribute, metrics.counter(metric, doc, ("listener",)).cell(name))
        self.active = metrics.gauge(
            "envoy_udp_downstream_sess_active", "UDP sessions open", ("listener",)).cell(name)


class UdpListener:
    """Has the face of a ``LiveListener`` towards swaps, drains and the admin API; its connections are sessions.

    ``cluster`` is the live one in force. ``local`` is where it is bound.
    """

    def __init__(self, spec: Any, cluster: Any, world: Any, chain: Any) -> None:
        self.spec = spec
        self.name = spec.name
        self.world = world
        self.cells = Cells(world.metrics, spec.name)
        self.sessions: dict[Any, Session] = {}
        self.socket: socket.socket | None = None
        self.place = place_of(spec.address, 0)
        self.local = spec.address
        self.is_accepting = self.is_foreign = self.is_closed = False
        self.emptied: list[Deferred] = []
        self.end: Callable[[], Any] | None = None
        self.replace(spec, cluster, chain)

    def replace(self, spec: Any, cluster: Any, chain: Any) -> None:
        """Serve by this specification and this cluster from now on, and tell the sinks of ``chain``.

        Sessions stay while their endpoints do.
        """
        self.spec = spec
        self.chain = chain
        self.cluster = cluster
        self.cluster_cells = ClusterCells(self.world.metrics, cluster.name)
        self.idle_s = spec.udp.idle_timeout_s
        self.limit_bytes = spec.udp.max_rx_datagram_bytes
        self.max_sessions = spec.udp.max_sessions

    @property
    def connections(self) -> ValuesView[Session]:
        """The sessions that are open."""
        return self.sessions.values()

    def bind(self) -> None:
        """Take the socket that was handed over, or a new one; raises MeshdError."""
        sockets = self.world.sockets
        given = sockets.take_datagram(self.name, self.spec.address)
        self.is_foreign = given is not None and sockets.is_foreign(given.sock)
        try:
            self.socket = bind_datagram(self.spec.address) if given is None else given.sock
        except OSError as error:
            cause = (error.strerror or str(error)).lower()
            raise MeshdError(f"listener {self.name}: {self.spec.address}: cannot bind: {cause}") from None
        if given is not None:
            self.place = given.address
        self.local = render(self.socket.getsockname())

    def start(self) -> None:
        """Serve."""
        self.ceiling = spare.upstream_ceiling()
        self.is_accepting = True
        self.world.poller.register(self.socket.fileno(), READ, self)

    def take_from(self, old: "UdpListener") -> None:
        """Go on with the socket and the sessions of a listener that had another name."""
        self.local, self.place, self.is_foreign = old.local, old.place, old.is_foreign
        if old.socket is None:
            return
        if old.is_accepting:
            old.is_accepting = False
            self.world.poller.detach(old.socket.fileno())
        self.socket, old.socket = old.socket, None
        moved, old.sessions = old.sessions, {}
        for session in moved.values():
            session.move(self)
        self.sessions = moved
        self.start()

    # Datagrams of clients

    def on_event(self, mask: int) -> None:
        """Called by the poller: clients have sent something."""
        receive, limit = self.socket.recvmsg, self.limit_bytes
        for _ in range(BATCH):
            try:
                data, ancillary, flags, peer = receive(limit, ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError:
                self.cells.rx_errors.value += 1
                return
            if flags & socket.MSG_TRUNC:
                self.cells.dropped.value += 1
            else:
                self.on_datagram(data, destination(ancillary) if ancillary else b"", peer)

    def on_bug(self) -> None:
        """A datagram raised something: the next ones are served all the same."""

    def on_datagram(self, data: bytes, ours: bytes, peer: Any) -> None:
        """Pass on what a client sent, with a new session where it has none."""
        cells = self.cells
        cells.rx_datagrams.value += 1
        cells.rx_bytes.value += len(data)
        session = self.sessions.get((peer, ours))
        if session is None:
            if len(self.sessions) < self.max_sessions and not self.world.overload.stops_connections:
                session = self.session(Session(self, peer, ours))
            else:
                cells.dropped.value += 1
        else:
            endpoint = session.current()
            if endpoint is None or not endpoint.healthy:
                session = self.renewed(session, endpoint)
        if session is not None:
            session.tally.received += 1
            session.tally.received_bytes += len(data)
            session.send(data)

    def session(self, made: Session) -> Session | None:
        """Begin a session; return None where there cannot be one."""
        if made.endpoint is None and not made.pick():
            self.cells.no_route.value += 1
            made.rest()
            return None
        if not made.begin():
            return None
        self.sessions[made.peer, made.ours] = made
        self.cells.sessions.value += 1
        self.cells.active.value += 1
        return made

    def renewed(self, old: Session, endpoint: Any) -> Session | None:
        """Return what takes the place of a session whose endpoint is not well, or has gone (None).

        Where no other can be used, one that is there stays in use (as in Envoy).
        """
        made = Session(self, old.peer, old.ours)
        if endpoint is not None and (not made.pick() or made.endpoint.address == endpoint.address):
            made.rest()
            return old
        old.close()
        return self.session(made)

    def answer(self, data: bytes, session: Session) -> None:
        """Send a datagram to a client."""
        cells = self.cells
        try:
            if session.ours:
                self.socket.sendmsg((data,), origin(session.ours), 0, session.peer)
            else:
                self.socket.sendto(data, session.peer)
        except OSError:
            cells.tx_errors.value += 1
            session.tally.errors_sent += 1
            return
        cells.tx_datagrams.value += 1
        cells.tx_bytes.value += len(data)
        session.tally.sent += 1
        session.tally.sent_bytes += len(data)

    def closed(self, session: Session) -> None:
        """A session has ended."""
        if self.chain.datagram_steps:
            self.chain.tell(self.chain.datagram_steps, "on_udp_session", told(session))
        if self.sessions.get((session.peer, session.ours)) is session:
            del self.sessions[session.peer, session.ours]
            self.cells.active.value -= 1
            if self.is_closed and not self.sessions:
                self.leave()

    # Ends

    def withdraw(self) -> None:
        """Watch the socket no more."""
        if self.is_accepting:
            self.is_accepting = False
            self.world.poller.detach(self.socket.fileno())

    def close(self) -> None:
        """Take no more datagrams of clients and let others have the address; answers on their way still go out."""
        if self.is_closed:
            return
        if self.is_accepting and not self.is_foreign:
            self.on_event(READ)
        self.is_closed = True
        self.withdraw()
        if self.socket is not None and not self.is_foreign:
            yield_address(self.socket)
        for session in list(self.sessions.values()):
            session.drain()
        if not self.sessions:
            self.leave()

    def leave(self) -> None:
        """Nobody needs the socket any more."""
        sock, self.socket = self.socket, None
        if sock is not None:
            sock.close()
        emptied, self.emptied = self.emptied, []
        for deferred in emptied:
            deferred.callback(None)

    def drain(self, deadline_s: float) -> Deferred:
        """Return a Deferred that fires when the last answer has gone out, or after ``deadline_s``; closed before."""
        if not self.sessions:
            return succeed(None)
        emptied: Deferred = Deferred()
        self.emptied.append(emptied)
        cut = self.world.call_later(deadline_s, self.cut)
        emptied.addBoth(lambda result: cut.cancel() if cut.active() else None)
        return emptied

    def cut(self) -> None:
        """The deadline has passed: end what is left."""
        for session in list(self.sessions.values()):
            session.close()
