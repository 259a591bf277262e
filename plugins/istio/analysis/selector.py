"""Documents for workloads: selectors that pick none (IST0127, IST0101), and several that pick the same one.

Sidecars are IST0110 and IST0111, Telemetry documents IST0159 and IST0160. Not every proxy of a mesh stands in its
documents: where they describe no workload of a namespace (WorkloadEntry, WorkloadGroup), a selector that picks none is
only information.
"""

from collections import defaultdict

import attrs

from meshd.api import INFO
from meshd_plugins.istio.analysis.place import words
from meshd_plugins.istio.analysis.report import listed, name_of, there, value
from meshd_plugins.istio.mesh.order import reason

SECURITY = "security.istio.io"
GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"


@attrs.frozen
class Rule:
    """How a kind selects: the key of its selector, where its labels are, the code of a selector that picks none."""

    kind: str
    group: str
    key: str
    labels: str
    none: str
    several: str = ""
    unselected: str = ""


RULES = (
    Rule("Sidecar", "networking.istio.io", "workloadSelector", "labels", "IST0101", "IST0110", "IST0111"),
    Rule("Telemetry", "telemetry.istio.io", "selector", "match_labels", "IST0101", "IST0159", "IST0160"),
    Rule("AuthorizationPolicy", SECURITY, "selector", "match_labels", "IST0127"),
    Rule("RequestAuthentication", SECURITY, "selector", "match_labels", "IST0127"),
    Rule("PeerAuthentication", SECURITY, "selector", "match_labels", "IST0127"),
    Rule("WasmPlugin", "extensions.istio.io", "selector", "match_labels", "IST0127"),
    Rule("RateLimitPolicy", "meshd.io", "selector", "match_labels", "IST0127"),
    Rule("DestinationRule", "networking.istio.io", "workloadSelector", "match_labels", "IST0127"),
)


def analyze(report):
    """Look at the selectors of every kind that has one."""
    described = {one.namespace for kind in ("WorkloadEntry", "WorkloadGroup") for one in report.mesh.of(kind)}
    for rule in RULES:
        picked = defaultdict(list)
        whole = defaultdict(list)
        for resource in report.mesh.of(rule.kind, rule.group):
            labels = _labels(rule, resource)
            if labels:
                _select(report, rule, resource, labels, described, picked)
            elif not _has_target(resource):
                whole[resource.namespace].append(resource)
        if rule.several:
            _several(report, rule, picked, whole)


def _labels(rule, resource):
    selector = getattr(resource.spec, "workload_selector" if rule.key == "workloadSelector" else "selector")
    return dict(getattr(selector, rule.labels)) if selector is not None else {}


def _has_target(resource):
    return bool(getattr(resource.spec, "target_ref", None) or getattr(resource.spec, "target_refs", ()))


def _select(report, rule, resource, labels, described, picked):
    is_mesh_wide = resource.namespace == report.mesh.root_namespace and rule.kind != "Sidecar"
    chosen = report.workloads.select(labels, None if is_mesh_wide else resource.namespace)
    for one in chosen:
        picked[one.namespace, one.name].append(resource)
    path = f"spec.{rule.key}"
    if GATEWAY_NAME in labels and rule.kind != "Sidecar":
        report.add("IST0166", resource, value(resource.spec, rule.key), path,
                   f"a selector has no effect on {labels[GATEWAY_NAME]}, a gateway of the Gateway API",
                   hint="selects nothing", help="write targetRefs: [{kind: Gateway, group: "
                   f"gateway.networking.k8s.io, name: {labels[GATEWAY_NAME]}}}] in its place")
    elif not chosen:
        is_sure = resource.namespace in described
        what = "selector not found" if rule.none == "IST0101" else "no workload has these labels"
        message = f'referenced {what}: "{words(labels)}"' if rule.none == "IST0101" else f"{what}: {words(labels)}"
        report.add(rule.none, resource, value(resource.spec, rule.key), path, message,
                   severity=None if is_sure else INFO,
                   hint=f"no workload of namespace {resource.namespace}" + ("" if is_sure else " that is known here"),
                   notes=("the document has no effect on any workload that the documents describe",),
                   help="correct the labels, or give them to the proxy (node.labels) or WorkloadEntry")


def _several(report, rule, picked, whole):
    said = set()
    for (namespace, name), found in picked.items():
        for resource in found[1:]:
            if resource.key not in said:
                said.add(resource.key)
                report.add(rule.several, resource, value(resource.spec, rule.key), f"spec.{rule.key}",
                           f"it selects {name} in namespace {namespace}, and so does {listed([found[0].title])}",
                           hint="a second time", related=(there(found[0], f"{found[0].title} comes first"),),
                           notes=(f"only the first is in force there ({reason(found[0], resource)})",),
                           help="put both into one document, or make the selectors disjoint")
    for namespace, found in whole.items():
        for resource in found[1:]:
            report.add(rule.unselected, resource, name_of(resource), "metadata.name",
                       f"{found[0].title} has no selector either: both are for all of namespace {namespace}",
                       hint="a second time", related=(there(found[0], f"{found[0].title} comes first"),),
                       notes=(f"only the first is in force ({reason(found[0], resource)})",),
                       help="put both into one document, or give one a selector")
