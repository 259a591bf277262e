"""MeshConfig as a document (mesh.istio.io): the settings of the whole mesh. All fields are known, some are in force."""

from typing import Any

from meshd.api import Anything, Boolean, Choice, Duration, ListOf, MapOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import COUNT, NAMESPACES, NO_TLS, NO_ZONES, TIME, TIME_OR_0, WORDS
from meshd_plugins.istio.schema.form import deeper, each, is_label, wildcard_fault
from meshd_plugins.istio.schema.load_balancer import LocalityLoadBalancerSetting, ZoneAwareLoadBalancerSetting
from meshd_plugins.istio.schema.mesh_proxy import CONTROL, ENVOY, NATIVE, MeshProxyConfig
from meshd_plugins.istio.schema.traffic_policy import (
    ClientTLSSettings, ConnectionPoolSettings, OutlierDetection, TcpKeepalive,
)
from meshd_plugins.istio.schema.route import HTTPRetry

CONNECT_TIME = Duration(minimum=0.001, maximum=3600.0, step=0.001, is_go=True)
NO_INGRESS = "Ingress documents are not read"


@camel_config
class MeshOutboundTrafficPolicy:
    """What becomes of traffic for unknown hosts."""

    mode: str = option(Choice(("REGISTRY_ONLY", "ALLOW_ANY", "ALLOW_ANY_DYNAMIC_DNS")), default="REGISTRY_ONLY",
                       doc="refuse it, or pass it on (ALLOW_ANY where there is no policy)")
    tls: ClientTLSSettings | None = option(Nested(ClientTLSSettings), default=None, doc="TLS", unsupported=NO_TLS)


@camel_config
class InboundTrafficPolicy:
    """Where traffic for unknown ports of the workload goes."""

    mode: str = option(Choice(("PASSTHROUGH", "LOCALHOST")), default="PASSTHROUGH", doc="to which address")


@camel_config
class Settings:
    """Of some services."""

    cluster_local: bool = option(Boolean(), default=False, doc="endpoints of other clusters are not used")


@camel_config
class ServiceSettings:
    """Settings of some services."""

    settings: Settings | None = option(Nested(Settings), default=None, doc="the settings")
    hosts: tuple[str, ...] = option(WORDS, default=(), doc="the services; wildcards at the start")


@camel_config
class LabelSelectorRequirement:
    """A condition on a label."""

    key: str = option(Text(), default="", doc="the label")
    operator: str = option(Choice(("In", "NotIn", "Exists", "DoesNotExist")), default="In", doc="the condition")
    values: tuple[str, ...] = option(ListOf(item=Text()), default=(), doc="values")


@camel_config
class MeshLabelSelector:
    """Which namespaces."""

    match_labels: tuple[tuple[str, str], ...] = option(MapOf(value=Text()), default=(), doc="labels")
    match_expressions: tuple[LabelSelectorRequirement, ...] = option(
        ListOf(item=Nested(LabelSelectorRequirement)), default=(), doc="conditions on labels"
    )


@camel_config
class DefaultProviders:
    """Who gets telemetry."""

    tracing: tuple[str, ...] = option(WORDS, default=(), doc="traces")
    metrics: tuple[str, ...] = option(WORDS, default=(), doc="metrics")
    access_logging: tuple[str, ...] = option(WORDS, default=(), doc="access logs")


@camel_config
class ProxyPathNormalization:
    """How paths are made normal."""

    normalization: str = option(
        Choice(("DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")), default="DEFAULT",
        doc="BASE is RFC 3986 (DEFAULT: BASE)"
    )


@camel_config
class TLSConfig:
    """TLS in the mesh."""

    min_protocol_version: str = option(Choice(("TLS_AUTO", "TLSV1_2", "TLSV1_3")), default="TLS_AUTO", doc="oldest")
    ecdh_curves: tuple[str, ...] = option(WORDS, default=(), doc="curves")
    cipher_suites: tuple[str, ...] = option(WORDS, default=(), doc="suites of TLS 1.2")


