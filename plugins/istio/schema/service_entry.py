"""ServiceEntry (networking.istio.io): a service that no registry knows."""

from meshd.api import Choice, ListOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import HOST, NAMESPACES, PORT, WORDS, LabelSelector
from meshd_plugins.istio.schema.form import (
    HTTP_PROTOCOLS, TLS_PROTOCOLS, UNIX, deeper, each, fqdn_fault, is_wildcard, label_fault, protocol_fault,
    subnet_fault, wildcard_fault,
)
from meshd_plugins.istio.schema.workload import WorkloadEntry

BY_NAME = ("DNS", "DNS_ROUND_ROBIN")
DYNAMIC = frozenset(("http", "tls", "grpc", "http2"))


@camel_config
class ServicePort:
    """A port of the service."""

    number: int = option(PORT, doc="its number")
    protocol: str = option(Text(maximum=256), default="", doc="HTTP, HTTPS, GRPC, HTTP2, MONGO, TCP, TLS (by its name)")
    name: str = option(Text(minimum=1, maximum=256), doc="its name")
    target_port: int | None = option(PORT, default=None, doc="the endpoints' port (the same number)")

    def check(self):
        """Yield faults of the name and the protocol."""
        for name, fault in (("name", label_fault(self.name)), ("protocol", protocol_fault(self.protocol))):
            if fault:
                yield name, fault


@camel_config
class ServiceEntry:
    """Hosts, ports and endpoints."""

    hosts: tuple[str, ...] = option(ListOf(item=HOST, minimum=1, maximum=256), doc="its names")
    addresses: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1, maximum=64), maximum=256), default=(), doc="virtual addresses"
    )
    ports: tuple[ServicePort, ...] = option(
        ListOf(item=Nested(ServicePort), maximum=256, unique="name"), default=(), doc="its ports"
    )
    location: str = option(
        Choice(("MESH_EXTERNAL", "MESH_INTERNAL")), default="MESH_EXTERNAL", doc="whether it is of the mesh"
    )
    resolution: str = option(
        Choice(("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS")), default="NONE", doc="how they are found"
    )
    endpoints: tuple[WorkloadEntry, ...] = option(
        ListOf(item=Nested(WorkloadEntry), maximum=4096), default=(), doc="its endpoints"
    )
    workload_selector: LabelSelector | None = option(
        Nested(LabelSelector), default=None, doc="WorkloadEntries of its namespace, in place of endpoints"
    )
    export_to: tuple[str, ...] = option(NAMESPACES, default=(), doc="namespaces that see it (*: all)")
    subject_alt_names: tuple[str, ...] = option(WORDS, default=(), doc="names in the endpoints' certificates")

    def check(self):
        """Yield faults between fields; ``validate`` looks at exportTo."""
        yield from each("hosts", self.hosts, _host_fault)
        yield from each("addresses", self.addresses, subnet_fault)
        yield from self._port_faults()
        if self.workload_selector is not None and self.endpoints:
            yield "endpoints", "expected at most one of workloadSelector, endpoints"
        if self.resolution not in ("NONE", "STATIC") and any("/" in one for one in self.addresses):
            yield "addresses", f"expected no subnets with resolution {self.resolution}"
        yield from {"NONE": self._none_faults, "STATIC": self._endpoint_faults,
                    "DYNAMIC_DNS": self._dynamic_faults}.get(self.resolution, self._name_faults)()

    def _port_faults(self):
        seen = set()
        for place, port in enumerate(self.ports):
            if port.number in seen:
                yield ("ports", place, "number"), f"expected another number, {port.number} is taken"
            seen.add(port.number)
            plain = port.protocol.lower() not in HTTP_PROTOCOLS | TLS_PROTOCOLS
            if self.resolution != "NONE" and len(self.hosts) > 1 and plain:
                yield ("ports", place), "expected an HTTP or TLS protocol, for several hosts share the port"

    def _none_faults(self):
        if self.endpoints:
            yield "endpoints", "expected none with resolution NONE"

    def _name_faults(self):
        if self.resolution == "DNS_ROUND_ROBIN" and len(self.endpoints) > 1:
            yield "endpoints", "expected at most one with resolution DNS_ROUND_ROBIN"
        if not self.endpoints:
            found = list(each("hosts", self.hosts, fqdn_fault))
            if found:
                yield found[0][0], f"expected a full name, for resolution {self.resolution} looks it up"
        yield from self._endpoint_faults()

    def _endpoint_faults(self):
        names = {port.name for port in self.ports}
        for place, endpoint in enumerate(self.endpoints):
            yield from deeper(("endpoints", place), endpoint.faults(self.resolution in BY_NAME))
            if endpoint.address.startswith(UNIX):
                if self.resolution in BY_NAME:
                    yield ("endpoints", place, "address"), f"expected no socket with resolution {self.resolution}"
                elif len(names) != 1:
                    yield ("endpoints", place, "address"), "expected exactly one port of the service with a unix socket"
            elif not endpoint.address and self.resolution in BY_NAME:
                yield ("endpoints", place, "address"), f"expected an address with resolution {self.resolution}"
            for name, _ in endpoint.ports:
                if name not in names:
                    yield ("endpoints", place, "ports", name), "expected the name of a port of the service"

    def _dynamic_faults(self):
        for place, host in enumerate(self.hosts):
            if not is_wildcard(host):
                yield ("hosts", place), "expected a wildcard with resolution DYNAMIC_DNS"
        for name in ("addresses", "endpoints"):
            if getattr(self, name):
                yield name, "expected none with resolution DYNAMIC_DNS"
        for place, port in enumerate(self.ports):
            if port.protocol.lower() not in DYNAMIC:
                yield ("ports", place), "expected HTTP, HTTP2, GRPC or TLS with resolution DYNAMIC_DNS"


def _host_fault(host):
    return "expected a host, got *" if host == "*" else wildcard_fault(host)
