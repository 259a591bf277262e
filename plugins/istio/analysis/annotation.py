"""Annotations of Istio's and ours: unknown (IST0108), misplaced (IST0107), bad (IST0125), deprecated (IST0135)."""

from meshd.api import Mapping
from meshd_plugins.istio.analysis.report import SUPPRESS
from meshd_plugins.istio.mesh.order import PRIORITY

ANY = ()
POD = ("Pod",)
KINDS = {
    SUPPRESS: ANY,
    PRIORITY: ANY,
    "gateway.istio.io/controller-version": ANY,
    "networking.istio.io/exportTo": ("Service",),
    "networking.istio.io/traffic-distribution": ("Namespace", "Service", "ServiceEntry"),
    "networking.istio.io/service-type": ("Gateway",),
    "traffic.istio.io/nodeSelector": ("Service",),
    "alpha.istio.io/kubernetes-serviceaccounts": ("Service",),
    "alpha.istio.io/canonical-serviceaccounts": ("Service",),
    "istio.io/use-waypoint-canary-weight": ("Service", "ServiceEntry", "Namespace"),
    "istio.io/dry-run": ("AuthorizationPolicy",),
    "istio.io/autoRegistrationGroup": ("WorkloadEntry",),
    "istio.io/workloadController": ("WorkloadEntry",),
    "istio.io/connectedAt": ("WorkloadEntry",),
    "istio.io/disconnectedAt": ("WorkloadEntry",),
    "topology.istio.io/controlPlaneClusters": ("Namespace",),
    "gateway.istio.io/service-account": ("Gateway",),
    "gateway.istio.io/name-override": ("Gateway",),
    "ambient.istio.io/waypoint-inbound-binding": ("GatewayClass", "Gateway"),
    "kubernetes.io/ingress.class": ("Ingress",),
    "istio.io/rev": POD,
    "istio.io/reroute-virtual-interfaces": POD,
}
"""Annotation -> kinds that it is for (none: any); those of ``POD_GROUPS`` are for pods alone."""

POD_GROUPS = (
    "sidecar.istio.io", "status.sidecar.istio.io", "readiness.status.sidecar.istio.io", "traffic.sidecar.istio.io",
    "proxy.istio.io", "inject.istio.io", "prometheus.istio.io", "ambient.istio.io",
)
DEPRECATED = {
    "alpha.istio.io/kubernetes-serviceaccounts": "", "alpha.istio.io/canonical-serviceaccounts": "",
    "sidecar.istio.io/inject": "write the label sidecar.istio.io/inject",
}


def analyze(report):
    """Look at the annotations of every document."""
    for resource in report.mesh.resources:
        for name, text in resource.metadata.annotations:
            if _is_ours(name):
                _annotation(report, resource, name, text)


def _is_ours(name):
    group = name.partition("/")[0]
    return name == "kubernetes.io/ingress.class" or group.endswith("istio.io") or group.endswith("meshd.io")


def _annotation(report, resource, name, text):
    path = f"metadata.annotations.{name}"
    node = _place(resource, name)
    kinds = KINDS.get(name, POD if name.partition("/")[0] in POD_GROUPS else None)
    if kinds is None:
        report.add("IST0108", resource, node, path, f"unknown annotation {name}",
                   hint=report.guess(name, list(KINDS)) or "no effect")
        return
    if name in DEPRECATED:
        report.add("IST0135", resource, node, path, f"annotation {name} is deprecated", hint=DEPRECATED[name])
    if kinds and resource.kind.name not in kinds:
        report.add("IST0107", resource, node, path, f"annotation {name} is for {' or '.join(kinds)} only",
                   hint=f"no effect on a {resource.kind.name}")
    elif name == PRIORITY and not _is_whole(text):
        report.add("IST0125", resource, node, path, f"annotation {name}: expected a whole number, got {text!r}",
                   hint="counts as 0")


def _is_whole(text):
    try:
        int(text)
    except ValueError:
        return False
    return True


def _place(resource, name):
    metadata = resource.node.get("metadata")
    found = metadata.get("annotations")
    return found.entries[name][0] if type(found) is Mapping and name in found.entries else metadata
