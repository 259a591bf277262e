"""The sockets of the DNS proxy, UDP and TCP, and what comes in on them; they outlive a reload.

Each worker binds its own (SO_REUSEPORT). Bounds: queries that wait for a resolver, TCP connections and their silence.
"""

import contextlib
import random
import socket
import struct
from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import DatagramProtocol, Protocol, ServerFactory

from meshd.errors import MeshdError
from meshd.naming.answer import ANSWERED, FORWARDED, REFUSED, decide, failure
from meshd.naming.forward import Question, system_resolvers
from meshd.wire.address import parse

MAX_QUERY = 4096
IDLE_S = 10.0
"""A silent TCP connection is closed after so long."""
FAILED, OVERFLOW = "failed", "overflow"
NOBODY = 9
"""A port from which no query comes (discard's, RFC 863)."""
LOOK_S = 5.0
"""The system's list of resolvers is read again after so long."""


class Server:
    """``owners`` are the proxies of old and new runtimes: the last one's settings and names are in force."""

    def __init__(self, world: Any, addresses: tuple[str, ...]) -> None:
        self._world = world
        self.reactor = world.reactor
        self._addresses = addresses
        self._ports: list[Any] = []
        self._datagrams: list[Any] = []
        self._draw = random.SystemRandom()
        self._known: list[tuple[str, int]] = []
        self._looked = float("-inf")
        self._turn = 0
        self.owners: list[Any] = []
        self.waiting: set[Question] = set()
        self.connections: set[Any] = set()
        family = world.metrics.counter("meshd_dns_requests_total", "queries to the DNS proxy", ("result",))
        self._cells = {name: family.cell(name) for name in (ANSWERED, FORWARDED, REFUSED, FAILED, OVERFLOW)}

    def open(self) -> None:
        """Bind, unless it is bound already; raises MeshdError."""
        if self._ports:
            return
        try:
            for address in self._addresses:
                self._bind(address)
        except OSError as error:
            self.close()
            raise MeshdError(f"dns: {address}: cannot bind: {(error.strerror or str(error)).lower()}") from None

    def _bind(self, address: str) -> None:
        family, place = parse(address)
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(family, kind) as sock:
                sock.setblocking(False)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(place)
                if kind == socket.SOCK_DGRAM:
                    port = self.reactor.adoptDatagramPort(sock.fileno(), family, Datagrams(self), MAX_QUERY)
                    self._datagrams.append(port)
                else:
                    sock.listen(128)
                    port = self.reactor.adoptStreamPort(sock.fileno(), family, Streams(self))
                self._ports.append(port)

    def finish(self) -> None:
        """Take no more datagrams, and answer all that have come: from the names, else SERVFAIL, after which clients ask
        again at once. The sockets close here and now: what comes to one that nobody reads is lost, and others of its
        address, those of an heir, may take it. Connected first, they get nothing more while they are emptied.
        """
        for port in self._datagrams:
            port.stopReading()
            with contextlib.suppress(OSError):
                port.socket.connect((port.socket.getsockname()[0], NOBODY))
            port.doRead()
            for question in list(self.waiting):
                question.give_up()
            self._ports.remove(port)
            port.connectionLost()
        self._datagrams.clear()

    def close(self) -> None:
        """Free the addresses, and end what is under way."""
        for port in self._ports:
            port.stopListening()
        self._ports.clear()
        self._datagrams.clear()
        for question in list(self.waiting):
            question.cancel()
        self.waiting.clear()
        for connection in list(self.connections):
            connection.transport.abortConnection()

    def take(self, query: bytes, is_udp: bool, then: Callable[[bytes], Any]) -> None:
        """Answer a query through ``then``, at once or later; what is no query gets no answer."""
        if not self.owners:
            return
        proxy = self.owners[-1]
        found = decide(query, proxy.table, proxy.settings.ttl_s, is_udp)
        self._cells[found.result].value += 1
        if found.reply is not None:
            then(found.reply)
        elif found.result == FORWARDED:
            self._forward(query, is_udp, then, proxy.settings)

    def _forward(self, query: bytes, is_udp: bool, then: Callable[[bytes], Any], settings: Any) -> None:
        if len(self.waiting) >= settings.max_queries:
            self._cells[OVERFLOW].value += 1
            then(failure(query))
            return

        def answered(reply: bytes | None) -> None:
            self.waiting.discard(question)
            if reply is None:
                self._cells[FAILED].value += 1
            then(failure(query) if reply is None else reply)
        question = Question(query, self._draw.getrandbits(16), self._resolvers(settings), answered)
        self.waiting.add(question)
        question.ask(self.reactor, settings.timeout_s, is_udp)

    def _resolvers(self, settings: Any) -> list[tuple[str, int]]:
        """Return whom to ask, in this order; each query begins with the next one, as Istio's do."""
        if settings.resolvers:
            found = [parse(one)[1][:2] for one in settings.resolvers]
        else:
            now = self._world.clock.now()
            if now - self._looked > LOOK_S:
                self._looked = now
                ours = {parse(one)[1][:2] for one in self._addresses}
                self._known = [one for one in system_resolvers() if one not in ours]
            found = self._known
        self._turn = (self._turn + 1) % max(1, len(found))
        return found[self._turn:] + found[:self._turn]


