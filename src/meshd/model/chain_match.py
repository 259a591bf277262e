"""Which filter chain takes a connection: Envoy's FilterChainMatch, criterion by criterion, without a way back.

Strategy: a table of tables, one level for each criterion, in Envoy's order (destination port and address, server name,
transport protocol, application protocols, address of the direct peer, kind of source, source address and port). On each
level the most specific entry that fits is taken, and only what is below it counts: where nothing there fits, no chain
does, though one with a wider entry might. Asked by live listeners, and by the check of the configuration.
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from itertools import product
from typing import Any

import attrs

from meshd.document.option import Choice, Integer, ListOf, Text, config, option

ANY_SOURCE, LOCAL_SOURCE, EXTERNAL_SOURCE = "any", "same_ip_or_loopback", "external"
RAW = "raw_buffer"
"""Transport protocol of a connection in which no listener filter has seen another."""
MAX_ROWS = 100_000
"""Combinations of the criteria of one listener's chains."""
NETWORKS = ListOf(item=Text(minimum=1, maximum=60), maximum=1000)


@config
class ChainMatch:
    """What a connection must be like; what is not said does not matter (Envoy's FilterChainMatch)."""

    destination_port: int = option(
        Integer(maximum=65535), default=0, doc="port that the client meant (0: any); the original one where it is known"
    )
    prefix_ranges: tuple[str, ...] = option(
        NETWORKS, default=(), doc="networks of the destination; the longest prefix wins"
    )
    server_names: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1, maximum=255), maximum=10_000), default=(),
        doc="names that the client asks for in TLS (SNI), as they are or *.SUFFIX; needs tls_inspector"
    )
    transport_protocol: str | None = option(
        Choice(("raw_buffer", "tls")), default=None, doc="what tls_inspector has seen (any when absent)"
    )
    application_protocols: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1, maximum=255), maximum=1000), default=(),
        doc="what the client offers (ALPN), or what http_inspector has seen: http/1.0, http/1.1, h2c"
    )
    direct_source_prefix_ranges: tuple[str, ...] = option(
        NETWORKS, default=(), doc="networks of the peer of the socket, whoever a PROXY header speaks for"
    )
    source_type: str = option(
        Choice((ANY_SOURCE, LOCAL_SOURCE, EXTERNAL_SOURCE)), default=ANY_SOURCE,
        doc="same_ip_or_loopback: the client is on this host; external: it is not"
    )
    source_prefix_ranges: tuple[str, ...] = option(NETWORKS, default=(), doc="networks of the client")
    source_ports: tuple[int, ...] = option(
        ListOf(item=Integer(minimum=1, maximum=65535), maximum=1000), default=(), doc="ports of the client"
    )

    def check(self):
        """Yield faults of single values."""
        for name in ("prefix_ranges", "direct_source_prefix_ranges", "source_prefix_ranges"):
            for place, text in enumerate(getattr(self, name)):
                try:
                    ip_network(text, strict=False)
                except ValueError:
                    yield (name, place), f"expected a network such as 10.0.0.0/8, got {text!r}"
        for place, text in enumerate(self.server_names):
            if "*" in text.removeprefix("*.") or text.endswith("."):
                yield ("server_names", place), f"expected a host name or *.SUFFIX, got {text!r}"

    @property
    def rows(self) -> Iterator[tuple]:
        """The combinations of its values, a key for each level of the table."""
        return product(
            (self.destination_port,), networks(self.prefix_ranges),
            [name.lower().removeprefix("*") for name in self.server_names] or [""],
            (self.transport_protocol or "",), self.application_protocols or ("",),
            networks(self.direct_source_prefix_ranges), (self.source_type,), networks(self.source_prefix_ranges),
            self.source_ports or (0,))

    @property
    def size(self) -> int:
        """How many combinations there are."""
        found = 1
        for values in (self.prefix_ranges, self.server_names, self.application_protocols,
                       self.direct_source_prefix_ranges, self.source_prefix_ranges, self.source_ports):
            found *= max(1, len(values))
        return found


@attrs.define(kw_only=True)
class Facts:
    """What is known of a connection. Addresses are text, ``""`` for a unix socket's; ``application_protocols`` in the
    client's order.
    """

    destination: str = ""
    destination_port: int = 0
    server_name: str = ""
    transport_protocol: str = RAW
    application_protocols: tuple[str, ...] = ()
    direct_source: str = ""
    source: str = ""
    source_port: int = 0


