"""Names given to ``Sink.on_count``: Envoy's ``http2.`` statistics, the connection manager's for premature resets."""

EMPTY_FRAMES = "inbound_empty_frames_flood"
PRIORITY_FRAMES = "inbound_priority_frames_flood"
WINDOW_UPDATES = "inbound_window_update_frames_flood"
OUTBOUND = "outbound_flood"
OUTBOUND_CONTROL = "outbound_control_flood"
CONTINUATIONS = "inbound_continuation_frames_flood"  # Envoy has no name: its nghttp2 counts rx_messaging_error
PREMATURE_RESETS = "downstream_rq_too_many_premature_resets"
HEADER_OVERFLOW = "header_overflow"
MESSAGING_ERROR = "rx_messaging_error"
DROPPED_UNDERSCORES = "dropped_headers_with_underscores"
REJECTED_UNDERSCORES = "requests_rejected_with_underscores_in_headers"
RX_RESET = "rx_reset"
TX_RESET = "tx_reset"

NAMES = (
    EMPTY_FRAMES, PRIORITY_FRAMES, WINDOW_UPDATES, OUTBOUND, OUTBOUND_CONTROL, CONTINUATIONS, PREMATURE_RESETS,
    HEADER_OVERFLOW, MESSAGING_ERROR, DROPPED_UNDERSCORES, REJECTED_UNDERSCORES, RX_RESET, TX_RESET,
)