class Datagrams(DatagramProtocol):
    """Queries over UDP."""

    noisy = False

    def __init__(self, server: Server) -> None:
        self._server = server

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """A query has come (DatagramProtocol)."""
        self._server.take(datagram, True, lambda reply: self._send(reply, addr))

    def _send(self, reply: bytes, addr: Any) -> None:
        if self.transport is not None:
            self.transport.write(reply, addr)


class Queries(Protocol):
    """Queries over TCP, each after two octets of its length; the next one is read when the last has its answer.

    Each has a turn of the reactor of its own, so that many at once keep nobody waiting. A client that does not read
    its answers is not read from either (it is a producer of its own transport), and is closed as a silent one.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._buffer = b""
        self._is_busy = self._is_full = False
        self._timer: Any = None

    def connectionMade(self) -> None:
        """A client has come (Protocol)."""
        self._server.connections.add(self)
        self.transport.registerProducer(self, True)
        self._timer = self._server.reactor.callLater(IDLE_S, self.transport.abortConnection)

    def dataReceived(self, data: bytes) -> None:
        """More is here (Protocol)."""
        self._buffer += data
        self._next()

    def _next(self) -> None:
        if self._is_busy or self._is_full or len(self._buffer) < 2:
            return
        length = struct.unpack("!H", self._buffer[:2])[0]
        if length > MAX_QUERY:
            self.transport.abortConnection()
        elif len(self._buffer) >= 2 + length:
            query, self._buffer = self._buffer[2:2 + length], self._buffer[2 + length:]
            self._is_busy = True
            self.transport.pauseProducing()
            self._server.take(query, False, self._answer)

    def _answer(self, reply: bytes) -> None:
        if self in self._server.connections:
            self._timer.reset(IDLE_S)
            self.transport.write(struct.pack("!H", len(reply)) + reply)
            self._server.reactor.callLater(0, self._done)

    def _done(self) -> None:
        self._is_busy = False
        self._go_on()

    def _go_on(self) -> None:
        if self in self._server.connections and not (self._is_busy or self._is_full):
            self.transport.resumeProducing()
            self._next()

    def pauseProducing(self) -> None:
        """The client does not read its answers (IPushProducer)."""
        self._is_full = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """It has read them (IPushProducer)."""
        self._is_full = False
        self._go_on()

    def stopProducing(self) -> None:
        """The connection has ended (IPushProducer)."""

    def connectionLost(self, reason: Any) -> None:
        """The client has gone (Protocol)."""
        self._server.connections.discard(self)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


class Streams(ServerFactory):
    """Takes TCP connections while there is room."""

    noisy = False

    def __init__(self, server: Server) -> None:
        self._server = server

    def buildProtocol(self, addr: Any) -> Queries | None:
        """Return a protocol, or None: the connection is closed (ServerFactory)."""
        owners = self._server.owners
        if not owners or len(self._server.connections) >= owners[-1].settings.max_connections:
            return None
        return Queries(self._server)
