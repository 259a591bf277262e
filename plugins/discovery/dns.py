"""The discovery ``dns``: endpoints by names of the DNS; a cluster watches it.

``strict`` (Istio's ``DNS``): every address that a name has is an endpoint, looked up again when its time to live ends.
``logical`` (``DNS_ROUND_ROBIN``): the name itself is the endpoint; where a connection goes is looked up when it is
opened, and open connections stay. What a name said last is kept while servers fail or are silent; that a name does not
exist, or has nothing, is believed the third time in a row.
"""

from typing import Any

from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from meshd.api import (
    Address, Boolean, Choice, Duration, Integer, ListOf, MapOf, Nested, PluginType, Text, config, option,
)

from meshd_plugins.discovery.options import SourceOptions
from meshd_plugins.discovery.source import Answer, Discovery, ISource, SourceError
from meshd_plugins.discovery.system import is_address
from meshd_plugins.discovery.target import ADDRESS, LOCALITY, PRIORITY, SOURCE, WEIGHT, address, join

STRICT, LOGICAL = "strict", "logical"
STRIKES = 3
"""So many answers in a row that there is nothing, until it is believed (the last good ones are kept meanwhile)."""
SRV_LIMIT = 1000
FAMILIES = {
    "v4_preferred": (("A",), ("AAAA",)), "auto": (("AAAA",), ("A",)), "v4_only": (("A",),), "v6_only": (("AAAA",),),
    "all": (("A", "AAAA"),),
}
"""dns_lookup_family -> groups of record types; the next group is asked where one has nothing."""


@config
class DnsName:
    """One name and what its endpoints have in common."""

    name: str = option(Text(minimum=1, maximum=261), doc="HOST:PORT, or _SERVICE._PROTOCOL.DOMAIN for SRV records")
    weight: int = option(Integer(minimum=1, maximum=1_000_000), default=1, doc="share of the load of each address")
    labels: tuple[tuple[str, str], ...] = option(MapOf(value=Text()), default=(), doc="labels of the endpoints")
    locality: str = option(Text(), default="", doc="region/zone/subzone")
    priority: int = option(Integer(maximum=128), default=0, doc="0 is used first; those of SRV are added")

    def check(self):
        """Yield faults between fields."""
        if not self.is_srv:
            try:
                address(self.name, "name")
            except ValueError:
                yield "name", "expected HOST:PORT, or a name of SRV records: _SERVICE._PROTOCOL.DOMAIN"

    @property
    def is_srv(self) -> bool:
        """Say whether SRV records are asked for."""
        return self.name.startswith("_") and ":" not in self.name


@config
class DnsOptions(SourceOptions):
    """Which names, and how to ask."""

    names: tuple[DnsName, ...] = option(
        ListOf(item=Nested(DnsName, word="name"), minimum=1, maximum=1000, unique="name"), doc="names to look up"
    )
    mode: str = option(
        Choice((STRICT, LOGICAL)), default=STRICT, doc="all addresses are endpoints, or the name itself is one"
    )
    dns_lookup_family: str = option(
        Choice(tuple(FAMILIES)), default="v4_preferred", doc="addresses that are asked for (Envoy's words)"
    )
    resolvers: tuple[str, ...] = option(
        ListOf(item=Address(), maximum=10), default=(), doc="servers, IP:PORT (those of /etc/resolv.conf)"
    )
    use_hosts_file: bool = option(Boolean(), default=True, doc="/etc/hosts is asked first")
    query_timeout_s: float = option(Duration(minimum=0.01, maximum=60.0), default=2.0, doc="for the answer of a server")
    query_tries: int = option(Integer(minimum=1, maximum=10), default=2, doc="times that each server is asked")
    min_ttl_s: float = option(Duration(minimum=1.0), default=1.0, doc="a shorter time to live counts as this")
    dns_jitter_s: float = option(Duration(), default=0.1, doc="at most so much is added to the time to live")
    retry_max_s: float = option(
        Duration(minimum=0.01), default=60.0, doc="bound of all waits after failures (Istio's dnsRefreshRate)"
    )

    def check(self):
        """Yield faults between fields."""
        for index, one in enumerate(self.names):
            if self.mode == LOGICAL and one.is_srv:
                yield ("names", index, "name"), "expected HOST:PORT in the mode 'logical'"
        for index, one in enumerate(self.resolvers):
            if not is_address(one.rpartition(":")[0].strip("[]")):
                yield ("resolvers", index), f"expected IP:PORT, got {one!r:.60}"


