"""What one HTTP/2 connection is told at its start; made by the listener or the cluster from its configuration.

Defaults are Envoy's (config.core.v3.Http2ProtocolOptions and the connection manager's header limits).
"""

import attrs

from meshd.http.h2.code import (
    ENABLE_CONNECT_PROTOCOL, ENABLE_PUSH, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE,
)

ROOM = 4
"""How much more than a head's limits is read before the connection ends, so that the limit can be answered."""


@attrs.frozen(cache_hash=True)
class Settings:
    """Limits are of what the peer may do; sizes in bytes.

    max_concurrent_streams: streams that the peer may have open (1 to 2**31 - 1); more are refused.
    initial_stream_window_size, initial_connection_window_size: how much body may come before ``consume``; this bounds
    the memory of bodies (65535 to 2**31 - 1). header_table_size: of both HPACK tables. max_frame_size: 16384 to
    2**24 - 1. max_head_bytes: names, values and 32 bytes for each field (RFC 9113 6.5.2); a request with a larger head
    is answered 431, a response reset; the field section is announced as the limit. max_fields: likewise.
    allow_connect: extended CONNECT (RFC 8441) is announced. underscores: ``allow``, ``reject`` or ``drop`` field names
    with an underscore, in requests.

    write_high_bytes, write_low_bytes: watermarks of one stream's queue (``Session.send``).

    The rest are Envoy's flood limits; the connection ends with ENHANCE_YOUR_CALM beyond them. max_outbound_frames and
    max_outbound_control_frames: frames that wait for ``take``. max_empty_frames: inbound DATA, HEADERS and
    CONTINUATION without payload and without an end flag, in a row. max_priority_frames: for each stream opened.
    max_window_updates: for each DATA frame sent. max_continuations: for one field section (nghttp2's 8).
    max_premature_resets: of so many streams half may be reset before they were answered, by the peer or because the
    peer broke the stream (Envoy's overload.premature_reset_total_stream_count), if they lived less than
    premature_reset_s.
    """

    max_concurrent_streams: int = 1024
    initial_stream_window_size: int = 16 << 20
    initial_connection_window_size: int = 24 << 20
    header_table_size: int = 4096
    max_frame_size: int = 16384
    max_head_bytes: int = 60 << 10
    max_fields: int = 100
    allow_connect: bool = False
    underscores: str = "allow"
    write_high_bytes: int = 256 << 10
    write_low_bytes: int = 128 << 10
    max_outbound_frames: int = 10000
    max_outbound_control_frames: int = 1000
    max_empty_frames: int = 1
    max_priority_frames: int = 100
    max_window_updates: int = 10
    max_continuations: int = 8
    max_premature_resets: int = 500
    premature_reset_s: float = 1.0


def first_settings(is_server: bool, settings) -> dict[int, int]:
    """Return what the first SETTINGS frame says."""
    values = {
        HEADER_TABLE_SIZE: settings.header_table_size, INITIAL_WINDOW_SIZE: settings.initial_stream_window_size,
        MAX_FRAME_SIZE: settings.max_frame_size, MAX_HEADER_LIST_SIZE: settings.max_head_bytes,
        MAX_CONCURRENT_STREAMS: settings.max_concurrent_streams,
    }
    if not is_server:
        values[ENABLE_PUSH] = 0
        del values[MAX_CONCURRENT_STREAMS]
    elif settings.allow_connect:
        values[ENABLE_CONNECT_PROTOCOL] = 1
    return values
