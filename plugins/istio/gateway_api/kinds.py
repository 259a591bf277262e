"""The kinds of Gateway API, and those of Kubernetes that it refers to, as ``catalog`` lists them."""

GROUP = "gateway.networking.k8s.io"
CORE = ""


def _row(name, versions, place, **more):
    """Return the fields of a ``catalog.Kind``; ``place`` is MODULE:CLASS in ``schema``."""
    return {"name": name, "group": GROUP, "versions": versions, "place": f"gateway_api.schema.{place}", **more}


ROWS = (
    _row("GatewayClass", ("v1", "v1beta1"), "gateway:GatewayClass", is_namespaced=False),
    _row("Gateway", ("v1", "v1beta1"), "gateway:Gateway"),
    _row("ListenerSet", ("v1",), "gateway:ListenerSet"),
    _row("HTTPRoute", ("v1", "v1beta1"), "http_route:HTTPRoute"),
    _row("GRPCRoute", ("v1", "v1alpha2"), "grpc_route:GRPCRoute"),
    _row("TCPRoute", ("v1", "v1alpha2"), "l4_route:TCPRoute"),
    _row("TLSRoute", ("v1", "v1alpha3", "v1alpha2"), "l4_route:TLSRoute"),
    _row("ReferenceGrant", ("v1", "v1beta1"), "policy:ReferenceGrant"),
    _row("BackendTLSPolicy", ("v1", "v1alpha3"), "policy:BackendTLSPolicy"),
    {"name": "UDPRoute", "group": GROUP, "versions": ("v1", "v1alpha2"), "says": "is not served: UDP is not proxied"},
    _row("Secret", ("v1",), "core:Secret", group=CORE, section=""),
    _row("ConfigMap", ("v1",), "core:ConfigMap", group=CORE, section=""),
)
"""One for each ``catalog.Kind``."""
