"""The kinds of documents that are known: group, versions, the class of ``spec``. Asked by ``read``, docs and tests.

The classes are named, and imported when the first document of their kind is read: all of them take half a second.
"""

from functools import cache
from importlib import import_module

import attrs

from meshd.api import nearest
from meshd_plugins.istio.gateway_api.kinds import ROWS

ISTIO = "networking.istio.io"
SECURITY = "security.istio.io"
TRAFFIC = ("v1", "v1beta1", "v1alpha3")
POLICY = ("v1", "v1beta1")
SECTION = "spec"


@attrs.frozen
class Kind:
    """``place`` is MODULE:CLASS of the section ``section`` ('': the fields stand at the top, beside ``metadata``).

    It is '' where documents of this kind are recognised and left alone; ``says`` is why.
    """

    name: str
    group: str
    versions: tuple[str, ...]
    place: str = ""
    section: str = SECTION
    is_namespaced: bool = True
    says: str = ""

    @property
    def spec(self):
        """Return the class of the section, or None."""
        return _class(self.place) if self.place else None


@cache
def _class(place):
    module, _, name = place.partition(":")
    return getattr(import_module(f"meshd_plugins.istio.{module}"), name)


KINDS = (
    Kind("VirtualService", ISTIO, TRAFFIC, "schema.virtual_service:VirtualService"),
    Kind("DestinationRule", ISTIO, TRAFFIC, "schema.destination_rule:DestinationRule"),
    Kind("Gateway", ISTIO, TRAFFIC, "schema.gateway:Gateway"),
    Kind("VirtualGateway", ISTIO, TRAFFIC, "schema.gateway:Gateway"),
    Kind("ServiceEntry", ISTIO, TRAFFIC, "schema.service_entry:ServiceEntry"),
    Kind("WorkloadEntry", ISTIO, TRAFFIC, "schema.workload:WorkloadEntry"),
    Kind("WorkloadGroup", ISTIO, TRAFFIC, "schema.workload:WorkloadGroup"),
    Kind("Sidecar", ISTIO, TRAFFIC, "schema.sidecar:Sidecar"),
    Kind("ProxyConfig", ISTIO, ("v1beta1",), "schema.proxy_config:ProxyConfig"),
    Kind("EnvoyFilter", ISTIO, ("v1alpha3",), "schema.envoy_filter:EnvoyFilter"),
    Kind("MeshConfig", "mesh.istio.io", ("v1alpha1",), "schema.mesh_config:MeshConfig"),
    Kind("PeerAuthentication", SECURITY, POLICY, "schema.authentication:PeerAuthentication"),
    Kind("RequestAuthentication", SECURITY, POLICY, "schema.authentication:RequestAuthentication"),
    Kind("AuthorizationPolicy", SECURITY, POLICY, "schema.authorization_policy:AuthorizationPolicy"),
    Kind("Telemetry", "telemetry.istio.io", ("v1", "v1alpha1"), "schema.telemetry:Telemetry"),
    Kind("WasmPlugin", "extensions.istio.io", ("v1alpha1",), "schema.wasm_plugin:WasmPlugin"),
    Kind("TrafficExtension", "extensions.istio.io", ("v1alpha1",),
         says="runs Wasm or Lua, which this proxy does not: left alone; a Python plugin does the same"),
    Kind("RateLimitPolicy", "meshd.io", ("v1alpha1",), "schema.rate_limit_policy:RateLimitPolicy"),
    Kind("Service", "", ("v1",), "schema.kubernetes:KubernetesServiceSpec"),
    Kind("Endpoints", "", ("v1",), "schema.kubernetes:Endpoints", ""),
    Kind("EndpointSlice", "discovery.k8s.io", ("v1",), "schema.kubernetes:EndpointSlice", ""),
    Kind("Namespace", "", ("v1",), "schema.kubernetes:NamespaceSpec", is_namespaced=False),
    *(Kind(**row) for row in ROWS),
)
IGNORED_GROUPS = frozenset((
    "", "apps", "batch", "policy", "autoscaling", "rbac.authorization.k8s.io", "apiextensions.k8s.io",
    "networking.k8s.io", "storage.k8s.io", "admissionregistration.k8s.io", "install.istio.io",
))
"""Groups (the core group is '') whose other kinds have nothing to say to a proxy."""

_TABLE = {(kind.group, kind.name): kind for kind in KINDS}
GROUPS = frozenset(kind.group for kind in KINDS)


def find(group, name):
    """Return the Kind, or None."""
    return _TABLE.get((group, name))


def near(group, name):
    """Return the name of the kind of this group that was probably meant, or None."""
    return nearest(name, [kind.name for kind in KINDS if kind.group == group])
