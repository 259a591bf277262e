"""Kubernetes' Service, Endpoints, EndpointSlice and Namespace, as sources of services.

Fields that say nothing to a proxy are listed, so that a misspelt one is found, and taken as they are.
"""

from typing import Any

from meshd.api import Anything, Boolean, Choice, ListOf, MapOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import LABELS, PORT

PROTOCOL = Choice(("TCP", "UDP", "SCTP"))


def _left_alone():
    return option(Anything(), default=None, doc="nothing to a proxy")


@camel_config
class KubernetesServicePort:
    """A port of a Service."""

    name: str = option(Text(maximum=63), default="", doc="its name; needed where there are several")
    port: int = option(PORT, doc="its number")
    protocol: str = option(PROTOCOL, default="TCP", doc="transport")
    target_port: Any = option(Anything(), default=None, doc="the endpoints' port: number or name (the same number)")
    app_protocol: str = option(Text(), default="", doc="http, https, grpc, kubernetes.io/h2c... (by the name)")
    node_port: Any = _left_alone()

    def check(self):
        """Yield a fault where targetPort is neither number nor name."""
        target = self.target_port
        if type(target) is int and not 1 <= target <= 65535:
            yield "target_port", f"expected a port from 1 to 65535, got {target}"
        elif target is not None and type(target) not in (int, str):
            yield "target_port", "expected a port's number or name"


@camel_config
class KubernetesServiceSpec:
    """A service of the cluster."""

    ports: tuple[KubernetesServicePort, ...] = option(
        ListOf(item=Nested(KubernetesServicePort)), default=(), doc="its ports"
    )
    selector: tuple[tuple[str, str], ...] = option(LABELS, default=(), doc="labels of its workloads")
    type: str = option(
        Choice(("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")), default="ClusterIP", doc="how it is reached"
    )
    cluster_ip: str = option(Text(), default="", doc="its address; None: it has no address of its own", key="clusterIP")
    cluster_ips: tuple[str, ...] = option(ListOf(item=Text()), default=(), doc="its addresses", key="clusterIPs")
    external_name: str = option(Text(maximum=253), default="", doc="the DNS name (ExternalName)")
    external_ips: tuple[str, ...] = option(ListOf(item=Text()), default=(), doc="more addresses", key="externalIPs")
    publish_not_ready_addresses: bool = option(Boolean(), default=False, doc="endpoints that are not ready serve too")
    session_affinity: Any = _left_alone()
    session_affinity_config: Any = _left_alone()
    load_balancer_ip: Any = option(Anything(), default=None, doc="nothing to a proxy", key="loadBalancerIP")
    load_balancer_source_ranges: Any = _left_alone()
    load_balancer_class: Any = _left_alone()
    external_traffic_policy: Any = _left_alone()
    internal_traffic_policy: Any = _left_alone()
    traffic_distribution: Any = _left_alone()
    allocate_load_balancer_node_ports: Any = _left_alone()
    health_check_node_port: Any = _left_alone()
    ip_families: Any = _left_alone()
    ip_family_policy: Any = _left_alone()

    def check(self):
        """Yield faults of Kubernetes'."""
        if self.type == "ExternalName" and not self.external_name:
            yield "external_name", "expected the DNS name of an ExternalName service"
        if self.type != "ExternalName" and not self.ports and self.cluster_ip != "None":
            yield "ports", "expected at least one port"
        yield from _port_names(self.ports)


def _port_names(ports):
    """Yield faults where ports cannot be told apart."""
    seen = set()
    for place, port in enumerate(ports):
        if len(ports) > 1 and not port.name:
            yield ("ports", place), "expected a name, for there are several ports"
        elif port.name in seen:
            yield ("ports", place, "name"), f"expected another name, {port.name!r} is taken"
        seen.add(port.name)


@camel_config
class EndpointAddress:
    """One endpoint."""

    ip: str = option(Text(minimum=1), doc="its address")
    hostname: str = option(Text(), default="", doc="its name")
    node_name: Any = _left_alone()
    target_ref: Any = _left_alone()


@camel_config
class EndpointPort:
    """A port of endpoints."""

    name: str = option(Text(), default="", doc="name of the service's port")
    port: int | None = option(PORT, default=None, doc="its number")
    protocol: str = option(PROTOCOL, default="TCP", doc="transport")
    app_protocol: str = option(Text(), default="", doc="http, https, grpc, kubernetes.io/h2c...")


@camel_config
class EndpointSubset:
    """Endpoints that have the same ports."""

    addresses: tuple[EndpointAddress, ...] = option(ListOf(item=Nested(EndpointAddress)), default=(), doc="ready ones")
    not_ready_addresses: tuple[EndpointAddress, ...] = option(
        ListOf(item=Nested(EndpointAddress)), default=(), doc="others; they are not used"
    )
    ports: tuple[EndpointPort, ...] = option(ListOf(item=Nested(EndpointPort)), default=(), doc="their ports")


@camel_config
class Endpoints:
    """The endpoints of the Service of the same name."""

    subsets: tuple[EndpointSubset, ...] = option(ListOf(item=Nested(EndpointSubset)), default=(), doc="endpoints")


@camel_config
class EndpointConditions:
    """How an endpoint is; absent is unknown, which is read as true (false for terminating)."""

    ready: bool | None = option(Boolean(), default=None, doc="it takes traffic")
    serving: bool | None = option(Boolean(), default=None, doc="it answers, though it may be ending")
    terminating: bool | None = option(Boolean(), default=None, doc="it is ending")


@camel_config
class SliceEndpoint:
    """One endpoint."""

    addresses: tuple[str, ...] = option(ListOf(item=Text(minimum=1), minimum=1, maximum=100), doc="its addresses")
    conditions: EndpointConditions | None = option(Nested(EndpointConditions), default=None, doc="how it is")
    hostname: str = option(Text(), default="", doc="its name")
    zone: str = option(Text(), default="", doc="its zone")
    node_name: Any = _left_alone()
    target_ref: Any = _left_alone()
    hints: Any = _left_alone()
    deprecated_topology: tuple[tuple[str, str], ...] = option(MapOf(value=Text()), default=(), doc="labels of its node")


@camel_config
class EndpointSlice:
    """Some endpoints of the Service that the label kubernetes.io/service-name names."""

    address_type: str = option(Choice(("IPv4", "IPv6", "FQDN")), doc="what the addresses are")
    endpoints: tuple[SliceEndpoint, ...] = option(ListOf(item=Nested(SliceEndpoint)), default=(), doc="endpoints")
    ports: tuple[EndpointPort, ...] = option(ListOf(item=Nested(EndpointPort)), default=(), doc="their ports")


@camel_config
class NamespaceSpec:
    """Only the labels of a Namespace matter."""

    finalizers: Any = _left_alone()
