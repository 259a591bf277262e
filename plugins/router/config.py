"""The router's own configuration: virtual hosts, routes, actions. Matchers and edits stand beside it."""

from meshd.api import (
    REQUIRED, Boolean, Choice, Duration, Integer, ListOf, MapOf, Nested, Plugin, PluginOf, Reference, Regex, Text,
    config, option, place,
)
from meshd_plugins.router.connect_config import ConnectConfig
from meshd_plugins.router.domain import domain_fault
from meshd_plugins.router.edit_config import FRAMING, RequestEdits, ResponseEdits, is_field_name, value_fault
from meshd_plugins.router.match_config import Match, given
from meshd_plugins.router.recovery_config import Hedge, Mirror
from meshd_plugins.router.rewrite import regex_rewrite_fault

ACTIONS = ("cluster", "weighted_clusters", "redirect", "direct_response")
PATH_REWRITES = ("prefix_rewrite", "path_rewrite", "regex_rewrite")
HOST_REWRITES = ("host_rewrite", "host_rewrite_header")
UPSTREAM_ONLY = PATH_REWRITES + HOST_REWRITES
DESTINATIONS = ("name", "direct_response", "redirect")
REWRITES = ("prefix_rewrite", "path_rewrite", "host_rewrite")
REDIRECT_CODES = (301, 302, 303, 307, 308)
PATH = Text(pattern=r"/[!-~]*", maximum=8192)
PATH_ONLY = Text(pattern=r"/[!-\"$->@-~]*", maximum=8192)
HOST = Text(pattern=r"[!-.0-~]+")
ASKED = RequestEdits()
ANSWERED = ResponseEdits()


def _override_faults(options):
    for name in options.disabled_filters:
        if name in dict(options.filters):
            yield "disabled_filters", f"expected {name!r} either in filters or in disabled_filters, not both"


@config
class RegexRewrite:
    """Replace what a regular expression finds in the path."""

    pattern: str = option(Regex(), doc="RE2, searched in the path (without the query); every occurrence is replaced")
    substitution: str = option(Text(maximum=4096), doc=r"replacement; \1 to \9 are groups, \0 the whole")

    def check(self):
        """Yield faults of the substitution."""
        fault = regex_rewrite_fault(self.pattern, self.substitution)
        if fault:
            yield "substitution", fault


@config
class Redirect:
    """Send the client elsewhere; what is not named stays as it was."""

    https_redirect: bool = option(Boolean(), default=False, doc="change the scheme to https")
    scheme: str | None = option(Text(pattern=r"[a-z][a-z0-9+.-]*"), default=None, doc="change the scheme to this")
    host: str | None = option(Text(minimum=1, pattern=r"[!-.0-~]+"), default=None, doc="change the host to this")
    port: int | None = option(Integer(minimum=1, maximum=65535), default=None, doc="change the port to this")
    path: str | None = option(PATH, default=None, doc="change the whole path (and the query where this has a ?)")
    prefix_rewrite: str | None = option(PATH_ONLY, default=None, doc="change the prefix that the route matched")
    response_code: int = option(Integer(minimum=301, maximum=308), default=301, doc="301, 302, 303, 307 or 308")
    strip_query: bool = option(Boolean(), default=False, doc="drop the query")
    strip_port: bool = option(Boolean(), default=False, doc="drop the port of the request's host")

    def check(self):
        """Yield faults between fields."""
        if self.https_redirect and self.scheme is not None:
            yield "scheme", "expected either https_redirect or scheme, not both"
        if self.path is not None and self.prefix_rewrite is not None:
            yield "prefix_rewrite", "expected either path or prefix_rewrite, not both"
        if self.response_code not in REDIRECT_CODES:
            yield "response_code", f"expected one of 301, 302, 303, 307, 308, got {self.response_code}"


