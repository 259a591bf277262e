"""Virtual hosts: the rules of all VirtualServices of a host put together, and the host's own default route.

Several VirtualServices on one host are merged the same way at gateways and in sidecars: in their order
(``mesh.order``), what takes every request last, and of these the first wins.
"""

from meshd_plugins.istio.emit import At, default
from meshd_plugins.istio.translate.listener import TAGS
from meshd_plugins.istio.translate.rate_limit import Tags
from meshd_plugins.istio.translate.retry import native_retry, per_try_timeout
from meshd_plugins.istio.translate.route import native_routes
from meshd_plugins.istio.translate.trace import traced


class NoRule:
    """Stands for the rule of a host that has no VirtualService: no time-out, the mesh's retries."""

    retries = None


def routes_of(pairs):
    """Return the native routes of these (VirtualService, Scope) together."""
    if not pairs or any(rule.delegate is not None for one, _ in pairs for rule in one.spec.http):
        return _routes_of(pairs)  # delegates are others' routes
    values = tuple((scope.gateway, scope.port) for _, scope in pairs)
    return traced("routes", tuple(one for one, _ in pairs), values, pairs[0][1], lambda: _routes_of(pairs))


def _routes_of(pairs):
    pairs = [pair for resource, scope in pairs for pair in native_routes(resource, scope)]
    ends = [route for route, is_catch_all in pairs if is_catch_all]
    return [route for route, is_catch_all in pairs if not is_catch_all] + ends[:1]


def default_route(service, port, scope):
    """Return the route to a service that no VirtualService speaks of."""
    return traced("default route", (service,), (port.number,), scope, lambda: [_default_route(service, port, scope)])[0]


def _default_route(service, port, scope):
    node = scope.node
    is_hashed = scope.mesh.is_hashed(service.host, port.number, "", node.namespace, node.labels)
    return At(service.node, {
        "name": "default", "match": {"prefix": "/"}, "timeout": default("0s"),
        "max_grpc_timeout": default("0s"), "retry": native_retry(NoRule, scope, is_hashed),
        "per_try_timeout": per_try_timeout(NoRule, scope),
        "cluster": scope.clusters.use(service.host, port.number, "", service.node),
        TAGS: Tags(gateway=scope.gateway, hosts=frozenset((service.host,))),
    })


def domains(host, port=0, aliases=()):
    """Return the domains of a virtual host: each name as it is, which takes any port, and with its port.

    With ``port`` 0 only the names.
    """
    names = [host, *aliases]
    return names + [f"{one}:{port}" for one in names if port and one != "*"]
