"""A DestinationRule's policy: connections, outlier detection, TLS, tunnel, and all of that for each port."""

from meshd.api import Boolean, Choice, Integer, ListOf, Nested, Number, Text, camel_config, option
from meshd_plugins.istio.schema.common import (
    ANY_TIME, COUNT, COUNT32, PORT, TIME, TIME_OR_0, WORDS, PortSelector,
)
from meshd_plugins.istio.schema.form import fqdn_fault, is_ip
from meshd_plugins.istio.schema.load_balancer import LoadBalancerSettings

PARTS = (
    "load_balancer", "connection_pool", "outlier_detection", "tls", "port_level_settings", "tunnel", "proxy_protocol",
    "retry_budget",
)


@camel_config
class TcpKeepalive:
    """SO_KEEPALIVE."""

    probes: int = option(COUNT32, default=0, doc="unanswered probes until the connection is dead (the system's)")
    time_s: float | None = option(TIME, default=None, doc="silence before the first probe (the system's)")
    interval_s: float | None = option(TIME, default=None, doc="between probes (the system's)")


@camel_config
class TCPSettings:
    """Connections of any protocol."""

    max_connections: int = option(COUNT, default=0, doc="connections to the host (0: 2^32 - 1)")
    connect_timeout_s: float | None = option(TIME, default=None, doc="until a connect is given up (10s)")
    tcp_keepalive: TcpKeepalive | None = option(Nested(TcpKeepalive), default=None, doc="keepalive")
    max_connection_duration_s: float | None = option(TIME, default=None, doc="age at which one is closed")
    idle_timeout_s: float | None = option(TIME_OR_0, default=None, doc="of TCP connections (1h)")


@camel_config
class ConnectionKeepalive:
    """PING frames."""

    interval_s: float = option(TIME, doc="between pings")
    timeout_s: float = option(TIME, doc="wait for the answer")


@camel_config
class HTTPSettings:
    """Requests and HTTP connections."""

    http1_max_pending_requests: int = option(COUNT, default=0, doc="requests that wait (0: 2^32 - 1)")
    http2_max_requests: int = option(COUNT, default=0, doc="requests at a time, HTTP/1.1 too (0: 2^32 - 1)")
    max_requests_per_connection: int = option(COUNT, default=0, doc="then the connection is closed (0: no limit)")
    max_retries: int = option(COUNT, default=0, doc="retries at a time (0: 2^32 - 1)")
    idle_timeout_s: float | None = option(TIME, default=None, doc="unused connections are closed (1h)")
    h2_upgrade_policy: str = option(
        Choice(("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE")), default="DEFAULT",
        doc="HTTP/2 to the host (DEFAULT: the mesh's)"
    )
    use_client_protocol: bool = option(Boolean(), default=False, doc="speak what the client speaks")
    max_concurrent_streams: int = option(COUNT, default=0, doc="HTTP/2 streams of a connection (0: 2^30)")
    http2_keep_alive: ConnectionKeepalive | None = option(Nested(ConnectionKeepalive), default=None, doc="HTTP/2 pings")

    def check(self):
        """Yield faults between fields."""
        if self.h2_upgrade_policy == "UPGRADE" and self.use_client_protocol:
            yield "use_client_protocol", "expected false with h2UpgradePolicy UPGRADE"


@camel_config
class ConnectionPoolSettings:
    """Limits of connections and requests."""

    tcp: TCPSettings | None = option(Nested(TCPSettings), default=None, doc="of connections")
    http: HTTPSettings | None = option(Nested(HTTPSettings), default=None, doc="of HTTP")

    def check(self):
        """Yield a fault where nothing is said."""
        if self.tcp is None and self.http is None:
            yield None, "expected at least one of tcp, http"


@camel_config
class OutlierDetection:
    """Endpoints that fail are left out for a while."""

    consecutive_errors: int = option(COUNT, default=0, doc="(deprecated)", unsupported="Istio does not use it any more")
    split_external_local_origin_errors: bool = option(
        Boolean(), default=False, doc="count failed connects apart from answers"
    )
    consecutive_local_origin_failures: int | None = option(COUNT32, default=None, doc="failed connects in a row (5)")
    consecutive_gateway_errors: int | None = option(COUNT32, default=None, doc="502, 503, 504 in a row (0: off)")
    consecutive_5xx_errors: int | None = option(
        COUNT32, default=None, doc="5xx in a row (5; 0: off)", key="consecutive5xxErrors"
    )
    interval_s: float | None = option(TIME, default=None, doc="between sweeps (10s)")
    base_ejection_time_s: float | None = option(TIME, default=None, doc="first ejection; times their number (30s)")
    max_ejection_percent: int = option(Integer(maximum=100), default=0, doc="share that may be out (0: 10)")
    min_health_percent: int = option(Integer(maximum=100), default=0, doc="off below this share of healthy endpoints")
    outlier_detection_http_error_codes: tuple[int, ...] = option(
        ListOf(item=Integer(minimum=100, maximum=599)), default=(), doc="statuses that count as 5xx do"
    )

    def check(self):
        """Yield faults between fields."""
        if self.consecutive_local_origin_failures and not self.split_external_local_origin_errors:
            yield "consecutive_local_origin_failures", "expected splitExternalLocalOriginErrors: true beside it"


