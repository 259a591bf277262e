"""The kinds of documents that are known: group, versions, the class of ``spec``. Asked by ``read``, docs and tests."""

import attrs

from meshd.api import nearest
from meshd_plugins.istio.schema.destination_rule import DestinationRule
from meshd_plugins.istio.schema.gateway import Gateway
from meshd_plugins.istio.schema.service_entry import ServiceEntry
from meshd_plugins.istio.schema.sidecar import Sidecar
from meshd_plugins.istio.schema.virtual_service import VirtualService
from meshd_plugins.istio.schema.workload import WorkloadEntry, WorkloadGroup

ISTIO = "networking.istio.io"
TRAFFIC = ("v1", "v1beta1", "v1alpha3")
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
