"""A live filter chain of a listener: what its connections are served by. Reloads give it another chain; they stay."""

import weakref
from collections.abc import Callable
from typing import Any

from meshd.downstream.edge import Edge
from meshd.downstream.h2.rules import Http2Rules
from meshd.downstream.protocol import class_of, speech_of
from meshd.exchange.shed import Shed


class LiveChain:
    """Stands for ``listener`` towards the connections that it took. ``spec`` is the model's FilterChain with all
    rules, ``chain`` is what the next request (of HTTP) or the next connection (of TCP) gets; ``count`` are those open.
    ``name`` is the listener's. ``speaks`` is what its protocol and codec come to. ``is_capturing``: the ``local`` of
    its connections is where their clients meant to go.

    Overload changes ``chain`` (for one that refuses) and ``is_keeping`` (answers leave their connections open).
    ``transport`` is a byte layer below the protocol, None for plain text: it has ``wrap(descriptor, owner, early)``,
    which returns what has the descriptor's face and takes its place, and ``accept(fd, owner)``, which does the same
    to a socket that nobody has read of. ``early`` are bytes that came already. It calls
    ``owner.secured()`` once bytes may flow, or ``owner.lost(reason)``; from then on its ``owner`` is another one.
    """

    def __init__(self, listener: Any, spec: Any, chain: Any) -> None:
        self.listener = weakref.proxy(listener)  # no circle: what a reload has frozen is freed by counts alone
        self.name = listener.name
        self.world = listener.world
        self.cells = listener.cells
        self.count = 0
        self.is_capturing = False
        self.on_empty: Callable[[], Any] | None = None
        self.replace(spec, chain)

    def replace(self, spec: Any, chain: Any) -> None:
        """Serve by this specification from now on; open connections stay."""
        self.spec = spec
        self.is_capturing = self.listener.spec.use_original_dst
        self.protocol = spec.protocol
        self.serving = chain
        self.transport = chain.transport
        self.is_hasty = is_hasty(spec.timeouts)
        self.edge = Edge(spec.http, self.world.random)
        self.rules: Http2Rules | None = None
        is_http = self.protocol == "http"
        self.speaks = speech_of(spec)
        self.refusing = Shed(chain, self.world.overload, self.cells.shed) if is_http else chain
        self.heed()

    def heed(self) -> None:
        """Lay out what the next request gets."""
        overload = self.world.overload
        self.is_keeping = not (overload.disables_keepalive or overload.stops_requests)
        self.chain = self.refusing if overload.stops_requests else self.serving

    def keep(self) -> bool:
        """Say that a connection that might be kept is not, and count it."""
        self.cells.unkept.value += 1
        return False

    def connect(self, descriptor: Any, peer: str, client: str, local: str, protocol: str = "") -> Any:
        """Return the connection that a client is served by; ``protocol`` is what was agreed on with it, if anything."""
        connection = class_of(self.speaks, protocol)(self, descriptor, peer, client, local)
        self.count += 1
        return connection

    @property
    def http2(self) -> Http2Rules:
        """What HTTP/2 connections share."""
        if self.rules is None:
            self.rules = Http2Rules(self.spec, self.world.metrics, self.name)
        return self.rules

    def swap(self, connection: Any, other: Any) -> None:
        """``other`` serves the client of ``connection`` from now on."""
        self.listener.swap(connection, other)

    def closed(self, connection: Any) -> None:
        """A connection has ended."""
        if self.listener.closed(connection):
            self.count -= 1
            if self.on_empty is not None and not self.count:
                on_empty, self.on_empty = self.on_empty, None
                on_empty()

    def tunnel_ended(self, connection: Any, exchange: Any) -> None:
        """One half of a tunnel has ended; with the second the exchange has, once the upstream has got all.

        To pass the end of a half on may show that the other side is gone: then the exchange has ended already.
        """
        if exchange.is_ended:
            return
        exchange.half_ended += 1
        if exchange.half_ended > 1:
            connection.is_kept = False
            if not exchange.attempt.connection.descriptor.pending:
                exchange.end(True)


def is_hasty(timeouts: Any) -> bool:
    """Say whether a silent request ends before an idle connection does, whose timer is running anyway."""
    return timeouts.stream_idle_s > 0 and not 0 < timeouts.idle_s <= timeouts.stream_idle_s
