"""Conditions of a VirtualService's rules: on requests, connections and TLS."""

from meshd.api import Boolean, ListOf, MapOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import HOST, LABELS, PORT, AbsentMatch, StringMatch
from meshd_plugins.istio.schema.form import each, gateway_name_fault, label_fault, label_faults, subnet_fault
from meshd_plugins.istio.schema.header import match_name_fault


@camel_config
class HTTPMatchRequest:
    """Conditions; all must hold."""

    name: str = option(Text(), default="", doc="name in logs")
    uri: StringMatch | None = option(Nested(StringMatch), default=None, doc="the path, without the query")
    scheme: StringMatch | None = option(Nested(StringMatch), default=None, doc="http or https")
    method: StringMatch | None = option(Nested(StringMatch), default=None, doc="the method")
    authority: StringMatch | None = option(Nested(StringMatch), default=None, doc="Host")
    headers: tuple[tuple[str, StringMatch], ...] = option(
        MapOf(value=Nested(StringMatch)), default=(), doc="fields; {} means that it is there"
    )
    port: int | None = option(PORT, default=None, doc="port of the listener")
    source_labels: tuple[tuple[str, str], ...] = option(LABELS, default=(), doc="labels of the proxy's workload")
    gateways: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="replaces the rule's gateways")
    query_params: tuple[tuple[str, StringMatch], ...] = option(
        MapOf(value=Nested(StringMatch)), default=(), doc="query parameters"
    )
    ignore_uri_case: bool = option(Boolean(), default=False, doc="compare exact and prefix without case")
    without_headers: tuple[tuple[str, AbsentMatch], ...] = option(
        MapOf(value=Nested(AbsentMatch)), default=(), doc="fields that must not be so"
    )
    source_namespace: str = option(Text(), default="", doc="namespace of the proxy's workload")
    stat_prefix: str = option(Text(), default="", doc="prefix of metrics", unsupported="there are no metrics by route")

    def check(self):
        """Yield faults of names and empty prefixes (only the path may have one)."""
        for name in ("scheme", "method", "authority"):
            yield from _prefix_faults(name, getattr(self, name))
        for name in ("headers", "without_headers"):
            for field, condition in getattr(self, name):
                fault = match_name_fault(field)
                if fault:
                    yield (name, field), fault
                yield from _prefix_faults((name, field), condition)
        for field, condition in self.query_params:
            yield from _prefix_faults(("query_params", field), condition)
        yield from label_faults("source_labels", self.source_labels)
        yield from each("gateways", self.gateways, gateway_name_fault)
        fault = label_fault(self.source_namespace) if self.source_namespace else ""
        if fault:
            yield "source_namespace", fault


def _prefix_faults(place, condition):
    if condition is not None and condition.prefix == "":
        yield (*(place if isinstance(place, tuple) else (place,)), "prefix"), "expected a prefix, got nothing"


@camel_config
class L4MatchAttributes:
    """Conditions of a TCP route."""

    destination_subnets: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="original addresses")
    port: int | None = option(PORT, default=None, doc="port of the listener")
    source_subnet: str = option(Text(), default="", doc="addresses of clients")
    source_labels: tuple[tuple[str, str], ...] = option(LABELS, default=(), doc="labels of the proxy's workload")
    gateways: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="replaces the rule's gateways")
    source_namespace: str = option(Text(), default="", doc="namespace of the proxy's workload")

    def check(self):
        """Yield faults of addresses, labels and gateway names."""
        yield from each("destination_subnets", self.destination_subnets, subnet_fault)
        yield from label_faults("source_labels", self.source_labels)
        yield from each("gateways", self.gateways, gateway_name_fault)


@camel_config
class TLSMatchAttributes:
    """Conditions of a TLS route."""

    sni_hosts: tuple[str, ...] = option(ListOf(item=HOST, minimum=1), doc="server names")
    destination_subnets: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="original addresses")
    port: int | None = option(PORT, default=None, doc="port of the listener")
    source_labels: tuple[tuple[str, str], ...] = option(LABELS, default=(), doc="labels of the proxy's workload")
    gateways: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="replaces the rule's gateways")
    source_namespace: str = option(Text(), default="", doc="namespace of the proxy's workload")

    def check(self):
        """Yield faults of addresses, labels and gateway names."""
        yield from each("destination_subnets", self.destination_subnets, subnet_fault)
        yield from label_faults("source_labels", self.source_labels)
        yield from each("gateways", self.gateways, gateway_name_fault)
