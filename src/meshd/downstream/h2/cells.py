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
COUNTED = {
    counter.EMPTY_FRAMES: ("envoy_http2_inbound_empty_frames_flood", "floods of frames without payload"),
    counter.PRIORITY_FRAMES: ("envoy_http2_inbound_priority_frames_flood", "floods of PRIORITY frames"),
    counter.WINDOW_UPDATES: ("envoy_http2_inbound_window_update_frames_flood", "floods of WINDOW_UPDATE frames"),
    counter.OUTBOUND: ("envoy_http2_outbound_flood", "floods of frames that wait for the peer"),
    counter.OUTBOUND_CONTROL: ("envoy_http2_outbound_control_flood", "floods of control frames that wait for the peer"),
    counter.CONTINUATIONS: ("envoy_http2_inbound_continuation_frames_flood", "floods of CONTINUATION frames"),
    counter.PREMATURE_RESETS: ("envoy_http_downstream_rq_too_many_premature_resets",
                               "connections ended because too many of their streams were reset early"),
    counter.HEADER_OVERFLOW: ("envoy_http2_header_overflow", "field sections beyond the limits"),
    counter.MESSAGING_ERROR: ("envoy_http2_rx_messaging_error", "malformed messages"),
    counter.DROPPED_UNDERSCORES: ("envoy_http2_dropped_headers_with_underscores",
                                  "fields dropped for an underscore in their name"),
    counter.REJECTED_UNDERSCORES: ("envoy_http2_requests_rejected_with_underscores_in_headers",
                                   "requests refused for an underscore in a field's name"),
    counter.RX_RESET: ("envoy_http2_rx_reset", "RST_STREAM frames received"),
    counter.TX_RESET: ("envoy_http2_tx_reset", "RST_STREAM frames sent"),
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
            word: metrics.counter(metric, doc, ("listener",)).cell(name) for word, (metric, doc) in COUNTED.items()}
