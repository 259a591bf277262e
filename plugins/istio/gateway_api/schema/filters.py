"""Filters of HTTPRoute and GRPCRoute rules: edits, redirects, rewrites, CORS and what is not done yet."""

from meshd.api import Anything, Boolean, Choice, Integer, ListOf, Nested, Text, camel_config, option
from meshd_plugins.istio.gateway_api.schema.reference import (
    HEADER_NAME, PORT, PRECISE_HOSTNAME, BackendObjectReference, LocalObjectReference,
)

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
HEADER_VALUE = Text(pattern=r"[^\x00-\x08\x0a-\x1f\x7f]+", minimum=1, maximum=4096)
PATH_TEXT = Text(pattern=r"[!-\"$->@-~]*", maximum=1024)
ORIGIN = Text(
    pattern=r"\*|https?://((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:[0-9]{1,5})?", minimum=1, maximum=253
)


@camel_config
class HTTPHeader:
    """A field and its value."""

    name: str = option(HEADER_NAME, doc="its name")
    value: str = option(HEADER_VALUE, doc="its value")


@camel_config
class HTTPHeaderFilter:
    """Edits of header fields; one action for each name."""

    set: tuple[HTTPHeader, ...] = option(
        ListOf(item=Nested(HTTPHeader), maximum=16, unique="name"), default=(), doc="overwrite these"
    )
    add: tuple[HTTPHeader, ...] = option(
        ListOf(item=Nested(HTTPHeader), maximum=16, unique="name"), default=(), doc="append these"
    )
    remove: tuple[str, ...] = option(ListOf(item=Text(minimum=1), maximum=16), default=(), doc="remove these")

    def check(self):
        """Yield a fault for a name that is removed twice."""
        if len(set(self.remove)) != len(self.remove):
            yield "remove", "expected each name once"


EDITS = Nested(HTTPHeaderFilter)


@camel_config
class HTTPPathModifier:
    """A change of the path."""

    type: str = option(Choice(("ReplaceFullPath", "ReplacePrefixMatch")), doc="which of the two")
    replace_full_path: str | None = option(PATH_TEXT, default=None, doc="the new path")
    replace_prefix_match: str | None = option(PATH_TEXT, default=None, doc="what stands in place of the matched prefix")

    def check(self):
        """Yield faults between type and fields."""
        for word, name, key in (("ReplaceFullPath", "replace_full_path", "replaceFullPath"),
                                ("ReplacePrefixMatch", "replace_prefix_match", "replacePrefixMatch")):
            if self.type == word and getattr(self, name) is None:
                yield name, f"expected {key} with type {word}"
            elif self.type != word and getattr(self, name) is not None:
                yield name, f"expected no {key} with type {self.type}"


@camel_config
class HTTPRequestRedirectFilter:
    """Send the client elsewhere."""

    scheme: str | None = option(Choice(("http", "https")), default=None, doc="the new scheme (the request's)")
    hostname: str | None = option(PRECISE_HOSTNAME, default=None, doc="the new host (the request's)")
    path: HTTPPathModifier | None = option(Nested(HTTPPathModifier), default=None, doc="the new path (the request's)")
    port: int | None = option(PORT, default=None, doc="the new port (the scheme's, else the listener's)")
    status_code: int = option(Integer(), default=302, doc="301, 302, 303, 307 or 308")

    def check(self):
        """Yield a fault for another status."""
        if self.status_code not in (301, 302, 303, 307, 308):
            yield "status_code", f"expected one of 301, 302, 303, 307, 308, got {self.status_code}"


@camel_config
class HTTPURLRewriteFilter:
    """Change Host and path before the request is sent on."""

    hostname: str | None = option(PRECISE_HOSTNAME, default=None, doc="Host")
    path: HTTPPathModifier | None = option(Nested(HTTPPathModifier), default=None, doc="the path")


@camel_config
class Fraction:
    """A share as a fraction."""

    numerator: int = option(Integer(maximum=2**31 - 1), doc="from 0")
    denominator: int = option(Integer(minimum=1, maximum=2**31 - 1), default=100, doc="from 1")

    def check(self):
        """Yield a fault for more than everything."""
        if self.numerator > self.denominator:
            yield "numerator", f"expected at most the denominator ({self.denominator}), got {self.numerator}"


@camel_config
class HTTPRequestMirrorFilter:
    """A copy of the requests for somebody else."""

    backend_ref: BackendObjectReference = option(Nested(BackendObjectReference), doc="who gets it")
    percent: int | None = option(Integer(maximum=100), default=None, doc="share of the requests (all)")
    fraction: Fraction | None = option(Nested(Fraction), default=None, doc="share of the requests (all)")

    def check(self):
        """Yield a fault for two shares."""
        if self.percent is not None and self.fraction is not None:
            yield "fraction", "expected at most one of percent, fraction"


