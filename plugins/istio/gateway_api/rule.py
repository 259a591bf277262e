"""One match of a rule to native routes: what it takes, and what is done with it.

A prefix that is replaced by nothing needs two native routes, for the prefix itself and for what lies below it.
"""

from meshd_plugins.istio.emit import At, seconds
from meshd_plugins.istio.gateway_api import action
from meshd_plugins.istio.gateway_api.backend import extensions
from meshd_plugins.istio.gateway_api.match import grpc_match, http_match
from meshd_plugins.istio.gateway_api.precedence import grpc_key, http_key, prefix_of
from meshd_plugins.istio.gateway_api.schema.grpc_route import GRPCRouteMatch
from meshd_plugins.istio.gateway_api.schema.http_route import HTTPRouteMatch
from meshd_plugins.istio.translate.listener import TAGS
from meshd_plugins.istio.translate.rate_limit import Tags
from meshd_plugins.istio.translate.retry import native_retry
from meshd_plugins.istio.translate.virtual_host import NoRule

CONNECTION_FAULTS = ["connect-failure", "reset", "refused-stream", "reset-before-request"]
BASE_S = (0.001, 60.0)
"""What the native policy takes as its base."""
LONGEST_S = 31_536_000.0
"""The longest native time, a year; what is longer is as good as that."""
UNAVAILABLE = {"status": 200, "headers": {"content-type": "application/grpc", "grpc-status": "14"}}
LONGEST_NAME = 200


def native_rules(judged, scope):
    """Yield (key, [native route]) for each match of each rule of a route, as ``precedence`` has it."""
    is_grpc = judged.resource.kind.name == "GRPCRoute"
    key, anything = (grpc_key, GRPCRouteMatch()) if is_grpc else (http_key, HTTPRouteMatch())
    for place, rule in enumerate(judged.resource.spec.rules):
        for match in rule.matches or (anything,):
            yield key(match), list(_routes(judged, place, rule, match, scope))


def _routes(judged, place, rule, match, scope):
    at = match.node or rule.node or judged.resource.node
    name = f"{judged.resource.namespace}/{judged.resource.name}/{rule.name or place}"[:LONGEST_NAME]
    backends = [judged.backend(one) for one in rule.backend_refs if one.weight]
    tags = Tags(judged.resource, rule.name or "", hosts=frozenset(one.host for one in backends if one.is_good))
    for condition, replace in _variants(rule, match):
        yield At(at, {"name": name, TAGS: tags, "match": condition,
                      **_Action(judged, place, rule, replace, scope).native()})


def _variants(rule, match):
    """Yield (native match, callable(path modifier) -> what stands in place of the prefix)."""
    if type(match) is GRPCRouteMatch:
        yield grpc_match(match), None
        return
    replaced = [_bare(one.path.replace_prefix_match) for one in _path_changes(rule)
                if one.path.type == "ReplacePrefixMatch"]
    prefix = prefix_of(match.path)
    if not replaced or (prefix and all(replaced)):
        yield http_match(match), lambda text: _bare(text) if prefix else _bare(text) + "/"
        return
    if prefix:
        yield http_match(match, {"path": prefix}), lambda text: _bare(text) or "/"
    yield http_match(match, {"prefix": prefix + "/"}), lambda text: _bare(text) + "/"


def _bare(text):
    """Return what stands in place of a prefix: nothing, or a path from a slash on, without one at its end."""
    bare = text.strip("/")
    return f"/{bare}" if bare else ""


def _path_changes(rule):
    filters = [*rule.filters, *(one for ref in rule.backend_refs for one in ref.filters)]
    return [one for name in ("url_rewrite", "request_redirect")
            if (found := [getattr(each, name, None) for each in filters])
            for one in found if one is not None and one.path is not None]


