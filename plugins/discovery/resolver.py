"""Asks the DNS, on the reactor, with twisted.names: /etc/hosts first, then each server in turn; for ``dns``.

A server that is silent, fails or refuses is passed over for the next one; a truncated answer is asked for again over
TCP. Nothing is kept here: when to ask again, and what to keep meanwhile, is its caller's.
"""

import socket
from collections.abc import Iterable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.defer import TimeoutError as QueryTimeoutError
from twisted.internet.error import CannotListenError, ConnectError
from twisted.names import client, dns
from twisted.names.error import DNSNameError, DNSQueryRefusedError, DNSServerError, DomainError
from twisted.python.failure import Failure

from meshd_plugins.discovery.source import SourceError
from meshd_plugins.discovery.system import System, candidates, read_system

A, AAAA, SRV = "A", "AAAA", "SRV"
TYPES = {A: dns.A, AAAA: dns.AAAA, SRV: dns.SRV}
HOSTS_TTL_S = 5.0
"""How long an address of /etc/hosts is used before the file is looked at again."""
SYSTEM_S = 1.0
"""The files of the system are looked at once in so many seconds at most."""
TTL_MAX_S = 86400.0
"""A longer time to live counts as this."""
WORDS = {DNSServerError: "SERVFAIL", DNSQueryRefusedError: "REFUSED"}
TROUBLE = (
    DomainError, QueryTimeoutError, dns.DNSQueryTimeoutError, CannotListenError, ConnectError, OSError, ValueError,
)


class NoSuchName(SourceError):
    """The DNS says that there is no such name (NXDOMAIN)."""


@attrs.frozen
class Records:
    """``values``: addresses as text, or (priority, weight, port, target) of SRV, which may be none; ``ttl_s`` is the
    shortest time to live of all.
    """

    values: tuple
    ttl_s: float


class TcpFactory(client.DNSClientFactory):
    """Connections that go by the reactor of their resolver."""

    def buildProtocol(self, address: Any) -> dns.DNSProtocol:
        """Return a protocol (Factory)."""
        made = dns.DNSProtocol(self.controller, reactor=self.controller._reactor)
        made.factory = self
        return made


class Server(client.Resolver):
    """One server, (address, port)."""

    def __init__(self, where: tuple[str, int], reactor: Any) -> None:
        super().__init__(servers=[where], reactor=reactor)
        self.factory = TcpFactory(self, self.timeout)
        self.factory.noisy = False
        self.where = f"[{where[0]}]:{where[1]}" if ":" in where[0] else f"{where[0]}:{where[1]}"

    def _connectedProtocol(self, interface: str = "") -> Any:
        protocol = super()._connectedProtocol(interface)
        protocol.noisy = False
        return protocol

    def messageReceived(self, message: Any, protocol: Any, address: Any = None) -> None:
        """An answer that came too late is no news (client.Resolver)."""

    def queryTCP(self, queries: Any, timeout: float = 10) -> Deferred:
        """Ask over TCP (client.Resolver), and end the connection: servers have few to give away."""
        return super().queryTCP(queries, timeout).addBoth(self._rest)

    def _rest(self, result: Any) -> Any:
        for connection in [one for one in self.connections if not one.liveMessages]:
            self.connections.remove(connection)
            connection.transport.loseConnection()
        return result

    def cut(self) -> None:
        """End the TCP connections."""
        for connection in list(self.connections):
            connection.transport.abortConnection()


