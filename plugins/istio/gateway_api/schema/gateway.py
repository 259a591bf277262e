"""GatewayClass, Gateway and ListenerSet: where traffic enters, and who may attach routes."""

import ipaddress

from meshd.api import Choice, ListOf, MapOf, Nested, Text, camel_config, option
from meshd_plugins.istio.gateway_api.schema.reference import (
    CONTROLLER, DOMAIN, GROUP, GROUP_NAME, HOSTNAME, KIND_NAME, NAMESPACE, OBJECT_NAME, PORT, QUALIFIED, SECTION_NAME,
    LocalObjectReference, SecretObjectReference,
)
from meshd_plugins.istio.gateway_api.schema.tls import GatewayTLSConfig

PROTOCOL = Text(
    pattern=rf"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?|{DOMAIN}/[A-Za-z0-9]+", minimum=1, maximum=255
)
LABEL_VALUE = Text(pattern=r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", maximum=63)
PLAIN = ("HTTP", "TCP", "UDP")
NO_HOSTNAME = ("TCP", "UDP")


@camel_config
class ParametersReference:
    """An implementation's own parameters."""

    group: str = option(GROUP_NAME, doc="its group")
    kind: str = option(KIND_NAME, doc="its kind")
    name: str = option(OBJECT_NAME, doc="its name")
    namespace: str | None = option(NAMESPACE, default=None, doc="its namespace")


@camel_config
class GatewayClass:
    """Whose Gateways these are."""

    controller_name: str = option(CONTROLLER, doc="meshd.io/gateway or istio.io/gateway-controller")
    parameters_ref: ParametersReference | None = option(
        Nested(ParametersReference), default=None, doc="none is known: such a class is not accepted"
    )
    description: str = option(Text(maximum=64), default="", doc="for people")


@camel_config
class LabelRequirement:
    """A condition on one label."""

    key: str = option(QUALIFIED, doc="the label")
    operator: str = option(Choice(("In", "NotIn", "Exists", "DoesNotExist")), doc="the condition")
    values: tuple[str, ...] = option(ListOf(item=LABEL_VALUE), default=(), doc="for In and NotIn")

    def check(self):
        """Yield a fault between operator and values."""
        takes = self.operator in ("In", "NotIn")
        if takes != bool(self.values):
            yield "values", f"expected {'values' if takes else 'no values'} with {self.operator}"


@camel_config
class LabelSelector:
    """Labels that must be there; all conditions must hold."""

    match_labels: tuple[tuple[str, str], ...] = option(
        MapOf(value=LABEL_VALUE, key=QUALIFIED), default=(), doc="label and value"
    )
    match_expressions: tuple[LabelRequirement, ...] = option(
        ListOf(item=Nested(LabelRequirement)), default=(), doc="other conditions"
    )


@camel_config
class RouteNamespaces:
    """Namespaces whose routes may attach."""

    from_: str = option(Choice(("All", "Selector", "Same")), default="Same", doc="which", key="from")
    selector: LabelSelector | None = option(Nested(LabelSelector), default=None, doc="with from: Selector")

    def check(self):
        """Yield a fault for a selection without a selector."""
        yield from selector_faults(self)


def selector_faults(namespaces):
    """Yield a fault for a selection of namespaces without a selector."""
    if namespaces.from_ == "Selector" and namespaces.selector is None:
        yield "selector", "expected a selector with from: Selector"


@camel_config
class RouteGroupKind:
    """A kind of routes."""

    group: str = option(GROUP_NAME, default=GROUP, doc="its group")
    kind: str = option(KIND_NAME, doc="its kind")


@camel_config
class AllowedRoutes:
    """Routes that may attach to a listener."""

    namespaces: RouteNamespaces = option(Nested(RouteNamespaces), default=RouteNamespaces(), doc="their namespaces")
    kinds: tuple[RouteGroupKind, ...] = option(
        ListOf(item=Nested(RouteGroupKind), maximum=8), default=(), doc="their kinds (all that the protocol takes)"
    )


@camel_config
class ListenerTLSConfig:
    """TLS of one listener."""

    mode: str = option(Choice(("Terminate", "Passthrough")), default="Terminate", doc="where TLS ends")
    certificate_refs: tuple[SecretObjectReference, ...] = option(
        ListOf(item=Nested(SecretObjectReference), maximum=64), default=(), doc="Secrets with certificate and key"
    )
    options: tuple[tuple[str, str], ...] = option(
        MapOf(value=Text(maximum=4096), key=QUALIFIED, maximum=16), default=(), doc="of implementations"
    )

    def check(self):
        """Yield a fault for TLS that would have no certificate."""
        if self.mode == "Terminate" and not self.certificate_refs and not self.options:
            yield "certificate_refs", "expected certificateRefs or options with mode Terminate"


@camel_config
class Listener:
    """A port that is served, for one hostname or all."""

    name: str = option(SECTION_NAME, doc="its name")
    hostname: str | None = option(HOSTNAME, default=None, doc="who is asked for (anybody)")
    port: int = option(PORT, doc="the port")
    protocol: str = option(PROTOCOL, doc="HTTP, HTTPS, TLS or TCP")
    tls: ListenerTLSConfig | None = option(Nested(ListenerTLSConfig), default=None, doc="with HTTPS and TLS")
    allowed_routes: AllowedRoutes = option(Nested(AllowedRoutes), default=AllowedRoutes(), doc="who may attach")

    def check(self):
        """Yield faults between protocol, TLS and hostname."""
        if self.tls is not None and self.protocol in PLAIN:
            yield "tls", f"expected no tls with {self.protocol}"
        if self.tls is not None and self.protocol == "HTTPS" and self.tls.mode != "Terminate":
            yield "tls", "expected mode Terminate with HTTPS"
        if self.tls is None and self.protocol == "TLS":
            yield "tls", "expected tls with TLS"
        if self.hostname is not None and self.protocol in NO_HOSTNAME:
            yield "hostname", f"expected no hostname with {self.protocol}"


LISTENERS = option(ListOf(item=Nested(Listener), minimum=1, maximum=64, unique="name"), doc="where traffic enters")


def distinct_faults(listeners):
    """Yield a fault for each listener that takes what another one takes."""
    seen = {}
    for one in listeners:
        key = one.port, one.protocol, one.hostname
        if key in seen:
            yield "listeners", (f"expected another port, protocol or hostname in {one.name!r}: they are those of "
                                f"{seen[key]!r}")
        seen.setdefault(key, one.name)


@camel_config
class GatewayAddress:
    """An address that is asked for."""

    type: str = option(Text(minimum=1, maximum=253), default="IPAddress", doc="IPAddress (others are not supported)")
    value: str = option(Text(maximum=253), default="", doc="the address; all of the machine when empty")

    def check(self):
        """Yield a fault for an address that is none."""
        if self.type == "IPAddress" and self.value:
            try:
                ipaddress.ip_address(self.value)
            except ValueError:
                yield "value", f"expected an IP address, got {self.value!r}"


@camel_config
class GatewayInfrastructure:
    """What serves the Gateway."""

    labels: tuple[tuple[str, str], ...] = option(
        MapOf(value=LABEL_VALUE, key=QUALIFIED, maximum=8), default=(), doc="nodes with all these labels serve it"
    )
    annotations: tuple[tuple[str, str], ...] = option(
        MapOf(value=Text(maximum=4096), key=QUALIFIED, maximum=16), default=(), doc="left alone"
    )
    parameters_ref: LocalObjectReference | None = option(
        Nested(LocalObjectReference), default=None, doc="none is known: such a Gateway is not accepted"
    )


@camel_config
class ListenerNamespaces:
    """Namespaces whose ListenerSets may attach."""

    from_: str = option(Choice(("All", "Selector", "Same", "None")), default="None", doc="which", key="from")
    selector: LabelSelector | None = option(Nested(LabelSelector), default=None, doc="with from: Selector")

    def check(self):
        """Yield a fault for a selection without a selector."""
        yield from selector_faults(self)


@camel_config
class AllowedListeners:
    """ListenerSets that may attach."""

    namespaces: ListenerNamespaces = option(
        Nested(ListenerNamespaces), default=ListenerNamespaces(), doc="their namespaces"
    )


@camel_config
class Gateway:
    """Listeners."""

    gateway_class_name: str = option(OBJECT_NAME, doc="its GatewayClass")
    listeners: tuple[Listener, ...] = LISTENERS
    addresses: tuple[GatewayAddress, ...] = option(
        ListOf(item=Nested(GatewayAddress), maximum=16), default=(), doc="addresses to listen at (all)"
    )
    infrastructure: GatewayInfrastructure | None = option(
        Nested(GatewayInfrastructure), default=None, doc="which nodes serve it"
    )
    allowed_listeners: AllowedListeners = option(
        Nested(AllowedListeners), default=AllowedListeners(), doc="which ListenerSets may attach (none)"
    )
    tls: GatewayTLSConfig | None = option(
        Nested(GatewayTLSConfig), default=None, doc="client certificates, on both sides"
    )
    default_scope: str = option(
        Choice(("All", "None", "")), default="", doc="take routes that name no Gateway",
        unsupported="routes attach by parentRefs alone"
    )

    def check(self):
        """Yield faults between listeners and of addresses that stand twice."""
        yield from distinct_faults(self.listeners)
        seen = set()
        for one in self.addresses:
            if one.value and (one.type, one.value) in seen:
                yield "addresses", f"expected another {one.type}, {one.value!r} is taken"
            seen.add((one.type, one.value))


@camel_config
class ParentGatewayReference:
    """The Gateway of a ListenerSet."""

    group: str = option(GROUP_NAME, default=GROUP, doc="its group")
    kind: str = option(KIND_NAME, default="Gateway", doc="its kind")
    name: str = option(OBJECT_NAME, doc="its name")
    namespace: str | None = option(NAMESPACE, default=None, doc="its namespace (ours)")


@camel_config
class ListenerSet:
    """More listeners of a Gateway."""

    parent_ref: ParentGatewayReference = option(Nested(ParentGatewayReference), doc="the Gateway")
    listeners: tuple[Listener, ...] = LISTENERS

    def check(self):
        """Yield faults between listeners."""
        yield from distinct_faults(self.listeners)
