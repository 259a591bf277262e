"""Listeners: where traffic enters, and its limits. Defaults are the native dialect's."""

import attrs

from meshd.document.option import (
    Address, Boolean, Choice, Duration, Integer, ListOf, Nested, PluginOf, Size, Text, config, option, place,
)
from meshd.model.chain_match import RAW, ChainMatch, ChainTable
from meshd.model.http2 import Http2Options
from meshd.model.plugin import Plugin
from meshd.model.tls import DISABLE, MESH_ALPN, PERMISSIVE, STRICT, DownstreamTls
from meshd.model.udp import UdpProxy

UDP = "udp"
NAME = Text(pattern=r"[A-Za-z0-9][A-Za-z0-9._|/-]*", maximum=200)


@config
class ClientCertDetails:
    """What x-forwarded-client-cert says beside the hash of the client's certificate (and our own URI)."""

    subject: bool = option(Boolean(), default=False, doc="its subject")
    cert: bool = option(Boolean(), default=False, doc="the certificate itself, URL-encoded PEM")
    chain: bool = option(Boolean(), default=False, doc="all certificates that the client has sent")
    dns: bool = option(Boolean(), default=False, doc="its DNS names")
    uri: bool = option(Boolean(), default=False, doc="its URI names, SPIFFE ids among them")


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
    forward_client_cert_details: str = option(
        Choice(("sanitize", "forward_only", "append_forward", "sanitize_set", "always_forward_only")),
        default="sanitize", doc="x-forwarded-client-cert: dropped, passed on, added to or set; always: without TLS too"
    )
    set_current_client_cert_details: ClientCertDetails = option(
        Nested(ClientCertDetails), default=ClientCertDetails(), doc="what is added or set there"
    )
    server_name: str | None = option(
        Text(maximum=200), default=None, doc="overwrite the server header (passed through when absent)"
    )
    upgrades: tuple[str, ...] = option(
        ListOf(item=Text(pattern=r"[!#$%&'*+.^_`|~0-9A-Za-z/-]{1,200}")), default=("websocket",),
        doc="upgrade protocols that are passed on"
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


ORIGINAL_DST = "original_dst"
TLS_INSPECTOR = "tls_inspector"
ONE_CHAIN = ("filters", "network_filters", "tls", "tls_mode")
"""What says the one chain of a listener."""
FILTERS = ListOf(item=PluginOf(kind="http_filter"), maximum=100, unique="name")
NETWORK_FILTERS = ListOf(item=PluginOf(kind="network_filter"), maximum=20, unique="name")
SINKS = ListOf(item=PluginOf(kind="telemetry"), maximum=20, unique="name")


@config
class FilterChain:
    """What becomes of the connections that ``match``; what it does not say of its rules is the listener's."""

    name: str = option(NAME, doc="name, which differs within the listener; connections stay with it over reloads")
    match: ChainMatch = option(Nested(ChainMatch), default=ChainMatch(), doc="the connections that it takes")
    filters: tuple[Plugin, ...] = option(FILTERS, default=(), doc="of HTTP, in order; the last is terminal (router)")
    network_filters: tuple[Plugin, ...] = option(
        NETWORK_FILTERS, default=(), doc="in place of filters: of bytes, in order; the last is terminal (tcp_proxy)"
    )
    tls: DownstreamTls | None = option(
        Nested(DownstreamTls), default=None, doc="TLS, ended here (plain when absent; not the listener's)"
    )
    telemetry: tuple[Plugin, ...] = option(SINKS, default=(), doc="sinks beside the listener's and the mesh-wide")
    http: HttpOptions | None = option(Nested(HttpOptions), default=None, doc="HTTP rules (the listener's when absent)")
    limits: ListenerLimits | None = option(
        Nested(ListenerLimits), default=None, doc="bounds (the listener's when absent); max_connections does not count"
    )
    timeouts: ListenerTimeouts | None = option(
        Nested(ListenerTimeouts), default=None, doc="timers (the listener's when absent)"
    )
    where: str = place()

    def check(self):
        """Yield faults between fields."""
        yield from one_form(self)

    @property
    def protocol(self) -> str:
        """What it speaks: ``http`` or ``tcp``."""
        return "tcp" if self.network_filters else "http"

    def within(self, listener: "Listener") -> "FilterChain":
        """Return it with the listener's rules where it has none."""
        return attrs.evolve(
            self, http=self.http or listener.http, limits=self.limits or listener.limits,
            timeouts=self.timeouts or listener.timeouts)


def one_form(owner):
    """Yield a fault unless a chain has filters of one kind."""
    if bool(owner.filters) == bool(owner.network_filters):
        yield "filters", "expected either filters (HTTP) or network_filters (TCP)"


@config
class Listener:
    """A socket that takes connections, and the filter chain behind it, or several of which one takes a connection."""

    name: str = option(NAME, doc="unique name")
    address: str = option(Address(), doc="HOST:PORT or unix:PATH")
    protocol: str = option(Choice(("http", UDP)), default="http", doc="what chains with filters speak, or UDP")
    transparent: bool = option(
        Boolean(), default=False,
        doc="take connections that TPROXY leads here, whatever their destination (IP_TRANSPARENT; CAP_NET_ADMIN)"
    )
    use_original_dst: bool = option(
        Boolean(), default=False, doc="take captured connections alone: chains are matched, and clusters with "
        "original_destination connect, by where the client meant to go; what comes here directly is refused"
    )
    socket_mode: str | None = option(
        Text(pattern=r"0?[0-7]{3}"), default=None,
        doc="permissions of a unix socket's file, as in 660 (by the umask when absent)"
    )
    backlog: int = option(Integer(minimum=1, maximum=65535), default=4096, doc="length of the accept queue")
    filters: tuple[Plugin, ...] = option(
        FILTERS, default=(), doc="the one chain of every connection, in order; the last is terminal (router)"
    )
    network_filters: tuple[Plugin, ...] = option(
        NETWORK_FILTERS, default=(), doc="in place of filters: of bytes, in order; the last is terminal (tcp_proxy)"
    )
    tls: DownstreamTls | None = option(Nested(DownstreamTls), default=None, doc="TLS, ended here (plain when absent)")
    tls_mode: str | None = option(
        Choice((DISABLE, PERMISSIVE, STRICT)), default=None,
        doc="whom mutual TLS, as tls says it, is asked of: everybody (strict), nobody (disable), or who speaks TLS of "
        "the mesh (permissive; needs tls_inspector): what else comes is served as it is (Istio's PeerAuthentication)"
    )
    filter_chains: tuple[FilterChain, ...] = option(
        ListOf(item=Nested(FilterChain), maximum=10_000, unique="name"), default=(),
        doc="in place of filters: chains by what a connection is like (a server name, say)"
    )
    default_filter_chain: FilterChain | None = option(
        Nested(FilterChain), default=None, doc="takes what no other chain does (closed when absent)"
    )
    listener_filters: tuple[Plugin, ...] = option(
        ListOf(item=PluginOf(kind="listener_filter"), maximum=20, unique="name"), default=(),
        doc="look at a connection before its chain is chosen, in order"
    )
    listener_filters_timeout_s: float = option(
        Duration(), default=15.0, doc="until the listener filters must be done (Envoy's default; 0: no limit)"
    )
    continue_on_listener_filters_timeout: bool = option(
        Boolean(), default=False, doc="choose a chain then by what is known, in place of closing"
    )
    telemetry: tuple[Plugin, ...] = option(SINKS, default=(), doc="sinks beside the mesh-wide")
    udp: UdpProxy | None = option(
        Nested(UdpProxy), default=None, doc="in place of filters, with protocol udp: where datagrams go"
    )
    http: HttpOptions = option(Nested(HttpOptions), default=HttpOptions(), doc="HTTP rules")
    limits: ListenerLimits = option(Nested(ListenerLimits), default=ListenerLimits(), doc="bounds")
    timeouts: ListenerTimeouts = option(Nested(ListenerTimeouts), default=ListenerTimeouts(), doc="timers")
    where: str = place()

    def check(self):
        """Yield faults between fields and chains."""
        if self.socket_mode is not None and (not self.address.startswith("unix:") or self.address[5:6] == "@"):
            yield "socket_mode", "expected none, as only the path of a unix socket has permissions"
        if self.is_udp or self.udp is not None:
            yield from self._datagram_faults()
            return
        if self.use_original_dst and not self._has_looker(ORIGINAL_DST):
            yield "use_original_dst", f"expected {ORIGINAL_DST} among the listener_filters"
        if self.address.startswith("unix:") and (self.transparent or self.use_original_dst):
            yield "address", "expected HOST:PORT, as nothing is captured for a unix socket"
        if not self.filter_chains and self.default_filter_chain is None:
            yield from one_form(self)
            if self.tls_mode is not None:
                yield from self._mode_faults()
            return
        for name in ONE_CHAIN:
            if getattr(self, name):
                yield name, "expected it in one of filter_chains, as there are some"
        yield from self._clashes()
        last = self.default_filter_chain
        if last is None:
            return
        if last.match != ChainMatch():
            yield ("default_filter_chain", "match"), "expected none, as it takes what is left"
        if any(one.name == last.name for one in self.filter_chains):
            yield ("default_filter_chain", "name"), f"{last.name!r} is the name of another chain of this listener"

    def _mode_faults(self):
        if self.tls is None:
            yield "tls_mode", "expected tls beside it, which says what is shown to clients and what they must show"
        elif self.tls.client_certificate != "required":
            yield ("tls", "client_certificate"), f"expected required, as tls_mode is {self.tls_mode}"
        if self.tls_mode == PERMISSIVE and not self._has_looker(TLS_INSPECTOR):
            yield "tls_mode", f"expected {TLS_INSPECTOR} among the listener_filters, which sees TLS of the mesh"

    def _datagram_faults(self):
        for name in (*ONE_CHAIN, "filter_chains", "default_filter_chain", "listener_filters"):
            if getattr(self, name):
                yield name, "expected none, as a UDP listener has only udp"
        if not self.is_udp:
            yield "protocol", "expected udp, as the listener has a section udp"
        elif self.udp is None:
            yield "udp", "expected it, with the cluster that datagrams go to"
        if self.address.startswith("unix:"):
            yield "address", "expected HOST:PORT, as datagrams come over IP"

    @property
    def is_udp(self) -> bool:
        """Say whether it takes datagrams."""
        return self.protocol == UDP

    def _clashes(self):
        table = ChainTable()
        for place, one in enumerate(self.filter_chains):
            try:
                known = table.add(one.match, one)
            except ValueError as error:
                yield ("filter_chains", place, "match"), f"{error}: expected fewer"
                return
            if known is not None:
                text = f"chain {one.name!r} matches the same as {known.name!r}: expected different criteria"
                yield ("filter_chains", place, "match"), text

    @property
    def chains(self) -> tuple[FilterChain, ...]:
        """All chains, each with all rules; the one of the short form has the name ``""``."""
        if self.is_udp:
            return ()
        if not self.filter_chains and self.default_filter_chain is None:
            return self._short_form()
        last = (self.default_filter_chain,) if self.default_filter_chain is not None else ()
        return tuple(one.within(self) for one in self.filter_chains + last)

    def _short_form(self) -> tuple[FilterChain, ...]:
        """Return the one chain; with a ``tls_mode``, ``mutual``, ``plain``, or all, as Istio lays them out.

        What is not TLS is no match for a strict one where tls_inspector looks, else it fails in the handshake. Of a
        permissive one of HTTP, other TLS belongs to neither.
        """
        if self.tls_mode is None:
            return (self._chain("", self.tls),)
        if self.tls_mode == DISABLE:
            return (self._chain("plain"),)
        if self.tls_mode == STRICT:
            match = ChainMatch(transport_protocol="tls") if self._has_looker(TLS_INSPECTOR) else ChainMatch()
            return (self._chain("mutual", self.tls, match),)
        mutual = ChainMatch(transport_protocol="tls", application_protocols=MESH_ALPN)
        made = (self._chain("mutual", self.tls, mutual), self._chain("plain", match=ChainMatch(transport_protocol=RAW)))
        if self.filters:
            return made
        return *made, self._chain("other_tls", match=ChainMatch(transport_protocol="tls"))

    def _has_looker(self, type_name: str) -> bool:
        return any(one.type == type_name and not one.disabled for one in self.listener_filters)

    def _chain(self, name: str, tls: DownstreamTls | None = None, match: ChainMatch = ChainMatch()) -> FilterChain:
        return FilterChain(
            name=name, match=match, filters=self.filters, network_filters=self.network_filters, tls=tls, http=self.http,
            limits=self.limits, timeouts=self.timeouts, where=self.where)
