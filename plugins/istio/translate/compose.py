"""Native sections for this node: as a gateway of every Gateway that selects it, as a sidecar for its workload."""

from meshd_plugins.istio.emit import tree
from meshd_plugins.istio.gateway_api.mesh_routes import mesh_routes
from meshd_plugins.istio.gateway_api.plan import Plan
from meshd_plugins.istio.gateway_api.report import report
from meshd_plugins.istio.gateway_api.translate import translate
from meshd_plugins.istio.translate.cluster import Clusters
from meshd_plugins.istio.translate.gateway import gateway_listeners
from meshd_plugins.istio.translate.safety import check_safety
from meshd_plugins.istio.translate.sidecar import sidecar_listeners


def compose(mesh, context, root):
    """Return one mapping with the native ``listeners`` and ``clusters``; ``root`` is where it stands for faults."""
    check_safety(mesh, context)
    clusters = Clusters(mesh, context)
    plan = Plan(mesh, context.node)
    report(plan, context)
    listeners = [*gateway_listeners(mesh, context, clusters), *translate(plan, mesh, context, clusters),
                 *sidecar_listeners(mesh, context, clusters, mesh_routes(plan, mesh, context, clusters))]
    return tree(root, {
        "listeners": listeners or None, "clusters": list(clusters.sections.values()) or None,
    })