class Entry:
    """What is known of one name and type: its last good ``values``, when it is ``due`` again, and what went wrong.

    ``strikes`` count answers in a row that there is nothing, ``failures`` look-ups in a row without an answer;
    ``is_gone``: the name does not exist, whatever the type.
    """

    __slots__ = ("values", "due", "strikes", "failures", "error", "is_gone")

    def __init__(self) -> None:
        self.values: tuple = ()
        self.due = 0.0
        self.strikes = 0
        self.failures = 0
        self.error = ""
        self.is_gone = False


@implementer(ISource)
class DnsSource:
    """``memory`` is a dict of (name, type) -> Entry that a reload leaves as it is."""

    is_whole = True

    def __init__(self, options: DnsOptions, site: Any, memory: dict[tuple[str, str], Entry], resolver: Any) -> None:
        self.name = f"dns {', '.join(one.name for one in options.names)}"[:200]
        self._options = options
        self._clock = site.clock
        self._random = site.random
        self._memory = memory
        self._resolver = resolver
        self._waiting: dict[tuple[str, str], list[Deferred]] = {}

    def stop(self) -> None:
        """Ask no more."""
        self._resolver.stop()

    def look(self) -> Deferred:
        """Return a Deferred of the Answer: names that are due are asked for, the others are known."""
        used: dict[tuple[str, str], Entry] = {}
        asked = gatherResults([self._targets(one, used) for one in self._options.names], consumeErrors=True)
        return asked.addCallbacks(self._answer, lambda why: why.value.subFailure, callbackArgs=(used,))

    def _answer(self, parts: list[list[dict[str, str]]], used: dict[tuple[str, str], Entry]) -> Answer:
        for key in self._memory.keys() - used.keys():
            del self._memory[key]
        now = self._clock.now()
        return Answer(
            targets=[target for part in parts for target in part],
            next_s=max(1.0, min(entry.due for entry in used.values()) - now) if used else None,
            faults=tuple(dict.fromkeys(entry.error for entry in used.values() if entry.error)),
        )

    @inlineCallbacks
    def _targets(self, one: DnsName, used: dict[tuple[str, str], Entry]) -> Any:
        if one.is_srv:
            records = yield self._entry(one.name, "SRV", used)
            ranks = {rank: number for number, rank in enumerate(sorted({record[0] for record in records.values}))}
            rows = []
            for priority, weight, port, target in records.values[:SRV_LIMIT]:
                if target.rstrip("."):  # a single dot: the service is decidedly not there (RFC 2782)
                    rows.append((target.rstrip(".") + ".", port, max(1, weight), ranks[priority]))
        else:
            host, _, port = one.name.rpartition(":")
            rows = [(host.strip("[]"), int(port), one.weight, 0)]
        found = []
        for host, port, weight, rank in rows:
            hosts = yield self._addresses(host, used)
            found += [self._target(one, join(address, port), weight, rank) for address in hosts]
        return found

    @inlineCallbacks
    def _addresses(self, host: str, used: dict[tuple[str, str], Entry]) -> Any:
        if self._options.mode == LOGICAL or is_address(host):
            return [host]
        found: list[str] = []
        for group in FAMILIES[self._options.dns_lookup_family]:
            for kind in group:
                entry = yield self._entry(host, kind, used)
                found += entry.values
            if found or entry.failures or entry.is_gone:  # which is no sign that the other family is wanted
                break
        return found

    def _target(self, one: DnsName, where: str, weight: int, rank: int) -> dict[str, str]:
        return {
            **dict(one.labels), ADDRESS: where, WEIGHT: str(weight), LOCALITY: one.locality,
            PRIORITY: str(min(128, one.priority + rank)), SOURCE: f"dns {one.name}", "__meta_dns_name": one.name,
        }

    def _entry(self, name: str, kind: str, used: dict[tuple[str, str], Entry]) -> Deferred:
        """Return a Deferred of the Entry, asked for again where it is due."""
        key = (name, kind)
        entry = used[key] = self._memory.setdefault(key, Entry())
        if key in self._waiting:
            self._waiting[key].append(Deferred())
            return self._waiting[key][-1]
        if entry.due > self._clock.now():
            return succeed(entry)
        self._waiting[key] = []
        asked = self._resolver.query(name, kind)
        asked.addCallbacks(self._found, self._failed, callbackArgs=(entry, name, kind), errbackArgs=(entry,))
        return asked.addBoth(self._tell, key)

    def _tell(self, result: Any, key: tuple[str, str]) -> Any:
        """Let others know who wait for the same records."""
        for waiting in self._waiting.pop(key, ()):
            waiting.callback(result)
        return result

    def _found(self, records: Any, entry: Entry, name: str, kind: str) -> Entry:
        if not records.values:
            entry.is_gone = False
            return self._strike(entry, f"{name} {kind}: no such records", is_final=not entry.values)
        entry.values, entry.error, entry.failures, entry.strikes, entry.is_gone = records.values, "", 0, 0, False
        ttl_s = max(records.ttl_s, self._options.min_ttl_s)
        entry.due = self._clock.now() + ttl_s + self._random.random() * self._options.dns_jitter_s
        return entry

    def _failed(self, why: Failure, entry: Entry) -> Entry:
        from meshd_plugins.discovery.resolver import NoSuchName
        why.trap(SourceError, OSError)
        entry.is_gone = bool(why.check(NoSuchName))
        if entry.is_gone:
            return self._strike(entry, str(why.value), is_final=False)
        entry.error, entry.strikes = str(why.value), 0
        entry.failures += 1
        self._put_off(entry, entry.failures)
        return entry

    def _strike(self, entry: Entry, text: str, is_final: bool) -> Entry:
        """The DNS says that there is nothing: believe it at once where nothing was known, else the third time."""
        entry.strikes += 1
        entry.failures = 0
        is_final = is_final or entry.strikes >= STRIKES
        entry.error = "" if is_final else text
        if is_final:
            entry.values = ()
        self._put_off(entry, entry.strikes)
        return entry

    def _put_off(self, entry: Entry, count: int) -> None:
        options = self._options
        bound = min(options.retry_max_s, options.retry_base_s * 2.0 ** min(count - 1, 30))
        entry.due = self._clock.now() + max(1.0, self._random.uniform(0.0, bound))


def build(config, site):
    """Return a Discovery of the names."""
    from meshd_plugins.discovery.resolver import Resolver
    servers = [(host.strip("[]"), int(port)) for host, _, port in (one.rpartition(":") for one in config.resolvers)]
    resolver = Resolver(
        site, servers, timeout_s=config.query_timeout_s, tries=config.query_tries, uses_hosts=config.use_hosts_file)
    meaning = (config.names, config.mode, config.dns_lookup_family, config.resolvers)
    memory = site.state("worker", ("discovery dns", site.name, *meaning), dict)
    return Discovery(
        "dns", DnsSource(config, site, memory, resolver), config, site, key=(*meaning, config.relabel_configs))


TYPE = PluginType(
    kind="discovery", name="dns", config=DnsOptions, build=build,
    doc="Endpoints by names of the DNS: A, AAAA and SRV records.",
)
