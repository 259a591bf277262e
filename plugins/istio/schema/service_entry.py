"""ServiceEntry (networking.istio.io): a service that no registry knows."""

from meshd.api import Choice, ListOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import HOST, NAMESPACES, PORT, WORDS, LabelSelector
from meshd_plugins.istio.schema.workload import WorkloadEntry


@camel_config
class ServicePort:
    """A port of the service."""

    number: int = option(PORT, doc="its number")
    protocol: str = option(Text(maximum=256), default="", doc="HTTP, HTTPS, GRPC, HTTP2, MONGO, TCP, TLS (by its name)")
    name: str = option(Text(minimum=1, maximum=256), doc="its name")
    target_port: int | None = option(PORT, default=None, doc="the endpoints' port (the same number)")


@camel_config
class ServiceEntry:
    """Hosts, ports and endpoints."""

    hosts: tuple[str, ...] = option(ListOf(item=HOST, minimum=1, maximum=256), doc="its names")
    addresses: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1, maximum=64), maximum=256), default=(), doc="virtual addresses"
    )
    ports: tuple[ServicePort, ...] = option(ListOf(item=Nested(ServicePort), maximum=256), default=(), doc="its ports")
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
