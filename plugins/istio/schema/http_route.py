"""One HTTP rule of a VirtualService: conditions, and what becomes of requests that meet them."""

from meshd.api import Integer, ListOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import TIME, Headers, Percent
from meshd_plugins.istio.schema.header import is_authority
from meshd_plugins.istio.schema.match import HTTPMatchRequest
from meshd_plugins.istio.schema.route import (
    CorsPolicy, Delegate, Destination, HTTPDirectResponse, HTTPFaultInjection, HTTPMirrorPolicy, HTTPRedirect,
    HTTPRetry, HTTPRewrite, HTTPRouteDestination,
)

ACTIONS = {"redirect": "redirect", "direct_response": "directResponse"}
"""Attribute and key of what a rule does in place of routing."""


@camel_config
class HTTPRoute:
    """One rule: the first that matches is taken."""

    name: str = option(Text(), default="", doc="name in logs")
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
    fault: HTTPFaultInjection | None = option(Nested(HTTPFaultInjection), default=None, doc="faults on purpose")
    mirror: Destination | None = option(Nested(Destination), default=None, doc="a copy goes there")
    mirrors: tuple[HTTPMirrorPolicy, ...] = option(
        ListOf(item=Nested(HTTPMirrorPolicy)), default=(), doc="copies go there"
    )
    mirror_percent: int | None = option(Integer(maximum=100), default=None, doc="share of the mirror (deprecated)")
    mirror_percent_old: int | None = option(
        Integer(maximum=100), default=None, doc="the same, as once written", key="mirror_percent"
    )
    mirror_percentage: Percent | None = option(Nested(Percent), default=None, doc="share of the mirror (all)")
    cors_policy: CorsPolicy | None = option(Nested(CorsPolicy), default=None, doc="cross-origin resource sharing")
    headers: Headers | None = option(Nested(Headers), default=None, doc="edits of header fields")

    def check(self):
        """Yield faults between fields; which actions a rule may have, ``VirtualService`` knows."""
        yield from weight_faults(self.route)
        yield from self._authority_faults()
        if self.redirect is not None and self.redirect.prefix_rewrite:
            for place, match in enumerate(self.match):
                if match.uri is not None and match.uri.prefix is None:
                    yield ("match", place, "uri"), "expected a prefix, for redirect.prefixRewrite replaces it"

    def _authority_faults(self):
        found = ["rewrite"] if self.rewrite is not None and self.rewrite.authority else []
        edits = self.headers.request if self.headers is not None else None
        for key, pairs in (("set", edits.set), ("add", edits.add)) if edits is not None else ():
            found += [("headers", "request", key, name) for name, _ in pairs if is_authority(name)]
        if len(found) > 1:
            yield found[1], "expected the authority to be set in one place only"

    def action_faults(self, is_delegate):
        """Yield faults where the rule has no action, or several; ``is_delegate``: the VirtualService has no hosts."""
        if self.delegate is not None and not is_delegate:
            for name in ("redirect", "route"):
                if getattr(self, name):
                    yield name, "expected none in a rule with delegate"
            return
        if self.delegate is not None:
            yield "delegate", "expected none in a VirtualService without hosts, which is a delegate itself"
        yield from self._conflicts()
        if self.mirror is not None and self.mirrors:
            yield "mirrors", "expected at most one of mirror, mirrors"

    def _conflicts(self):
        first = next((name for name in ACTIONS if getattr(self, name) is not None), None)
        if first is None:
            if not self.route:
                yield None, "expected one of route, redirect, directResponse"
            return
        for name in ("route", "fault", "rewrite", "direct_response"):
            if name != first and getattr(self, name):
                yield ACTIONS.get(name, name), f"expected none in a rule with {ACTIONS[first]}"


def weight_faults(route):
    """Yield a fault where no share of a route gets anything."""
    if len(route) > 1 and not any(share.weight for share in route):
        yield "route", "expected weights with a sum above 0"
