"""Sidecar (networking.istio.io): what the sidecars of a namespace listen on, and which services they see."""

from meshd.api import Choice, ListOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import COUNT32, HOST, NO_TLS, LabelSelector
from meshd_plugins.istio.schema.gateway import ServerTLSSettings
from meshd_plugins.istio.schema.traffic_policy import ConnectionPoolSettings
from meshd_plugins.istio.schema.virtual_service import Destination

CAPTURE = Choice(("DEFAULT", "IPTABLES", "NONE"))


@camel_config
class SidecarPort:
    """A port of a listener; 0 together with a unix socket."""

    number: int = option(COUNT32, default=0, doc="its number")
    protocol: str = option(Text(), default="", doc="HTTP, HTTPS, GRPC, HTTP2, MONGO, TCP, TLS")
    name: str = option(Text(), default="", doc="its name")
    target_port: int = option(COUNT32, default=0, doc="not used (deprecated)")


@camel_config
class IstioIngressListener:
    """Traffic for the workload."""

    port: SidecarPort = option(Nested(SidecarPort), doc="the port")
    bind: str = option(Text(), default="", doc="address to listen on")
    capture_mode: str = option(CAPTURE, default="DEFAULT", doc="whether traffic is captured (NONE: no)")
    default_endpoint: str = option(
        Text(), default="", doc="127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT, unix://PATH (same port)"
    )
    tls: ServerTLSSettings | None = option(Nested(ServerTLSSettings), default=None, doc="TLS", unsupported=NO_TLS)
    connection_pool: ConnectionPoolSettings | None = option(
        Nested(ConnectionPoolSettings), default=None, doc="limits towards the workload"
    )


@camel_config
class IstioEgressListener:
    """Traffic of the workload."""

    port: SidecarPort | None = option(Nested(SidecarPort), default=None, doc="the port (all ports of the hosts)")
    bind: str = option(Text(), default="", doc="address or unix:// path to listen on")
    capture_mode: str = option(CAPTURE, default="DEFAULT", doc="whether traffic is captured (NONE: no)")
    hosts: tuple[str, ...] = option(ListOf(item=HOST, minimum=1), doc="services that are seen, as namespace/host")


@camel_config
class OutboundTrafficPolicy:
    """What becomes of traffic for unknown hosts."""

    mode: str = option(
        Choice(("REGISTRY_ONLY", "ALLOW_ANY")), default="REGISTRY_ONLY", doc="refuse it, or pass it on"
    )
    egress_proxy: Destination | None = option(
        Nested(Destination), default=None, doc="who gets it", unsupported="unknown hosts go where they name"
    )


@camel_config
class Sidecar:
    """Of the workloads that the selector picks, or of a whole namespace."""

    workload_selector: LabelSelector | None = option(Nested(LabelSelector), default=None, doc="which workloads (all)")
    ingress: tuple[IstioIngressListener, ...] = option(
        ListOf(item=Nested(IstioIngressListener)), default=(), doc="listeners towards the workload"
    )
    egress: tuple[IstioEgressListener, ...] = option(
        ListOf(item=Nested(IstioEgressListener)), default=(), doc="listeners of the workload"
    )
    inbound_connection_pool: ConnectionPoolSettings | None = option(
        Nested(ConnectionPoolSettings), default=None, doc="limits towards the workload"
    )
    outbound_traffic_policy: OutboundTrafficPolicy | None = option(
        Nested(OutboundTrafficPolicy), default=None, doc="traffic for unknown hosts"
    )