@config
class DirectResponse:
    """Answer from here. The body and the header values take the same %OPERATOR% substitutions as header edits."""

    status: int = option(Integer(minimum=200, maximum=599), doc="status of the answer")
    body: str = option(Text(maximum=65536), default="", doc="body, with substitutions (%% is a percent sign)")
    headers: tuple[tuple[str, str], ...] = option(
        MapOf(value=Text(maximum=8192), key=Text(minimum=1, maximum=256)), default=(), doc="fields, with substitutions"
    )

    def check(self):
        """Yield faults of the fields and of the substitutions."""
        if fault := value_fault(self.body, is_field=False):
            yield "body", fault
        if self.body and self.status in (204, 304):
            yield "body", f"expected no body with status {self.status}"
        for name, value in self.headers:
            if not is_field_name(name):
                yield "headers", f"expected a field name, got {name!r}"
            elif name.lower() in FRAMING:
                yield "headers", f"expected a field that is not the connection's own, got {name!r}"
            elif fault := value_fault(value):
                yield "headers", f"{name}: {fault}"


@config
class WeightedCluster:
    """One destination of a split: a cluster, or an answer that this share gets in its place."""

    name: str | None = option(Reference("cluster"), default=None, doc="cluster that gets this share")
    direct_response: DirectResponse | None = option(Nested(DirectResponse), default=None, doc="answer this share here")
    redirect: Redirect | None = option(Nested(Redirect), default=None, doc="redirect this share")
    weight: int = option(Integer(maximum=2**32 - 1), default=1, doc="share is weight / sum of weights; 0 gets nothing")
    request_headers: RequestEdits = option(Nested(RequestEdits), default=ASKED, doc="edits, this share only")
    response_headers: ResponseEdits = option(Nested(ResponseEdits), default=ANSWERED, doc="edits, this share only")
    prefix_rewrite: str | None = option(PATH_ONLY, default=None, doc="as in the route, this share only")
    path_rewrite: str | None = option(PATH_ONLY, default=None, doc="as in the route, this share only")
    host_rewrite: str | None = option(HOST, default=None, doc="as in the route, this share only")

    @property
    def is_plain(self):
        """Say whether it is a cluster and at most edits of the request's fields: then the exchange draws it."""
        return self.name is not None and self.response_headers == ANSWERED and not given(self, REWRITES)

    def check(self):
        """Yield faults between fields."""
        found = given(self, DESTINATIONS)
        if len(found) != 1:
            got = ", ".join(found) or "none"
            yield (found or DESTINATIONS)[-1], f"expected exactly one of {', '.join(DESTINATIONS)}, got {got}"
        elif found[0] != "name":
            for name in given(self, REWRITES):
                yield name, f"expected no {name} beside {found[0]}"
        if self.prefix_rewrite is not None and self.path_rewrite is not None:
            yield "path_rewrite", "expected at most one of prefix_rewrite, path_rewrite, got both"


