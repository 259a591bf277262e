"""A byte connection to an endpoint of a cluster: of TCP's clients, and of plugins that speak a protocol of their own
(``site.connect``).

It is the cluster's: the balancer picks the endpoint, the circuit breaker admits the connection, the cluster's
connect timeout holds, its counters count it, and those who observe endpoints hear how the connect went. It is not
pooled and not tried again: that is its receiver's business. A reload hands it over to the cluster that takes the old
one's place; where there is none it is nobody's, and counted no more.
"""

import socket
from typing import Any

from zope.interface import classImplements

from meshd.api.site import IStream
from meshd.http import flag as flags
from meshd.http.head import RequestHead
from meshd.http.headers import Headers
from meshd.upstream.connection import keep_alive
from meshd.upstream.outcome import Outcome
from meshd.upstream.pool import target_of
from meshd.wire.proxy_protocol import header
from meshd.wire.address import render
from meshd.wire.descriptor import Descriptor, with_socket
from meshd.wire.dialer import Dial, begin_with, client_of
from meshd.wire.name import Name
from meshd.wire.nobody import NOBODY


class Asking:
    """What a balancer sees in the place of an exchange: a request without fields."""

    tried = ()
    client = peer = ""
    endpoint = route = identity = None

    def __init__(self) -> None:
        self.request = RequestHead(b"", b"", b"", 11, Headers())
        self.metadata: dict = {}


