"""The configuration of the prometheus sink."""

from meshd.api import Choice, ListOf, MapOf, Number, Text, config, option
from meshd_plugins.prometheus.label import LABELS

HISTOGRAMS = ("istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes")
TCP_METRICS = (
    "istio_tcp_connections_opened_total", "istio_tcp_connections_closed_total", "istio_tcp_received_bytes_total",
    "istio_tcp_sent_bytes_total",
)
MESSAGES = ("istio_request_messages_total", "istio_response_messages_total")
METRICS = (
    "istio_requests_total", *HISTOGRAMS, *MESSAGES, *TCP_METRICS, "envoy_http_downstream_rq_xx",
    "envoy_cluster_upstream_rq_xx",
)


@config
class Prometheus:
    """Which metrics are kept of each exchange, and with which labels."""

    reporter: str = option(
        Choice(("auto", "source", "destination")), default="auto",
        doc="whose side is told: auto is destination in a sidecar, source in a gateway",
    )
    source_security_policy: str = option(
        Choice(("observed", "unknown")), default="observed", doc="unknown is what Istio's own client side says"
    )
    buckets: tuple[tuple[str, tuple[float, ...]], ...] = option(
        MapOf(key=Text(), value=ListOf(item=Number(), minimum=1, maximum=100)), default=(),
        doc="upper bounds by histogram (Envoy's when absent)",
    )
    drop_labels: tuple[str, ...] = option(
        ListOf(item=Choice(LABELS), maximum=100), default=(), doc="labels that are left out, for fewer series"
    )
    disable: tuple[str, ...] = option(
        ListOf(item=Choice(METRICS), maximum=100), default=(), doc="metrics that are left out"
    )

    def check(self):
        """Yield faults of the bounds."""
        for name, bounds in self.buckets:
            if name not in HISTOGRAMS:
                yield "buckets", f"expected one of {', '.join(HISTOGRAMS)}, got {name!r}"
            elif any(low >= high for low, high in zip(bounds, bounds[1:])):
                yield "buckets", f"{name}: expected ascending numbers, got {list(bounds)!r}"
