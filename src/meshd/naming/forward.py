"""Hands a query to a resolver as it came, and gives back what that says: EDNS, DNSSEC and all types pass untouched.

Each query over UDP has a socket of its own, bound to the one resolver and a port of chance, and an id of ours, so that
an answer can hardly be forged. The next resolver is asked where one is silent or cannot be reached.
"""

import struct
from collections.abc import Callable
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import ClientFactory, DatagramProtocol, Protocol

from meshd.naming.answer import is_answer_to

MAX_REPLY = 65535
RESOLV = "/etc/resolv.conf"
PORT = 53


def system_resolvers(path: str = RESOLV) -> tuple[tuple[str, int], ...]:
    """Return (address, port) of the system's resolvers."""
    try:
        with open(path, encoding="latin-1") as file:
            words = [line.split() for line in file.read(65536).splitlines()]
    except OSError:
        return ()
    return tuple((one[1], PORT) for one in words if len(one) > 1 and one[0] == "nameserver")[:3]


class Question:
    """One query on its way. ``then`` gets the answer, with the client's id, or None."""

    def __init__(self, wire: bytes, own_id: int, resolvers: list[tuple[str, int]], then: Callable[[bytes | None], Any]
                 ) -> None:
        self._id = wire[:2]
        self.wire = struct.pack("!H", own_id) + wire[2:]
        self._resolvers = resolvers
        self._then = then
        self._timer: Any = None
        self._stop: Callable[[], Any] = _nothing

    def ask(self, reactor: Any, timeout_s: float, is_udp: bool) -> None:
        """Ask the next resolver, or give up."""
        self._rest()
        if not self._resolvers:
            self._then(None)
            return
        host, port = self._resolvers.pop(0)
        self._timer = reactor.callLater(timeout_s, self.ask, reactor, timeout_s, is_udp)
        try:
            if is_udp:
                self._stop = ask_udp(reactor, host, port, self)
            else:
                self._stop = ask_tcp(reactor, host, port, self, timeout_s)
        except (CannotListenError, OSError, ValueError):
            self.fail()

    def fail(self) -> None:
        """This resolver cannot be reached: ask the next one, in another turn of the reactor."""
        if self._timer is not None and self._timer.active():
            self._timer.reset(0)

    def reply(self, wire: bytes) -> None:
        """A resolver has said something."""
        if is_answer_to(wire, self.wire):
            self._rest()
            self._then(self._id + wire[2:])

    def give_up(self) -> None:
        """Ask nobody any more: there is no answer."""
        self._rest()
        self._then(None)

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._then = _nothing
        self._rest()

    def _rest(self) -> None:
        stop, self._stop = self._stop, _nothing
        stop()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None


def _nothing(*given: Any) -> None:
    """Nobody is told."""


class Datagrams(DatagramProtocol):
    """One query over UDP."""

    noisy = False

    def __init__(self, host: str, port: int, question: Question) -> None:
        self._to = host, port
        self._question = question

    def startProtocol(self) -> None:
        """Take datagrams of this resolver alone, and ask (DatagramProtocol)."""
        self.transport.connect(*self._to)
        self.transport.write(self._question.wire)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """A datagram has come (DatagramProtocol)."""
        self._question.reply(datagram)

    def connectionRefused(self) -> None:
        """Nobody is there (DatagramProtocol)."""
        self._question.fail()


def ask_udp(reactor: Any, host: str, port: int, question: Question) -> Callable[[], Any]:
    """Ask; return what ends it."""
    family = "::" if ":" in host else ""
    bound = reactor.listenUDP(0, Datagrams(host, port, question), interface=family, maxPacketSize=MAX_REPLY)
    return bound.stopListening


class Stream(Protocol):
    """One query over TCP: two octets of length before each message (RFC 1035, section 4.2.2)."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._buffer = b""

    def connectionMade(self) -> None:
        """Ask (Protocol)."""
        wire = self._question.wire
        self.transport.write(struct.pack("!H", len(wire)) + wire)

    def dataReceived(self, data: bytes) -> None:
        """More of the answer is here (Protocol)."""
        self._buffer += data
        if len(self._buffer) >= 2:
            length = struct.unpack("!H", self._buffer[:2])[0]
            if len(self._buffer) >= 2 + length:
                self._question.reply(self._buffer[2:2 + length])


class Streams(ClientFactory):
    """Connects once; ``stop`` ends it, after which nothing is told to the question, which may ask elsewhere."""

    noisy = False

    def __init__(self, question: Question) -> None:
        self._question: Question | None = question
        self._connector: Any = None

    def startedConnecting(self, connector: Any) -> None:
        """It begins (ClientFactory)."""
        self._connector = connector

    def buildProtocol(self, addr: Any) -> Stream:
        """Return the protocol (ClientFactory)."""
        return Stream(self._question)

    def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
        """Nobody is there (ClientFactory)."""
        if self._question is not None:
            self._question.fail()

    clientConnectionLost = clientConnectionFailed

    def stop(self) -> None:
        """End it."""
        self._question = None
        self._connector.disconnect()


def ask_tcp(reactor: Any, host: str, port: int, question: Question, timeout_s: float) -> Callable[[], Any]:
    """Ask; return what ends it."""
    streams = Streams(question)
    reactor.connectTCP(host, port, streams, timeout=timeout_s)
    return streams.stop
