"""References to backends: a Service and its port, or why there is none."""

import attrs

from meshd_plugins.istio.gateway_api.condition import RESOLVED, bad, good
from meshd_plugins.istio.gateway_api.kinds import CORE



HOSTNAME = "networking.istio.io", "Hostname"
"""Istio's own kind of backend: any host of the mesh, a ServiceEntry's too."""
L7 = ("HTTPRoute", "GRPCRoute")
WSS = "kubernetes.io/wss"
"""The appProtocol that needs TLS, of which a policy says more."""


@attrs.frozen(eq=False)
class Backend:
    """``host`` and ``port`` of a Service; where ``reason`` is given there is none, and requests get 500."""

    host: str = ""
    port: int = 0
    reason: str = ""
    message: str = ""

    @property
    def is_good(self):
        """Say whether requests can be sent there."""
        return not self.reason


def resolve(route, ref, world, policies):
    """Return the Backend of one reference. ``policies`` has ``of_port(service, port)`` (``tls_policy.Policies``)."""
    namespace = ref.namespace or route.namespace
    name = f"{ref.kind} {namespace}/{ref.name}"
    if (ref.group, ref.kind) == HOSTNAME:
        return _at(world.mesh.find(ref.name, route.namespace), f"Hostname {ref.name}", ref, route, policies)
    if (ref.group, ref.kind) != (CORE, "Service"):
        return Backend(reason="InvalidKind", message=f"{ref.group or 'core'} {name}: expected a Service")
    if not world.permits(route, ref.kind, namespace, ref.name):
        return Backend(reason="RefNotPermitted", message=f"{name}: no ReferenceGrant in {namespace} allows it")
    return _at(world.mesh.service(namespace, ref.name), name, ref, route, policies)


def _at(service, name, ref, route, policies):
    """Return the Backend of a service's port, where there are both and the port's protocol is spoken."""
    if service is None:
        return Backend(reason="BackendNotFound", message=f"{name}: there is no such service")
    port = service.port(ref.port)
    if port is None:
        return Backend(reason="BackendNotFound", message=f"{name} has no port {ref.port}")
    policy = policies.of_port(service, port)
    if policy is not None and policy.fault:
        return Backend(reason="UnsupportedProtocol", message=f"{name}: {policy.resource.title}: {policy.fault}")
    if policy is None and route.kind.name in L7 and _app_protocol(service, port.number) == WSS:
        return Backend(reason="UnsupportedProtocol",
                       message=f"{name} wants TLS (appProtocol), and no BackendTLSPolicy says whom to trust")
    return Backend(service.host, port.number)


def _app_protocol(service, number):
    """Return the ``appProtocol`` of a Kubernetes Service's port, or ''."""
    return next((getattr(one, "app_protocol", "") for one in service.resource.spec.ports
                 if getattr(one, "port", None) == number), "")


def references(rule):
    """Yield (reference, path below the rule) of each backend of a rule: its shares and those of its mirrors."""
    for place, ref in enumerate(rule.backend_refs):
        yield ref, f"backendRefs[{place}]"
        yield from _mirrors(getattr(ref, "filters", ()), f"backendRefs[{place}].filters")
    yield from _mirrors(getattr(rule, "filters", ()), "filters")


def _mirrors(filters, path):
    for place, one in enumerate(filters):
        if one.request_mirror is not None:
            yield one.request_mirror.backend_ref, f"{path}[{place}].requestMirror.backendRef"


def extensions(rule):
    """Yield (reference, path below the rule) of each ExtensionRef."""
    for place, one in enumerate(getattr(rule, "filters", ())):
        if one.extension_ref is not None:
            yield one.extension_ref, f"filters[{place}].extensionRef"
    for number, ref in enumerate(rule.backend_refs):
        for place, one in enumerate(getattr(ref, "filters", ())):
            if one.extension_ref is not None:
                yield one.extension_ref, f"backendRefs[{number}].filters[{place}].extensionRef"


def resolved(broken):
    """Return the condition ResolvedRefs of a route; ``broken`` is a list of (Backend, place) of what is not there."""
    if not broken:
        return good(RESOLVED)
    return bad(RESOLVED, broken[0][0].reason, "; ".join(dict.fromkeys(one.message for one, _ in broken)))
