"""HTTP/2 on either side: Envoy's Http2ProtocolOptions in its words and with its defaults (config.core.v3)."""

from meshd.document.option import Boolean, Choice, Duration, Integer, Nested, Size, config, option
from meshd.http.h2.settings import Settings

MAX_WINDOW = 2**31 - 1
UNDERSCORES = {"allow": "allow", "reject_request": "reject", "drop_header": "drop"}


@config
class Keepalive:
    """Pings that find peers that are gone; none are sent with an interval of 0."""

    interval_s: float = option(Duration(), default=0.0, doc="between two pings (0: none are sent)")
    timeout_s: float = option(Duration(minimum=0.001), default=20.0, doc="without an answer to one: the end")


@config
class Http2Options:
    """How HTTP/2 is spoken; limits are of what the peer may do, and beyond a flood limit its connection ends."""

    engine: str = option(
        Choice(("auto", "fast", "pure")), default="auto",
        doc="fast is libnghttp2 (ngh2), pure is h2, auto the fast one where it can be had"
    )
    hpack_table_size: int = option(Size(maximum=MAX_WINDOW), default=4096, doc="of both compression tables")
    max_concurrent_streams: int = option(
        Integer(minimum=1, maximum=MAX_WINDOW), default=1024, doc="requests in flight on one connection"
    )
    initial_stream_window_size: int = option(
        Size(minimum=65535, maximum=MAX_WINDOW), default=16 << 20, doc="body bytes of one stream that may wait"
    )
    initial_connection_window_size: int = option(
        Size(minimum=65535, maximum=MAX_WINDOW), default=24 << 20, doc="body bytes of all streams that may wait"
    )
    max_frame_size: int = option(Size(minimum=16384, maximum=2**24 - 1), default=16384, doc="bytes of one frame")
    allow_connect: bool = option(Boolean(), default=False, doc="extended CONNECT (RFC 8441), for WebSocket")
    max_outbound_frames: int = option(Integer(minimum=1), default=10000, doc="flood limit: frames that wait for a peer")
    max_outbound_control_frames: int = option(
        Integer(minimum=1), default=1000, doc="flood limit: answers to PING, SETTINGS and resets that wait for a peer"
    )
    max_consecutive_inbound_frames_with_empty_payload: int = option(
        Integer(), default=1, doc="flood limit: DATA, HEADERS, CONTINUATION without payload or end, in a row"
    )
    max_inbound_priority_frames_per_stream: int = option(
        Integer(), default=100, doc="flood limit: PRIORITY frames for each stream opened"
    )
    max_inbound_window_update_frames_per_data_frame_sent: int = option(
        Integer(minimum=1), default=10, doc="flood limit: WINDOW_UPDATE frames for each DATA frame sent"
    )
    max_continuations: int = option(
        Integer(), default=8,
        doc="flood limit: CONTINUATION frames of one head, of 16 KiB each as a rule: heads above 144 KiB need more"
    )
    max_premature_resets: int = option(
        Integer(minimum=1), default=500, doc="flood limit: of so many streams half may end in an early reset"
    )
    premature_reset_s: float = option(Duration(), default=1.0, doc="a reset is early when the stream lived shorter")
    connection_keepalive: Keepalive = option(Nested(Keepalive), default=Keepalive(), doc="pings")


def settings_of(options: Http2Options, max_head_bytes: int, max_fields: int, underscores: str,
                write_high_bytes: int, write_low_bytes: int) -> Settings:
    """Return what one session is told. ``underscores`` is a word of ``headers_with_underscores_action``; the watermarks
    are those of one stream's output."""
    return Settings(
        max_concurrent_streams=options.max_concurrent_streams,
        initial_stream_window_size=options.initial_stream_window_size,
        initial_connection_window_size=options.initial_connection_window_size,
        header_table_size=options.hpack_table_size, max_frame_size=options.max_frame_size,
        max_head_bytes=max_head_bytes, max_fields=max_fields, allow_connect=options.allow_connect,
        underscores=UNDERSCORES[underscores], write_high_bytes=write_high_bytes, write_low_bytes=write_low_bytes,
        max_outbound_frames=options.max_outbound_frames,
        max_outbound_control_frames=options.max_outbound_control_frames,
        max_empty_frames=options.max_consecutive_inbound_frames_with_empty_payload,
        max_priority_frames=options.max_inbound_priority_frames_per_stream,
        max_window_updates=options.max_inbound_window_update_frames_per_data_frame_sent,
        max_continuations=options.max_continuations, max_premature_resets=options.max_premature_resets,
        premature_reset_s=options.premature_reset_s)
