"""Rules of connections: ``tcp`` and ``tls`` of VirtualServices to chains of ``tcp_proxy``."""

from meshd_plugins.istio.emit import At, default, field, seconds
from meshd_plugins.istio.mesh.policy import overlay, policy
from meshd_plugins.istio.translate.route import target_of

NOT_LOOKED_AT = "Istio does not look at it at a gateway"


def proxy(host, port, subset, clusters, place):
    """Return the filters of connections that all go to one cluster."""
    return _proxy({"cluster": clusters.use(host, port, subset, place)}, (host, port, subset), clusters, place)


def proxy_shares(resource, shares, scope, place):
    """Return the filters of a rule with these ``route`` entries: one takes all, of several those of weight 0 nothing.

    What the first destination's DestinationRule says of idle connections and tunnels holds for all (Istio's way).
    """
    targets = [(target_of(resource, one.destination, scope), one) for one in shares]
    first, alone = targets[0]
    if len(targets) == 1:
        return proxy(*first, scope.clusters, alone.destination.node)
    rows = [At(one.node, {"cluster": scope.clusters.use(*target, one.destination.node), "weight": one.weight})
            for target, one in targets if one.weight]
    return _proxy({"weighted_clusters": rows}, first, scope.clusters, place)


def proxy_to(name, target, clusters, place):
    """Return the filters of connections to the cluster ``name``; ``target`` is the host, port and subset of it."""
    return _proxy({"cluster": name}, target, clusters, place)


def _proxy(where, target, clusters, place):
    in_force = _policy(*target, clusters)
    tcp = getattr(getattr(in_force, "connection_pool", None), "tcp", None)
    idle_s = getattr(tcp, "idle_timeout_s", None)
    return [{"tcp_proxy": At(place, {
        **where, "idle_timeout": None if idle_s is None else At(field(tcp, "idleTimeout"), seconds(idle_s)),
        "tunneling_config": _tunnel(getattr(in_force, "tunnel", None))})}]


def _policy(host, port, subset, clusters):
    me = clusters.context.node
    service = clusters.mesh.find(host, me.namespace)
    if service is None:
        return None
    rules = clusters.mesh.destination_rule(host, service.namespace, me.namespace, me.labels)
    return overlay(clusters.baseline(), policy(rules, subset, port)[0])


def _tunnel(block):
    if block is None:
        return None
    host = f"[{block.target_host}]" if ":" in block.target_host else block.target_host
    by_post = At(field(block, "protocol"), True) if block.protocol == "POST" else None
    return At(block.node, {"hostname": f"{host}:{block.target_port}", "use_post": by_post})


def tcp_filters(resource, scope):
    """Return the filters of the first ``tcp`` rule of a VirtualService that is for this proxy and port, or None."""
    for rule, block in _blocks(resource, "tcp", scope):
        return proxy_shares(resource, rule.route, scope, (block or rule).node)
    return None


def tcp_chains(resource, scope):
    """Yield (networks of the destination, networks of the client, filters) of the ``tcp`` rules, up to a catch-all."""
    for rule, block in _blocks(resource, "tcp", scope):
        subnets = list(getattr(block, "destination_subnets", ()))
        source = getattr(block, "source_subnet", "")
        yield subnets, [source] if source else [], proxy_shares(resource, rule.route, scope, (block or rule).node)
        if not subnets and not source:
            return


def tls_chains(resource, scope):
    """Yield (server names, networks of the destination, filters, place) of the ``tls`` rules for this proxy."""
    for rule, block in _blocks(resource, "tls", scope):
        filters = proxy_shares(resource, rule.route, scope, block.node)
        yield list(block.sni_hosts), list(block.destination_subnets), filters, block.node


def _blocks(resource, section, scope):
    for rule in getattr(resource.spec, section):
        for block in rule.match or (None,):
            if scope.takes(block, resource.namespace):
                yield rule, block


def warn_of_networks(resource, context):
    """Say of ``tcp`` and ``tls`` rules at a gateway what Istio does not look at there."""
    for section in ("tcp", "tls"):
        for number, rule in enumerate(getattr(resource.spec, section)):
            for place, block in enumerate(rule.match):
                for key, value in (("destinationSubnets", block.destination_subnets),
                                   ("sourceSubnet", getattr(block, "source_subnet", ""))):
                    if value:
                        context.unsupported(field(block, key), f"spec.{section}[{number}].match[{place}].{key}",
                                            NOT_LOOKED_AT)


def tcp_chain(place, name, match, filters, **more):
    """Return a native filter chain of bytes. Names of the client's and the mesh's are as Istio has them."""
    return At(place, {"name": name, "match": match or None, "network_filters": filters, **more})


def names_of(hosts):
    """Return the server names of hosts, none where one of them is ``*``."""
    found = [one.rpartition("/")[2].lower() for one in hosts]
    return [] if "*" in found else list(dict.fromkeys(found))


INSPECTOR = default(["tls_inspector"])
