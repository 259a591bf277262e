"""Native sections for this node: as a gateway of every Gateway that selects it, as a sidecar for its workload."""

from meshd_plugins.istio.emit import tree
from meshd_plugins.istio.gateway_api.kinds import GROUP
from meshd_plugins.istio.translate.cluster import Clusters
from meshd_plugins.istio.translate.gateway import gateway_listeners
from meshd_plugins.istio.translate.naming import dns_hosts
from meshd_plugins.istio.translate.probe import native_probe
from meshd_plugins.istio.translate.safety import check_safety
from meshd_plugins.istio.translate.sidecar import sidecar_listeners


def compose(mesh, context, root):
    """Return one mapping with the native sections for this node; ``root`` is where it stands for faults."""
    check_safety(mesh, context)
    clusters = Clusters(mesh, context)
    others, routes = _gateway_api(mesh, context, clusters)
    listeners = [*gateway_listeners(mesh, context, clusters), *others,
                 *sidecar_listeners(mesh, context, clusters, routes)]
    return tree(root, {
        "listeners": listeners or None, "clusters": list(clusters.sections.values()) or None,
        "dns_hosts": list(dns_hosts(mesh, context.node)) if context.node.dns_capture else None,
        "probe": native_probe(mesh, context),
    })


def _gateway_api(mesh, context, clusters):
    """Return (listeners, routes of Services) of Gateway API's documents; it is imported where there are any."""
    if not mesh.has_group(GROUP):
        return (), {}
    from meshd_plugins.istio.gateway_api.mesh_routes import mesh_routes
    from meshd_plugins.istio.gateway_api.plan import Plan
    from meshd_plugins.istio.gateway_api.report import report
    from meshd_plugins.istio.gateway_api.translate import translate

    plan = Plan(mesh, context.node)
    report(plan, context)
    clusters.backend_tls = plan.policies
    return translate(plan, mesh, context, clusters), mesh_routes(plan, mesh, context, clusters)