class _Action:
    """What is done with the requests of one native route."""

    def __init__(self, judged, place, rule, replace, scope):
        self.judged = judged
        self.place = place
        self.rule = rule
        self.replace = replace
        self.scope = scope
        self.is_grpc = judged.resource.kind.name == "GRPCRoute"

    def native(self):
        """Return its native form."""
        filters = self.rule.filters
        redirect, cors = action.find(filters, "request_redirect"), action.find(filters, "cors")
        more = {**action.edits(filters, self.scope),
                **({"filters": {"cors": action.cors(cors, self.scope)}} if cors is not None else {})}
        if self._is_impossible():
            return {**self._refusal("a filter that is not known"), **more}
        if redirect is not None:
            return {"redirect": action.redirect(redirect, self._prefix(redirect), self.scope), **more}
        found = {**self._destinations(), **more}
        if "direct_response" in found or "redirect" in found:
            return found
        rewrite = action.find(filters, "url_rewrite")
        return {**found, **action.rewrite(rewrite, self._prefix(rewrite)), **self._limits(), "mirror": self._mirrors()}

    def _is_impossible(self):
        own = any(path.startswith("filters") for _, path in extensions(self.rule))
        return own or self.place in self.judged.invalid

    def _prefix(self, one):
        path = getattr(one, "path", None)
        return self.replace(path.replace_prefix_match) if path is not None and path.replace_prefix_match is not None \
            else None

    def _refusal(self, why):
        return {"direct_response": UNAVAILABLE if self.is_grpc else {"status": 500, "body": f"{why}\n"}}

    def _destinations(self):
        refs = [one for one in self.rule.backend_refs if one.weight]
        if not refs:
            return self._refusal("no backend")
        if len(refs) == 1 and not refs[0].filters:
            share = self._share(refs[0])
            return {"cluster": share["name"]} if "name" in share else share
        return {"weighted_clusters": [At(one.node, {**self._share(one), "weight": one.weight}) for one in refs]}

    def _share(self, ref):
        backend = self.judged.backend(ref)
        more = action.edits(ref.filters, self.scope)
        cors = action.find(ref.filters, "cors")
        if cors is not None:
            self.scope.context.unsupported(cors.node, "backendRefs.filters", "CORS is for whole rules, not backends")
        if any(one.extension_ref is not None for one in ref.filters):
            return {**self._refusal("a filter that is not known"), **more}
        redirect = action.find(ref.filters, "request_redirect")
        if redirect is not None:
            return {"redirect": action.redirect(redirect, self._prefix(redirect), self.scope), **more}
        if not backend.is_good:
            return {**self._refusal(backend.reason), **more}
        rewrite = action.find(ref.filters, "url_rewrite")
        return {"name": self.scope.cluster(backend, ref.node), **more,
                **action.rewrite(rewrite, self._prefix(rewrite))}

    def _mirrors(self):
        """Return the native mirrors, or None: those of the rule, and those of its backend where that is the only one.

        A mirror that is nowhere gets nothing, and the request is served (the API's rule).
        """
        refs = [one for one in self.rule.backend_refs if one.weight]
        filters = list(self.rule.filters)
        for ref in refs:
            own = [one for one in ref.filters if one.request_mirror is not None]
            if len(refs) == 1:
                filters += own
            elif own:
                self.scope.context.unsupported(
                    own[0].node, "backendRefs.filters", "mirrors are for whole rules, not for one of several backends")
        asked = [one.request_mirror for one in filters if one.request_mirror is not None]
        made = [{"cluster": self.scope.cluster(self.judged.backend(one.backend_ref), one.node),
                 "percent": action.percent(one)}
                for one in asked if self.judged.backend(one.backend_ref).is_good and action.percent(one)]
        return made or None

    def _is_hashed(self):
        node, found = self.scope.node, [self.judged.backend(one) for one in self.rule.backend_refs]
        return any(self.scope.mesh.is_hashed(one.host, one.port, "", node.namespace, node.labels)
                   for one in found if one.is_good)

    def _limits(self):
        """Return timeouts and retries; without them there is no time-out, and the mesh's retries."""
        timeouts = getattr(self.rule, "timeouts", None)
        retry = getattr(self.rule, "retry", None)
        whole_s = timeouts.request_s if timeouts is not None else None
        each_s = timeouts.backend_request_s if timeouts is not None else None
        if not whole_s and each_s and retry is None:
            whole_s = each_s
        place = timeouts.node if timeouts is not None else None
        timeout = At(place, seconds(min(whole_s or 0.0, LONGEST_S)))
        return {
            "timeout": timeout, "max_grpc_timeout": timeout,
            "per_try_timeout": At(place, seconds(min(each_s, LONGEST_S))) if each_s else None,
            "retry": _retry(retry) if retry is not None else native_retry(
                NoRule, self.scope, self._is_hashed()),
        }


def _retry(retry):
    base_s = min(max(retry.backoff_s, BASE_S[0]), BASE_S[1]) if retry.backoff_s else None
    return At(retry.node, {"retry": {
        "retry_on": [*CONNECTION_FAULTS, *(["retriable-status-codes"] if retry.codes else [])],
        "status_codes": list(retry.codes) or None, "attempts": retry.attempts or 1, "methods": ["*"],
        "base": base_s and seconds(base_s), "cap": base_s and seconds(min(base_s * 10, 600.0)),
    }})
