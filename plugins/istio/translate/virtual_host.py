"""Virtual hosts: the rules of all VirtualServices of a host put together, and the host's own default route.

Several VirtualServices on one host are merged the same way at gateways and in sidecars: in their order
(``mesh.order``), what takes every request last, and of these the first wins.
"""

from meshd_plugins.istio.emit import At, default
from meshd_plugins.istio.translate.listener import TAGS
from meshd_plugins.istio.translate.rate_limit import Tags
from meshd_plugins.istio.translate.retry import native_retry
from meshd_plugins.istio.translate.route import native_routes
from meshd_plugins.istio.translate.trace import traced


class NoRule:
    """Stands for the rule of a host that has no VirtualService: no time-out, the mesh's retries."""

    retries = None


def routes_of(resources, scope):
    """Return the native routes of these VirtualServices together."""
    if any(rule.delegate is not None for one in resources for rule in one.spec.http):
        return _routes_of(resources, scope)  # they depend on others, too
    return traced("routes", tuple(resources), (), scope, lambda: _routes_of(resources, scope))


def _routes_of(resources, scope):
    pairs = [pair for one in resources for pair in native_routes(one, scope)]
    ends = [route for route, is_catch_all in pairs if is_catch_all]
    return [route for route, is_catch_all in pairs if not is_catch_all] + ends[:1]


def default_route(service, port, scope):
    """Return the route to a service that no VirtualService speaks of."""
    return traced("default route", (service,), (port.number,), scope, lambda: [_default_route(service, port, scope)])[0]


def _default_route(service, port, scope):
    return At(service.node, {
        "name": "default", "match": {"prefix": "/"}, "timeout": default("0s"), "retry": native_retry(NoRule, scope),
        "cluster": scope.clusters.use(service.host, port.number, "", service.node),
        TAGS: Tags(gateway=scope.gateway, hosts=frozenset((service.host,))),
    })


def domains(host, port=0, aliases=()):
    """Return the domains of a virtual host: each name as it is, which takes any port, and with its port.

    With ``port`` 0 only the names.
    """
    names = [host, *aliases]
    return names + [f"{one}:{port}" for one in names if port and one != "*"]
