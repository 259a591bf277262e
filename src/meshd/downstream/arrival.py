"""A connection that has been accepted and is not served yet: listener filters look at it, then its chain is chosen.

Strategy: bytes are read, not peeked at in the kernel, and handed on to whoever serves the connection, so none is lost.
How many, and for how long, is bounded. Chains are looked up when the filters are done, so that a reload meanwhile
counts. A layer below the protocol (TLS) says when bytes may flow; what comes before goes through it.
"""

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import classImplements

from meshd.api.connection import IArrival
from meshd.api.exchange import CONTINUE, MORE, STOP
from meshd.model.chain_match import RAW, Facts
from meshd.wire.address import host_of, split
from meshd.wire.descriptor import Descriptor, with_socket
from meshd.wire.nobody import NOBODY, rest

PEEK_BYTES = 65536
"""Most bytes that listener filters may wait for; then they must do with what there is."""


class Arrival:
    """What listener filters see (``IArrival``), and what stands for the connection in its listener until it is served.
    ``chain`` is given where nobody looks and nothing is to be chosen: then its layer gets the socket at once.

    ``data`` are the bytes that have come. ``peer`` is who the client is, ``local`` where it meant to go: addresses as
    text, which filters may change; ``direct_peer`` is the other end of the socket.
    """

    __slots__ = (
        "listener", "world", "descriptor", "filters", "place", "data", "peer", "direct_peer", "local", "client",
        "server_name", "transport_protocol", "application_protocols", "timer", "began", "deadline", "is_draining",
        "chain", "is_over", "metadata", "waiting", "own", "fd",
    )

    def __init__(self, listener: Any, fd: int, peer: str, client: str, local: str, chain: Any = None) -> None:
        world = listener.world
        self.listener = listener
        self.world = world
        self.place = 0
        self.data = b""
        self.peer = self.direct_peer = peer
        self.client = client
        self.local = self.own = local
        self.server_name = ""
        self.transport_protocol = ""
        self.application_protocols: tuple[str, ...] = ()
        self.metadata: dict[str, Any] = {}
        self.chain: Any = chain
        self.is_over = self.is_draining = False
        self.waiting: Deferred | None = None
        self.began = world.poller.now
        self.fd = fd
        self.descriptor: Any = None
        self.filters = self.timer = None
        if chain is None:
            self.look(listener, world)

    def look(self, listener: Any, world: Any) -> None:
        """Prepare for the filters."""
        self.filters = listener.listener_filters
        timeout_s = listener.spec.listener_filters_timeout_s
        self.deadline = self.began + timeout_s if timeout_s else 0.0
        self.timer = world.wheel.timer(self.on_timer)
        self.descriptor = Descriptor(self.fd, world.poller, self)
        if self.filters is not None:
            self.filters.active += 1
            listener.cells.arriving.value += 1

    def serve(self, early: bytes, arrival: Any) -> None:
        """Ask the filters, in order; without any, let the chain's layer begin."""
        if self.chain is None:
            self.go_on("on_accept")
        else:
            self.chain.transport.accept(self.fd, self)

    def go_on(self, hook: str) -> None:
        """Ask the filter whose turn it is, then the others, until one waits or stops."""
        steps = self.filters.steps if self.filters is not None else ()
        while self.place < len(steps) and not self.is_over:
            call, use = steps[self.place][hook == "on_data"], steps[self.place][2]
            verdict = self.filters.ask(call, use, hook, self)
            if isinstance(verdict, Deferred):
                self.wait(verdict, use)
                return
            if not self.heed(verdict):
                return
            hook = "on_accept"
        if not self.is_over:
            self.choose()

    def heed(self, verdict: Any) -> bool:
        """Do what a filter says; say whether it is the next one's turn."""
        if verdict is MORE:
            if len(self.data) >= PEEK_BYTES:
                verdict = CONTINUE
            else:
                self.watch()
                return False
        if verdict is STOP:
            self.listener.cells.filter_refused.value += 1
            self.abort()
            return False
        self.place += 1
        return True

    def wait(self, answer: Deferred, use: Any) -> None:
        """A filter answers later: nothing is read meanwhile."""
        self.descriptor.pause()
        self.arm(0.0)
        self.waiting = answer
        answer.addCallbacks(self.on_answer, self.on_failure, errbackArgs=(use,))
        answer.addErrback(lambda why: self.world.log.failure("bug: unexpected error in an arrival", failure=why))

    def on_answer(self, verdict: Any) -> None:
        """The answer of a filter that made us wait, unless nobody waits any more."""
        if self.waiting is None:
            return
        self.waiting = None
        if self.heed(verdict):
            self.descriptor.resume()
            self.go_on("on_accept")

    def on_failure(self, why: Any, use: Any) -> None:
        """A filter that made us wait has failed, or was cancelled."""
        if self.waiting is not None:
            self.on_answer(self.filters.failed(use, "on_accept", why.value))

    def watch(self) -> None:
        """Wait for bytes: the first ones as long as the filter wants, all of them until the deadline."""
        silence_s = self.filters.silence_s[self.place]
        self.descriptor.resume()
        self.arm(self.began + silence_s if silence_s and not self.data else 0.0)

    def arm(self, at: float) -> None:
        """Look again at ``at`` or at the deadline, whichever is earlier; 0.0 is never."""
        times = [one for one in (at, self.deadline) if one]
        if times:
            self.timer.arm(min(times))
        else:
            self.timer.cancel()

    def on_timer(self, now: float) -> None:
        """The client said nothing, or the filters are not done in time."""
        if self.deadline and now >= self.deadline:
            self.listener.cells.filter_timeouts.value += 1
            if not self.listener.spec.continue_on_listener_filters_timeout:
                self.abort()
                return
            self.choose()
        elif self.waiting is None:
            self.place += 1
            self.go_on("on_accept")

    # Bytes

    def received(self, data: bytes) -> None:
        """Bytes for the filters, or what must wait until the chain's layer is ready."""
        self.data += data
        if self.chain is None and self.waiting is None:
            self.go_on("on_data")

    def ask_socket(self, question: Callable[[socket.socket], Any]) -> Any:
        """Return ``question(socket)``: what the kernel knows of the connection."""
        return with_socket(self.descriptor.fd, question)

    def consume(self, count: int) -> None:
        """Take bytes away that are not the protocol's (a PROXY header): the client's own begin now."""
        self.data = self.data[count:]
        self.began = self.world.poller.now

    def received_eof(self) -> None:
        """The client has gone before it was served."""
        self.listener.cells.filter_closes.value += 1
        self.abort()

    def drained(self) -> None:
        """Nothing is sent yet."""

    def lost(self, reason: str) -> None:
        """The socket broke, or the layer failed."""
        self.end()

    # The chain

    @property
    def facts(self) -> Facts:
        """What chains are matched by."""
        destination, port = parts(self.local)
        source, source_port = parts(self.peer)
        return Facts(
            destination=destination, destination_port=port, server_name=self.server_name,
            transport_protocol=self.transport_protocol or RAW, application_protocols=self.application_protocols,
            direct_source=parts(self.direct_peer)[0], source=source, source_port=source_port)

    @property
    def depends_on_client(self) -> bool:
        """Say whether the chain is chosen by what the client says."""
        return self.listener.table.depends_on_client(self.facts)

    @property
    def is_captured(self) -> bool:
        """Say whether the client meant to go elsewhere: of a transparent socket the address is that already."""
        if self.local != self.own:
            return True
        return self.listener.spec.transparent and parts(self.local)[1] != parts(self.listener.local)[1]

    def choose(self) -> None:
        """The filters are done: find the chain that takes the connection."""
        self.timer.cancel()
        self.let_go()
        if self.listener.spec.use_original_dst and not self.is_captured:
            self.listener.cells.direct.value += 1
            self.abort()
            return
        chain = self.chain = self.listener.chain_for(self.facts)
        if chain is None:
            self.listener.cells.unmatched.value += 1
            self.abort()
            return
        self.client = host_of(self.peer) if self.peer != "unix:" else "unix"
        if chain.transport is None:
            self.secured()
        else:
            early, self.data = self.data, b""
            self.descriptor.resume()
            self.descriptor = chain.transport.wrap(self.descriptor, self, early)

    def secured(self, protocol: str = "") -> None:
        """Bytes may flow: the chain's protocol takes over, or the one that was agreed on with the client."""
        if self.is_over:
            return
        self.is_over = True
        self.rest()
        descriptor, early = self.descriptor, self.data
        self.descriptor = None
        descriptor.resume()
        connection = self.listener.served(self, self.chain, descriptor, protocol)
        connection.serve(early, self)

    # Ends

    def rest(self) -> None:
        """The time for filters matters no more."""
        if self.timer is not None:
            rest(self.timer)

    def let_go(self) -> None:
        """The filters are needed no more."""
        filters, self.filters = self.filters, None
        if filters is not None:
            self.listener.cells.arriving.value -= 1
            filters.leave()
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.cancel()

    def drain(self) -> None:
        """It is not served yet: its connection will be told."""
        self.is_draining = True

    def on_bug(self) -> None:
        """Something raised while it was told."""
        self.abort()

    def abort(self) -> None:
        """Close at once."""
        if self.descriptor is not None:
            self.descriptor.release()
        self.end()

    def end(self) -> None:
        """It never was served."""
        if self.is_over:
            return
        self.is_over = True
        self.let_go()
        self.rest()
        if self.descriptor is not None:
            self.descriptor.owner = NOBODY
        self.listener.closed(self)


def parts(address: str) -> tuple[str, int]:
    """Return (host, port) of an address as text, ("", 0) of a unix socket's."""
    return ("", 0) if address.startswith("unix:") else split(address)


classImplements(Arrival, IArrival)
