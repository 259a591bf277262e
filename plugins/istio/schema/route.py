"""What a VirtualService's rule does with requests: destinations, redirects, rewrites, retries, faults, mirrors."""

import base64
import binascii

from meshd.api import Boolean, Choice, Integer, ListOf, Nested, Regex, Text, camel_config, option
from meshd_plugins.istio.schema.common import (
    HOST, PORT, SECONDS, TIME, Headers, Percent, PortSelector, StringMatch, at_most_one,
    percent_faults, regex_faults,
)
from meshd_plugins.istio.schema.form import each, label_fault, wildcard_fault
from meshd_plugins.istio.schema.header import cors_name_fault, method_fault

LATER = "the daemon does not do this yet"
LONGEST_BODY_BYTES = 1024 * 1024
STATUSES = frozenset((
    *range(100, 104), *range(200, 209), 226, *range(300, 306), 307, 308, *range(400, 419), *range(421, 427), 428, 429,
    431, 451, *range(500, 509), 510, 511,
))
"""Statuses that Go has a text for: those that retryOn may name."""

RETRY_ON = frozenset((
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream",
    "retriable-status-codes", "retriable-headers", "envoy-ratelimited", "http3-post-connect-failure", "cancelled",
    "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
))
GRPC_STATUSES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)


@camel_config
class Destination:
    """Where requests go."""

    host: str = option(HOST, doc="a service of the registry")
    subset: str = option(Text(maximum=63), default="", doc="one of its subsets (DestinationRule)")
    port: PortSelector | None = option(Nested(PortSelector), default=None, doc="its port, where it has several")

    def check(self):
        """Yield faults of istiod's."""
        fault = "expected a host, got *" if self.host == "*" else wildcard_fault(self.host)
        if fault:
            yield "host", fault
        fault = label_fault(self.subset) if self.subset else ""
        if fault:
            yield "subset", fault
        if self.port is not None and self.port.number is None:
            yield "port", "expected the port's number"


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

    def check(self):
        """Yield faults between fields."""
        yield from at_most_one(self, ("port", "derive_port"))
        if self.uri and self.prefix_rewrite:
            yield "prefix_rewrite", "expected at most one of uri, prefixRewrite"
        has_port = self.port is not None or self.derive_port is not None
        if not (self.uri or self.prefix_rewrite or self.authority or self.scheme or has_port):
            yield None, "expected at least one of uri, prefixRewrite, authority, scheme, port, derivePort"
        if self.redirect_code and not 300 <= self.redirect_code <= 399:
            yield "redirect_code", f"expected 300 to 399, got {self.redirect_code}"
        if self.scheme not in ("", "http", "https"):
            yield "scheme", f"expected http or https, got {self.scheme!r}"


@camel_config
class HTTPBody:
    """The body of a direct response."""

    string: str | None = option(Text(maximum=2**20), default=None, doc="as text")
    bytes_: str | None = option(Text(maximum=2**21), default=None, doc="in base64", key="bytes")

    def check(self):
        """Yield faults of size and form."""
        yield from at_most_one(self, ("string", "bytes_"))
        size = len((self.string or "").encode(errors="replace"))
        if self.bytes_ is not None:
            try:
                size = len(base64.b64decode(self.bytes_, validate=True))
            except (binascii.Error, ValueError):
                yield "bytes_", "expected base64"
        if size > LONGEST_BODY_BYTES:
            yield "string" if self.string else "bytes_", f"body of {size} bytes, expected at most {LONGEST_BODY_BYTES}"


@camel_config
class HTTPDirectResponse:
    """Answer from the proxy."""

    status: int = option(Integer(), doc="the status")
    body: HTTPBody | None = option(Nested(HTTPBody), default=None, doc="the body")

    def check(self):
        """Yield a fault of the status."""
        yield from _status_faults("status", self.status)


def _status_faults(name, status):
    """Yield a fault of a status that istiod refuses (it takes 600)."""
    if status is not None and not 200 <= status <= 600:
        yield name, f"expected a status from 200 to 599, got {status}"


@camel_config
class Delegate:
    """Another VirtualService whose routes stand here."""

    name: str = option(Text(), default="", doc="its name")
    namespace: str = option(Text(), default="", doc="its namespace (ours when absent)")


@camel_config
class RegexRewrite:
    """Rewrite the path by a pattern."""

    match: str = option(Regex(), doc="RE2, searched in the path")
    rewrite: str = option(Text(), doc=r"the replacement; \1 to \9 are groups")

    def check(self):
        """Yield faults of istiod's."""
        yield from regex_faults("match", self.match)
        if not self.rewrite:
            yield "rewrite", "expected a replacement, got nothing"


@camel_config
class HTTPRewrite:
    """Change path and Host before the request is sent on."""

    uri: str = option(Text(), default="", doc="path, or what stands in place of the matched prefix")
    authority: str = option(Text(), default="", doc="Host")
    uri_regex_rewrite: RegexRewrite | None = option(Nested(RegexRewrite), default=None, doc="rewrite by a pattern")

    def check(self):
        """Yield faults between fields."""
        if self.uri and self.uri_regex_rewrite is not None:
            yield "uri_regex_rewrite", "expected at most one of uri, uriRegexRewrite"
        if not self.uri and not self.authority and self.uri_regex_rewrite is None:
            yield None, "expected at least one of uri, uriRegexRewrite, authority"


