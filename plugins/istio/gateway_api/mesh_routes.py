"""Routes whose parent is a Service (GAMMA): what a sidecar does with requests for it."""

from collections import defaultdict

from meshd_plugins.istio.gateway_api.backend import L7
from meshd_plugins.istio.gateway_api.scope import Scope
from meshd_plugins.istio.gateway_api.translate import sorted_routes, through
from meshd_plugins.istio.mesh.index import MESH


def mesh_routes(plan, mesh, context, clusters):
    """Return a dict of (host of a Service, port) -> native routes, for the sidecar of ``context.node``.

    Routes of the Service's own namespace hold for every client; those of another one for clients of that one, and they
    stand in place of the others there. HTTP and gRPC routes are not merged: those of the first route's kind hold.
    """
    if context.node.role != "sidecar":
        return {}
    found = defaultdict(list)
    for host, pairs in plan.by_service.items():
        for judged, binding in pairs:
            if judged.resource.kind.name not in L7:
                continue
            for port in binding.ports:
                found[host, port].append((judged, binding))
    scope = Scope(0, False, mesh, clusters, context.node)
    made = {}
    kept = {key: _for_client(pairs, context.node.namespace) for key, pairs in found.items()}
    return {key: [through(MESH, route) for route in sorted_routes(group, scope, made)]
            for key, group in kept.items() if group}


def _for_client(pairs, namespace):
    consumers = [judged for judged, binding in pairs if binding.service.namespace != judged.resource.namespace
                 and judged.resource.namespace == namespace]
    producers = [judged for judged, binding in pairs if binding.service.namespace == judged.resource.namespace]
    group = list(dict.fromkeys(consumers or producers))
    return [one for one in group if one.resource.kind.name == group[0].resource.kind.name]
