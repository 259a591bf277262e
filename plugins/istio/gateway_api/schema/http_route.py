"""HTTPRoute: rules for HTTP requests, by path, method, fields and query."""

import re

from meshd.api import (
    BadRegex, Choice, Integer, ListOf, Nested, Text, camel_config, compile_regex, option,
)
from meshd_plugins.istio.gateway_api.schema.duration import TIME, form_faults
from meshd_plugins.istio.gateway_api.schema.filters import (
    HEADER_VALUE, METHODS, HTTPRouteFilter, filter_faults,
)
from meshd_plugins.istio.gateway_api.schema.persistence import SessionPersistence
from meshd_plugins.istio.gateway_api.schema.reference import (
    GROUP_NAME, HEADER_NAME, HOSTNAME, KIND_NAME, NAMESPACE, OBJECT_NAME, PARENT_REFS, PORT, SECTION_NAME,
    USE_DEFAULT_GATEWAYS, WEIGHT, ParentReference, names_fault, parent_faults, port_faults,
)

VALUE_TYPE = Choice(("Exact", "RegularExpression"))
PREFIX = "PathPrefix"
MAX_MATCHES = 128
_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")


def regex_faults(one, name="value"):
    """Yield a fault for a RegularExpression that RE2 does not take."""
    if one.type == "RegularExpression":
        fault = regex_fault(getattr(one, name))
        if fault:
            yield name, fault


def regex_fault(text):
    """Return what is wrong with an RE2 expression, or ''."""
    try:
        compile_regex(text)
    except BadRegex as error:
        return str(error)
    return ""


@camel_config
class HTTPPathMatch:
    """A condition on the path."""

    type: str = option(Choice(("Exact", PREFIX, "RegularExpression")), default=PREFIX, doc="how it is compared")
    value: str = option(Text(maximum=1024), default="/", doc="the path, its first segments, or RE2 for all of it")

    def check(self):
        """Yield the faults of a path that cannot be asked for."""
        if self.type == "RegularExpression":
            yield from regex_faults(self)
            return
        value = self.value
        if not value.startswith("/"):
            yield "value", f"expected a path from / on, got {value!r}"
            return
        for part in ("//", "/./", "/../", "%2f", "%2F", "#"):
            if part in value:
                yield "value", f"expected a path without {part!r}, got {value!r}"
                return
        if value.endswith(("/.", "/..")):
            yield "value", f"expected a path that does not end in a dot segment, got {value!r}"
        elif not _PATH.fullmatch(value):
            yield "value", f"expected the characters of a path, got {value!r}"


@camel_config
class HTTPHeaderMatch:
    """A condition on a field."""

    type: str = option(VALUE_TYPE, default="Exact", doc="how it is compared")
    name: str = option(HEADER_NAME, doc="its name")
    value: str = option(HEADER_VALUE, doc="its value, or RE2 for all of it")

    def check(self):
        """Yield the fault of the expression."""
        yield from regex_faults(self)


@camel_config
class HTTPQueryParamMatch:
    """A condition on a query parameter."""

    type: str = option(VALUE_TYPE, default="Exact", doc="how it is compared")
    name: str = option(HEADER_NAME, doc="its name")
    value: str = option(Text(minimum=1, maximum=1024), doc="its value, or RE2 for all of it")

    def check(self):
        """Yield the fault of the expression and of a name that no query can have."""
        yield from regex_faults(self)
        if set(self.name) & set("&#"):
            yield "name", f"expected a name without & and #, got {self.name!r}"


@camel_config
class HTTPRouteMatch:
    """Conditions; all must hold."""

    path: HTTPPathMatch = option(Nested(HTTPPathMatch), default=HTTPPathMatch(), doc="the path")
    headers: tuple[HTTPHeaderMatch, ...] = option(
        ListOf(item=Nested(HTTPHeaderMatch), maximum=16, unique="name"), default=(), doc="fields"
    )
    query_params: tuple[HTTPQueryParamMatch, ...] = option(
        ListOf(item=Nested(HTTPQueryParamMatch), maximum=16, unique="name"), default=(), doc="query parameters"
    )
    method: str | None = option(Choice(METHODS), default=None, doc="the method")


@camel_config
class HTTPBackendRef:
    """One share of a rule."""

    group: str = option(GROUP_NAME, default="", doc="its group")
    kind: str = option(KIND_NAME, default="Service", doc="its kind")
    name: str = option(OBJECT_NAME, doc="its name")
    namespace: str | None = option(NAMESPACE, default=None, doc="its namespace (ours; another needs a ReferenceGrant)")
    port: int | None = option(PORT, default=None, doc="its port")
    weight: int = WEIGHT
    filters: tuple[HTTPRouteFilter, ...] = option(
        ListOf(item=Nested(HTTPRouteFilter), maximum=16), default=(), doc="filters, this share only"
    )

    def check(self):
        """Yield faults between fields."""
        yield from port_faults(self)
        yield from filter_faults(self.filters)


