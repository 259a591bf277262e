"""What the documents say, looked up as the plan asks: classes, Gateways, routes, grants, labels of namespaces, secrets.

``mesh`` is ``meshd_plugins.istio.mesh.Mesh`` or has its ``of(kind, group)`` and ``service(namespace, name)``.
"""

from meshd_plugins.istio.gateway_api.kinds import CORE, GROUP

OWN, ISTIO = "meshd.io/gateway", "istio.io/gateway-controller"
CONTROLLERS = (OWN, ISTIO)
IMPLIED = {"meshd": OWN, "istio": ISTIO}
"""Classes that need no document, as in a cluster with Istio, which makes its own: name -> controller."""
ROUTES = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute")
NAME_LABEL = "kubernetes.io/metadata.name"
SELECTOR = "meshd.io/node-selector"


class World:
    """An index; it judges nothing. All lists are in the order of ``Mesh.of``, the "oldest" first."""

    def __init__(self, mesh, node):
        """``node`` is who this proxy is (role, labels, namespace)."""
        self.mesh = mesh
        self.node = node
        self.classes = self._all("GatewayClass")
        self.gateways = self._all("Gateway")
        self.listener_sets = self._all("ListenerSet")
        self.routes = {kind: self._all(kind) for kind in ROUTES}
        self.grants = self._all("ReferenceGrant")
        self.tls_policies = self._all("BackendTLSPolicy")
        self._named = {(one.kind.name, one.namespace, one.name): one
                       for one in (*self.gateways, *self.listener_sets, *mesh.of("Secret", CORE),
                                   *mesh.of("ConfigMap", CORE))}
        self._labels = {one.name: one.labels for one in mesh.of("Namespace", CORE)}

    def _all(self, kind):
        return tuple(self.mesh.of(kind, GROUP))

    def find(self, kind, namespace, name):
        """Return the Gateway, ListenerSet, Secret or ConfigMap of this name, or None."""
        return self._named.get((kind, namespace, name))

    def namespace_labels(self, name):
        """Return the labels of a namespace; one without a document has its name alone, as every namespace has."""
        return {NAME_LABEL: name, **self._labels.get(name, {})}

    def controller(self, gateway):
        """Return the controller of a Gateway that is ours to serve, or None."""
        name = gateway.spec.gateway_class_name
        found = next((one for one in self.classes if one.name == name), None)
        if found is None:
            return IMPLIED.get(name)
        controller = found.spec.controller_name
        return controller if controller in CONTROLLERS and found.spec.parameters_ref is None else None

    def serves(self, gateway):
        """Say whether this node serves a Gateway.

        An ingress node serves those whose annotation ``meshd.io/node-selector`` (``key=value,key=value``) it has as
        labels; without the annotation, those whose ``spec.infrastructure.labels`` it has; else all.
        """
        if self.node.role != "ingress":
            return False
        text = gateway.annotations.get(SELECTOR)
        infrastructure = gateway.spec.infrastructure
        wanted = dict(infrastructure.labels) if infrastructure is not None else {}
        if text is not None:
            wanted = dict(_pair(part) for part in text.split(",") if part.strip())
        return wanted.items() <= dict(self.node.labels).items()

    def permits(self, source, kind, namespace, name, group=CORE):
        """Say whether ``source`` (a resource) may refer to something, which another namespace must have granted."""
        if namespace == source.namespace:
            return True
        return any(_grants(grant.spec, source, kind, name, group) for grant in self.grants
                   if grant.namespace == namespace)

    def selects(self, namespaces, own, namespace):
        """Say whether ``namespaces`` (RouteNamespaces of something in ``own``) takes ``namespace``."""
        if namespaces.from_ == "All":
            return True
        if namespaces.from_ == "Selector":
            return matches(namespaces.selector, self.namespace_labels(namespace))
        return namespaces.from_ == "Same" and own == namespace


def _pair(text):
    key, _, value = text.partition("=")
    return key.strip(), value.strip()


def _grants(spec, source, kind, name, group):
    is_from = any((one.group, one.kind, one.namespace) == (source.kind.group, source.kind.name, source.namespace)
                  for one in spec.from_)
    return is_from and any((one.group, one.kind) == (group, kind) and one.name in (None, name) for one in spec.to)


def matches(selector, labels):
    """Say whether labels have all that a LabelSelector asks for."""
    return dict(selector.match_labels).items() <= labels.items() and all(
        _holds(one, labels) for one in selector.match_expressions
    )


def _holds(one, labels):
    if one.operator == "In":
        return labels.get(one.key) in one.values
    if one.operator == "NotIn":
        return labels.get(one.key) not in one.values
    return (one.key in labels) is (one.operator == "Exists")


