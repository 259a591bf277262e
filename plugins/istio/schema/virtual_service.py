"""VirtualService (networking.istio.io): how requests to hosts are routed."""

from meshd.api import Boolean, Choice, Integer, ListOf, MapOf, Nested, Regex, Text, camel_config, option
from meshd_plugins.istio.schema.common import (
    HOST, LABELS, NAMESPACES, PORT, TIME, Headers, Percent, PortSelector, StringMatch,
)

LATER = "the daemon does not do this yet"


@camel_config
class Destination:
    """Where requests go."""

    host: str = option(HOST, doc="a service of the registry")
    subset: str = option(Text(maximum=63), default="", doc="one of its subsets (DestinationRule)")
    port: PortSelector | None = option(Nested(PortSelector), default=None, doc="its port, where it has several")


@camel_config
class HTTPRouteDestination:
    """One share of an HTTP route."""

    destination: Destination = option(Nested(Destination), doc="where this share goes")
    weight: int = option(Integer(maximum=2**31 - 1), default=0, doc="share is weight / sum of weights")
    headers: Headers | None = option(Nested(Headers), default=None, doc="edits, this share only")


@camel_config
class RouteDestination:
    """One share of a TCP or TLS route."""

    destination: Destination = option(Nested(Destination), doc="where this share goes")
    weight: int = option(Integer(maximum=2**31 - 1), default=0, doc="share is weight / sum of weights")


@camel_config
class HTTPMatchRequest:
    """Conditions; all must hold."""

    name: str = option(Text(maximum=253), default="", doc="name in logs")
    uri: StringMatch | None = option(Nested(StringMatch), default=None, doc="the path, without the query")
    scheme: StringMatch | None = option(Nested(StringMatch), default=None, doc="http or https")
    method: StringMatch | None = option(Nested(StringMatch), default=None, doc="the method")
    authority: StringMatch | None = option(Nested(StringMatch), default=None, doc="Host")
    headers: tuple[tuple[str, StringMatch], ...] = option(
        MapOf(value=Nested(StringMatch)), default=(), doc="fields; {} means that it is there"
    )
    port: int | None = option(PORT, default=None, doc="port of the listener")
    source_labels: tuple[tuple[str, str], ...] = option(LABELS, default=(), doc="labels of the proxy's workload")
    gateways: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="replaces the rule's gateways")
    query_params: tuple[tuple[str, StringMatch], ...] = option(
        MapOf(value=Nested(StringMatch)), default=(), doc="query parameters"
    )
    ignore_uri_case: bool = option(Boolean(), default=False, doc="compare exact and prefix without case")
    without_headers: tuple[tuple[str, StringMatch], ...] = option(
        MapOf(value=Nested(StringMatch)), default=(), doc="fields that must not be so"
    )
    source_namespace: str = option(Text(maximum=253), default="", doc="namespace of the proxy's workload")
    stat_prefix: str = option(Text(), default="", doc="prefix of metrics", unsupported="there are no metrics by route")


@camel_config
class HTTPRedirect:
    """Send the client elsewhere."""

    uri: str = option(Text(), default="", doc="the new path; excludes a prefix rewrite")
    authority: str = option(Text(), default="", doc="the new host")
    port: int | None = option(PORT, default=None, doc="the new port")
    derive_port: str | None = option(
        Choice(("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT")), default=None, doc="where the new port comes from"
    )
    scheme: str = option(Text(), default="", doc="the new scheme")
    redirect_code: int = option(Integer(), default=0, doc="301, 302, 303, 307 or 308 (0: 301)")
    prefix_rewrite: str = option(Text(), default="", doc="put this where the matched prefix stands")


@camel_config
class HTTPBody:
    """The body of a direct response."""

    string: str | None = option(Text(maximum=2**20), default=None, doc="as text")
    bytes_: str | None = option(Text(maximum=2**21), default=None, doc="in base64", key="bytes")


@camel_config
class HTTPDirectResponse:
    """Answer from the proxy."""

    status: int = option(Integer(), doc="the status")
    body: HTTPBody | None = option(Nested(HTTPBody), default=None, doc="the body")


