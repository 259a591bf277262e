"""The metric families of the prometheus sink; those that are turned off live in a registry that nobody reads."""

from typing import Any

from meshd_plugins.prometheus.config import HISTOGRAMS, MESSAGES, TCP_METRICS
from meshd_plugins.prometheus.label import LABELS, TCP, W

DOCS = {
    "istio_requests_total": "Requests, by who asked whom and how it ended",
    "istio_request_duration_milliseconds": "Time of an exchange in milliseconds",
    "istio_request_bytes": "Body bytes of a request",
    "istio_response_bytes": "Body bytes of a response",
    "istio_request_messages_total": "Messages of gRPC calls that callers have sent, where grpc_stats counts them",
    "istio_response_messages_total": "Messages of gRPC calls that were sent to callers",
    "istio_tcp_connections_opened_total": "Connections of TCP that have begun, by who connected to whom",
    "istio_tcp_connections_closed_total": "Connections of TCP that have ended",
    "istio_tcp_received_bytes_total": "Bytes that clients have sent on connections of TCP",
    "istio_tcp_sent_bytes_total": "Bytes that were sent to clients on connections of TCP",
    "envoy_http_downstream_rq_xx": "Responses to downstream, by class of status",
    "envoy_cluster_upstream_rq_xx": "Responses of a cluster, by class of status",
}
_CLASS = "response_code_class"


class Families:
    """One attribute for each metric; asked for when the sink is built."""

    def __init__(self, metrics: Any, config: Any) -> None:
        self._metrics = metrics
        self._unread = type(metrics)(max_series=0)  # every series that it is asked for is one and the same cell
        self._disabled = frozenset(config.disable)
        self._nothing = self._unread.counter("nothing", "What is not counted").cell()
        buckets = dict(config.buckets)
        self.requests = self._counter("istio_requests_total", LABELS)
        self.duration, self.request_bytes, self.response_bytes = (
            self._histogram(name, buckets.get(name, ())) for name in HISTOGRAMS
        )
        self.asked, self.answered = (self._counter(name, TCP) for name in MESSAGES)
        self.opened, self.closed, self.received, self.sent = (self._counter(name, TCP) for name in TCP_METRICS)
        self.downstream = self._counter("envoy_http_downstream_rq_xx", ("listener", _CLASS))
        self._upstream = self._counter("envoy_cluster_upstream_rq_xx", ("cluster_name", _CLASS))

    def answers(self, cluster: str | None, status_class: str) -> Any:
        """Return the cell of a cluster's answers, one that nobody reads where no cluster answered (None)."""
        return self._nothing if cluster is None else self._upstream.cell(cluster, status_class)

    def _counter(self, name: str, labels: tuple) -> Any:
        return self._home(name).counter(name, DOCS[name], labels)

    def _histogram(self, name: str, bounds: tuple) -> Any:
        return self._home(name).histogram(name, DOCS[name], W, bounds)

    def _home(self, name: str) -> Any:
        return self._unread if name in self._disabled else self._metrics
