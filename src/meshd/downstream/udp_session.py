"""One UDP session: a client, an endpoint, and a connected socket between them; made by the UDP listener."""

import socket
from typing import Any

from meshd.hot import io
from meshd.http import flag as flags
from meshd.upstream.stream import Asking
from meshd.wire import spare
from meshd.wire.address import host_of, render
from meshd.wire.datagram import connect_datagram
from meshd.wire.nobody import rest
from meshd.wire.poller import READ

BATCH = 16
"""Datagrams of one endpoint that are taken in one turn."""
WAITING = 16
"""Datagrams that wait while the endpoint's name is looked up; more are dropped."""
REPLY_S = 2.0
"""How long answers are still passed on once the listener has closed, after the last one."""
COUNTERS = (
    ("rx_datagrams", "envoy_cluster_udp_sess_rx_datagrams", "datagrams that came from endpoints"),
    ("rx_errors", "envoy_cluster_udp_sess_rx_errors", "errors in receiving from endpoints (nobody listens there)"),
    ("tx_datagrams", "envoy_cluster_udp_sess_tx_datagrams", "datagrams sent to endpoints"),
    ("tx_errors", "envoy_cluster_udp_sess_tx_errors", "datagrams for endpoints that could not be sent"),
)


class ClusterCells:
    """What is counted of one cluster's sessions."""

    __slots__ = tuple(row[0] for row in COUNTERS)

    def __init__(self, metrics: Any, name: str) -> None:
        for attribute, metric, doc in COUNTERS:
            setattr(self, attribute, metrics.counter(metric, doc, ("cluster_name",)).cell(name))


class Tally:
    """What access logs are told of one session: datagrams and bytes of the client (``received``) and for it
    (``sent``), and how many could not be sent to it. ``flag`` is the response flag of what went wrong, ``local`` our
    address towards the endpoint.
    """

    __slots__ = ("since", "received", "received_bytes", "sent", "sent_bytes", "errors_sent", "flag", "local")

    def __init__(self, since: float) -> None:
        self.since = since
        self.received = self.received_bytes = self.sent = self.sent_bytes = self.errors_sent = self.flag = 0
        self.local = ""


