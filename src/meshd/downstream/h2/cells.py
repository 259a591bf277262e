"""Counters of HTTP/2 on one listener; made once for each, and found again by its metrics."""

from typing import Any

from meshd.http.h2 import counter

COUNTERS = (
    ("connections", "envoy_http_downstream_cx_http2_total", "HTTP/2 connections"),
    ("requests", "envoy_http_downstream_rq_http2_total", "requests received on HTTP/2"),
    ("goaway", "envoy_http2_goaway_sent", "GOAWAY frames sent to end a connection in order"),
    ("keepalive_timeouts", "envoy_http2_keepalive_timeout", "connections ended because a ping was not answered"),
    ("flush_timeouts", "envoy_http2_tx_flush_timeout", "streams reset because the client did not take their end"),
    ("aged", "envoy_http_downstream_cx_max_duration_reached", "HTTP/2 connections drained at max_connection"),
    ("spent", "envoy_http_downstream_cx_max_requests_reached",
     "HTTP/2 connections drained at max_requests_per_connection"),
)
GAUGES = (
    ("active", "envoy_http_downstream_cx_http2_active", "HTTP/2 connections open"),
    ("streams", "envoy_http2_streams_active", "streams open"),
)
DOCS = {
    counter.EMPTY_FRAMES: "floods of frames without payload", counter.PRIORITY_FRAMES: "floods of PRIORITY frames",
    counter.WINDOW_UPDATES: "floods of WINDOW_UPDATE frames", counter.OUTBOUND: "floods of frames that wait for the peer",
    counter.OUTBOUND_CONTROL: "floods of control frames that wait for the peer",
    counter.CONTINUATIONS: "floods of CONTINUATION frames",
    counter.PREMATURE_RESETS: "connections ended because too many of their streams were reset early",
    counter.HEADER_OVERFLOW: "field sections beyond the limits", counter.MESSAGING_ERROR: "malformed messages",
    counter.DROPPED_UNDERSCORES: "fields dropped for an underscore in their name",
    counter.REJECTED_UNDERSCORES: "requests refused for an underscore in a field's name",
    counter.RX_RESET: "RST_STREAM frames received", counter.TX_RESET: "RST_STREAM frames sent",
}


class Http2Cells:
    """The counters of one listener; ``counts`` by the names that a session gives to ``on_count``."""

    __slots__ = tuple(row[0] for row in COUNTERS + GAUGES) + ("counts",)

    def __init__(self, metrics: Any, name: str) -> None:
        for attribute, metric, doc in COUNTERS:
            setattr(self, attribute, metrics.counter(metric, doc, ("listener",)).cell(name))
        for attribute, metric, doc in GAUGES:
            setattr(self, attribute, metrics.gauge(metric, doc, ("listener",)).cell(name))
        self.counts = {
            word: metrics.counter(metric_of(word), DOCS[word], ("listener",)).cell(name) for word in counter.NAMES}


def metric_of(word: str) -> str:
    """Return the metric of a name in ``counter.py``: Envoy has one of them among the connection manager's."""
    return "envoy_http_" + word if word == counter.PREMATURE_RESETS else "envoy_http2_" + word
