"""WorkloadEntry and WorkloadGroup (networking.istio.io): endpoints that are no pods, and templates of them."""

from meshd.api import Choice, ListOf, MapOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import COUNT, COUNT32, LABELS, PORT

OWN_PROBES = "the daemon does not probe the workload yet"


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


@camel_config
class ObjectMeta:
    """Labels and annotations of the entries that are made."""

    labels: tuple[tuple[str, str], ...] = option(MapOf(value=Text(), maximum=256), default=(), doc="labels")
    annotations: tuple[tuple[str, str], ...] = option(MapOf(value=Text(), maximum=256), default=(), doc="annotations")


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
    scheme: str = option(Choice(("", "HTTP", "HTTPS")), default="", doc="scheme (HTTP)")
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

    port: int | None = option(PORT, default=None, doc="port")
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


@camel_config
class WorkloadGroup:
    """A template of WorkloadEntries."""

    metadata: ObjectMeta | None = option(Nested(ObjectMeta), default=None, doc="metadata of the entries")
    template: WorkloadEntry = option(Nested(WorkloadEntry), doc="the entries; without an address")
    probe: ReadinessProbe | None = option(
        Nested(ReadinessProbe), default=None, doc="when an entry is healthy", unsupported=OWN_PROBES
    )
