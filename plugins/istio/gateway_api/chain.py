"""Listeners of HTTPS, TLS and TCP to native filter chains: each has its own, chosen by its hostname (SNI).

The Secret of a ``certificateRef`` is the folder of that name under the native ``secrets.directory``.
"""

from meshd_plugins.istio.emit import At, field, tree
from meshd_plugins.istio.gateway_api.binding import ANY
from meshd_plugins.istio.gateway_api.frontend import client_fields
from meshd_plugins.istio.translate.captured import BLACK_HOLE
from meshd_plugins.istio.translate.gateway_chain import chain_name
from meshd_plugins.istio.translate.tcp import tcp_chain

TERMINATE = "Terminate"


def byte_chains(listener, is_owned, routes, clusters):
    """Return the chains of a TLS or TCP listener. Of several routes for one hostname the first takes all.

    ``is_owned(hostname)`` says whether no other listener takes it, ``routes`` has the judged ones by ``id``.
    """
    found = {}
    for binding, hosts in listener.routes:
        judged = routes[id(binding.route)]
        free = [one for one in hosts if one not in found and (listener.spec.protocol == "TCP" or is_owned(one))]
        if free:
            found.update(dict.fromkeys(free))
            names = [] if ANY in free or listener.spec.protocol == "TCP" else free
            chain = tcp_chain(judged.resource.node, chain_name(base_name(listener), names[0] if names else ""),
                              {"server_names": names} if names else None, _filters(judged, clusters))
            found[free[0]] = At(chain.node, {**chain.value, "tls": listener_tls(listener)})
    return [one for one in found.values() if one is not None]


def request_chain(listener, made):
    """Return the chain of an HTTPS listener; ``made`` is the native listener of its virtual hosts."""
    host = (listener.spec.hostname or ANY).lower()
    fields = {key: value for key, value in made.value.items() if key != "address"}
    return At(listener.spec.node, {
        **fields, "name": chain_name(base_name(listener), "" if host == ANY else host),
        "match": None if host == ANY else {"server_names": [host]}, "tls": listener_tls(listener)})


def base_name(listener):
    """Return the beginning of the names of a listener's chains."""
    owner = listener.owner
    return f"{owner.kind.name}.{owner.namespace}.{owner.name}.{listener.spec.name}"


def listener_tls(listener):
    """Return the native ``tls`` of a listener that ends it, or None."""
    tls = listener.spec.tls
    if tls is None or tls.mode != TERMINATE:
        return None
    shown = [At(field(ref, "name"), {"secret": ref.name}) for ref in tls.certificate_refs]
    return At(tls.node, {"certificates": shown, **client_fields(listener.clients)})


def _filters(judged, clusters):
    """The first rule takes every connection, as rules have no conditions. The share of what is not there is closed."""
    rule = judged.resource.spec.rules[0]
    rows = [(_cluster(judged.backend(ref), ref, clusters), ref.weight) for ref in rule.backend_refs if ref.weight]
    rows = rows or [(_black_hole(rule.node, clusters), 1)]
    if len(rows) == 1:
        return [{"tcp_proxy": At(rule.node, {"cluster": rows[0][0]})}]
    return [{"tcp_proxy": At(rule.node, {
        "weighted_clusters": [{"cluster": name, "weight": weight} for name, weight in rows]})}]


def _cluster(backend, ref, clusters):
    if not backend.is_good:
        return _black_hole(ref.node, clusters)
    return clusters.use(backend.host, backend.port, "", ref.node)


def _black_hole(place, clusters):
    clusters.sections.setdefault(BLACK_HOLE, tree(place, {"name": BLACK_HOLE, "endpoints": []}))
    return BLACK_HOLE
