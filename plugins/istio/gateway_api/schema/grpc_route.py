"""GRPCRoute: rules for gRPC calls, by service, method and fields."""

import re

from meshd.api import Choice, ListOf, Nested, Text, camel_config, option
from meshd_plugins.istio.gateway_api.schema.filters import HEADER_VALUE, GRPCRouteFilter, filter_faults
from meshd_plugins.istio.gateway_api.schema.http_route import (
    VALUE_TYPE, match_count_faults, regex_fault, regex_faults,
)
from meshd_plugins.istio.gateway_api.schema.persistence import SessionPersistence
from meshd_plugins.istio.gateway_api.schema.reference import (
    GROUP_NAME, HEADER_NAME, HOSTNAME, KIND_NAME, NAMESPACE, OBJECT_NAME, PARENT_REFS, PORT, SECTION_NAME,
    USE_DEFAULT_GATEWAYS, WEIGHT, ParentReference, names_fault, parent_faults, port_faults,
)

_SERVICE = re.compile(r"\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*", re.I)
_METHOD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


@camel_config
class GRPCMethodMatch:
    """A condition on the called service and method."""

    type: str = option(VALUE_TYPE, default="Exact", doc="how they are compared")
    service: str | None = option(Text(maximum=1024), default=None, doc="the service, with its package (any)")
    method: str | None = option(Text(maximum=1024), default=None, doc="the method (any)")

    def check(self):
        """Yield faults between fields and of their characters."""
        if not self.service and not self.method:
            yield "method", "expected at least one of service, method"
        for name, form in (("service", _SERVICE), ("method", _METHOD)):
            value = getattr(self, name)
            if not value:
                continue
            if self.type == "RegularExpression":
                if fault := regex_fault(value):
                    yield name, fault
            elif not form.fullmatch(value):
                yield name, f"expected the name of a {name}, got {value!r}"


@camel_config
class GRPCHeaderMatch:
    """A condition on a field."""

    type: str = option(VALUE_TYPE, default="Exact", doc="how it is compared")
    name: str = option(HEADER_NAME, doc="its name")
    value: str = option(HEADER_VALUE, doc="its value, or RE2 for all of it")

    def check(self):
        """Yield the fault of the expression."""
        yield from regex_faults(self)


@camel_config
class GRPCRouteMatch:
    """Conditions; all must hold."""

    method: GRPCMethodMatch | None = option(Nested(GRPCMethodMatch), default=None, doc="service and method (any)")
    headers: tuple[GRPCHeaderMatch, ...] = option(
        ListOf(item=Nested(GRPCHeaderMatch), maximum=16, unique="name"), default=(), doc="fields"
    )


@camel_config
class GRPCBackendRef:
    """One share of a rule."""

    group: str = option(GROUP_NAME, default="", doc="its group")
    kind: str = option(KIND_NAME, default="Service", doc="its kind")
    name: str = option(OBJECT_NAME, doc="its name")
    namespace: str | None = option(NAMESPACE, default=None, doc="its namespace (ours; another needs a ReferenceGrant)")
    port: int | None = option(PORT, default=None, doc="its port")
    weight: int = WEIGHT
    filters: tuple[GRPCRouteFilter, ...] = option(
        ListOf(item=Nested(GRPCRouteFilter), maximum=16), default=(), doc="filters, this share only"
    )

    def check(self):
        """Yield faults between fields."""
        yield from port_faults(self)
        yield from filter_faults(self.filters)


@camel_config
class GRPCRouteRule:
    """What matches, and what is done with it."""

    name: str | None = option(SECTION_NAME, default=None, doc="name in logs")
    matches: tuple[GRPCRouteMatch, ...] = option(
        ListOf(item=Nested(GRPCRouteMatch), maximum=64), default=(), doc="any of these (all calls when empty)"
    )
    filters: tuple[GRPCRouteFilter, ...] = option(
        ListOf(item=Nested(GRPCRouteFilter), maximum=16), default=(), doc="filters"
    )
    backend_refs: tuple[GRPCBackendRef, ...] = option(
        ListOf(item=Nested(GRPCBackendRef), maximum=16), default=(), doc="where to"
    )
    session_persistence: SessionPersistence | None = option(
        Nested(SessionPersistence), default=None, doc="stay with one endpoint (experimental)",
        unsupported="sessions do not stay with an endpoint yet"
    )

    def check(self):
        """Yield faults of the filters."""
        yield from filter_faults(self.filters)


@camel_config
class GRPCRoute:
    """Rules for gRPC calls."""

    parent_refs: tuple[ParentReference, ...] = PARENT_REFS
    use_default_gateways: str = USE_DEFAULT_GATEWAYS
    hostnames: tuple[str, ...] = option(ListOf(item=HOSTNAME, maximum=16), default=(), doc="who is asked for (anybody)")
    rules: tuple[GRPCRouteRule, ...] = option(
        ListOf(item=Nested(GRPCRouteRule), maximum=16), default=(), doc="the rules"
    )

    def check(self):
        """Yield faults between fields."""
        yield from parent_faults(self.parent_refs)
        yield from names_fault(self.rules)
        yield from match_count_faults(self.rules)