@config
class Route:
    """What matches, and what is done with it."""

    name: str = option(Text(maximum=200), default="", doc="name in logs (%ROUTE_NAME%)")
    match: Match = option(Nested(Match), doc="the conditions; all must hold")
    cluster: str | None = option(Reference("cluster"), default=None, doc="action: forward to this cluster")
    weighted_clusters: tuple[WeightedCluster, ...] | None = option(
        ListOf(item=Nested(WeightedCluster), minimum=1, maximum=1000), default=None, doc="action: split over clusters"
    )
    redirect: Redirect | None = option(Nested(Redirect), default=None, doc="action: redirect the client")
    direct_response: DirectResponse | None = option(Nested(DirectResponse), default=None, doc="action: answer here")
    prefix_rewrite: str | None = option(PATH_ONLY, default=None, doc="put this where the matched prefix stands")
    path_rewrite: str | None = option(PATH_ONLY, default=None, doc="put this where the path stands; the query stays")
    regex_rewrite: RegexRewrite | None = option(Nested(RegexRewrite), default=None, doc="rewrite the path by a pattern")
    host_rewrite: str | None = option(HOST, default=None, doc="Host sent upstream")
    host_rewrite_header: str | None = option(
        Text(minimum=1, maximum=256), default=None, doc="Host sent upstream is this field's value, where it has one"
    )
    request_headers: RequestEdits = option(Nested(RequestEdits), default=ASKED, doc="edits of the request")
    response_headers: ResponseEdits = option(Nested(ResponseEdits), default=ANSWERED, doc="edits of the response")
    timeout_s: float = option(
        Duration(), default=15.0, doc="until the whole answer is here, retries included: 504 (Envoy's default; 0: none)"
    )
    per_try_timeout_s: float = option(
        Duration(), default=0.0, doc="until one attempt's answer begins; ignored where not below timeout (0: none)"
    )
    per_try_idle_timeout_s: float = option(
        Duration(), default=0.0, doc="longest silence of one attempt, its answer's body included (0: any)"
    )
    idle_timeout_s: float = option(Duration(), default=0.0, doc="longest silence (0: the listener's stream_idle)")
    max_stream_duration_s: float = option(
        Duration(), default=0.0, doc="from the request's first byte to the answer's last: 504, or 408 (0: any)"
    )
    grpc_timeout_header_max_s: float | None = option(
        Duration(), default=None,
        doc="a gRPC call's grpc-timeout is its max_stream_duration, at most this (0: any; absent: no effect)"
    )
    grpc_timeout_header_offset_s: float = option(
        Duration(), default=0.0, doc="with grpc_timeout_header_max: the time that is taken off, so that we answer first"
    )
    max_grpc_timeout_s: float | None = option(
        Duration(), default=None,
        doc="a gRPC call's grpc-timeout is its timeout, none without it, at most this (0: any; absent: no effect); "
            "Istio's way, in Envoy deprecated"
    )
    grpc_timeout_offset_s: float = option(
        Duration(), default=0.0, doc="with max_grpc_timeout: the time that is taken off, where some is left then"
    )
    priority: str = option(
        Choice(("default", "high")), default="default", doc="limits of the circuit breaker that count"
    )
    hedge_policy: Hedge | None = option(Nested(Hedge), default=None, doc="attempts beside one another")
    mirror: tuple[Mirror, ...] = option(
        ListOf(item=Nested(Mirror), maximum=20), default=(), doc="copies of the requests to other clusters"
    )
    retry: Plugin | None = option(
        PluginOf(kind="retry_policy"), default=None, doc="retry policy (the virtual host's, then `retry`, when absent)"
    )
    upgrades: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1), maximum=20), default=("websocket",), doc="upgrade protocols passed on, or CONNECT"
    )
    connect_config: ConnectConfig | None = option(
        Nested(ConnectConfig), default=None, doc="CONNECT (among upgrades) ends here; passed on when absent"
    )
    filters: tuple[tuple[str, Plugin], ...] = option(
        MapOf(value=PluginOf(kind="http_filter")), default=(), doc="HTTP filter instance -> its config on this route"
    )
    disabled_filters: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1), maximum=100), default=(), doc="HTTP filter instances that are off on this route"
    )
    where: str = place()

    def check(self):
        """Yield faults between fields."""
        yield from self._action_faults()
        yield from self._rewrite_faults()
        yield from self._call_faults()
        if self.connect_config is not None and "connect" not in [name.lower() for name in self.upgrades]:
            yield "connect_config", "expected CONNECT among upgrades"
        yield from _override_faults(self)
        weights = self.weighted_clusters or ()
        if len(weights) > 1 and not any(item.weight for item in weights):
            yield "weighted_clusters", "expected at least one weight above 0"
        if sum(item.weight for item in weights) >= 2**32:
            yield "weighted_clusters", "expected a sum of weights below 4294967296"

    def _action_faults(self):
        actions = given(self, ACTIONS)
        if len(actions) != 1:
            got = ", ".join(actions) or "none"
            yield (actions or ACTIONS)[-1], f"expected exactly one of {', '.join(ACTIONS)}, got {got}"
        elif actions[0] in ("redirect", "direct_response"):
            for name in given(self, UPSTREAM_ONLY):
                yield name, f"expected no {name} beside {actions[0]}"

    def _call_faults(self):
        for name, needed in (("grpc_timeout_header_offset_s", "grpc_timeout_header_max_s"),
                             ("grpc_timeout_offset_s", "max_grpc_timeout_s")):
            if getattr(self, name) and getattr(self, needed) is None:
                yield name, f"expected {needed.removesuffix('_s')} beside {name.removesuffix('_s')}"
        if self.max_grpc_timeout_s is not None and self.grpc_timeout_header_max_s is not None:
            yield "max_grpc_timeout_s", "expected at most one of grpc_timeout_header_max, max_grpc_timeout, got both"

    def _rewrite_faults(self):
        for group in (PATH_REWRITES, HOST_REWRITES):
            names = given(self, group)
            if len(names) > 1:
                yield names[1], f"expected at most one of {', '.join(group)}, got {', '.join(names)}"
        name = self.host_rewrite_header
        if name is not None and not is_field_name(name):
            yield "host_rewrite_header", f"expected a field name, got {name!r}"


