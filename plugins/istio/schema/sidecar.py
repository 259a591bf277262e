"""Sidecar (networking.istio.io): what the sidecars of a namespace listen on, and which services they see."""

from meshd.api import Choice, ListOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import COUNT32, HOST, LabelSelector, keys_of
from meshd_plugins.istio.schema.form import (
    TLS_PROTOCOLS, UNIX, each, fqdn_fault, ip_fault, label_fault, protocol_fault, slashed_host_fault, unix_fault,
)
from meshd_plugins.istio.schema.gateway import ServerTLSSettings
from meshd_plugins.istio.schema.traffic_policy import ConnectionPoolSettings
from meshd_plugins.istio.schema.route import Destination

LOCAL = ("", "127.0.0.1", "0.0.0.0", "[::1]", "[::]")
NOT_INGRESS = ("subject_alt_names", "https_redirect", "credential_name", "credential_names", "tls_certificates")
CAPTURE = Choice(("DEFAULT", "IPTABLES", "NONE"))


@camel_config
class SidecarPort:
    """A port of a listener; 0 together with a unix socket."""

    number: int = option(COUNT32, default=0, doc="its number")
    protocol: str = option(Text(), default="", doc="HTTP, HTTPS, GRPC, HTTP2, MONGO, TCP, TLS")
    name: str = option(Text(), default="", doc="its name")
    target_port: int = option(COUNT32, default=0, doc="not used (deprecated)")

    def check(self):
        """Yield faults of the name and the protocol."""
        fault = label_fault(self.name) if self.name else ""
        if fault:
            yield "name", fault
        fault = protocol_fault(self.protocol)
        if fault:
            yield "protocol", fault
        if self.target_port:
            yield "target_port", "expected none: it says nothing here"
        if self.number > 65535:
            yield "number", f"expected a port from 1 to 65535, got {self.number}"


@camel_config
class IstioIngressListener:
    """Traffic for the workload."""

    port: SidecarPort = option(Nested(SidecarPort), doc="the port")
    bind: str = option(Text(), default="", doc="address to listen on")
    capture_mode: str = option(CAPTURE, default="DEFAULT", doc="whether traffic is captured (NONE: no)")
    default_endpoint: str = option(
        Text(), default="", doc="127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT, unix://PATH (same port)"
    )
    tls: ServerTLSSettings | None = option(Nested(ServerTLSSettings), default=None, doc="TLS")
    connection_pool: ConnectionPoolSettings | None = option(
        Nested(ConnectionPoolSettings), default=None, doc="limits towards the workload"
    )

    def check(self):
        """Yield faults between fields."""
        if not self.port.number:
            yield ("port", "number"), "expected a port from 1 to 65535"
        fault = ip_fault(self.bind) if self.bind else ""
        if fault:
            yield "bind", fault
        if self.default_endpoint:
            yield from _endpoint_faults(self.default_endpoint)
        if self.tls is not None:
            yield from self._tls_faults()

    def _tls_faults(self):
        for name in NOT_INGRESS:
            if getattr(self.tls, name):
                yield "tls", f"expected no {keys_of(self.tls, (name,))} on a sidecar"
        if self.tls.mode in ("ISTIO_MUTUAL", "AUTO_PASSTHROUGH"):
            yield ("tls", "mode"), f"expected another mode on a sidecar, got {self.tls.mode}"
        if self.port.protocol.lower() not in TLS_PROTOCOLS:
            yield "tls", "expected tls only with protocol HTTPS or TLS"


def _endpoint_faults(text):
    if text.startswith(UNIX):
        fault = unix_fault(text[len(UNIX):])
        if fault:
            yield "default_endpoint", fault
        return
    host, colon, port = text.rpartition(":")
    if not colon or host not in LOCAL or not port.isdigit() or not 1 <= int(port[:6]) <= 65535:
        yield "default_endpoint", (
            f"expected 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT or unix://PATH, got {text!r}"
        )


@camel_config
class IstioEgressListener:
    """Traffic of the workload."""

    port: SidecarPort | None = option(Nested(SidecarPort), default=None, doc="the port (all ports of the hosts)")
    bind: str = option(Text(), default="", doc="address or unix:// path to listen on")
    capture_mode: str = option(CAPTURE, default="DEFAULT", doc="whether traffic is captured (NONE: no)")
    hosts: tuple[str, ...] = option(ListOf(item=HOST, minimum=1), doc="services that are seen, as namespace/host")

    def check(self):
        """Yield faults between fields."""
        yield from each("hosts", self.hosts, lambda host: slashed_host_fault(host, False))
        if self.port is None:
            return
        if self.port.number:
            fault = ip_fault(self.bind) if self.bind else ""
        elif not self.bind.startswith(UNIX):
            fault = "expected unix://PATH with port 0"
        else:
            fault = unix_fault(self.bind[len(UNIX):])
            if self.capture_mode == "IPTABLES":
                yield "capture_mode", "expected DEFAULT or NONE with a unix socket"
        if fault:
            yield "bind", fault


@camel_config
class OutboundTrafficPolicy:
    """What becomes of traffic for unknown hosts."""

    mode: str = option(
        Choice(("REGISTRY_ONLY", "ALLOW_ANY")), default="REGISTRY_ONLY", doc="refuse it, or pass it on"
    )
    egress_proxy: Destination | None = option(
        Nested(Destination), default=None, doc="who gets it", unsupported="unknown hosts go where they name"
    )

    def check(self):
        """Yield faults between fields."""
        if self.egress_proxy is None:
            return
        if self.mode != "ALLOW_ANY":
            yield "egress_proxy", "expected mode ALLOW_ANY beside it"
        elif fqdn_fault(self.egress_proxy.host):
            yield ("egress_proxy", "host"), fqdn_fault(self.egress_proxy.host)
        elif self.egress_proxy.port is None:
            yield "egress_proxy", "expected a port"


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

    def check(self):
        """Yield faults of listeners that stand in each other's way."""
        parts = (self.ingress, self.egress, self.inbound_connection_pool, self.outbound_traffic_policy)
        if not any(parts):
            yield None, "expected at least one of ingress, egress, inboundConnectionPool, outboundTrafficPolicy"
        yield from _taken("ingress", [one.port.number for one in self.ingress])
        yield from _taken("egress", [
            one.port and (one.port.number or one.bind) for one in self.egress
        ])
        for place, one in enumerate(self.egress[:-1]):
            if one.port is None:
                yield ("egress", place), "expected a port, for only the last listener may be without"


def _taken(name, ports):
    seen = set()
    for place, port in enumerate(ports):
        if port is not None and port in seen:
            yield (name, place, "port"), f"expected another port, {port} is taken"
        seen.add(port)
