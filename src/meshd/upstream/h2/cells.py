"""Counters of HTTP/2 to a cluster's endpoints, in Envoy's names; made for clusters that speak it."""

from typing import Any

from meshd.http.h2 import counter

LABELS = ("cluster_name",)
OF_SERVERS = (counter.PREMATURE_RESETS, counter.DROPPED_UNDERSCORES, counter.REJECTED_UNDERSCORES)
EVENTS = tuple(name for name in counter.NAMES if name not in OF_SERVERS)
COUNTERS = (
    ("connections", "envoy_cluster_upstream_cx_http2_total", "HTTP/2 connections opened"),
    ("rx_reset", "envoy_cluster_upstream_rq_rx_reset", "requests that the endpoint reset"),
    ("tx_reset", "envoy_cluster_upstream_rq_tx_reset", "requests that were reset here"),
    ("close_notify", "envoy_cluster_upstream_cx_close_notify", "connections that the endpoint said GOAWAY on"),
    ("protocol_errors", "envoy_cluster_upstream_cx_protocol_error", "connections on which the endpoint broke HTTP/2"),
    ("max_requests", "envoy_cluster_upstream_cx_max_requests", "connections that had all the requests they may have"),
    ("keepalive_timeout", "envoy_cluster_http2_keepalive_timeout", "connections that did not answer a PING in time"),
    ("goaway_sent", "envoy_cluster_http2_goaway_sent", "GOAWAY frames sent"),
)


class StreamCells:
    """Each attribute is a cell with ``value``; ``events`` has those of what sessions count, by name."""

    __slots__ = (*(row[0] for row in COUNTERS), "events", "streams")

    def __init__(self, metrics: Any, name: str) -> None:
        for attribute, metric, doc in COUNTERS:
            setattr(self, attribute, metrics.counter(metric, doc, LABELS).cell(name))
        self.streams = metrics.gauge("envoy_cluster_http2_streams_active", "streams open", LABELS).cell(name)
        self.events = {
            event: metrics.counter(f"envoy_cluster_http2_{event}", f"HTTP/2: {event.replace('_', ' ')}", LABELS)
            .cell(name) for event in EVENTS
        }
