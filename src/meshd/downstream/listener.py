"""A live listener: accepts connections, hands them the chain in force, survives reloads."""

import errno
import os
import socket
import stat
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed

from meshd.downstream.connection import Connection
from meshd.downstream.edge import Edge
from meshd.errors import MeshdError
from meshd.wire import spare
from meshd.wire.address import host_of, parse, render
from meshd.wire.cell import ledger
from meshd.wire.poller import READ

ACCEPTS = 64
"""Connections taken in one turn."""
RESPITE_S = 0.5
"""How long nothing is accepted after the process ran out of descriptors, and until it is looked again."""

COUNTERS = (
    ("connections", "envoy_listener_downstream_cx_total", "connections accepted"),
    ("requests", "envoy_http_downstream_rq_total", "requests received"),
    ("protocol_errors", "envoy_http_downstream_cx_protocol_error", "connections that broke HTTP"),
    ("refused", "envoy_listener_downstream_cx_overflow", "times that accepting was put off at max_connections"),
    ("exhausted", "meshd_listener_accept_errors_total", "accepting was put off for want of descriptors or memory"),
)


class Cells:
    """The counters of one listener."""

    __slots__ = tuple(row[0] for row in COUNTERS) + ("active", "active_requests")

    def __init__(self, metrics: Any, name: str) -> None:
        for attribute, metric, doc in COUNTERS:
            setattr(self, attribute, metrics.counter(metric, doc, ("listener",)).cell(name))
        self.active = metrics.gauge("envoy_listener_downstream_cx_active", "connections open", ("listener",)).cell(name)
        self.active_requests = metrics.gauge(
            "envoy_http_downstream_rq_active", "requests in flight", ("listener",)).cell(name)


