"""Clusters: the upstreams, how they are found, balanced and protected."""

from ipaddress import ip_address

import attrs

from meshd.document.option import (
    Address, Boolean, Choice, Duration, Integer, ListOf, MapOf, Nested, PluginOf, Size, Text, config, option, place,
)
from meshd.model.balancing import HEALTH, Balancing
from meshd.model.health_check import HealthCheck
from meshd.model.http2_upstream import Http2Upstream
from meshd.model.plugin import Plugin
from meshd.model.tls import UpstreamTls

HTTP1, HTTP2, AUTO, USE_DOWNSTREAM_PROTOCOL = PROTOCOLS = ("http1", "http2", "auto", "use_downstream_protocol")
NAME = Text(pattern=r"[A-Za-z0-9][A-Za-z0-9._|/*-]*", maximum=200)


@config
class EndpointSpec:
    """One address of a cluster as configured or discovered; ``source`` says where it was found, and is no part of it.
    """

    address: str = option(Address(resolve=True), doc="HOST:PORT or unix:PATH")
    weight: int = option(Integer(minimum=1, maximum=1_000_000), default=1, doc="share of the load")
    labels: tuple[tuple[str, str], ...] = option(MapOf(value=Text()), default=(), doc="labels, for subsets and metrics")
    locality: str = option(Text(), default="", doc="region/zone/subzone")
    priority: int = option(Integer(maximum=128), default=0, doc="0 is used first")
    health: str = option(Choice(HEALTH), default="unknown", doc="what its source says (unknown: healthy)")
    source: str = attrs.field(default="", eq=False, repr=False)


@config
class TcpKeepalive:
    """Probes of the kernel on connections that are silent; 0 leaves the system's figure."""

    time_s: float = option(Duration(maximum=32767.0), default=0.0, doc="silence before the first probe, whole seconds")
    interval_s: float = option(Duration(maximum=32767.0), default=0.0, doc="between probes, whole seconds")
    probes: int = option(Integer(maximum=127), default=0, doc="unanswered probes until the connection is given up")


@config
class Pool:
    """Connections to one endpoint and their limits."""

    idle_timeout_s: float = option(Duration(), default=30.0, doc="unused connection is closed (less than the peers')")
    max_idle: int = option(Integer(minimum=0), default=1024, doc="unused connections kept, over the whole cluster")
    max_requests_per_connection: int = option(Integer(), default=0, doc="then close (0: no limit)")
    max_connection_duration_s: float = option(
        Duration(), default=0.0, doc="age at which a connection takes no more requests (0: any)"
    )
    tcp_keepalive: TcpKeepalive | None = option(
        Nested(TcpKeepalive), default=None, doc="probe silent connections (off when absent)"
    )
    max_head_bytes: int = option(Size(minimum=1024), default=61440, doc="status line and fields: 502 beyond")
    max_fields: int = option(Integer(minimum=1, maximum=10_000), default=100, doc="fields in an answer: 502 beyond")
    buffer_high_bytes: int = option(Size(minimum=4096), default=65536, doc="buffered output that pauses the other side")
    buffer_low_bytes: int = option(Size(minimum=0), default=32768, doc="buffered output that resumes it")

    def check(self):
        """Yield faults between fields."""
        if self.buffer_low_bytes >= self.buffer_high_bytes:
            yield "buffer_low_bytes", "expected less than buffer_high"


@config
class Cluster:
    """A named set of endpoints that serve the same thing."""

    name: str = option(NAME, doc="unique name (with an asterisk for hosts by wildcard, as Istio has them)")
    protocol: str = option(
        Choice(PROTOCOLS), default="http1",
        doc="what the endpoints speak: http2 without asking, auto by ALPN (http1 without TLS), or as the client does")
    http2: Http2Upstream = option(Nested(Http2Upstream), default=Http2Upstream(), doc="HTTP/2 (Envoy's figures)")
    endpoints: tuple[EndpointSpec, ...] | None = option(
        ListOf(item=Nested(EndpointSpec), maximum=100_000), default=None, doc="static endpoints"
    )
    discovery: Plugin | None = option(PluginOf(kind="discovery"), default=None, doc="finds the endpoints")
    load_balancer: Plugin | None = option(
        PluginOf(kind="load_balancer"), default=None, doc="picks an endpoint (round_robin when absent)"
    )
    balancing: Balancing = option(
        Nested(Balancing), default=Balancing(), doc="health, priorities, localities and warm-up, around the balancer"
    )
    select: tuple[tuple[str, str], ...] = option(
        MapOf(value=Text()), default=(), doc="use only the endpoints that have these labels (a subset)"
    )
    health_checks: tuple[HealthCheck, ...] = option(
        ListOf(item=Nested(HealthCheck), maximum=10), default=(),
        doc="asked of every endpoint; it is used when all of them find it well"
    )
    outlier_detection: Plugin | None = option(
        PluginOf(kind="outlier_detector"), default=None, doc="ejects endpoints by the answers that they give"
    )
    circuit_breaker: Plugin | None = option(
        PluginOf(kind="circuit_breaker"), default=None, doc="admits work (limits with Envoy's figures when absent)"
    )
    connect_timeout_s: float = option(Duration(minimum=0.001), default=5.0, doc="until a connect is given up")
    source_addresses: tuple[str, ...] = option(
        ListOf(item=Text(maximum=45), maximum=2), default=(),
        doc="own addresses that connections come from, one of each version of IP (Envoy's upstream_bind_config)"
    )
    use_original_src: bool = option(
        Boolean(), default=False,
        doc="connections come from the client's own address, with the mark 1337 (IP_TRANSPARENT; CAP_NET_ADMIN; "
        "meshctl capture --mode tproxy leads the answers back); source_addresses where there is no client"
    )
    tls: UpstreamTls | None = option(
        Nested(UpstreamTls), default=None, doc="TLS towards the endpoints (plain when absent)"
    )
    pool: Pool = option(Nested(Pool), default=Pool(), doc="connections")
    proxy_protocol: str | None = option(
        Choice(("v1", "v2")), default=None,
        doc="begin each connection with a PROXY protocol header that says where the client is"
    )
    missing: bool = option(
        Boolean(), default=False, doc="it is referred to and not defined: 503 NC, as Envoy answers for such a cluster"
    )
    where: str = place()

    def check(self):
        """Yield faults between fields."""
        if self.missing:
            return
        versions: list[int] = []
        for place, one in enumerate(self.source_addresses):
            try:
                ip_address(one)
            except ValueError:
                yield ("source_addresses", place), f"expected an IP address, got {one!r}"
            else:
                if ip_address(one).version in versions:
                    yield ("source_addresses", place), "expected one address of each version of IP, this is the second"
                versions.append(ip_address(one).version)
        if self.endpoints and self.discovery is not None:
            yield "discovery", "expected either endpoints or discovery, not both"
        if self.endpoints is None and self.discovery is None:
            yield "endpoints", "expected endpoints (none, as []: 503 UH) or a discovery plugin"
