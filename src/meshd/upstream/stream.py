"""A byte connection to an endpoint of a cluster, for plugins that speak a protocol of their own (``site.connect``).

It is the cluster's: the balancer picks the endpoint, the circuit breaker admits the connection, the cluster's
connect timeout holds, and its counters count it. It is not pooled and not tried again: that is its receiver's business.
"""

from typing import Any

from zope.interface import classImplements

from meshd.api.site import IStream
from meshd.http.head import RequestHead
from meshd.http.headers import Headers
from meshd.upstream.pool import target_of
from meshd.wire.descriptor import Descriptor
from meshd.wire.dialer import Dial
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

    ``address`` is the endpoint's. Bytes sent before ``opened`` are dropped.
    """

    __slots__ = ("world", "cluster", "receiver", "address", "descriptor", "dial", "name", "is_counted", "is_over",
                 "preface")

    def __init__(self, world: Any, cluster: Any, receiver: Any) -> None:
        self.world = world
        self.cluster = cluster
        self.receiver = receiver
        self.address = ""
        self.preface = b""
        self.descriptor: Descriptor | None = None
        self.dial: Dial | None = None
        self.name: Name | None = None
        self.is_counted = self.is_over = False

    def begin(self, address: str) -> None:
        """Pick an endpoint (the one at ``address`` where that is given) and dial; failures come later, never now."""
        cluster = self.cluster
        endpoint = pick(cluster, address)
        if endpoint is None:
            self.later(f"the cluster has no endpoint {address or 'that can be used'}")
            return
        self.address = endpoint.address
        self.preface = endpoint.pool.preface
        if not cluster.breaker.admit_connection():
            cluster.cells.connection_overflow.value += 1
            self.later("too many connections to the cluster")
            return
        self.is_counted = True
        cluster.cells.connections.value += 1
        cluster.cells.active_connections.value += 1
        world = self.world
        self.dial = Dial(world.poller, world.wheel, cluster.spec.connect_timeout_s, self.on_dialed)
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
            self.cluster.cells.connect_failures.value += 1
            self.later(reason)
            return
        self.descriptor = Descriptor(fd, self.world.poller, self)
        if self.preface:
            self.descriptor.send(self.preface)
        self.receiver.opened()

    def later(self, reason: str) -> None:
        """Tell the receiver in a turn of its own that there is no connection."""
        self.release()
        self.world.call_later(0, self.tell, reason)

    def tell(self, reason: str) -> None:
        """Say that it is lost, unless nobody wants to know."""
        if not self.is_over:
            self.is_over = True
            self.receiver.lost(reason)

    # The receiver's side

    def send(self, data: bytes) -> None:
        """Write; what the kernel does not take is kept (``pending_bytes``)."""
        if self.descriptor is not None:
            self.descriptor.send(data)

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait for the kernel."""
        return 0 if self.descriptor is None else self.descriptor.pending_bytes

    def pause(self) -> None:
        """Read no more for now."""
        if self.descriptor is not None:
            self.descriptor.pause()

    def resume(self) -> None:
        """Read again."""
        if self.descriptor is not None:
            self.descriptor.resume()

    def close(self) -> None:
        """Give it up; what waits for the kernel is dropped. The receiver hears no more."""
        self.is_over = True
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
        if self.is_counted:
            self.is_counted = False
            self.cluster.cells.active_connections.value -= 1
            self.cluster.breaker.release_connection()

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
        """The socket broke."""
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