@camel_config
class ClientTLSSettings:
    """TLS towards the host."""

    mode: str = option(
        Choice(("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL")), default="DISABLE", doc="whether, and as whom"
    )
    client_certificate: str = option(Text(), default="", doc="file of our certificate (MUTUAL)")
    private_key: str = option(Text(), default="", doc="file of its key (MUTUAL)")
    ca_certificates: str = option(Text(), default="", doc="file of the CAs that may sign the host's certificate")
    credential_name: str = option(Text(), default="", doc="secret in place of the files")
    subject_alt_names: tuple[str, ...] = option(WORDS, default=(), doc="names of which the host must have one")
    sni: str = option(Text(), default="", doc="server name (the Host when empty)")
    insecure_skip_verify: bool | None = option(Boolean(), default=None, doc="take any certificate")
    ca_crl: str = option(Text(), default="", doc="file of revoked certificates")

    def check(self):
        """Yield faults between fields; ``validate`` looks at the namespace of a credential."""
        if self.insecure_skip_verify:
            yield from self._unverified_faults()
        if self.mode in ("SIMPLE", "MUTUAL") and self.credential_name:
            for name in ("client_certificate", "private_key", "ca_certificates", "ca_crl"):
                if getattr(self, name):
                    yield name, "expected none beside credentialName, which holds it"
        elif self.mode == "MUTUAL":
            for name, key in (("client_certificate", "clientCertificate"), ("private_key", "privateKey")):
                if not getattr(self, name):
                    yield None, f"expected {key}, or credentialName, with mode MUTUAL"

    def _unverified_faults(self):
        names = {"SIMPLE": ("ca_certificates", "credential_name", "subject_alt_names"),
                 "MUTUAL": ("ca_certificates", "subject_alt_names")}.get(self.mode, ())
        for name in names:
            if getattr(self, name):
                yield name, "expected none beside insecureSkipVerify, which trusts everybody"


@camel_config
class PortTrafficPolicy:
    """The policy of one port, in place of the host's."""

    port: PortSelector | None = option(Nested(PortSelector), default=None, doc="the port")
    load_balancer: LoadBalancerSettings | None = option(Nested(LoadBalancerSettings), default=None, doc="balancing")
    connection_pool: ConnectionPoolSettings | None = option(
        Nested(ConnectionPoolSettings), default=None, doc="limits"
    )
    outlier_detection: OutlierDetection | None = option(
        Nested(OutlierDetection), default=None, doc="outlier detection"
    )
    tls: ClientTLSSettings | None = option(Nested(ClientTLSSettings), default=None, doc="TLS")

    def check(self):
        """Yield a fault where something is missing."""
        if self.port is None:
            yield "port", "expected the port's number"
        if not any((self.load_balancer, self.connection_pool, self.outlier_detection, self.tls)):
            yield None, "expected at least one of loadBalancer, connectionPool, outlierDetection, tls"


@camel_config
class TunnelSettings:
    """A tunnel through the host."""

    protocol: str = option(Text(), default="", doc="CONNECT or POST (CONNECT)")
    target_host: str = option(Text(minimum=1), doc="the tunnel's end")
    target_port: int = option(PORT, doc="its port")

    def check(self):
        """Yield faults of istiod's."""
        if self.protocol not in ("", "CONNECT", "POST"):
            yield "protocol", f"expected CONNECT or POST, got {self.protocol!r}"
        fault = "" if is_ip(self.target_host) else fqdn_fault(self.target_host)
        if fault:
            yield "target_host", fault


@camel_config
class ProxyProtocol:
    """PROXY protocol towards the host."""

    version: str = option(Choice(("V1", "V2")), default="V1", doc="its version")


@camel_config
class RetryBudget:
    """Retries as a share of the requests."""

    percent: float | None = option(Number(maximum=100.0), default=None, doc="of the active requests (20)")
    min_retry_concurrency: int = option(COUNT32, default=0, doc="retries that are always allowed (0: 3)")
    budget_interval_s: float | None = option(ANY_TIME, default=None, doc="how long requests count")


@camel_config
class TrafficPolicy:
    """The policy of a host or subset."""

    load_balancer: LoadBalancerSettings | None = option(Nested(LoadBalancerSettings), default=None, doc="balancing")
    connection_pool: ConnectionPoolSettings | None = option(
        Nested(ConnectionPoolSettings), default=None, doc="limits"
    )
    outlier_detection: OutlierDetection | None = option(
        Nested(OutlierDetection), default=None, doc="outlier detection"
    )
    tls: ClientTLSSettings | None = option(Nested(ClientTLSSettings), default=None, doc="TLS")
    port_level_settings: tuple[PortTrafficPolicy, ...] = option(
        ListOf(item=Nested(PortTrafficPolicy), maximum=4096), default=(), doc="replaces all of the above at one port"
    )
    tunnel: TunnelSettings | None = option(
        Nested(TunnelSettings), default=None, doc="tunnel of connections (tcp and tls rules)"
    )
    proxy_protocol: ProxyProtocol | None = option(
        Nested(ProxyProtocol), default=None, doc="PROXY protocol"
    )
    retry_budget: RetryBudget | None = option(
        Nested(RetryBudget), default=None, doc="retry budget"
    )

    def check(self):
        """Yield faults between fields."""
        if not any(getattr(self, name) for name in PARTS):
            yield None, "expected at least one field"
        if self.tunnel is not None and self.proxy_protocol is not None:
            yield "proxy_protocol", "expected at most one of tunnel, proxyProtocol"