@camel_config
class Delegate:
    """Another VirtualService whose routes stand here."""

    name: str = option(Text(maximum=253), default="", doc="its name")
    namespace: str = option(Text(maximum=253), default="", doc="its namespace (ours when absent)")


@camel_config
class RegexRewrite:
    """Rewrite the path by a pattern."""

    match: str = option(Regex(), doc="RE2, searched in the path")
    rewrite: str = option(Text(), doc=r"the replacement; \1 to \9 are groups")


@camel_config
class HTTPRewrite:
    """Change path and Host before the request is sent on."""

    uri: str = option(Text(), default="", doc="path, or what stands in place of the matched prefix")
    authority: str = option(Text(), default="", doc="Host")
    uri_regex_rewrite: RegexRewrite | None = option(Nested(RegexRewrite), default=None, doc="rewrite by a pattern")


@camel_config
class HTTPRetry:
    """Further attempts."""

    attempts: int = option(Integer(maximum=2**31 - 1), default=0, doc="retries; 0 turns them off")
    per_try_timeout_s: float | None = option(TIME, default=None, doc="for each attempt (the route's when absent)")
    retry_on: str = option(Text(), default="", doc="conditions, by commas (Istio's default when empty)")
    retry_remote_localities: bool | None = option(
        Boolean(), default=None, doc="also in other localities", unsupported="there are no localities yet"
    )
    retry_ignore_previous_hosts: bool | None = option(Boolean(), default=None, doc="not where it failed (true)")
    backoff_s: float | None = option(TIME, default=None, doc="base of the back-off (25ms)")


@camel_config
class CorsPolicy:
    """Cross-origin resource sharing."""

    allow_origin: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="origins (deprecated)")
    allow_origins: tuple[StringMatch, ...] = option(ListOf(item=Nested(StringMatch)), default=(), doc="origins")
    allow_methods: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="methods")
    allow_headers: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="request fields")
    expose_headers: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="fields scripts may read")
    max_age_s: float | None = option(TIME, default=None, doc="how long a preflight is good")
    allow_credentials: bool | None = option(Boolean(), default=None, doc="with cookies")
    unmatched_preflights: str = option(
        Choice(("UNSPECIFIED", "FORWARD", "IGNORE")), default="UNSPECIFIED", doc="preflights of other origins"
    )


@camel_config
class Delay:
    """Wait before the request is sent on."""

    fixed_delay_s: float | None = option(TIME, default=None, doc="how long")
    exponential_delay_s: float | None = option(TIME, default=None, doc="mean of a random time", unsupported=LATER)
    percent: int = option(Integer(maximum=100), default=0, doc="share (deprecated)")
    percentage: Percent | None = option(Nested(Percent), default=None, doc="share of the requests")


@camel_config
class Abort:
    """Answer with an error in place of the upstream."""

    http_status: int | None = option(Integer(), default=None, doc="the status")
    grpc_status: str | None = option(Text(), default=None, doc="the gRPC status, by name")
    http2_error: str | None = option(Text(), default=None, doc="not implemented by Istio", key="http2Error")
    percentage: Percent | None = option(Nested(Percent), default=None, doc="share of the requests")


@camel_config
class HTTPFaultInjection:
    """Faults on purpose."""

    delay: Delay | None = option(Nested(Delay), default=None, doc="delays")
    abort: Abort | None = option(Nested(Abort), default=None, doc="aborts")


@camel_config
class HTTPMirrorPolicy:
    """A copy of the requests for somebody else."""

    destination: Destination = option(Nested(Destination), doc="who gets it")
    percentage: Percent | None = option(Nested(Percent), default=None, doc="share of the requests (all)")