@config
class VirtualHost:
    """A group of domains with one list of routes."""

    name: str = option(Text(minimum=1, maximum=200), doc="name in logs and metrics")
    domains: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1, maximum=253), minimum=1, maximum=10_000),
        doc="foo.com, *.foo.com, foo.* or *; with or without a port",
    )
    routes: tuple[Route, ...] = option(ListOf(item=Nested(Route)), default=(), doc="the first that matches is taken")
    request_headers: RequestEdits = option(Nested(RequestEdits), default=ASKED, doc="edits of every request")
    response_headers: ResponseEdits = option(Nested(ResponseEdits), default=ANSWERED, doc="edits of every answer")
    retry: Plugin | None = option(PluginOf(kind="retry_policy"), default=None, doc="retry policy of routes without one")
    include_request_attempt_count: bool = option(
        Boolean(), default=False, doc="tell the upstream which attempt it is: x-envoy-attempt-count"
    )
    include_attempt_count_in_response: bool = option(
        Boolean(), default=False, doc="tell the client how many attempts there were: x-envoy-attempt-count"
    )
    include_is_timeout_retry_header: bool = option(
        Boolean(), default=False, doc="tell the upstream whether a retry follows a timeout: x-envoy-is-timeout-retry"
    )
    filters: tuple[tuple[str, Plugin], ...] = option(
        MapOf(value=PluginOf(kind="http_filter")), default=(), doc="HTTP filter instance -> its config in this host"
    )
    disabled_filters: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1), maximum=100), default=(), doc="HTTP filter instances that are off in this host"
    )
    where: str = place()

    def check(self):
        """Yield faults of the domains."""
        for domain in self.domains:
            if fault := domain_fault(domain):
                yield "domains", fault
        yield from _override_faults(self)


@config
class Router:
    """The route table."""

    virtual_hosts: tuple[VirtualHost, ...] = option(
        ListOf(item=Nested(VirtualHost), maximum=10_000, unique="name"), default=REQUIRED, doc="hosts and their routes"
    )
    request_headers: RequestEdits = option(Nested(RequestEdits), default=ASKED, doc="edits of every request")
    response_headers: ResponseEdits = option(Nested(ResponseEdits), default=ANSWERED, doc="edits of every answer")
    suppress_envoy_headers: bool = option(
        Boolean(), default=True, doc="do not send x-envoy-expected-rq-timeout-ms upstream (Envoy: false)"
    )

    def check(self):
        """Yield a fault for each domain that stands twice."""
        seen: dict[str, str] = {}
        for host in self.virtual_hosts:
            for domain in host.domains:
                if (first := seen.get(domain.lower())) is not None:
                    yield "virtual_hosts", f"domain {domain!r} stands twice, in {first!r} and {host.name!r}"
                seen.setdefault(domain.lower(), host.name)