class Networks(dict):
    """A level whose keys are networks, as (version, prefix length, first address), or ``""`` for all addresses.

    ``lengths`` are the (version, prefix length) that occur, the longest first: one look-up for each finds the network.
    """

    __slots__ = ("lengths",)

    def __init__(self) -> None:
        super().__init__()
        self.lengths: list[tuple[int, int]] = []

    def setdefault(self, key: Any, default: Any) -> Any:
        """Return what stands at ``key``, ``default`` from now on where nothing does."""
        if key and key[:2] not in self.lengths:
            self.lengths.append(key[:2])
            self.lengths.sort(key=lambda pair: -pair[1])
        return super().setdefault(key, default)

    def longest(self, text: str) -> Any:
        """Return what stands at the longest prefix of an address, else at ``""``; a unix socket is in no network."""
        if text and self.lengths:
            address = ip_address(text.partition("%")[0])
            value, version, bits = int(address), address.version, address.max_prefixlen
            for one, length in self.lengths:
                if one == version:
                    found = self.get((version, length, value >> bits - length << bits - length))
                    if found is not None:
                        return found
        return self.get("")


LEVELS = (dict, Networks, dict, dict, dict, Networks, dict, Networks, dict)
"""What each criterion's level is: destination port and address, ... source address and port."""


class ChainTable:
    """``add`` the chains, then ``find``; a chain may be anything but None."""

    def __init__(self) -> None:
        self._root: dict = {}
        self._rows = 0

    def add(self, match: ChainMatch, chain: Any) -> Any:
        """Add a chain; return one that takes some of the same connections by the same criteria, else None.

        Raises ValueError where there are too many combinations.
        """
        self._rows += match.size
        if self._rows > MAX_ROWS:
            raise ValueError(f"more than {MAX_ROWS} combinations of criteria")
        for *keys, last in match.rows:
            level = self._root
            for key, kind in zip(keys, LEVELS[1:]):
                level = level.setdefault(key, kind())
            known = level.setdefault(last, chain)
            if known is not chain:
                return known
        return None

    def find(self, facts: Facts) -> Any:
        """Return the chain that takes a connection, or None."""
        level = self._root.get(facts.destination_port) or self._root.get(0)
        for criterion in (
            by_network("destination"), by_server_name, by_transport_protocol, by_application_protocol,
            by_network("direct_source"), by_source_type, by_network("source"), by_source_port,
        ):
            if level is None:
                return None
            level = criterion(level, facts)
        return level

    def depends_on_client(self, facts: Facts) -> bool:
        """Say whether the chain depends on what the client says (server name, protocols), its destination being known.
        """
        level = self._root.get(facts.destination_port) or self._root.get(0)
        below = [level.longest(facts.destination)] if level is not None else []
        for _ in ("server names", "transport protocol", "application protocols"):
            below = [one for one in below if one is not None]
            if any(key for one in below for key in one):
                return True
            below = [one[""] for one in below]
        return False


def by_network(name: str) -> Any:
    """Return the criterion of an address: the longest prefix that holds it."""
    return lambda level, facts: level.longest(getattr(facts, name))


def by_server_name(level: dict, facts: Facts) -> Any:
    """The name itself, else its longest suffix, else what asks for none."""
    name = facts.server_name.lower()
    if name and name in level:
        return level[name]
    place = name.find(".", 1)
    while 0 < place < len(name) - 1:
        found = level.get(name[place:])
        if found is not None:
            return found
        place = name.find(".", place + 1)
    return level.get("")


def by_transport_protocol(level: dict, facts: Facts) -> Any:
    """The protocol, else what asks for none."""
    return level.get(facts.transport_protocol) or level.get("")


def by_application_protocol(level: dict, facts: Facts) -> Any:
    """The first of the client's that a chain names, else what asks for none."""
    for protocol in facts.application_protocols:
        if protocol in level:
            return level[protocol]
    return level.get("")


def by_source_type(level: dict, facts: Facts) -> Any:
    """Whether the client is on this host, where a chain asks; else what does not."""
    wanted = LOCAL_SOURCE if is_local(facts) else EXTERNAL_SOURCE
    return level.get(wanted) or level.get(ANY_SOURCE)


def is_local(facts: Facts) -> bool:
    """Say whether the client is on this host (a unix socket's is)."""
    source = facts.source
    return not source or source == facts.destination or ip_address(source.partition("%")[0]).is_loopback


def by_source_port(level: dict, facts: Facts) -> Any:
    """The port, else what asks for none."""
    found = level.get(facts.source_port)
    return level.get(0) if found is None else found


def networks(texts: Iterable[str]) -> list:
    """Return keys of networks; of none the one that stands for all addresses."""
    found = (ip_network(text, strict=False) for text in texts)
    return list(dict.fromkeys((one.version, one.prefixlen, int(one.network_address)) for one in found)) or [""]
