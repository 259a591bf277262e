"""AUTO_PASSTHROUGH at a gateway: the server name of a client of the mesh *is* the destination (Istio's SNI-DNAT).

As in Istio there is a chain for each cluster, of which every hop knows the name, and for TLS of the mesh alone by what
the client offers (ALPN). No other name is let through, and nothing is decrypted.
"""

from meshd.api import MESH_ALPN
from meshd_plugins.istio.emit import default
from meshd_plugins.istio.mesh.index import EVERYWHERE, HERE
from meshd_plugins.istio.mesh.name import covers
from meshd_plugins.istio.mesh.service import EXTERNAL
from meshd_plugins.istio.translate.tcp import proxy_to, tcp_chain

UDP = "udp"
MATCH = {"application_protocols": default(list(MESH_ALPN))}


def sni_chains(bound, name, mesh, clusters):
    """Yield (chain, its one server name) for each port and subset of the services that a server's hosts name."""
    me = clusters.context.node
    for service in mesh.services:
        if service.location == EXTERNAL or "*" in service.host or (
                mesh.find(service.host, me.namespace) is not service):
            continue
        if not any(_names(host, service, bound.gateway.namespace) for host in bound.server.hosts):
            continue
        rules = mesh.destination_rule(service.host, service.namespace, me.namespace, me.labels)
        subsets = dict.fromkeys(["", *(one.name for rule in rules for one in rule.spec.subsets)])
        for number in (port.number for port in service.ports if port.protocol != UDP):
            for subset in subsets:
                target, place = (service.host, number, subset), bound.server.node
                cluster = clusters.use_sni(*target, place)
                yield tcp_chain(place, name, MATCH, proxy_to(cluster, target, clusters, place)), [cluster]


def _names(host, service, own):
    """Say whether a server's ``[namespace/]host`` names a service; ``own`` is the Gateway's namespace."""
    namespace, _, name = host.rpartition("/")
    namespace = own if namespace == HERE else namespace or EVERYWHERE
    return namespace in (EVERYWHERE, service.namespace) and covers(name.lower(), service.host)