@camel_config
class HTTPCORSFilter:
    """Cross-origin resource sharing."""

    allow_origins: tuple[str, ...] = option(ListOf(item=ORIGIN, maximum=64), default=(), doc="who may read the answers")
    allow_credentials: bool = option(Boolean(), default=False, doc="with cookies")
    allow_methods: tuple[str, ...] = option(
        ListOf(item=Choice((*METHODS, "*")), maximum=9), default=(), doc="methods granted to a preflight"
    )
    allow_headers: tuple[str, ...] = option(ListOf(item=HEADER_NAME, maximum=64), default=(), doc="granted")
    expose_headers: tuple[str, ...] = option(ListOf(item=HEADER_NAME, maximum=64), default=(), doc="fields to read")
    max_age: int = option(Integer(minimum=1, maximum=2**31 - 1), default=5, doc="seconds that a preflight is good for")

    def check(self):
        """Yield a fault for a star that does not stand alone and for what stands twice."""
        for name in ("allow_origins", "allow_methods", "allow_headers"):
            values = getattr(self, name)
            if "*" in values and len(values) > 1:
                yield name, "expected '*' alone"
        for name in ("allow_origins", "allow_methods", "allow_headers", "expose_headers"):
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                yield name, "expected each value once"


FIELDS = {
    "RequestHeaderModifier": "request_header_modifier", "ResponseHeaderModifier": "response_header_modifier",
    "RequestMirror": "request_mirror", "RequestRedirect": "request_redirect", "URLRewrite": "url_rewrite",
    "CORS": "cors", "ExternalAuth": "external_auth", "ExtensionRef": "extension_ref",
}
"""Type of a filter -> the attribute that configures it."""
KEYS = {"URLRewrite": "urlRewrite", "CORS": "cors"}
GRPC_TYPES = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef")
ONCE = ("CORS", "RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite")


def union_faults(one, types):
    """Yield a fault for each field that does not belong to ``one.type``, and for one that is missing."""
    for word in types:
        name = FIELDS[word]
        key = KEYS.get(word) or word[0].lower() + word[1:]
        if word == one.type and getattr(one, name) is None:
            yield name, f"expected {key} with type {word}"
        elif word != one.type and getattr(one, name) is not None:
            yield name, f"expected no {key} with type {one.type}"


@camel_config
class HTTPRouteFilter:
    """One filter: its type says which of the fields stands."""

    type: str = option(Choice(tuple(FIELDS)), doc="which filter")
    request_header_modifier: HTTPHeaderFilter | None = option(EDITS, default=None, doc="edit the request")
    response_header_modifier: HTTPHeaderFilter | None = option(EDITS, default=None, doc="edit the answer")
    request_mirror: HTTPRequestMirrorFilter | None = option(
        Nested(HTTPRequestMirrorFilter), default=None, doc="send a copy elsewhere"
    )
    request_redirect: HTTPRequestRedirectFilter | None = option(
        Nested(HTTPRequestRedirectFilter), default=None, doc="redirect"
    )
    url_rewrite: HTTPURLRewriteFilter | None = option(Nested(HTTPURLRewriteFilter), default=None, doc="rewrite")
    cors: HTTPCORSFilter | None = option(Nested(HTTPCORSFilter), default=None, doc="cross-origin resource sharing")
    external_auth: object = option(Anything(), default=None, doc="ask an authorization server; such a rule answers 500")
    extension_ref: LocalObjectReference | None = option(
        Nested(LocalObjectReference), default=None, doc="a filter of an implementation; such a rule answers 500"
    )

    def check(self):
        """Yield faults between type and fields."""
        yield from union_faults(self, FIELDS)


@camel_config
class GRPCRouteFilter:
    """One filter of a GRPCRoute."""

    type: str = option(Choice(GRPC_TYPES), doc="which filter")
    request_header_modifier: HTTPHeaderFilter | None = option(EDITS, default=None, doc="edit the request")
    response_header_modifier: HTTPHeaderFilter | None = option(EDITS, default=None, doc="edit the answer")
    request_mirror: HTTPRequestMirrorFilter | None = option(
        Nested(HTTPRequestMirrorFilter), default=None, doc="send a copy elsewhere"
    )
    extension_ref: LocalObjectReference | None = option(
        Nested(LocalObjectReference), default=None, doc="a filter of an implementation; such a rule answers 500"
    )

    def check(self):
        """Yield faults between type and fields."""
        yield from union_faults(self, GRPC_TYPES)


def filter_faults(filters):
    """Yield the faults of one list of filters."""
    types = [one.type for one in filters]
    for word in ONCE:
        if types.count(word) > 1:
            yield "filters", f"expected {word} at most once"
    if "RequestRedirect" in types and "URLRewrite" in types:
        yield "filters", "expected either RequestRedirect or URLRewrite, not both"