@camel_config
class HTTPRetry:
    """Further attempts."""

    attempts: int = option(Integer(maximum=2**31 - 1), default=0, doc="retries; 0 turns them off")
    per_try_timeout_s: float | None = option(TIME, default=None, doc="for each attempt (the route's when absent)")
    retry_on: str = option(Text(), default="", doc="conditions, by commas (Istio's default when empty)")
    retry_remote_localities: bool | None = option(
        Boolean(), default=None, doc="also in other localities"
    )
    retry_ignore_previous_hosts: bool | None = option(Boolean(), default=None, doc="not where it failed (true)")
    backoff_s: float | None = option(TIME, default=None, doc="base of the back-off (25ms)")

    def check(self):
        """Yield faults between fields."""
        if self.attempts == 0:
            for name in ("per_try_timeout_s", "retry_on", "retry_remote_localities"):
                if getattr(self, name) not in (None, ""):
                    yield name, "expected attempts of at least 1 beside it: 0 turns retries off"
        for word in self.retry_on.split(",") if self.retry_on else ():
            if word not in RETRY_ON and not (word.isdigit() and int(word[:9]) in STATUSES):
                yield "retry_on", f"unknown condition {word!r}, expected statuses or {', '.join(sorted(RETRY_ON))}"


@camel_config
class CorsPolicy:
    """Cross-origin resource sharing."""

    allow_origin: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="origins (deprecated)")
    allow_origins: tuple[StringMatch, ...] = option(ListOf(item=Nested(StringMatch)), default=(), doc="origins")
    allow_methods: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="methods")
    allow_headers: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="request fields")
    expose_headers: tuple[str, ...] = option(ListOf(item=Text(minimum=1)), default=(), doc="fields scripts may read")
    max_age_s: float | None = option(SECONDS, default=None, doc="how long a preflight is good")
    allow_credentials: bool | None = option(Boolean(), default=None, doc="with cookies")
    unmatched_preflights: str = option(
        Choice(("UNSPECIFIED", "FORWARD", "IGNORE")), default="UNSPECIFIED", doc="preflights of other origins"
    )

    def check(self):
        """Yield faults of istiod's."""
        for place, origin in enumerate(self.allow_origins):
            if not (origin.exact or origin.prefix or origin.regex):
                yield ("allow_origins", place), "expected one of exact, prefix, regex"
        yield from each("allow_methods", self.allow_methods, method_fault)
        yield from each("allow_headers", self.allow_headers, cors_name_fault)
        yield from each("expose_headers", self.expose_headers, cors_name_fault)


@camel_config
class Delay:
    """Wait before the request is sent on."""

    fixed_delay_s: float | None = option(TIME, default=None, doc="how long")
    exponential_delay_s: float | None = option(TIME, default=None, doc="mean of a random time", unsupported=LATER)
    percent: int = option(Integer(maximum=100), default=0, doc="share (deprecated)")
    percentage: Percent | None = option(Nested(Percent), default=None, doc="share of the requests")

    def check(self):
        """Yield faults of istiod's."""
        yield from at_most_one(self, ("fixed_delay_s", "exponential_delay_s"))
        if self.exponential_delay_s is not None:
            yield "exponential_delay_s", "expected fixedDelay: Istio does not support this one"
        yield from percent_faults("percentage", self.percentage)


@camel_config
class Abort:
    """Answer with an error in place of the upstream."""

    http_status: int | None = option(Integer(), default=None, doc="the status")
    grpc_status: str | None = option(Text(), default=None, doc="the gRPC status, by name")
    http2_error: str | None = option(Text(), default=None, doc="not implemented by Istio", key="http2Error")
    percentage: Percent | None = option(Nested(Percent), default=None, doc="share of the requests")

    def check(self):
        """Yield faults of istiod's."""
        yield from at_most_one(self, ("http_status", "grpc_status", "http2_error"))
        if self.http2_error is not None:
            yield "http2_error", "expected httpStatus or grpcStatus: Istio does not support this one"
        if self.grpc_status is not None and self.grpc_status not in GRPC_STATUSES:
            yield "grpc_status", f"expected one of {', '.join(GRPC_STATUSES)}, got {self.grpc_status!r}"
        yield from _status_faults("http_status", self.http_status)
        yield from percent_faults("percentage", self.percentage)


@camel_config
class HTTPFaultInjection:
    """Faults on purpose."""

    delay: Delay | None = option(Nested(Delay), default=None, doc="delays")
    abort: Abort | None = option(Nested(Abort), default=None, doc="aborts")

    def check(self):
        """Yield a fault where there is nothing to inject."""
        if self.delay is None and self.abort is None:
            yield None, "expected a delay, an abort or both"


@camel_config
class HTTPMirrorPolicy:
    """A copy of the requests for somebody else."""

    destination: Destination = option(Nested(Destination), doc="who gets it")
    percentage: Percent | None = option(Nested(Percent), default=None, doc="share of the requests (all)")
