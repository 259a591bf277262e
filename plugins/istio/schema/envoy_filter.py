"""EnvoyFilter (networking.istio.io): recognised and checked; nothing of it can be in force here."""

from meshd.api import (
    Anything, BadRegex, Choice, Integer, ListOf, MapOf, Nested, Text, camel_config, compile_regex, option,
)
from meshd_plugins.istio.schema.common import COUNT32, LONGEST_REGEX, PORT, LabelSelector, at_most_one, keys_of
from meshd_plugins.istio.schema.form import deeper
from meshd_plugins.istio.schema.policy import TARGET_REFS, PolicyTargetReference

APPLY_TO = (
    "INVALID", "LISTENER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER", "ROUTE_CONFIGURATION", "VIRTUAL_HOST",
    "HTTP_ROUTE", "CLUSTER", "EXTENSION_CONFIG", "BOOTSTRAP", "LISTENER_FILTER",
)
OPERATIONS = (
    "INVALID", "MERGE", "ADD", "REMOVE", "INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST", "REPLACE",
    "MERGE_AND_REPLACE_LIST",
)
MATCH_OF = {
    **dict.fromkeys(("LISTENER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER"), "listener"),
    **dict.fromkeys(("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE"), "route_configuration"),
    "CLUSTER": "cluster",
}
"""applyTo -> the only match that goes with it."""

CONNECTION_MANAGERS = ("envoy.filters.network.http_connection_manager", "envoy.http_connection_manager")
NO_ENVOY = "this proxy is not Envoy: there is nothing to patch"


@camel_config
class ProxyMatch:
    """Which proxies."""

    proxy_version: str = option(Text(), default="", doc="their version (RE2)")
    metadata: tuple[tuple[str, str], ...] = option(MapOf(value=Text()), default=(), doc="their metadata")


@camel_config
class ClusterMatch:
    """Which clusters."""

    port_number: int = option(COUNT32, default=0, doc="port of the service")
    service: str = option(Text(), default="", doc="the service")
    subset: str = option(Text(), default="", doc="the subset")
    name: str = option(Text(), default="", doc="the cluster's name")


@camel_config
class RouteMatch:
    """Which route."""

    name: str = option(Text(), default="", doc="its name")
    action: str = option(Choice(("ANY", "ROUTE", "REDIRECT", "DIRECT_RESPONSE")), default="ANY", doc="its action")


@camel_config
class VirtualHostMatch:
    """Which virtual host."""

    name: str = option(Text(), default="", doc="its name")
    domain_name: str = option(Text(), default="", doc="a domain of it")
    route: RouteMatch | None = option(Nested(RouteMatch), default=None, doc="a route of it")


@camel_config
class RouteConfigurationMatch:
    """Which routes."""

    port_number: int = option(COUNT32, default=0, doc="port")
    port_name: str = option(Text(), default="", doc="port, by name")
    gateway: str = option(Text(), default="", doc="namespace/name of the Gateway")
    vhost: VirtualHostMatch | None = option(Nested(VirtualHostMatch), default=None, doc="virtual host")
    name: str = option(Text(), default="", doc="name")


@camel_config
class SubFilterMatch:
    """Which filter of a filter."""

    name: str = option(Text(), default="", doc="its name")


@camel_config
class FilterMatch:
    """Which filter."""

    name: str = option(Text(), default="", doc="its name")
    sub_filter: SubFilterMatch | None = option(Nested(SubFilterMatch), default=None, doc="a filter of it")


@camel_config
class FilterChainMatch:
    """Which filter chain."""

    name: str = option(Text(), default="", doc="its name")
    sni: str = option(Text(), default="", doc="server name")
    transport_protocol: str = option(Text(), default="", doc="tls or raw_buffer")
    application_protocols: str = option(Text(), default="", doc="ALPN, by commas")
    filter: FilterMatch | None = option(Nested(FilterMatch), default=None, doc="a filter of it")
    destination_port: int = option(COUNT32, default=0, doc="port")
    transport_socket: str = option(Text(), default="", doc="name of the transport socket")


@camel_config
class ListenerMatch:
    """Which listeners."""

    port_number: int = option(COUNT32, default=0, doc="port")
    port_name: str = option(Text(), default="", doc="port, by name")
    filter_chain: FilterChainMatch | None = option(Nested(FilterChainMatch), default=None, doc="filter chain")
    listener_filter: str = option(Text(), default="", doc="listener filter")
    name: str = option(Text(), default="", doc="name")


@camel_config
class WaypointRouteMatch:
    """Which route of a waypoint."""

    name: str = option(Text(), default="", doc="its name")


@camel_config
class WaypointMatch:
    """Which part of a waypoint."""

    port_number: int | None = option(PORT, default=None, doc="port")
    route: WaypointRouteMatch | None = option(Nested(WaypointRouteMatch), default=None, doc="route")
    filter: FilterMatch | None = option(Nested(FilterMatch), default=None, doc="filter")