@camel_config
class HTTPRouteTimeouts:
    """Timeouts of a rule; 0s turns one off."""

    request_s: float | None = option(TIME, default=None, doc="until the whole answer is here, retries included (none)")
    backend_request_s: float | None = option(TIME, default=None, doc="for each attempt (none)")

    def check(self):
        """Yield faults of form and order."""
        yield from form_faults(self, {"request_s": "request", "backend_request_s": "backendRequest"})
        if self.request_s and self.backend_request_s is not None and self.backend_request_s > self.request_s:
            yield "backend_request_s", "expected at most the request timeout"


@camel_config
class HTTPRouteRetry:
    """Further attempts."""

    codes: tuple[int, ...] = option(
        ListOf(item=Integer(minimum=400, maximum=599)), default=(), doc="statuses that are retried"
    )
    attempts: int | None = option(Integer(minimum=1, maximum=100), default=None, doc="retries (1)")
    backoff_s: float | None = option(TIME, default=None, doc="base of the back-off (25ms)")

    def check(self):
        """Yield faults of form and of codes that stand twice."""
        yield from form_faults(self, {"backoff_s": "backoff"})
        if len(set(self.codes)) != len(self.codes):
            yield "codes", "expected each code once"


@camel_config
class HTTPRouteRule:
    """What matches, and what is done with it."""

    name: str | None = option(SECTION_NAME, default=None, doc="name in logs")
    matches: tuple[HTTPRouteMatch, ...] = option(
        ListOf(item=Nested(HTTPRouteMatch), maximum=64), default=(), doc="any of these (all requests when empty)"
    )
    filters: tuple[HTTPRouteFilter, ...] = option(
        ListOf(item=Nested(HTTPRouteFilter), maximum=16), default=(), doc="filters"
    )
    backend_refs: tuple[HTTPBackendRef, ...] = option(
        ListOf(item=Nested(HTTPBackendRef), maximum=16), default=(), doc="where to"
    )
    timeouts: HTTPRouteTimeouts | None = option(Nested(HTTPRouteTimeouts), default=None, doc="timeouts")
    retry: HTTPRouteRetry | None = option(Nested(HTTPRouteRetry), default=None, doc="retries (experimental)")
    session_persistence: SessionPersistence | None = option(
        Nested(SessionPersistence), default=None, doc="stay with one endpoint (experimental)",
        unsupported="sessions do not stay with an endpoint yet"
    )

    def check(self):
        """Yield faults between fields."""
        yield from filter_faults(self.filters)
        if self.backend_refs and any(one.request_redirect is not None for one in self.filters):
            yield "filters", "expected no RequestRedirect beside backendRefs"
        is_single_prefix = not self.matches or (len(self.matches) == 1 and self.matches[0].path.type == PREFIX)
        places = [("filters", self.filters), *(("backend_refs", one.filters) for one in self.backend_refs)]
        for where, filters in places:
            if not is_single_prefix and any(_replaces_prefix(one) for one in filters):
                yield where, "expected exactly one PathPrefix match beside replacePrefixMatch"


def _replaces_prefix(one):
    return any(
        given is not None and given.path is not None and given.path.replace_prefix_match is not None
        for given in (one.request_redirect, one.url_rewrite)
    )


@camel_config
class HTTPRoute:
    """Rules for HTTP requests."""

    parent_refs: tuple[ParentReference, ...] = PARENT_REFS
    use_default_gateways: str = USE_DEFAULT_GATEWAYS
    hostnames: tuple[str, ...] = option(ListOf(item=HOSTNAME, maximum=16), default=(), doc="who is asked for (anybody)")
    rules: tuple[HTTPRouteRule, ...] = option(
        ListOf(item=Nested(HTTPRouteRule), minimum=1, maximum=16), default=(HTTPRouteRule(),), doc="the rules"
    )

    def check(self):
        """Yield faults between fields."""
        yield from parent_faults(self.parent_refs)
        yield from names_fault(self.rules)
        yield from match_count_faults(self.rules)


def match_count_faults(rules):
    """Yield a fault for too many matches over all rules."""
    count = sum(len(rule.matches) for rule in rules)
    if count > MAX_MATCHES:
        yield "rules", f"expected at most {MAX_MATCHES} matches over all rules, got {count}"
