"""The kinds of documents that are known: group, versions, the class of ``spec``. Asked by ``read``, docs and tests."""

import attrs

from meshd.api import nearest
from meshd_plugins.istio.gateway_api.kinds import ROWS
from meshd_plugins.istio.schema.authentication import PeerAuthentication, RequestAuthentication
from meshd_plugins.istio.schema.authorization_policy import AuthorizationPolicy
from meshd_plugins.istio.schema.destination_rule import DestinationRule
from meshd_plugins.istio.schema.envoy_filter import EnvoyFilter
from meshd_plugins.istio.schema.gateway import Gateway
from meshd_plugins.istio.schema.kubernetes import Endpoints, EndpointSlice, KubernetesServiceSpec, NamespaceSpec
from meshd_plugins.istio.schema.mesh_config import MeshConfig
from meshd_plugins.istio.schema.proxy_config import ProxyConfig
from meshd_plugins.istio.schema.rate_limit_policy import RateLimitPolicy
from meshd_plugins.istio.schema.service_entry import ServiceEntry
from meshd_plugins.istio.schema.sidecar import Sidecar
from meshd_plugins.istio.schema.telemetry import Telemetry
from meshd_plugins.istio.schema.virtual_service import VirtualService
from meshd_plugins.istio.schema.wasm_plugin import WasmPlugin
from meshd_plugins.istio.schema.workload import WorkloadEntry, WorkloadGroup

ISTIO = "networking.istio.io"
SECURITY = "security.istio.io"
TRAFFIC = ("v1", "v1beta1", "v1alpha3")
POLICY = ("v1", "v1beta1")
SECTION = "spec"


@attrs.frozen
class Kind:
    """``spec`` is the class of the section ``section`` ('': the fields stand at the top, beside ``metadata``).

    ``spec`` is None where documents of this kind are recognised and left alone. ``says`` is why.
    """

    name: str
    group: str
    versions: tuple[str, ...]
    spec: type | None = None
    section: str = SECTION
    is_namespaced: bool = True
    says: str = ""


KINDS = (
    Kind("VirtualService", ISTIO, TRAFFIC, VirtualService),
    Kind("DestinationRule", ISTIO, TRAFFIC, DestinationRule),
    Kind("Gateway", ISTIO, TRAFFIC, Gateway),
    Kind("VirtualGateway", ISTIO, TRAFFIC, Gateway),
    Kind("ServiceEntry", ISTIO, TRAFFIC, ServiceEntry),
    Kind("WorkloadEntry", ISTIO, TRAFFIC, WorkloadEntry),
    Kind("WorkloadGroup", ISTIO, TRAFFIC, WorkloadGroup),
    Kind("Sidecar", ISTIO, TRAFFIC, Sidecar),
    Kind("ProxyConfig", ISTIO, ("v1beta1",), ProxyConfig),
    Kind("EnvoyFilter", ISTIO, ("v1alpha3",), EnvoyFilter),
    Kind("MeshConfig", "mesh.istio.io", ("v1alpha1",), MeshConfig),
    Kind("PeerAuthentication", SECURITY, POLICY, PeerAuthentication),
    Kind("RequestAuthentication", SECURITY, POLICY, RequestAuthentication),
    Kind("AuthorizationPolicy", SECURITY, POLICY, AuthorizationPolicy),
    Kind("Telemetry", "telemetry.istio.io", ("v1", "v1alpha1"), Telemetry),
    Kind("WasmPlugin", "extensions.istio.io", ("v1alpha1",), WasmPlugin),
    Kind("TrafficExtension", "extensions.istio.io", ("v1alpha1",),
         says="runs Wasm or Lua, which this proxy does not: left alone; a Python plugin does the same"),
    Kind("RateLimitPolicy", "meshd.io", ("v1alpha1",), RateLimitPolicy),
    Kind("Service", "", ("v1",), KubernetesServiceSpec),
    Kind("Endpoints", "", ("v1",), Endpoints, ""),
    Kind("EndpointSlice", "discovery.k8s.io", ("v1",), EndpointSlice, ""),
    Kind("Namespace", "", ("v1",), NamespaceSpec, is_namespaced=False),
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
