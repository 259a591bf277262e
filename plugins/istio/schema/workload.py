"""WorkloadEntry and WorkloadGroup (networking.istio.io): endpoints that are no pods, and templates of them."""

from meshd.api import Choice, ListOf, MapOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import COUNT, COUNT32, LABELS, PORT, at_most_one
from meshd_plugins.istio.schema.form import UNIX, fqdn_fault, is_ip, label_fault, label_faults, unix_fault


@camel_config
class WorkloadEntry:
    """One endpoint."""

    address: str = option(Text(maximum=256), default="", doc="IP, host name, or unix:// and a path")
    ports: tuple[tuple[str, int], ...] = option(
        MapOf(value=PORT, maximum=128), default=(), doc="name of a service's port -> port here (the same number)"
    )
    labels: tuple[tuple[str, str], ...] = option(LABELS, default=(), doc="labels")
    network: str = option(Text(maximum=2048), default="", doc="network; endpoints of one reach each other directly")
    locality: str = option(Text(maximum=2048), default="", doc="region/zone/subzone")
    weight: int = option(COUNT32, default=0, doc="share of the load (0: 1)")
    service_account: str = option(Text(maximum=253), default="", doc="service account, for its identity")

    def check(self):
        """Yield faults that an entry, an endpoint and a template may all have."""
        if self.address.startswith(UNIX):
            fault = unix_fault(self.address[len(UNIX):])
            if fault:
                yield "address", fault
            if self.ports:
                yield "ports", "expected none with a unix socket"
        for name, _ in self.ports:
            fault = label_fault(name)
            if fault:
                yield ("ports", name), fault

    def faults(self, may_be_name):
        """Yield the faults of one that is used as it is; ``may_be_name``: the address may be a host name."""
        if not self.address and not self.network:
            yield "address", "expected an address (or a network)"
        if self.address and not self.address.startswith(UNIX) and not is_ip(self.address):
            if not may_be_name or fqdn_fault(self.address):
                words = "an IP address or a host name" if may_be_name else "an IP address"
                yield "address", f"expected {words}, got {self.address!r}"
        yield from label_faults("labels", self.labels)


@camel_config
class ObjectMeta:
    """Labels and annotations of the entries that are made."""

    labels: tuple[tuple[str, str], ...] = option(MapOf(value=Text(), maximum=256), default=(), doc="labels")
    annotations: tuple[tuple[str, str], ...] = option(MapOf(value=Text(), maximum=256), default=(), doc="annotations")

    def check(self):
        """Yield faults of the labels."""
        yield from label_faults("labels", self.labels)


@camel_config
class HTTPHeader:
    """A field of a probe."""

    name: str = option(Text(pattern="[-_A-Za-z0-9]+"), default="", doc="its name")
    value: str = option(Text(), default="", doc="its value")


@camel_config
class HTTPHealthCheckConfig:
    """A GET that must be answered with 200 to 399."""

    path: str = option(Text(), default="", doc="path")
    port: int = option(PORT, doc="port")
    host: str = option(Text(), default="", doc="host (localhost)")
    scheme: str = option(Choice(("HTTP", "HTTPS")), default="HTTP", doc="scheme")
    http_headers: tuple[HTTPHeader, ...] = option(ListOf(item=Nested(HTTPHeader)), default=(), doc="fields")


@camel_config
class TCPHealthCheckConfig:
    """A connect that must succeed."""

    host: str = option(Text(), default="", doc="host (localhost)")
    port: int = option(PORT, doc="port")


@camel_config
class ExecHealthCheckConfig:
    """A command that must end with 0."""

    command: tuple[str, ...] = option(ListOf(item=Text(minimum=1), minimum=1), doc="the command")


@camel_config
class GrpcHealthCheckConfig:
    """gRPC's health service."""

    port: int = option(PORT, doc="port")
    service: str = option(Text(), default="", doc="service that is asked for")


@camel_config
class ReadinessProbe:
    """When an entry is healthy: one of httpGet, tcpSocket, exec, grpc."""

    initial_delay_seconds: int = option(COUNT, default=0, doc="wait before the first probe, seconds")
    timeout_seconds: int = option(COUNT, default=0, doc="wait for an answer, seconds (1)")
    period_seconds: int = option(COUNT, default=0, doc="between probes, seconds (10)")
    success_threshold: int = option(COUNT, default=0, doc="good probes until it is healthy (1)")
    failure_threshold: int = option(COUNT, default=0, doc="bad probes until it is not (3)")
    http_get: HTTPHealthCheckConfig | None = option(Nested(HTTPHealthCheckConfig), default=None, doc="by HTTP")
    tcp_socket: TCPHealthCheckConfig | None = option(Nested(TCPHealthCheckConfig), default=None, doc="by a connect")
    exec: ExecHealthCheckConfig | None = option(Nested(ExecHealthCheckConfig), default=None, doc="by a command")
    grpc: GrpcHealthCheckConfig | None = option(Nested(GrpcHealthCheckConfig), default=None, doc="by gRPC")

    def check(self):
        """Yield a fault unless one way is given."""
        names = ("http_get", "tcp_socket", "exec", "grpc")
        yield from at_most_one(self, names)
        if all(getattr(self, name) is None for name in names):
            yield None, "expected one of httpGet, tcpSocket, exec, grpc"


@camel_config
class WorkloadGroup:
    """A template of WorkloadEntries."""

    metadata: ObjectMeta | None = option(Nested(ObjectMeta), default=None, doc="metadata of the entries")
    template: WorkloadEntry = option(Nested(WorkloadEntry), doc="the entries; without an address")
    probe: ReadinessProbe | None = option(Nested(ReadinessProbe), default=None, doc="when an entry is healthy")
