"""What several analyzers walk over: destinations of routes, gateways by name, workloads that are known."""

from collections import defaultdict

import attrs

from meshd_plugins.istio.mesh.index import MESH
from meshd_plugins.istio.translate.gateway_label import gateway_labels

GATEWAY_API = "gateway.networking.k8s.io"


@attrs.frozen(eq=False)
class Target:
    """A destination of a rule; ``what`` is ``mirror `` for a copy, else ''. ``path`` is that of the destination."""

    destination: object
    path: str
    what: str = ""
    rule: object = None


def targets(resource):
    """Yield every Target of a VirtualService."""
    for section in ("http", "tls", "tcp"):
        for number, rule in enumerate(getattr(resource.spec, section)):
            path = f"spec.{section}[{number}]"
            for place, share in enumerate(rule.route):
                yield Target(share.destination, f"{path}.route[{place}].destination", "", rule)
            if section == "http":
                yield from _mirrors(rule, path)


def _mirrors(rule, path):
    if rule.mirror is not None:
        yield Target(rule.mirror, f"{path}.mirror", "mirror ", rule)
    for place, one in enumerate(rule.mirrors):
        yield Target(one.destination, f"{path}.mirrors[{place}].destination", "mirror ", rule)


def gateway_key(name, namespace):
    """Return (namespace, name) of a gateway that a rule in ``namespace`` names: ``a``, ``ns/a``, ``a.ns.svc...``."""
    if "/" in name:
        owner, _, own = name.partition("/")
        return owner, own
    own, _, rest = name.partition(".")
    return (rest.partition(".")[0], own) if rest else (namespace, name)


def gateways_by_name(mesh):
    """Return (namespace, name) -> Gateway resource."""
    return {(one.namespace, one.name): one for one in mesh.gateways}


def is_of_mesh(service):
    """Say whether a VirtualService is for sidecars."""
    return not service.spec.gateways or MESH in service.spec.gateways


def parts(host):
    """Return (namespace or '*', host) of a host as servers and egress listeners write it."""
    namespace, slash, name = host.rpartition("/")
    return (namespace or "*") if slash else "*", name


def scopes(export_to, namespace):
    """Return the namespaces that see something; ``*`` alone for all."""
    found = {namespace if one == "." else one for one in export_to} or {"*"}
    return {"*"} if "*" in found else found


@attrs.frozen(eq=False)
class Workload:
    """A proxy or endpoint whose labels are known."""

    name: str
    namespace: str
    labels: dict


class Workloads:
    """The workloads that are known: this proxy, WorkloadEntries and groups, labelled endpoints of ServiceEntries."""

    def __init__(self, mesh, node):
        self._by_label = defaultdict(list)
        for one in _workloads(mesh, node):
            for label in one.labels.items():
                self._by_label[label].append(one)

    def select(self, labels, namespace=None):
        """Return the workloads that have all these labels (at least one), of one namespace or of all."""
        wanted = dict(labels).items()
        rarest = min((self._by_label.get(label, ()) for label in wanted), key=len, default=())
        return [one for one in rarest if namespace in (None, one.namespace) and wanted <= one.labels.items()]


def _workloads(mesh, node):
    yield Workload(node.id, node.namespace, gateway_labels(node))
    for one in mesh.of("WorkloadEntry"):
        yield Workload(one.title, one.namespace, dict(one.spec.labels) or one.labels)
    for one in mesh.of("WorkloadGroup"):
        labels = dict(one.spec.template.labels) or dict(getattr(one.spec.metadata, "labels", ()))
        yield Workload(one.title, one.namespace, labels)
    for entry in mesh.of("ServiceEntry"):
        for place, one in enumerate(entry.spec.endpoints):
            yield Workload(f"{entry.title} endpoints[{place}]", entry.namespace, dict(one.labels))


def words(labels):
    """Return labels as ``app=web,version=v1``."""
    return ",".join(f"{key}={value}" for key, value in dict(labels).items())