@camel_config
class EnvoyConfigObjectMatch:
    """What is patched: one of listener, routeConfiguration, cluster, waypoint."""

    context: str | None = option(
        Choice(("ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT")), default=None, doc="direction"
    )
    proxy: ProxyMatch | None = option(Nested(ProxyMatch), default=None, doc="in which proxies")
    listener: ListenerMatch | None = option(Nested(ListenerMatch), default=None, doc="listeners")
    route_configuration: RouteConfigurationMatch | None = option(
        Nested(RouteConfigurationMatch), default=None, doc="routes"
    )
    cluster: ClusterMatch | None = option(Nested(ClusterMatch), default=None, doc="clusters")
    waypoint: WaypointMatch | None = option(Nested(WaypointMatch), default=None, doc="waypoints")

    def check(self):
        """Yield faults between fields."""
        yield from at_most_one(self, ("listener", "route_configuration", "cluster", "waypoint"))
        if (self.context == "WAYPOINT") != (self.waypoint is not None):
            yield "context", "expected waypoint with context WAYPOINT, and only with it"


@camel_config
class Patch:
    """The change."""

    operation: str = option(Choice(OPERATIONS), default="INVALID", doc="what is done")
    value: dict | None = option(Anything(), default=None, doc="Envoy's configuration")
    filter_class: str = option(
        Choice(("UNSPECIFIED", "AUTHN", "AUTHZ", "STATS")), default="UNSPECIFIED", doc="where a filter is put"
    )


@camel_config
class EnvoyConfigObjectPatch:
    """One change and its place."""

    apply_to: str = option(Choice(APPLY_TO), default="INVALID", doc="kind of the object")
    match: EnvoyConfigObjectMatch | None = option(Nested(EnvoyConfigObjectMatch), default=None, doc="which (all)")
    patch: Patch | None = option(Nested(Patch), default=None, doc="the change")

    def check(self):
        """Yield faults between fields; those of a waypoint are not looked at, as in istiod."""
        if self.match is not None and self.match.context == "WAYPOINT":
            return
        if self.apply_to == "INVALID":
            yield "apply_to", "expected the kind of the object that is patched"
        elif self.patch is None or self.patch.operation == "INVALID":
            yield "patch", "expected a patch with an operation"
        elif self.patch.operation != "REMOVE" and self.patch.value is None:
            yield ("patch", "value"), f"expected a value with operation {self.patch.operation}"
        elif self.match is not None:
            yield from deeper("match", self._match_faults(self.match))

    def _match_faults(self, match):
        if match.proxy is not None and len(match.proxy.proxy_version) <= LONGEST_REGEX:
            try:
                compile_regex(match.proxy.proxy_version)
            except BadRegex as error:
                yield ("proxy", "proxyVersion"), str(error)
        wanted = MATCH_OF.get(self.apply_to)
        for name in ("listener", "route_configuration", "cluster"):
            if wanted and name != wanted and getattr(match, name) is not None:
                yield keys_of(match, (name,)), f"expected {keys_of(match, (wanted,))} with applyTo {self.apply_to}"
        if wanted == "listener" and match.listener is not None and match.listener.filter_chain is not None:
            yield from deeper(("listener", "filterChain", "filter"), self._filter_faults(match.listener.filter_chain))

    def _filter_faults(self, chain):
        if chain.filter is None:
            return
        inner = chain.filter.sub_filter
        if not chain.filter.name:
            yield "name", "expected the filter's name"
        elif inner is not None and self.apply_to != "HTTP_FILTER":
            yield "subFilter", "expected none but with applyTo HTTP_FILTER"
        elif inner is not None and chain.filter.name not in CONNECTION_MANAGERS:
            yield "name", f"expected {CONNECTION_MANAGERS[0]} beside subFilter"
        elif inner is not None and not inner.name:
            yield ("subFilter", "name"), "expected the filter's name"


@camel_config
class EnvoyFilter:
    """Changes of Envoy's configuration."""

    workload_selector: LabelSelector | None = option(Nested(LabelSelector), default=None, doc="which workloads (all)")
    target_refs: tuple[PolicyTargetReference, ...] = option(TARGET_REFS, default=(), doc="what it is attached to")
    config_patches: tuple[EnvoyConfigObjectPatch, ...] = option(
        ListOf(item=Nested(EnvoyConfigObjectPatch)), default=(), doc="the changes", unsupported=NO_ENVOY
    )
    priority: int = option(Integer(minimum=-2**31, maximum=2**31 - 1), default=0, doc="order among EnvoyFilters")

    def check(self):
        """Yield faults between fields."""
        if self.workload_selector is not None and self.target_refs:
            yield "target_refs", "expected at most one of workloadSelector, targetRefs"
