"""The discovery ``consul``: the healthy instances of a service of Consul's catalog, by blocking queries.

https://developer.hashicorp.com/consul/api-docs/features/blocking is what the queries keep to: the index is sent back,
it begins anew where it goes backwards or is no positive number, and queries do not follow each other without a pause.
``consul_entry`` makes targets of what comes.
"""

from typing import Any
from urllib.parse import quote, urlencode

from twisted.internet.defer import Deferred

from meshd.api import Boolean, CallAnswer, Duration, ListOf, MapOf, PluginType, Text, config, option

from meshd_plugins.discovery.consul_entry import Entry, target, weight_of
from meshd_plugins.discovery.follow import Follower
from meshd_plugins.discovery.remote import Remote, Targets, TokenOptions, check_status, decoder, references
from meshd_plugins.discovery.source import Answer, Discovery, SourceError

LOCALITY_META = ("region", "zone", "subzone")


@config
class ConsulOptions(TokenOptions):
    """Consul's health endpoint."""

    service: str = option(Text(minimum=1), doc="name of the service")
    passing_only: bool = option(
        Boolean(), default=True, doc="instances whose checks all pass; else also those with warnings"
    )
    tags: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="tags that an instance must have, all")
    filter: str = option(Text(), default="", doc="Consul's filter expression")
    node_meta: tuple[tuple[str, str], ...] = option(
        MapOf(value=Text()), default=(), doc="metadata that an instance's node must have"
    )
    datacenter: str = option(Text(), default="", doc="Consul datacenter (the agent's when empty)")
    namespace: str = option(Text(), default="", doc="Consul namespace (the token's when empty)")
    partition: str = option(Text(), default="", doc="Consul admin partition (the token's when empty)")
    stale: bool = option(
        Boolean(), default=True, doc="let any Consul server answer, not only the leader, which spares the leader"
    )
    wait_s: float = option(
        Duration(minimum=1.0, maximum=600.0), default=300.0, doc="how long a query waits for a change"
    )
    locality_meta: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1), minimum=1, maximum=3), default=LOCALITY_META,
        doc="keys of a node's metadata that hold region, zone and subzone, where Consul knows no locality",
    )


read_entries = decoder(list[Entry])


class ConsulSource(Follower):
    """Keeps the entries of the last answer, and the index that they have."""

    def __init__(self, options: ConsulOptions, site: Any) -> None:
        super().__init__(options, site)
        self.name = f"consul {options.cluster}/{options.service}"
        self._remote = Remote(options, site, lambda token: (b"x-consul-token", token))
        self._path = f"/v1/health/service/{quote(options.service, safe='')}"
        self._query = [*_query(options)]
        self._index = 0
        self._is_anew = False
        self._entries: list[Entry] = []

    def fetch(self) -> Deferred:
        """Ask for what there is now."""
        return self._ask([], self._options.timeout_s).addCallback(self._take)

    def follow(self) -> Deferred:
        """Ask for what there is after the last index; the server waits for it."""
        wait_s = self._options.wait_s
        query = [("index", f"{self._index}"), ("wait", f"{wait_s:g}s")]
        # the server adds up to a sixteenth, so that clients do not come back all at once
        return self._ask(query, wait_s + wait_s / 16 + self._options.timeout_s).addCallback(self._take_next)

    def answer(self) -> Answer:
        """Return a target for each instance that may have load."""
        options = self._options
        wanted = ("passing",) if options.passing_only else ("passing", "warning")
        entries = [entry for entry in self._entries if entry.status in wanted and weight_of(entry)]
        is_anew, self._is_anew = self._is_anew, False
        return Answer(targets=Targets(entries, lambda entry: target(entry, options.locality_meta)), is_anew=is_anew)

    def _ask(self, query: list[tuple[str, str]], timeout_s: float) -> Deferred:
        text = urlencode([*self._query, *query], quote_via=quote)
        return self._remote.ask(f"{self._path}?{text}" if text else self._path, timeout_s=timeout_s)

    def _take_next(self, answer: CallAnswer) -> bool:
        """Take the answer to a blocking query; say whether its index can be waited for."""
        before = self._index
        if answer.status == 200 and 0 < _index(answer) < before:
            self._is_anew = True
            return False
        self._take(answer)
        if self._index > before:
            self.changed()
        else:
            self.confirmed()
        return True

    def _take(self, answer: CallAnswer) -> None:
        check_status(answer, 200)
        headers = answer.headers
        if headers.get(b"x-consul-knownleader") == b"false":
            raise SourceError("no leader is known to the Consul server: what it says may be old")
        entries = read_entries(answer.body)
        if not entries and headers.get(b"x-consul-results-filtered-by-acls") == b"true":
            raise SourceError("the token may see nothing of it: expected one that may read service and node")
        self._entries = entries
        self._index = max(1, _index(answer))  # with 0 the next query would not wait


def _index(answer: CallAnswer) -> int:
    text = answer.headers.get(b"x-consul-index") or b""
    return int(text) if text.isdigit() and len(text) < 20 else 0


def _query(options: ConsulOptions) -> Any:
    """Yield what each query says."""
    if options.passing_only:
        yield "passing", "1"
    if options.stale:
        yield "stale", "1"
    for name, value in (("dc", options.datacenter), ("ns", options.namespace), ("partition", options.partition)):
        if value:
            yield name, value
    for tag in options.tags:
        yield "tag", tag
    for key, value in options.node_meta:
        yield "node-meta", f"{key}:{value}"
    if options.filter:
        yield "filter", options.filter


def build(config: ConsulOptions, site: Any) -> Discovery:
    """Return a Discovery."""
    return Discovery("consul", ConsulSource(config, site), config, site)


TYPE = PluginType(
    kind="discovery", name="consul", config=ConsulOptions, build=build, references=references,
    doc="Healthy instances of a service of Consul's catalog.",
)
