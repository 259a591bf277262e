"""Documents that a proxy must obey to be safe, and that cannot be obeyed yet: where they select this node, it refuses.

Without a native file nobody has said which node this is; then it is a warning.
"""

from meshd.api import ERROR, WARNING
from meshd_plugins.istio.emit import field
from meshd_plugins.istio.translate.gateway_label import gateway_labels

SECURITY = "security.istio.io"
CODE = "MSH0313"
DRY_RUN = "istio.io/dry-run"
TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
HELP = "take the document away from this node (namespace, selector), or wait for a version that enforces it"


def check_safety(mesh, context):
    """Add a fault for each security document that selects this node and would not be enforced."""
    for kind, reason in (("PeerAuthentication", _peer), ("RequestAuthentication", _request),
                         ("AuthorizationPolicy", _authorization)):
        for resource in mesh.of(kind, SECURITY):
            place, why = reason(resource.spec, context.node)
            if why and resource.annotations.get(DRY_RUN) not in TRUE and selects(resource, mesh, context.node):
                _add(resource, place, why, context)
    for resource in mesh.of("Telemetry", "telemetry.istio.io"):
        if selects(resource, mesh, context.node):
            context.unsupported(resource.spec.node, "spec", f"{resource.title}: telemetry is that of the native file")


def _add(resource, place, why, context):
    severity = ERROR if context.is_node_known else WARNING
    context.fault(CODE, place or resource.node, "spec", f"{resource.title} cannot be enforced yet: {why}", severity,
                  help=HELP)


def selects(resource, mesh, node):
    """Say whether a policy is for this node: by namespace and labels.

    What it names as its target is taken for ours: better refused than run without its policy.
    """
    if resource.namespace not in (node.namespace, mesh.root_namespace):
        return False
    spec = resource.spec
    selector = spec.selector
    return selector is None or dict(selector.match_labels).items() <= gateway_labels(node).items()


def _peer(spec, node):
    """Mutual TLS is for what comes in at a workload; a gateway's servers say theirs themselves."""
    if node.role != "sidecar":
        return None, ""
    modes = [spec.mtls, *(one for _, one in spec.port_level_mtls or ())]
    strict = next((one for one in modes if one is not None and one.mode == "STRICT"), None)
    return (field(strict, "mode"), "plain text would be let in") if strict is not None else (None, "")


def _request(spec, node):
    return (spec.node, "bad tokens would be let in") if spec.jwt_rules else (None, "")


def _authorization(spec, node):
    if spec.action == "AUDIT":
        return None, ""
    return field(spec, "action"), "what it denies would be let in"