class LiveListener:
    """``chain`` is what the next request gets; ``connections`` are those open.

    ``places`` counts the connections of all workers of this host. Making one and ``bind`` raise MeshdError.
    """

    def __init__(self, spec: Any, chain: Any, world: Any) -> None:
        self.spec = spec
        self.name = spec.name
        self.chain = chain
        self.is_hasty = is_hasty(spec.timeouts)
        self.world = world
        self.edge = Edge(spec.http, world.random)
        self.cells = Cells(world.metrics, spec.name)
        self.connections: set[Connection] = set()
        self.places = ledger(world.arena, ("listener", spec.name, spec.address), 1)
        self.socket: socket.socket | None = None
        self.local = spec.address
        self.is_accepting = False
        self.ceiling = 0
        self.emptied: list[Deferred] = []
        self.end: Callable[[], Any] | None = None

    def bind(self) -> None:
        """Take the address; connections queue from now on but are not served until ``start``."""
        family, sockaddr = parse(self.spec.address)
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            if family == socket.AF_UNIX:
                clear_stale(sockaddr)
            else:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(sockaddr)
            sock.listen(self.spec.backlog)
        except OSError as error:
            sock.close()
            cause = (error.strerror or str(error)).lower()
            raise MeshdError(f"listener {self.spec.name}: {self.spec.address}: cannot bind: {cause}") from None
        self.socket = sock
        self.local = render(sock.getsockname())

    def start(self) -> None:
        """Serve."""
        self.is_accepting = True
        self.ceiling = spare.client_ceiling()
        self.world.poller.register(self.socket.fileno(), READ, self)

    def replace(self, spec: Any, chain: Any) -> None:
        """Serve the next requests by this specification; open connections stay."""
        if spec.backlog != self.spec.backlog and self.socket is not None:
            self.socket.listen(spec.backlog)  # the kernel takes the new length for the queue that is there
        self.spec = spec
        self.chain = chain
        self.is_hasty = is_hasty(spec.timeouts)
        self.edge = Edge(spec.http, self.world.random)

    def on_event(self, mask: int) -> None:
        """Called by the poller: somebody wants in."""
        for _ in range(ACCEPTS):
            if not self.places.take(0, self.spec.limits.max_connections):
                self.cells.refused.value += 1
                self.hold(RESPITE_S)
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
            sock, name = self.socket.accept()
        except BlockingIOError:
            return None
        except OSError as error:
            self.on_accept_error(error)
            return None
        number = sock.fileno()
        try:
            self.admit(sock, name)
        except BaseException:
            self.places.give(0)
            raise
        return number

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
        self.hold(RESPITE_S)

    def admit(self, sock: socket.socket, name: Any) -> None:
        """Begin to serve a client."""
        if sock.family == socket.AF_UNIX:
            peer, host, local = "unix:", "unix", self.local
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = render(name)
            host = host_of(peer)
            local = self.local_of(sock)
        sock.setblocking(False)
        connection = Connection(self, sock.detach(), peer, host, local)
        self.connections.add(connection)
        self.cells.connections.value += 1
        self.cells.active.value += 1

    def local_of(self, sock: socket.socket) -> str:
        """Return our address on a connection; asked of the kernel only where the listener has no single one."""
        if self.local.startswith(("0.0.0.0:", "[::]:")):
            return render(sock.getsockname())
        return self.local

    def hold(self, seconds: float) -> None:
        """Leave clients in the queue for a while."""
        if self.is_accepting:
            self.is_accepting = False
            self.world.poller.detach(self.socket.fileno())
            self.world.call_later(seconds, self.go_on)

    def go_on(self) -> None:
        """Accept again."""
        if self.socket is None or self.is_accepting:
            return
        try:
            is_short = spare.lowest_free(self.socket.fileno()) >= self.ceiling
        except OSError:
            is_short = True
        if is_short:
            self.world.call_later(RESPITE_S, self.go_on)
        else:
            self.start()

    def closed(self, connection: Connection) -> None:
        """A connection has ended."""
        if connection in self.connections:
            self.connections.discard(connection)
            self.places.give(0)
            self.cells.active.value -= 1
            if not self.connections:
                self.leave()
                emptied, self.emptied = self.emptied, []
                for deferred in emptied:
                    deferred.callback(None)

    def leave(self) -> None:
        """Give up the host's count once nobody is here and nobody can come any more."""
        if self.socket is None and not self.connections:
            self.places.close()

    def tunnel_ended(self, connection: Connection, exchange: Any) -> None:
        """One half of a tunnel has ended; with the second the exchange has, once the upstream has got all."""
        exchange.half_ended += 1
        if exchange.half_ended > 1:
            connection.is_kept = False
            if not exchange.attempt.connection.descriptor.pending:
                exchange.end(True)

    def close(self) -> None:
        """Accept no more and free the address; connections stay, and so do those that the kernel has taken for us."""
        if self.socket is not None:
            if self.is_accepting:
                self.on_event(READ)
            if self.is_accepting:
                self.world.poller.detach(self.socket.fileno())
            self.is_accepting = False
            self.socket.close()
            self.socket = None
            if self.spec.address.startswith("unix:/"):
                unlink_quietly(self.spec.address[5:])
        self.leave()

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

    def cut(self) -> None:
        """The deadline has passed: end what is left."""
        for connection in list(self.connections):
            connection.lost("drain deadline")
            if connection.descriptor.is_open:
                connection.abort()


def is_hasty(timeouts: Any) -> bool:
    """Say whether a silent request ends before an idle connection does, whose timer is running anyway."""
    return timeouts.stream_idle_s > 0 and not 0 < timeouts.idle_s <= timeouts.stream_idle_s


def clear_stale(path: Any) -> None:
    """Remove a socket file that nobody listens on; raises OSError where somebody does."""
    is_path = isinstance(path, str) and not path.startswith("\0")
    if is_path and os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        finally:
            probe.close()


def unlink_quietly(path: str) -> None:
    """Remove a socket file if it is still there."""
    try:
        os.unlink(path)
    except OSError:
        pass