@camel_config
class HTTPRoute:
    """One rule: the first that matches is taken."""

    name: str = option(Text(maximum=253), default="", doc="name in logs")
    match: tuple[HTTPMatchRequest, ...] = option(
        ListOf(item=Nested(HTTPMatchRequest)), default=(), doc="any of these (all requests when empty)"
    )
    route: tuple[HTTPRouteDestination, ...] = option(
        ListOf(item=Nested(HTTPRouteDestination)), default=(), doc="where to"
    )
    redirect: HTTPRedirect | None = option(Nested(HTTPRedirect), default=None, doc="redirect")
    direct_response: HTTPDirectResponse | None = option(Nested(HTTPDirectResponse), default=None, doc="answer here")
    delegate: Delegate | None = option(Nested(Delegate), default=None, doc="the routes of another VirtualService")
    rewrite: HTTPRewrite | None = option(Nested(HTTPRewrite), default=None, doc="rewrite path and Host")
    timeout_s: float | None = option(TIME, default=None, doc="until the whole answer is here (none)")
    retries: HTTPRetry | None = option(Nested(HTTPRetry), default=None, doc="retries")
    fault: HTTPFaultInjection | None = option(
        Nested(HTTPFaultInjection), default=None, doc="faults on purpose", unsupported="faults are not injected yet"
    )
    mirror: Destination | None = option(
        Nested(Destination), default=None, doc="a copy goes there", unsupported="requests are not mirrored yet"
    )
    mirrors: tuple[HTTPMirrorPolicy, ...] = option(
        ListOf(item=Nested(HTTPMirrorPolicy)), default=(), doc="copies go there",
        unsupported="requests are not mirrored yet"
    )
    mirror_percent: int | None = option(Integer(maximum=100), default=None, doc="share of the mirror (deprecated)")
    mirror_percentage: Percent | None = option(Nested(Percent), default=None, doc="share of the mirror (all)")
    cors_policy: CorsPolicy | None = option(Nested(CorsPolicy), default=None, doc="cross-origin resource sharing")
    headers: Headers | None = option(Nested(Headers), default=None, doc="edits of header fields")


@camel_config
class L4MatchAttributes:
    """Conditions of a TCP route."""

    destination_subnets: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="original addresses")
    port: int | None = option(PORT, default=None, doc="port of the listener")
    source_subnet: str = option(Text(), default="", doc="addresses of clients")
    source_labels: tuple[tuple[str, str], ...] = option(LABELS, default=(), doc="labels of the proxy's workload")
    gateways: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="replaces the rule's gateways")
    source_namespace: str = option(Text(maximum=253), default="", doc="namespace of the proxy's workload")


@camel_config
class TLSMatchAttributes:
    """Conditions of a TLS route."""

    sni_hosts: tuple[str, ...] = option(ListOf(item=HOST, minimum=1), doc="server names")
    destination_subnets: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="original addresses")
    port: int | None = option(PORT, default=None, doc="port of the listener")
    source_labels: tuple[tuple[str, str], ...] = option(LABELS, default=(), doc="labels of the proxy's workload")
    gateways: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="replaces the rule's gateways")
    source_namespace: str = option(Text(maximum=253), default="", doc="namespace of the proxy's workload")


@camel_config
class TLSRoute:
    """A rule for TLS that passes through."""

    match: tuple[TLSMatchAttributes, ...] = option(
        ListOf(item=Nested(TLSMatchAttributes), minimum=1), doc="any of these"
    )
    route: tuple[RouteDestination, ...] = option(ListOf(item=Nested(RouteDestination)), default=(), doc="where to")


@camel_config
class TCPRoute:
    """A rule for TCP."""

    match: tuple[L4MatchAttributes, ...] = option(
        ListOf(item=Nested(L4MatchAttributes)), default=(), doc="any of these"
    )
    route: tuple[RouteDestination, ...] = option(ListOf(item=Nested(RouteDestination)), default=(), doc="where to")


@camel_config
class VirtualService:
    """The rules of some hosts."""

    hosts: tuple[str, ...] = option(ListOf(item=HOST), default=(), doc="who is asked for")
    gateways: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1)), default=(), doc="Gateways, and mesh for sidecars (mesh when empty)"
    )
    http: tuple[HTTPRoute, ...] = option(ListOf(item=Nested(HTTPRoute)), default=(), doc="rules for HTTP")
    tls: tuple[TLSRoute, ...] = option(ListOf(item=Nested(TLSRoute)), default=(), doc="rules for TLS",
                                       unsupported="TLS is not passed through yet")
    tcp: tuple[TCPRoute, ...] = option(ListOf(item=Nested(TCPRoute)), default=(), doc="rules for TCP",
                                       unsupported="TCP is not proxied yet")
    export_to: tuple[str, ...] = option(NAMESPACES, default=(), doc="namespaces that see it (*: all)")
