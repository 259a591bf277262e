"""HTTP/2 towards endpoints: the words and figures of Envoy's config.core.v3.Http2ProtocolOptions, as a client has them.
"""

from meshd.document.option import Duration, Integer, Nested, Number, Size, config, option

MAX_WINDOW_BYTES = 2**31 - 1


@config
class ConnectionKeepalive:
    """PING frames that find dead connections (config.core.v3.KeepaliveSettings)."""

    interval_s: float | None = option(
        Duration(minimum=0.001), default=None, doc="time between two PING frames (absent: none at intervals)")
    timeout_s: float = option(Duration(minimum=0.001), doc="until a PING that is not answered ends the connection")
    interval_jitter_percent: float = option(
        Number(maximum=100.0), default=15.0, doc="each interval is so many percent longer at most")
    connection_idle_interval_s: float | None = option(
        Duration(minimum=0.001), default=None,
        doc="a connection that has been silent for so long is sent a PING with the next request (absent: none)")


@config
class Http2Upstream:
    """HTTP/2 to the endpoints of a cluster; a limit that is passed ends the connection with ENHANCE_YOUR_CALM."""

    hpack_table_size: int = option(Size(maximum=2**24), default=4096, doc="bytes of each of the two HPACK tables")
    max_concurrent_streams: int = option(
        Integer(minimum=1, maximum=2**31 - 1), default=1024,
        doc="requests at once on one connection, if the endpoint does not take fewer; more open another connection")
    initial_stream_window_size: int = option(
        Size(minimum=65535, maximum=MAX_WINDOW_BYTES), default=16 * 2**20,
        doc="bytes of one answer that may come before the client has taken some: the bound of its memory")
    initial_connection_window_size: int = option(
        Size(minimum=65535, maximum=MAX_WINDOW_BYTES), default=24 * 2**20,
        doc="the same of all answers of a connection")
    max_outbound_frames: int = option(Integer(minimum=1), default=10000, doc="frames that wait to be written")
    max_outbound_control_frames: int = option(
        Integer(minimum=1), default=1000, doc="PING, SETTINGS and RST_STREAM frames that wait to be written")
    max_consecutive_inbound_frames_with_empty_payload: int = option(
        Integer(), default=1, doc="frames without payload and without an end, in a row")
    max_inbound_priority_frames_per_stream: int = option(Integer(), default=100, doc="PRIORITY frames")
    max_inbound_window_update_frames_per_data_frame_sent: int = option(
        Integer(minimum=1), default=10, doc="WINDOW_UPDATE frames")
    connection_keepalive: ConnectionKeepalive | None = option(
        Nested(ConnectionKeepalive), default=None, doc="PING frames (none when absent)")
