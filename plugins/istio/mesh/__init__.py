"""The mesh as its documents describe it: services with their endpoints, and the rules that are for them.

Pure look-ups over resources; nothing here knows how a proxy is configured. ``Mesh`` is the door.
"""

from meshd_plugins.istio.mesh.index import Mesh
from meshd_plugins.istio.mesh.service import Endpoint, Service, ServicePort

__all__ = ["Endpoint", "Mesh", "Service", "ServicePort"]
