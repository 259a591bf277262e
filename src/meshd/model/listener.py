"""Listeners: where traffic enters, and its limits. Defaults are the native dialect's."""

from meshd.document.option import (
    Address, Boolean, Choice, Duration, Integer, ListOf, Nested, PluginOf, Size, Text, config, option, place,
)
from meshd.model.http2 import Http2Options
from meshd.model.plugin import Plugin

NAME = Text(pattern=r"[A-Za-z0-9][A-Za-z0-9._|/-]*", maximum=200)


@config
class HttpOptions:
    """How HTTP is read on a listener (Envoy's HttpConnectionManager knobs)."""

    codec: str = option(
        Choice(("auto", "http1", "http2")), default="auto",
        doc="auto is what ALPN agreed on under TLS, else HTTP/2 where its preface comes first (Envoy's codec_type)"
    )
    http2: Http2Options = option(Nested(Http2Options), default=Http2Options(), doc="rules of HTTP/2")
    accept_http_10: bool = option(Boolean(), default=True, doc="serve HTTP/1.0 clients (Envoy's default is false)")
    use_remote_address: bool = option(
        Boolean(), default=True, doc="the peer is the client: append it to x-forwarded-for, drop internal headers"
    )
    xff_num_trusted_hops: int = option(
        Integer(maximum=100), default=0, doc="proxies in front whose x-forwarded-for entries are trusted"
    )
    generate_request_id: bool = option(Boolean(), default=True, doc="give each request an x-request-id")
    preserve_external_request_id: bool = option(
        Boolean(), default=False, doc="keep an x-request-id that came from outside"
    )
    always_set_request_id_in_response: bool = option(
        Boolean(), default=False, doc="return x-request-id to the client"
    )
    normalize_path: bool = option(Boolean(), default=True, doc="RFC 3986 normalisation before routing and policy")
    merge_slashes: bool = option(Boolean(), default=True, doc="make // one /")
    path_with_escaped_slashes_action: str = option(
        Choice(("keep_unchanged", "reject_request", "unescape_and_redirect", "unescape_and_forward")),
        default="reject_request",
        doc="what to do with %2F, %5C in a path",
    )
    headers_with_underscores_action: str = option(
        Choice(("allow", "reject_request", "drop_header")), default="allow", doc="field names with an underscore"
    )
    server_name: str | None = option(
        Text(maximum=200), default=None, doc="overwrite the server header (passed through when absent)"
    )
    upgrades: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1)), default=("websocket",), doc="upgrade protocols that are passed on"
    )


@config
class ListenerLimits:
    """Bounds of one downstream connection; each is on by default."""

    max_head_bytes: int = option(Size(minimum=1024), default=61440, doc="request line and fields: 431 beyond")
    max_fields: int = option(Integer(minimum=1, maximum=10_000), default=100, doc="fields in a head: 431 beyond")
    buffer_high_bytes: int = option(Size(minimum=4096), default=65536, doc="buffered output that pauses the other side")
    buffer_low_bytes: int = option(Size(minimum=0), default=32768, doc="buffered output that resumes it")
    max_connections: int = option(
        Integer(minimum=1), default=100_000,
        doc="connections to all workers of this host together; beyond, none is accepted"
    )
    max_requests_per_connection: int = option(Integer(), default=0, doc="then close (0: no limit)")

    def check(self):
        """Yield faults between fields."""
        if self.buffer_low_bytes >= self.buffer_high_bytes:
            yield "buffer_low_bytes", "expected less than buffer_high"


@config
class ListenerTimeouts:
    """Timers of one downstream connection, in seconds; 0 turns one off."""

    headers_s: float = option(Duration(), default=10.0, doc="from the first byte of a head to its end: 408")
    body_gap_s: float = option(Duration(), default=30.0, doc="longest silence inside a request's body: 408")
    idle_s: float = option(Duration(), default=60.0, doc="keep-alive connection without a request")
    stream_idle_s: float = option(Duration(), default=300.0, doc="a request or tunnel without a byte either way")
    send_s: float = option(Duration(), default=30.0, doc="longest wait for a client to take a byte")
    max_connection_s: float = option(Duration(), default=0.0, doc="age at which a connection is asked to close")


@config
class Listener:
    """A socket that takes connections and the filter chain behind it."""

    name: str = option(NAME, doc="unique name")
    address: str = option(Address(), doc="HOST:PORT or unix:PATH")
    protocol: str = option(Choice(("http",)), default="http", doc="what the chain speaks")
    backlog: int = option(Integer(minimum=1, maximum=65535), default=4096, doc="length of the accept queue")
    filters: tuple[Plugin, ...] = option(
        ListOf(item=PluginOf(kind="http_filter"), minimum=1, maximum=100, unique="name"),
        doc="the chain, in order; the last is terminal (router)",
    )
    listener_filters: tuple[Plugin, ...] = option(
        ListOf(item=PluginOf(kind="listener_filter"), maximum=20), default=(), doc="run before the protocol, in order"
    )
    telemetry: tuple[Plugin, ...] = option(
        ListOf(item=PluginOf(kind="telemetry"), maximum=20, unique="name"), default=(), doc="sinks beside the mesh-wide"
    )
    http: HttpOptions = option(Nested(HttpOptions), default=HttpOptions(), doc="HTTP rules")
    limits: ListenerLimits = option(Nested(ListenerLimits), default=ListenerLimits(), doc="bounds")
    timeouts: ListenerTimeouts = option(Nested(ListenerTimeouts), default=ListenerTimeouts(), doc="timers")
    where: str = place()