class Session:
    """``peer`` is the client as the kernel has it, ``ours`` the packed address that it sent to (b"" where there is only
    one). ``endpoint`` is set by ``pick``.
    """

    __slots__ = ("listener", "peer", "ours", "cluster", "cells", "endpoint", "sock", "fd", "waiting", "timer",
                 "breaker", "is_draining", "tally")

    def __init__(self, listener: Any, peer: Any, ours: bytes) -> None:
        self.listener = listener
        self.peer = peer
        self.ours = ours
        self.cluster = listener.cluster
        self.cells = listener.cluster_cells
        self.endpoint: Any = None
        self.sock: socket.socket | None = None
        self.fd = -1
        self.waiting: list[bytes] | None = None
        self.breaker: Any = None
        self.is_draining = False
        self.tally = Tally(listener.world.poller.now)
        self.timer = listener.world.wheel.timer(self.on_timer)

    def move(self, listener: Any) -> None:
        """Another listener has taken our listener's place."""
        self.listener.cells.active.value -= 1
        self.listener = listener
        listener.cells.active.value += 1

    @property
    def name(self) -> str:
        """The client's address."""
        return render(self.peer)

    # The endpoint

    def current(self) -> Any:
        """Return our endpoint as the cluster in force has it, None where it has it no more."""
        return self.listener.cluster.by_address.get(self.endpoint.address)

    def pick(self) -> bool:
        """Let the balancer choose; say whether there is an endpoint."""
        asked = Asking()
        asked.peer = self.name
        asked.client = host_of(asked.peer)
        self.endpoint = self.cluster.pick(asked)
        return self.endpoint is not None

    def begin(self) -> bool:
        """Open the socket, or find out where to; say whether that was possible."""
        cluster, breaker = self.cluster, self.cluster.breaker
        if not breaker.admit_connection():
            cluster.cells.connection_overflow.value += 1
            self.listener.cells.dropped.value += 1
            self.rest()
            return False
        self.breaker = breaker
        self.endpoint.active += 1
        cluster.cells.connections.value += 1
        cluster.cells.active_connections.value += 1
        self.timer.arm(self.listener.world.poller.now + self.listener.idle_s)
        pool = self.endpoint.pool
        if pool.name is None and pool.sockaddr is None:
            pool.locate()
        if pool.name is None:
            self.open(pool.family, pool.sockaddr)
        else:
            self.waiting = []
            pool.name.ask(self.on_named)
        return self.is_open

    def on_named(self) -> None:
        """The endpoint's name has been looked up, or could not be."""
        waiting, self.waiting = self.waiting, None
        if waiting is None:
            return
        target = self.endpoint.pool.name.next_target()
        if target is None or not self.open(*target):
            self.cells.tx_errors.value += len(waiting)
            self.tally.flag = flags.UF
            self.close()
            return
        for data in waiting:
            self.send(data)

    @property
    def is_open(self) -> bool:
        """Say whether datagrams can be sent, or wait to be."""
        return self.sock is not None or self.waiting is not None

    def open(self, family: int, sockaddr: Any) -> bool:
        """Open the socket; say whether that was possible."""
        try:
            sock = connect_datagram(family, sockaddr)
        except OSError:
            sock = None
        if sock is not None and sock.fileno() >= spare.upstream_ceiling():
            sock.close()
            sock = None
        if sock is None:
            self.cluster.cells.connect_failures.value += 1
            self.listener.cells.dropped.value += 1
            self.give_back()
            self.rest()
            return False
        self.sock = sock
        self.tally.local = render(sock.getsockname())
        self.fd = sock.fileno()
        self.listener.world.poller.register(self.fd, READ, self)
        return True

    # Datagrams

    def send(self, data: bytes) -> None:
        """Pass a datagram of the client on."""
        if self.waiting is not None:
            if len(self.waiting) < WAITING:
                self.waiting.append(data)
            else:
                self.cells.tx_errors.value += 1
            return
        self.timer.arm(self.listener.world.poller.now + self.listener.idle_s)
        try:
            self.sock.send(data)
        except OSError:
            self.cells.tx_errors.value += 1
        else:
            self.cells.tx_datagrams.value += 1

    def on_event(self, mask: int) -> None:
        """Called by the poller: the endpoint has sent something, or said that nobody is there."""
        listener, cells = self.listener, self.cells
        for _ in range(BATCH):
            try:
                data = io.recv(self.fd)
            except OSError:
                cells.rx_errors.value += 1
                return
            if data is None:
                break
            cells.rx_datagrams.value += 1
            listener.answer(data, self)
        self.rearm()

    def on_bug(self) -> None:
        """Something raised while an answer was passed on: this session ends."""
        self.close()

    # Ends

    def rearm(self) -> None:
        """It was not silent."""
        self.timer.arm(self.listener.world.poller.now + (REPLY_S if self.is_draining else self.listener.idle_s))

    def drain(self) -> None:
        """Only answers that are on their way are passed on from now on."""
        self.is_draining = True
        self.rearm()

    def on_timer(self, now: float) -> None:
        """It has been silent for long enough."""
        self.listener.cells.idle.value += 1
        self.close()

    def close(self) -> None:
        """End it."""
        self.give_back()
        sock, self.sock = self.sock, None
        if sock is not None:
            sock.detach()
            self.listener.world.poller.close(self.fd)
        self.waiting = None
        self.rest()
        self.listener.closed(self)

    def rest(self) -> None:
        """The timer is needed no more."""
        rest(self.timer)

    def give_back(self) -> None:
        """Uncount it."""
        breaker, self.breaker = self.breaker, None
        if breaker is not None:
            self.endpoint.active -= 1
            self.cluster.cells.active_connections.value -= 1
            breaker.release_connection()