@camel_config
class DefaultTrafficPolicy:
    """What holds where no DestinationRule says otherwise."""

    connection_pool: ConnectionPoolSettings | None = option(
        Nested(ConnectionPoolSettings), default=None, doc="limits"
    )
    outlier_detection: OutlierDetection | None = option(
        Nested(OutlierDetection), default=None, doc="outlier detection"
    )


def _any(doc, unsupported):
    return option(Anything(), default=None, doc=doc, unsupported=unsupported)


def _text(doc, unsupported):
    return option(Text(), default="", doc=doc, unsupported=unsupported)


def _yes(doc, unsupported):
    return option(Boolean(), default=False, doc=doc, unsupported=unsupported)


def _maybe(doc, unsupported):
    return option(Boolean(), default=None, doc=doc, unsupported=unsupported)


@camel_config
class MeshConfig:
    """Settings of the mesh."""

    proxy_listen_port: int | None = option(COUNT, default=None, doc="port of captured traffic (15001)")
    proxy_inbound_listen_port: int | None = option(COUNT, default=None, doc="port of captured traffic (15006)")
    proxy_http_port: int = option(COUNT, default=0, doc="port of sidecars that takes requests for any host (0: none)")
    connect_timeout_s: float | None = option(CONNECT_TIME, default=None, doc="until a connect is given up (10s)")
    hbone_idle_timeout_s: float | None = option(TIME, default=None, doc="HBONE", unsupported="there is no HBONE")
    protocol_detection_timeout_s: float | None = option(
        TIME_OR_0, default=None, doc="wait for a client whose port has no protocol (200ms; also for 0)"
    )
    tcp_keepalive: TcpKeepalive | None = option(Nested(TcpKeepalive), default=None, doc="keepalive")
    ingress_class: str = _text("class of Ingress documents", NO_INGRESS)
    ingress_service: str = _text("service of the ingress", NO_INGRESS)
    ingress_controller_mode: str = option(Choice(("UNSPECIFIED", "OFF", "DEFAULT", "STRICT")), default="UNSPECIFIED",
                                          doc="which Ingress documents are read", unsupported=NO_INGRESS)
    ingress_selector: str = _text("label of the ingress", NO_INGRESS)
    enable_tracing: bool = _yes("trace requests", "spans are not reported yet")
    access_log_file: str = _text("file of the access log", NATIVE)
    access_log_format: str = _text("its format", NATIVE)
    access_log_encoding: str = option(Choice(("TEXT", "JSON")), default="TEXT", doc="its encoding", unsupported=NATIVE)
    enable_envoy_access_log_service: bool = _yes("access logs by gRPC", NATIVE)
    disable_envoy_listener_log: bool = _yes("no logs of listeners", NATIVE)
    default_config: MeshProxyConfig | None = option(Nested(MeshProxyConfig), default=None, doc="settings of proxies")
    outbound_traffic_policy: MeshOutboundTrafficPolicy | None = option(
        Nested(MeshOutboundTrafficPolicy), default=None, doc="traffic for unknown hosts"
    )
    inbound_traffic_policy: InboundTrafficPolicy | None = option(
        Nested(InboundTrafficPolicy), default=None, doc="traffic for unknown ports"
    )
    config_sources: tuple[Any, ...] = option(ListOf(item=Anything()), default=(), doc="where documents come from",
                                             unsupported=NATIVE)
    enable_auto_mtls: bool | None = _maybe("mutual TLS where both sides can", NO_TLS)
    trust_domain: str = option(Text(), default="cluster.local", doc="trust domain of identities")
    trust_domain_aliases: tuple[str, ...] = option(WORDS, default=(), doc="others that mean the same")
    ca_certificates: tuple[Any, ...] = option(ListOf(item=Anything()), default=(), doc="CAs", unsupported=NO_TLS)
    default_service_export_to: tuple[str, ...] = option(NAMESPACES, default=(), doc="exportTo of services (*)")
    default_virtual_service_export_to: tuple[str, ...] = option(
        NAMESPACES, default=(), doc="exportTo of VirtualServices (*)"
    )
    default_destination_rule_export_to: tuple[str, ...] = option(
        NAMESPACES, default=(), doc="exportTo of DestinationRules (*)"
    )
    root_namespace: str = option(Text(), default="istio-system", doc="namespace whose documents are the whole mesh's")
    locality_lb_setting: LocalityLoadBalancerSetting | None = option(
        Nested(LocalityLoadBalancerSetting), default=None, doc="balancing by locality"
    )
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = option(
        Nested(ZoneAwareLoadBalancerSetting), default=None, doc="zone-aware balancing", unsupported=NO_ZONES
    )
    dns_refresh_rate_s: float | None = option(TIME, default=None, doc="between look-ups of a name (60s)")
    h2_upgrade_policy: str = option(Choice(("DO_NOT_UPGRADE", "UPGRADE")), default="DO_NOT_UPGRADE",
                                    doc="HTTP/2 to services whose ports are HTTP's")
    inbound_cluster_stat_name: str = _text("names of metrics", ENVOY)
    outbound_cluster_stat_name: str = _text("names of metrics", ENVOY)
    certificates: tuple[Any, ...] = option(ListOf(item=Anything()), default=(), doc="(deprecated)", unsupported=CONTROL)
    service_settings: tuple[ServiceSettings, ...] = option(
        ListOf(item=Nested(ServiceSettings)), default=(), doc="settings of services", unsupported=CONTROL
    )
    service_scope_configs: tuple[Any, ...] = option(ListOf(item=Anything()), default=(), doc="scopes of services",
                                                    unsupported=CONTROL)
    enable_prometheus_merge: bool | None = _maybe("merge the workload's metrics", "metrics are not merged")
    verify_certificate_at_client: bool | None = _maybe("(deprecated)", NO_TLS)
    ca: Any = _any("who signs certificates", CONTROL)
    extension_providers: tuple[Any, ...] = option(
        ListOf(item=Anything()), default=(), doc="authorizers, tracers, loggers", unsupported=NATIVE
    )
    default_providers: DefaultProviders | None = option(Nested(DefaultProviders), default=None,
                                                        doc="who gets telemetry", unsupported=NATIVE)
    discovery_selectors: tuple[MeshLabelSelector, ...] = option(
        ListOf(item=Nested(MeshLabelSelector)), default=(), doc="namespaces that are read (all)",
        unsupported="all documents are read"
    )
    path_normalization: ProxyPathNormalization | None = option(
        Nested(ProxyPathNormalization), default=None, doc="how paths are made normal"
    )
    default_http_retry_policy: HTTPRetry | None = option(Nested(HTTPRetry), default=None, doc="retries (2 attempts)")
    default_inbound_http_retry_policy: HTTPRetry | None = option(
        Nested(HTTPRetry), default=None, doc="retries towards the workload", unsupported="there are none"
    )
    mesh_m_tls: TLSConfig | None = option(
        Nested(TLSConfig), default=None, doc="mutual TLS", unsupported=NO_TLS, key="meshMTLS"
    )
    tls_defaults: TLSConfig | None = option(Nested(TLSConfig), default=None, doc="other TLS", unsupported=NO_TLS)
    default_traffic_policy: DefaultTrafficPolicy | None = option(
        Nested(DefaultTrafficPolicy), default=None, doc="policy of all hosts"
    )
    service_entry_visibility: Any = _any("visibility of ServiceEntries", CONTROL)

    def check(self):
        """Yield faults of istiod's."""
        for name in ("proxy_listen_port", "proxy_inbound_listen_port", "proxy_http_port"):
            port = getattr(self, name)
            if port is not None and not (0 if name == "proxy_http_port" else 1) <= port <= 65535:
                yield name, f"expected a port from 1 to 65535, got {port}"
        fault = _trust_domain_fault(self.trust_domain)
        if fault:
            yield "trust_domain", fault
        yield from each("trust_domain_aliases", self.trust_domain_aliases, _trust_domain_fault)
        for place, one in enumerate(self.service_settings):
            yield from deeper(("service_settings", place), each("hosts", one.hosts, wildcard_fault))
        if self.mesh_m_tls is not None and self.mesh_m_tls.ecdh_curves:
            yield ("mesh_m_tls", "ecdhCurves"), "expected none: they are set in tlsDefaults"


def _trust_domain_fault(text):
    labels = text.removesuffix(".").split(".")
    return "" if all(is_label(label) for label in labels) else f"expected a trust domain, got {text!r}"
