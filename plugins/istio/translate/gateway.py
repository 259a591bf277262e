"""Listeners of the Gateways that select this node, with the rules of the VirtualServices bound to them.

Servers of several Gateways on one port share a listener. A VirtualService is bound where it names the Gateway, and for
the hosts that a server and it have in common.
"""

from collections import defaultdict

from meshd_plugins.istio.emit import At, field
from meshd_plugins.istio.translate.gateway_chain import TLS, family, gateway_chains
from meshd_plugins.istio.translate.gateway_host import Bound, hosts_of
from meshd_plugins.istio.translate.gateway_label import gateway_labels
from meshd_plugins.istio.translate.listener import address, http_listener, is_grpc_web, is_http, listener_name
from meshd_plugins.istio.translate.tcp import INSPECTOR

ANY = "0.0.0.0"
CLASH = "another protocol has this port already: this server is not bound"


def gateway_listeners(mesh, context, clusters):
    """Return the native listeners of this node's Gateways."""
    labels = gateway_labels(context.node).items()
    ports = defaultdict(list)
    for gateway in mesh.gateways:
        if not dict(gateway.spec.selector).items() <= labels:
            continue
        for place, server in enumerate(gateway.spec.servers):
            bounds = ports[server.bind or ANY, server.port.number]
            if bounds and family(bounds[0].server.port) != family(server.port):
                context.unsupported(field(server.port, "protocol"), f"spec.servers[{place}].port.protocol", CLASH)
            else:
                bounds.append(Bound(gateway, server, place))
    made = [_listener(bind, port, bounds, mesh, context, clusters) for (bind, port), bounds in sorted(ports.items())]
    return [one for one in made if one is not None]


def _listener(bind, port, bounds, mesh, context, clusters):
    server = bounds[0].server
    where, name = At(field(server.port, "number"), address(bind, port, context.node)), listener_name(bind, port)
    if is_http(server.port):
        hosts = hosts_of(bounds, port, mesh, context, clusters)
        is_web = any(is_grpc_web(bound.server.port) for bound in bounds)
        return http_listener(server.node, name, where, hosts, clusters, is_edge=True, is_web=is_web)
    chains = gateway_chains(bounds, port, mesh, context, clusters)
    if not chains:
        return None
    inspector = INSPECTOR if family(server.port) == TLS else None
    return At(server.node, {"name": name, "address": where, "listener_filters": inspector, "filter_chains": chains})
