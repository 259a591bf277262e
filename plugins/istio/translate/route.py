"""One HTTP rule of a VirtualService to native routes: one for each of its match blocks, in order.

``Scope`` says for whom: through a gateway or in a sidecar, on which port.
"""

import base64
import binascii

import attrs

from meshd_plugins.istio.emit import At, default, field, seconds
from meshd_plugins.istio.mesh.delegate import rules_of
from meshd_plugins.istio.mesh.name import qualified
from meshd_plugins.istio.translate.edit import native_edits, set_host
from meshd_plugins.istio.translate.fault import native_fault
from meshd_plugins.istio.translate.gateway_label import gateway_labels
from meshd_plugins.istio.translate.listener import TAGS
from meshd_plugins.istio.translate.match import is_catch_all, native_match
from meshd_plugins.istio.translate.mirror import native_mirrors
from meshd_plugins.istio.translate.rate_limit import Tags
from meshd_plugins.istio.translate.retry import native_cors, native_retry, per_try_timeout

REDIRECT_CODE = 301
DEFAULT_PORTS = {"http": 80, "https": 443}


@attrs.frozen(eq=False)
class Scope:
    """``gateway`` is ``namespace/name`` or ``mesh``; ``port`` the service's or server's port, 0 for all ports."""

    gateway: str
    port: int
    mesh: object
    clusters: object
    node: object

    def takes(self, block, namespace):
        """Say whether a match block of a rule in ``namespace`` is for proxies like this one.

        A block that names gateways is for these, whatever else it says of the source.
        """
        if block is None:
            return True
        if block.port and self.port and block.port != self.port:
            return False
        if block.gateways:
            return self.gateway in qualified(block.gateways, namespace)
        if not dict(block.source_labels).items() <= gateway_labels(self.node).items():
            return False
        return not block.source_namespace or block.source_namespace == self.node.namespace


def native_routes(resource, scope):
    """Return [(native route, whether it takes every request)] of a VirtualService, up to its first catch-all."""
    found = []
    for rule, owner in rules_of(resource, scope.mesh):
        for block in rule.match or (None,):
            if not scope.takes(block, resource.namespace):
                continue
            is_last = is_catch_all(block)
            found.append((_route(owner, rule, block, scope), is_last))
            if is_last:
                return found
    return found


def _route(resource, rule, block, scope):
    name = ".".join(one for one in (rule.name, block.name if block is not None else "") if one)
    alone = rule.route[0].headers if len(rule.route) == 1 else None
    hosts = frozenset(scope.mesh.resolve(one.destination.host, resource.namespace) for one in rule.route)
    place = block.node if block is not None else rule.node
    return At(place, {
        "name": name or None, "match": native_match(block), **_action(resource, rule, scope),
        "request_headers": native_edits((rule.headers, alone), "request", scope),
        "response_headers": native_edits((rule.headers, alone), "response", scope),
        TAGS: Tags(resource, rule.name, scope.gateway, hosts),
        "filters": {**(native_cors(rule.cors_policy) or {}), **(native_fault(rule.fault) or {})} or None,
    })


def _action(resource, rule, scope):
    if rule.redirect is not None:
        return {"redirect": _redirect(rule.redirect, scope)}
    if rule.direct_response is not None:
        return {"direct_response": _direct_response(rule.direct_response, scope)}
    timeout = default("0s") if rule.timeout_s is None else At(field(rule, "timeout"), seconds(rule.timeout_s))
    return {
        **_destinations(resource, rule.route, scope), **_rewrite(rule),
        "timeout": timeout, "max_grpc_timeout": timeout,
        "retry": native_retry(rule, scope, _is_hashed(resource, rule, scope)),
        "per_try_timeout": per_try_timeout(rule, scope),
        "mirror": native_mirrors(rule, lambda destination: _cluster(resource, destination, scope)),
    }


def _redirect(redirect, scope):
    """The port that the scheme has anyway is not written, and the port that the client asked for stays then."""
    port = scope.port or None if redirect.derive_port == "FROM_REQUEST_PORT" else redirect.port
    if port == DEFAULT_PORTS.get(redirect.scheme or "http"):
        port = None
    path = redirect.uri if redirect.uri and not redirect.prefix_rewrite else None
    return At(redirect.node, {
        "path": path, "prefix_rewrite": redirect.prefix_rewrite or None, "host": redirect.authority or None,
        "port": port, "scheme": redirect.scheme or None, "response_code": redirect.redirect_code or REDIRECT_CODE,
    })


def _direct_response(answer, scope):
    body = answer.body
    text = "" if body is None else body.string if body.string is not None else _decoded(body, scope)
    return At(answer.node, {"status": answer.status, "body": text.replace("%", "%%")})


def _decoded(body, scope):
    try:
        return base64.b64decode(body.bytes_ or "", validate=True).decode()
    except UnicodeDecodeError:
        scope.clusters.context.unsupported(field(body, "bytes"), "directResponse.body.bytes", "it is no text in UTF-8")
    except binascii.Error:
        pass  # the schema has said so
    return ""


def _destinations(resource, shares, scope):
    """One destination takes everything, whatever its weight; of several, those of weight 0 get nothing."""
    if len(shares) == 1:
        return {"cluster": At(shares[0].destination.node, _cluster(resource, shares[0].destination, scope))}
    return {"weighted_clusters": [At(one.node, {
        "name": _cluster(resource, one.destination, scope), "weight": one.weight,
        "request_headers": native_edits((one.headers,), "request", scope, set_host(one.headers)),
        "response_headers": native_edits((one.headers,), "response", scope),
    }) for one in shares if one.weight]}


def _cluster(resource, destination, scope):
    return scope.clusters.use(*target_of(resource, destination, scope), destination.node)


def _is_hashed(resource, rule, scope):
    node = scope.node
    return any(scope.mesh.is_hashed(*target_of(resource, one.destination, scope), node.namespace, node.labels)
               for one in rule.route)


def target_of(resource, destination, scope):
    """Return (host, port, subset) that a destination means."""
    host = scope.mesh.resolve(destination.host, resource.namespace)
    service = scope.mesh.find(host, scope.node.namespace)
    port = destination.port.number if destination.port is not None else None
    if port is None and service is not None and len(service.ports) == 1:
        port = service.ports[0].number
    return host, port or scope.port, destination.subset


def _rewrite(rule):
    rewrite = rule.rewrite
    alone = rule.route[0].headers if len(rule.route) == 1 else None
    host = getattr(rewrite, "authority", "") or set_host(rule.headers) or set_host(alone)
    found = {"host_rewrite": host} if host else {}
    if rewrite is None:
        return found
    pattern = rewrite.uri_regex_rewrite
    if pattern is not None:
        found["regex_rewrite"] = At(pattern.node, {"pattern": pattern.match, "substitution": pattern.rewrite})
    elif rewrite.uri:
        found["prefix_rewrite"] = At(field(rewrite, "uri"), rewrite.uri)
    return found