class Resolver:
    """``servers`` are (address, port), the system's where there are none. Each gets ``timeout_s``, ``tries`` times."""

    def __init__(
        self, site: Any, servers: Iterable[tuple[str, int]] = (), *, timeout_s: float = 2.0, tries: int = 2,
        uses_hosts: bool = True, read: Any = read_system,
    ) -> None:
        self._site = site
        self._given = tuple(servers)
        self._timeout_s = timeout_s
        self._tries = tries
        self._uses_hosts = uses_hosts
        self._read = read
        self._system: System | None = None
        self._read_at = 0.0
        self._servers: dict[tuple[str, int], Server] = {}

    def stop(self) -> None:
        """End open connections."""
        for server in self._servers.values():
            server.cut()

    @inlineCallbacks
    def query(self, name: str, kind: str) -> Any:
        """Return a Deferred of the Records of ``name``; fails with NoSuchName or another SourceError."""
        system = yield self._files()
        listed = system.hosts.get(name.rstrip(".").lower()) if self._uses_hosts and kind != SRV else None
        if listed is not None:
            return Records(tuple(one for one in listed if (":" in one) == (kind == AAAA)), HOSTS_TTL_S)
        names = [name.rstrip(".")] if self._given else candidates(name, system)
        for number, one in enumerate(names, 1):
            try:
                found = yield self._ask(one, kind, self._given or system.servers)
                return found
            except NoSuchName:
                if number == len(names):
                    raise NoSuchName(f"{name}: no such name (NXDOMAIN)") from None

    @inlineCallbacks
    def _files(self) -> Any:
        now = self._site.clock.now()
        if self._system is None or now - self._read_at >= SYSTEM_S:
            self._read_at = now
            self._system = yield self._site.in_thread(self._read, self._system)
        return self._system

    @inlineCallbacks
    def _ask(self, name: str, kind: str, servers: Iterable[tuple[str, int]]) -> Any:
        trouble = ""
        for where in tuple(servers) * self._tries:
            server = self._servers.get(where)
            if server is None:
                server = self._servers[where] = Server(where, self._site.reactor)
            try:
                answers, _, _ = yield self._timed(server, name, TYPES[kind])
                return records(answers, kind)
            except DNSNameError:
                raise NoSuchName(f"{name}: no such name (NXDOMAIN)") from None
            except TROUBLE as error:
                trouble = f"{server.where}: {_word(error, self._timeout_s)}"
        raise SourceError(f"{name} {kind}: {trouble}")

    def _timed(self, server: Server, name: str, kind: int) -> Deferred:
        """Ask one server once; what TCP makes of it counts in the time.

        The answer comes as a call of the clock's: what follows from it must run as the world's calls do.
        """
        asked = server._lookup(name.encode("idna" if not name.isascii() else "ascii"), dns.IN, kind, (self._timeout_s,))
        late = []

        def cut() -> None:
            late.append(True)
            server.cut()
            asked.cancel()

        def ended(result: Any) -> Any:
            if timer.active():
                timer.cancel()
            if late:
                result = Failure(QueryTimeoutError())
            if not done.called:
                self._site.clock.call_later(0.0, tell, result)

        def tell(result: Any) -> None:
            if not done.called:
                done.callback(result)

        timer = self._site.clock.call_later(self._timeout_s * 1.1, cut)
        done: Deferred = Deferred(lambda _: asked.cancel())
        asked.addBoth(ended)
        return done


def records(answers: Iterable[Any], kind: str) -> Records:
    """Return the Records among the answers; names that stand for others (CNAME) count with their time to live."""
    values, ttl_s = [], TTL_MAX_S
    for answer in answers:
        ttl_s = min(ttl_s, float(answer.ttl))
        payload = answer.payload
        if answer.type != TYPES[kind]:
            continue
        if kind == SRV:
            target = payload.target.name.decode("ascii", "replace")
            values.append((payload.priority, payload.weight, payload.port, target))
        else:
            values.append(socket.inet_ntop(socket.AF_INET if kind == A else socket.AF_INET6, payload.address))
    return Records(tuple(sorted(set(values))), max(ttl_s, 0.0) if values else 0.0)


def _word(error: Exception, timeout_s: float) -> str:
    if isinstance(error, QueryTimeoutError | dns.DNSQueryTimeoutError):
        return f"no answer in {timeout_s:g} s"
    for cls, word in WORDS.items():
        if isinstance(error, cls):
            return word
    return " ".join(str(error).split()).lower()[:200] or type(error).__name__