class Stream:
    """One connection. The receiver's ``lost(reason)`` comes once, last, unless it called ``close``.

    ``address`` is the endpoint's. Bytes sent before ``opened`` are dropped. ``flag`` is the response flag of what went
    wrong. ``ends`` are the client's address and where it meant to go, as far as they are known. A receiver may take
    ``descriptor`` over by becoming its owner in ``opened``; it calls ``close`` at the end.
    """

    __slots__ = ("world", "cluster", "receiver", "address", "endpoint", "descriptor", "dial", "name", "is_counted",
                 "is_over", "is_ready", "since", "flag", "local", "ends", "__weakref__")

    def __init__(self, world: Any, cluster: Any, receiver: Any) -> None:
        self.world = world
        self.cluster = cluster
        self.receiver = receiver
        self.address = ""
        self.endpoint: Any = None
        self.since = 0.0
        self.local = ""
        self.flag = 0
        self.ends = ("", "")
        self.descriptor: Descriptor | None = None
        self.dial: Dial | None = None
        self.name: Name | None = None
        self.is_counted = self.is_over = self.is_ready = False

    def begin(self, address: str) -> None:
        """Pick an endpoint (the one at ``address`` where that is given) and dial; failures come later, never now."""
        cluster = self.cluster
        endpoint = pick(cluster, address)
        if endpoint is None:
            self.flag = flags.UH
            self.later(f"the cluster has no endpoint {address or 'that can be used'}")
        elif self.admit():
            self.dial_to(endpoint)

    def admit(self) -> bool:
        """Ask the circuit breaker for a connection; where it refuses, the receiver hears of it later."""
        cluster = self.cluster
        if not cluster.breaker.admit_connection():
            cluster.cells.connection_overflow.value += 1
            self.flag = flags.UO
            self.later("too many connections to the cluster")
            return False
        self.is_counted = True
        cluster.cells.connections.value += 1
        cluster.cells.active_connections.value += 1
        cluster.streams.add(self)
        return True

    def dial_to(self, endpoint: Any) -> None:
        """Connect to an endpoint, once admitted."""
        cluster, world = self.cluster, self.world
        self.endpoint = endpoint
        self.address = endpoint.address
        self.since = world.poller.now
        endpoint.active += 1
        self.dial = Dial(world.poller, world.wheel, cluster.spec.connect_timeout_s, self.on_dialed,
                         cluster.spec.source_addresses,
                         client_of(self.ends[0]) if cluster.spec.use_original_src and self.ends[0] else "")
        target = target_of(endpoint.address)
        if target is not None:
            self.dial.begin(*target)
        else:
            self.dial.expect()
            self.name = Name(world, endpoint.address)
            self.name.ask(self.on_named)

    def on_named(self) -> None:
        """The endpoint's name has been looked up, or could not be."""
        if self.dial is not None:
            target = self.name.next_target()
            if target is None:
                self.dial.finish(None, self.name.reason)
            else:
                self.dial.begin(*target)

    def on_dialed(self, fd: int | None, reason: str) -> None:
        """The dial has ended."""
        self.dial = None
        if fd is None:
            self.fail(reason)
            return
        with_socket(fd, self.look_at)
        version = self.cluster.spec.proxy_protocol
        if version is not None:
            begin_with(fd, header(version, *self.ends))
        tls = self.cluster.tls
        if tls is None:
            self.descriptor = Descriptor(fd, self.world.poller, self)
            self.secured()
        else:
            timeout_s = self.cluster.spec.connect_timeout_s
            tls.connect(fd, self, tls.name_for("", self.address), self.address, timeout_s)

    def secured(self, protocol: str = "") -> None:
        """It can be used: there is nothing to agree on, or TLS has done so."""
        self.is_ready = True
        self.observe(200, 0, "")
        self.receiver.opened()

    def fail(self, reason: str) -> None:
        """It has come to nothing: no connect, or no TLS."""
        self.cluster.cells.connect_failures.value += 1
        self.flag = flags.UF
        self.observe(0, flags.UF | (flags.UT if "timed out" in reason else 0), reason)
        self.later(reason)

    def look_at(self, sock: socket.socket) -> None:
        """Note our address, and have the kernel probe it where the cluster asks for that."""
        self.local = render(sock.getsockname())
        keepalive = self.cluster.spec.pool.tcp_keepalive
        if keepalive is not None and sock.family != socket.AF_UNIX:
            keep_alive(sock, keepalive)

    def observe(self, status: int, bit: int, reason: str) -> None:
        """Tell those who observe the endpoints how the connect went; one that succeeded counts as a good answer."""
        observe = self.cluster.observe
        if observe is not None:
            seconds = self.world.poller.now - self.since
            observe(self.endpoint, Outcome(status, None, bit, False, reason, seconds))

    def later(self, reason: str) -> None:
        """Tell the receiver in a turn of its own that there is no connection."""
        self.release()
        self.world.call_later(0, self.tell, reason)

    def tell(self, reason: str) -> None:
        """Say that it is lost, unless nobody wants to know."""
        if not self.is_over:
            self.is_over = True
            receiver, self.receiver = self.receiver, NOBODY
            receiver.lost(reason)

    # The receiver's side

    def send(self, data: bytes) -> None:
        """Write; what the kernel does not take is kept (``pending_bytes``)."""
        if self.is_ready:
            self.descriptor.send(data)

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait for the kernel."""
        return 0 if self.descriptor is None else self.descriptor.pending_bytes

    def pause(self) -> None:
        """Read no more for now."""
        if self.is_ready:
            self.descriptor.pause()

    def resume(self) -> None:
        """Read again."""
        if self.is_ready:
            self.descriptor.resume()

    def half_close(self) -> None:
        """Send nothing more; the other side may."""
        if self.is_ready:
            self.descriptor.half_close()

    def close(self) -> None:
        """Give it up; what waits for the kernel is dropped. The receiver hears no more."""
        self.is_over = True
        self.receiver = NOBODY
        self.release()

    def release(self) -> None:
        """Undo what there is of it, and uncount it."""
        if self.dial is not None:
            self.dial.cancel()
            self.dial = None
        if self.descriptor is not None:
            self.descriptor.write_queued()
            self.descriptor.release()
            self.descriptor.owner = NOBODY
        self.uncount()

    def uncount(self) -> None:
        """It is the cluster's no more."""
        if self.is_counted:
            self.is_counted = False
            self.cluster.cells.active_connections.value -= 1
            self.cluster.breaker.release_connection()
            self.cluster.streams.discard(self)
            if self.endpoint is not None:
                self.endpoint.active -= 1

    def move(self, cluster: Any) -> None:
        """Belong to the cluster that has taken the place of ours, with the same counts; to none where it is None."""
        if cluster is None:
            self.uncount()
        elif self.is_counted:
            self.cluster.streams.discard(self)
            self.cluster = cluster
            cluster.streams.add(self)

    # The descriptor's side

    def received(self, data: bytes) -> None:
        """Bytes have come."""
        self.receiver.received(data)

    def received_eof(self) -> None:
        """The other side will send nothing more: that is the end of it."""
        self.lost("connection closed by upstream")

    def drained(self) -> None:
        """The kernel takes bytes again."""
        drained = getattr(self.receiver, "drained", None)
        if drained is not None:
            drained()

    def lost(self, reason: str) -> None:
        """The socket broke, or the handshake has failed."""
        if not self.is_ready:
            self.fail(reason)
            return
        self.release()
        self.tell(reason)


def pick(cluster: Any, address: str) -> Any:
    """Return the endpoint at ``address``, or the balancer's choice where it is empty; None where there is none."""
    if address:
        return next((endpoint for endpoint in cluster.endpoints if endpoint.address == address), None)
    return cluster.pick(Asking())


def connect(world: Any, cluster: Any, receiver: Any, address: str = "") -> Stream:
    """Return a Stream that is being opened; see ``ISite.connect``."""
    stream = Stream(world, cluster, receiver)
    stream.begin(address)
    return stream


classImplements(Stream, IStream)
