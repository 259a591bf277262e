"""Gateways of this node to native listeners: one for each address and port, with the routes of all its listeners.

Every listener has its own hostname as a virtual host, so that a request finds the most specific listener and no routes
but its own (listener isolation). In the virtual host of a hostname stand first the routes that have just this one, then
those of wildcards that cover it: the more specific hostname wins where both match.
"""

from collections import defaultdict

import attrs

from meshd_plugins.istio.emit import At, field
from meshd_plugins.istio.gateway_api.binding import ANY
from meshd_plugins.istio.gateway_api.chain import byte_chains, request_chain
from meshd_plugins.istio.gateway_api.gateways import addresses
from meshd_plugins.istio.gateway_api.rule import LONGEST_NAME, native_rules
from meshd_plugins.istio.gateway_api.scope import Scope
from meshd_plugins.istio.mesh.name import covers, specificity
from meshd_plugins.istio.translate.listener import TAGS, address, http_listener
from meshd_plugins.istio.translate.tcp import INSPECTOR


def translate(plan, mesh, context, clusters):
    """Return the native listeners of this node's Gateways (``plan.Plan``), at the places of their documents."""
    ports = defaultdict(list)
    for one in plan.gateways.here():
        for bind in addresses(one.gateway):
            ports[bind, one.spec.port].append(one)
    routes = {id(one.resource): one for one in plan.routes}
    made = [_listener(bind, port, listeners, routes, mesh, context, clusters)
            for (bind, port), listeners in sorted(ports.items())]
    return [one for one in made if one is not None]


def _listener(bind, port, listeners, routes, mesh, context, clusters):
    node = context.node
    where = address(bind, port, node)
    scope = Scope(port, where != address(bind, port, _Unmapped), mesh, clusters, node)
    first = listeners[0].spec
    word = f"ip6{bind.replace(':', '_')}" if ":" in bind else bind
    name, at = f"{word}_{port}", At(field(first, "port"), where)
    if first.protocol == "HTTP":
        return _requests(first.node, name, at, listeners, listeners, routes, scope)
    chains = [chain for one in listeners for chain in _chains(one, listeners, routes, scope)]
    if not chains:
        return None
    return At(first.node, {"name": name, "address": at, "filter_chains": chains,
                           "listener_filters": None if first.protocol == "TCP" else INSPECTOR})


def _requests(place, name, at, own, listeners, routes, scope):
    """Return the native listener of requests for the hostnames of ``own``, some of a port's ``listeners``."""
    hosts = [host for one in own for host in _hosts(one, listeners, routes, scope)]
    hosts.sort(key=lambda host: (specificity(host["domains"][0]), host["domains"][0]))
    asks = own[0].spec.tls is not None and own[0].clients is not None
    return http_listener(place, name, at, hosts, scope.clusters, is_edge=True, asks=asks)


def _chains(one, listeners, routes, scope):
    """Return the native filter chains of a listener that is not of plain requests."""
    if one.spec.protocol == "HTTPS":
        return [request_chain(one, _requests(one.spec.node, "", "", [one], listeners, routes, scope))]
    return byte_chains(one, lambda host: _owner(host, listeners) is one, routes, scope.clusters)


class _Unmapped:
    """A node without a port map."""

    ports = ()


def _hosts(listener, listeners, routes, scope):
    """Yield the native virtual hosts of one listener."""
    own = (listener.spec.hostname or ANY).lower()
    by_host = defaultdict(list)
    for binding, hosts in listener.routes:
        for host in hosts:
            if _owner(host, listeners) is listener:
                by_host[host].append(routes[id(binding.route)])
    made = {}
    name = f"{listener.gateway.namespace}/{listener.gateway.name}"
    for host in {own: None, **by_host}:
        yield {"name": f"{host}:{listener.spec.port}"[-LONGEST_NAME:], "domains": [host],
               "routes": [through(name, route) for route in _routes(host, by_host, scope, made)]}


def through(name, route):
    """Return a copy of a native route (At) for one virtual host; it says through which Gateway (or mesh) it is reached.

    What makes listeners changes the routes that it gets.
    """
    return At(route.node, {**route.value, TAGS: attrs.evolve(route.value[TAGS], gateway=name)})


def _owner(host, listeners):
    """Return the listener that requests for ``host`` find: the one with the most specific hostname."""
    covering = [one for one in listeners if covers((one.spec.hostname or ANY).lower(), host)]
    return min(covering, key=lambda one: specificity((one.spec.hostname or ANY).lower()), default=None)


def _routes(host, by_host, scope, made):
    """Return the native routes of a virtual host; ``made`` keeps those of each route for other hosts."""
    found, seen = [], set()
    for name in wider(host):
        group = []
        for judged in by_host.get(name, ()):
            if id(judged) not in seen:
                seen.add(id(judged))
                group.append(judged)
        found += sorted_routes(group, scope, made)
        if any(_takes_all(route.value["match"]) for route in found):
            break  # nothing wider can be reached
    return found


def _takes_all(match):
    return match.get("prefix") == "/" and not any(match.get(key) for key in ("methods", "headers", "query"))


def sorted_routes(group, scope, made):
    """Return the native routes of some Judged routes together, in their order of precedence."""
    rows = []
    for judged in group:
        if id(judged) not in made:
            made[id(judged)] = list(native_rules(judged, scope))
        rows += made[id(judged)]
    rows.sort(key=lambda row: row[0])
    return [route for _, routes in rows for route in routes]


def wider(host):
    """Yield a hostname and the wildcards that cover it, the most specific first."""
    yield host
    rest = host.removeprefix("*.")
    if rest == ANY:
        return
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"
    yield ANY
