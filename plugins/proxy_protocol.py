"""The listener filter ``proxy_protocol``: the client's address from the header that a proxy in front of us puts first.

Strategy: who is not trusted could name any address, so nobody is by default: ``trusted`` has to be given. What the
header says is the client's address and the one that it meant to reach from then on, for everything that follows.
"""

from ipaddress import ip_address, ip_network

from meshd.api import (
    CONTINUE, MORE, PROXY_NOT_FOUND, REQUIRED, STOP, Boolean, Choice, ListOf, PluginType, ProtocolError, Text, config,
    hookimpl, option, read_proxy_header,
)

UNIX = "unix"
VERSIONS = ("v1", "v2")
TALLIES = (
    ("found", "envoy_proxy_proto_found", "connections with a PROXY protocol header"),
    ("disallowed", "envoy_proxy_proto_disallowed", "connections refused for the version of their header"),
    ("error", "envoy_proxy_proto_error", "connections refused for a broken header"),
)


@config
class ProxyProtocol:
    """A PROXY protocol header comes first on each connection (Envoy's listener filter)."""

    trusted: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1, maximum=50), minimum=1, maximum=1000), default=REQUIRED,
        doc="networks of the proxies whose headers are believed (10.0.0.0/8), and unix for unix sockets"
    )
    allow_requests_without_proxy_protocol: bool = option(
        Boolean(), default=False, doc="serve connections without a header, and all of others than trusted, as they are"
    )
    disallowed_versions: tuple[str, ...] = option(
        ListOf(item=Choice(VERSIONS), maximum=2), default=(), doc="versions that are refused"
    )

    def check(self):
        """Yield faults of fields."""
        for place, text in enumerate(self.trusted):
            try:
                _network(text)
            except ValueError as error:
                yield ("trusted", place), f"{error}: expected a network as in 10.0.0.0/8, or unix"
        if len(set(self.disallowed_versions)) == len(VERSIONS):
            yield "disallowed_versions", "expected one version to be left"


class ProxyProtocolFilter:
    """One for all connections of a listener; keeps nothing of them."""

    def __init__(self, config, site):
        self._trusts_unix = UNIX in config.trusted
        self._networks = tuple(_network(text) for text in config.trusted if text != UNIX)
        self._allows = config.allow_requests_without_proxy_protocol
        self._disallowed = frozenset(int(one[1:]) for one in config.disallowed_versions)
        name = site.owner.removeprefix("listener ")
        labels = ("listener", "proxy_protocol_version")
        families = [(key, site.metrics.counter(metric, doc, labels)) for key, metric, doc in TALLIES]
        self._tallies = {
            number: {key: family.cell(name, f"{number}") for key, family in families} for number in (1, 2)}

        def cell(metric, doc):
            return site.metrics.counter(metric, doc, ("listener",)).cell(name)

        self._without = cell("envoy_proxy_proto_not_found_allowed", "connections served without a header")
        self._refused = cell("envoy_proxy_proto_not_found_disallowed", "connections refused for want of a header")
        self._strangers = cell(
            "meshd_proxy_protocol_untrusted_total", "connections of others than trusted; no header of theirs is read")

    def on_accept(self, connection):
        """Ask for bytes, if we would believe them."""
        if self._is_trusted(connection.direct_peer):
            return self.on_data(connection)
        self._strangers.inc()
        return CONTINUE if self._allows else STOP

    def on_data(self, connection):
        """Look whether the header is whole, and take it off."""
        try:
            found = read_proxy_header(connection.data)
        except ProtocolError as error:
            self._tallies[error.version]["error"].inc()
            return STOP
        if found is None:
            return MORE
        if found is PROXY_NOT_FOUND:
            (self._without if self._allows else self._refused).inc()
            return CONTINUE if self._allows else STOP
        tallies = self._tallies[found.version]
        if found.version in self._disallowed:
            tallies["disallowed"].inc()
            return STOP
        tallies["found"].inc()
        self._apply(connection, found)
        return CONTINUE

    def _is_trusted(self, peer):
        if peer.startswith("unix:"):
            return self._trusts_unix
        address = ip_address(peer.rpartition(":")[0].strip("[]").partition("%")[0])
        return any(address in network for network in self._networks)

    @staticmethod
    def _apply(connection, found):
        connection.consume(found.size)
        if found.source:
            connection.peer = "unix:" if found.source.startswith("unix:") else found.source
        if found.destination:
            connection.local = found.destination
        if found.tlvs:
            connection.metadata["proxy_protocol"] = found.tlvs


def _network(text):
    """Return the network that ``text`` names, None for unix; raises ValueError."""
    return None if text == UNIX else ip_network(text)


@hookimpl
def meshd_plugins():
    """Offer the filter."""
    return [
        PluginType(
            kind="listener_filter", name="proxy_protocol", config=ProxyProtocol, build=ProxyProtocolFilter,
            chooses=False, doc="Reads a PROXY protocol header (version 1 or 2) of trusted proxies in front.",
        )
    ]
