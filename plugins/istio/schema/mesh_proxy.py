"""``defaultConfig`` of MeshConfig: the settings of all proxies. Most belong to Envoy or to the native file here."""

from typing import Any

from meshd.api import Anything, Boolean, Choice, Duration, Integer, MapOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import COUNT, COUNT32, NO_TLS, SECONDS, TIME, WORDS
from meshd_plugins.istio.schema.form import address_fault
from meshd_plugins.istio.schema.proxy_config import NATIVE, ProxyImage
from meshd_plugins.istio.schema.workload import ReadinessProbe

ENVOY = "this proxy is not Envoy"
CONTROL = "there is no control plane yet"
NO_TRACES = "spans are not reported yet"
DETAILS = Choice(("UNDEFINED", "SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"))


def _text(doc, unsupported):
    return option(Text(), default="", doc=doc, unsupported=unsupported)


def _any(doc, unsupported):
    return option(Anything(), default=None, doc=doc, unsupported=unsupported)


@camel_config
class Topology:
    """What stands before a gateway."""

    num_trusted_proxies: int = option(COUNT32, default=0, doc="proxies in front whose x-forwarded-for is trusted")
    forward_client_cert_details: str = option(
        DETAILS, default="UNDEFINED", doc="x-forwarded-client-cert of a gateway (SANITIZE_SET)"
    )
    proxy_protocol: Any = _any("PROXY protocol of clients", NATIVE)


@camel_config
class Accelerator:
    """How the hardware is used."""

    poll_delay_s: float = option(Duration(minimum=1e-9, is_go=True), doc="between looks for what is done")
    fallback: bool | None = option(Boolean(), default=None, doc="do without where there is none")


@camel_config
class PrivateKeyProvider:
    """Hardware for private keys: one of the two."""

    cryptomb: Accelerator | None = option(Nested(Accelerator), default=None, doc="Intel's CryptoMB")
    qat: Accelerator | None = option(Nested(Accelerator), default=None, doc="Intel's QAT")

    def check(self):
        """Yield a fault unless exactly one is given."""
        if (self.cryptomb is None) == (self.qat is None):
            yield None, "expected exactly one of cryptomb, qat"


@camel_config
class MeshProxyConfig:
    """Settings of all proxies."""

    config_path: str = _text("folder of Envoy's configuration", ENVOY)
    binary_path: str = _text("Envoy's program", ENVOY)
    service_cluster: str | None = option(Text(minimum=1), default=None, doc="name of the proxies", unsupported=NATIVE)
    tracing_service_name: str | None = option(
        Choice(("APP_LABEL_AND_NAMESPACE", "CANONICAL_NAME_ONLY", "CANONICAL_NAME_AND_NAMESPACE")), default=None,
        doc="name in traces", unsupported=NO_TRACES
    )
    drain_duration_s: float | None = option(SECONDS, default=None, doc="draining of connections", unsupported=NATIVE)
    discovery_address: str = _text("the control plane", CONTROL)
    discovery_refresh_delay_s: float | None = option(TIME, default=None, doc="(deprecated)", unsupported=CONTROL)
    zipkin_address: str = _text("Zipkin (deprecated)", NO_TRACES)
    statsd_udp_address: str = _text("statsd", "metrics are scraped")
    envoy_metrics_service_address: str = _text("metrics service (deprecated)", ENVOY)
    proxy_admin_port: int | None = option(COUNT, default=None, doc="port of the admin API", unsupported=NATIVE)
    availability_zone: str = _text("zone (deprecated)", NATIVE)
    control_plane_auth_policy: str = option(
        Choice(("NONE", "MUTUAL_TLS", "INHERIT")), default="NONE", doc="proof towards the control plane",
        unsupported=CONTROL
    )
    custom_config_file: str = _text("Envoy's own configuration", ENVOY)
    stat_name_length: int = option(Integer(), default=0, doc="longest name of a metric", unsupported=ENVOY)
    concurrency: int | None = option(COUNT, default=None, doc="worker threads", unsupported=NATIVE)
    proxy_bootstrap_template_path: str = _text("Envoy's bootstrap", ENVOY)
    interception_mode: str = option(
        Choice(("REDIRECT", "TPROXY", "NONE")), default="REDIRECT", doc="how traffic is captured",
        unsupported="node.interception_mode of the native file says it"
    )
    tracing: Any = _any("traces", NO_TRACES)
    sds: Any = _any("(deprecated)", CONTROL)
    envoy_access_log_service: Any = _any("access logs by gRPC", NATIVE)
    envoy_metrics_service: Any = _any("metrics by gRPC", ENVOY)
    proxy_metadata: tuple[tuple[str, str], ...] = option(
        MapOf(value=Text()), default=(), doc="environment and metadata of proxies", unsupported=NATIVE
    )
    runtime_values: tuple[tuple[str, str], ...] = option(
        MapOf(value=Text()), default=(), doc="Envoy's runtime values", unsupported=ENVOY
    )
    status_port: int | None = option(COUNT, default=None, doc="port of the agent", unsupported="there is no agent")
    extra_stat_tags: tuple[str, ...] = option(WORDS, default=(), doc="labels of metrics", unsupported=NATIVE)
    gateway_topology: Topology | None = option(Nested(Topology), default=None, doc="what stands before a gateway")
    termination_drain_duration_s: float | None = option(TIME, default=None, doc="draining at the end",
                                                        unsupported=NATIVE)
    mesh_id: str = _text("name of the mesh", CONTROL)
    readiness_probe: ReadinessProbe | None = option(
        Nested(ReadinessProbe), default=None, doc="probe of workloads whose WorkloadGroup has none"
    )
    proxy_stats_matcher: Any = _any("metrics that are kept", NATIVE)
    hold_application_until_proxy_starts: bool | None = option(
        Boolean(), default=None, doc="order of starting", unsupported="systemd orders units"
    )
    ca_certificates_pem: tuple[str, ...] = option(WORDS, default=(), doc="CAs", unsupported=NO_TLS)
    image: ProxyImage | None = option(
        Nested(ProxyImage), default=None, doc="image of the proxy", unsupported="there are no images"
    )
    private_key_provider: PrivateKeyProvider | None = option(
        Nested(PrivateKeyProvider), default=None, doc="hardware for keys", unsupported=ENVOY
    )
    proxy_headers: Any = _any("fields that proxies add", NATIVE)
    file_flush_interval_s: float | None = option(TIME, default=None, doc="flushing of logs", unsupported=NATIVE)
    file_flush_min_size_kb: int = option(COUNT32, default=0, doc="flushing of logs, KiB", unsupported=NATIVE)
    stats_compression: bool | None = option(Boolean(), default=None, doc="compressed metrics", unsupported=ENVOY)
    connection_settings: Any = _any("limits of connections", NATIVE)

    def check(self):
        """Yield faults between fields."""
        for name in ("discovery_address", "statsd_udp_address", "envoy_metrics_service_address"):
            fault = address_fault(getattr(self, name)) if getattr(self, name) else ""
            if fault:
                yield name, fault
        for name in ("proxy_admin_port", "status_port"):
            port = getattr(self, name)
            if port is not None and not 1 <= port <= 65535:
                yield name, f"expected a port from 1 to 65535, got {port}"
        if self.control_plane_auth_policy == "INHERIT":
            yield "control_plane_auth_policy", "expected NONE or MUTUAL_TLS"
        if self.service_cluster is not None and self.tracing_service_name is not None:
            yield "tracing_service_name", "expected at most one of serviceCluster, tracingServiceName"
