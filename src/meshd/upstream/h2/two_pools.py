"""Pools of both versions of HTTP to one endpoint: by what each client speaks, or by what the endpoint agrees to."""

import weakref
from typing import Any

from meshd.model.tls import H2_ALPN
from meshd.upstream.connection import UpstreamConnection
from meshd.upstream.h2.connection import StreamConnection
from meshd.upstream.h2.pool import StreamPool
from meshd.upstream.pool import Pool
from meshd.wire.nobody import part

BOTH = ("h2", "http/1.1")


class TwoPools(Pool):
    """A pool of HTTP/1.1 with one of HTTP/2, ``streams``, beside it."""

    __slots__ = ("streams",)

    kind = StreamPool

    def __init__(self, world: Any, address: str) -> None:
        super().__init__(world, address)
        self.streams = self.kind(world, address)

    def bind(self, cluster: Any) -> None:
        """Take settings and counters from ``cluster`` from now on."""
        super().bind(cluster)
        self.streams.bind(cluster)

    def bind_as(self, other: Any) -> None:
        """Take what ``other`` has from its cluster."""
        super().bind_as(other)
        self.streams.bind_as(other.streams)

    def be_branch(self, server_name: str, preface: bytes, name: Any, client: str) -> None:
        """Be for one name and client alone."""
        super().be_branch(server_name, preface, name, client)
        self.streams.be_branch(server_name, preface, name, client)

    def call(self, name: Any) -> None:
        """Find addresses by ``name`` from now on."""
        self.name = self.streams.name = name

    def give_up(self, attempt: Any) -> None:
        """``attempt`` waits no more."""
        super().give_up(attempt)
        self.streams.give_up(attempt)

    def every(self) -> list[Pool]:
        """Return this pool, that of streams, and those below them."""
        found: list[Pool] = [self, *self.streams.every()]
        for branch in (self.branches or {}).values():
            found += branch.every()
        return found

    def retire(self) -> None:
        """Close what is idle now and the rest when it comes back."""
        super().retire()
        self.streams.retire()


class PoolByClient(TwoPools):
    """``use_downstream_protocol``."""

    protocol = "use_downstream_protocol"

    def take(self, attempt: Any) -> Any:
        """Take a lease from one of the pools."""
        if self.branches is not None:
            return self.branch(attempt).take(attempt)
        return self.streams.take(attempt) if attempt.version == 20 else super().take(attempt)


class AgreedConnection(UpstreamConnection):
    """One of HTTP/1.1, if the endpoint does not agree on more."""

    def secured(self, protocol: str = "") -> None:
        """TLS has agreed on a protocol."""
        if protocol in H2_ALPN:
            self.pool.move(self, self.pool.streams)
        else:
            super().secured(protocol)


class AgreedStreams(StreamConnection):
    """One of HTTP/2, if the endpoint agrees on that."""

    def secured(self, protocol: str = "") -> None:
        """TLS has agreed on a protocol."""
        if protocol in H2_ALPN:
            super().secured(protocol)
        else:
            beside = self.pool.beside()
            beside.move(self, beside)


class StreamsByAlpn(StreamPool):
    """The half of HTTP/2 of a ``PoolByAlpn``; ``beside()`` is that one."""

    __slots__ = ("beside",)

    alpn = BOTH

    def make(self, breaker: Any) -> StreamConnection:
        """Return a connection that is to be dialed."""
        return AgreedStreams(self, breaker)


class PoolByAlpn(TwoPools):
    """``auto``: what the endpoint agrees on over TLS, HTTP/1.1 without. ``speaks_h2`` is what was agreed on last."""

    __slots__ = ("speaks_h2", "__weakref__")

    protocol = "auto"
    alpn = BOTH
    kind = StreamsByAlpn

    def __init__(self, world: Any, address: str) -> None:
        super().__init__(world, address)
        self.streams.beside = weakref.ref(self)
        self.speaks_h2 = True

    def take(self, attempt: Any) -> Any:
        """Take a lease from the pool of what the endpoint speaks."""
        if self.branches is not None:
            return self.branch(attempt).take(attempt)
        return self.streams.take(attempt) if self.speaks_h2 and self.tls is not None else super().take(attempt)

    def make(self, breaker: Any) -> UpstreamConnection:
        """Return a connection that is to be dialed."""
        return AgreedConnection(self, breaker)

    def move(self, connection: UpstreamConnection, to: Pool) -> None:
        """A connection speaks what ``to`` is for: have another one in its place there, with all who wait."""
        source = connection.pool
        self.speaks_h2 = to is self.streams
        source.dialing -= 1
        source.connections.discard(connection)
        made = to.make(connection.counted_by)
        made.dial = None
        made.local = connection.local
        made.descriptor = connection.descriptor
        part(connection)
        made.descriptor.owner = made
        to.connections.add(made)
        to.dialing += 1
        waiters, source.waiters = source.waiters, []
        to.waiters.extend(waiters)
        UpstreamConnection.secured(made)
        while to.dialing < len(to.waiters):
            before = to.dialing
            to.reach(to.breaker_of(to.waiters[0]))
            if to.dialing == before:
                break
