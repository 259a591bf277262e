"""The kinds of Gateway API, and those of Kubernetes that it refers to, as ``catalog`` lists them."""

from meshd_plugins.istio.gateway_api.schema.core import ConfigMap, Secret
from meshd_plugins.istio.gateway_api.schema.gateway import Gateway, GatewayClass, ListenerSet
from meshd_plugins.istio.gateway_api.schema.grpc_route import GRPCRoute
from meshd_plugins.istio.gateway_api.schema.http_route import HTTPRoute
from meshd_plugins.istio.gateway_api.schema.l4_route import TCPRoute, TLSRoute
from meshd_plugins.istio.gateway_api.schema.policy import BackendTLSPolicy, ReferenceGrant
from meshd_plugins.istio.gateway_api.schema.reference import GROUP

CORE = ""

ROWS = (
    {"name": "GatewayClass", "group": GROUP, "versions": ("v1", "v1beta1"), "spec": GatewayClass,
     "is_namespaced": False},
    {"name": "Gateway", "group": GROUP, "versions": ("v1", "v1beta1"), "spec": Gateway},
    {"name": "ListenerSet", "group": GROUP, "versions": ("v1",), "spec": ListenerSet},
    {"name": "HTTPRoute", "group": GROUP, "versions": ("v1", "v1beta1"), "spec": HTTPRoute},
    {"name": "GRPCRoute", "group": GROUP, "versions": ("v1", "v1alpha2"), "spec": GRPCRoute},
    {"name": "TCPRoute", "group": GROUP, "versions": ("v1", "v1alpha2"), "spec": TCPRoute},
    {"name": "TLSRoute", "group": GROUP, "versions": ("v1", "v1alpha3", "v1alpha2"), "spec": TLSRoute},
    {"name": "ReferenceGrant", "group": GROUP, "versions": ("v1", "v1beta1"), "spec": ReferenceGrant},
    {"name": "BackendTLSPolicy", "group": GROUP, "versions": ("v1", "v1alpha3"), "spec": BackendTLSPolicy},
    {"name": "UDPRoute", "group": GROUP, "versions": ("v1", "v1alpha2"), "says": "is not served: UDP is not proxied"},
    {"name": "Secret", "group": CORE, "versions": ("v1",), "spec": Secret, "section": ""},
    {"name": "ConfigMap", "group": CORE, "versions": ("v1",), "spec": ConfigMap, "section": ""},
)
"""One for each ``catalog.Kind``."""
