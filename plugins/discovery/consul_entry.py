"""One instance of a service as Consul's health endpoint has it, and the target that it comes to; for ``consul``.

https://developer.hashicorp.com/consul/api-docs/health has the fields. What is not used here is not decoded.
"""

import msgspec

from meshd_plugins.discovery.target import ADDRESS, LOCALITY, WEIGHT, join

META = "__meta_consul_"
"""Labels that begin so are Prometheus', for relabelling."""


class Part(msgspec.Struct, rename="pascal", gc=False):
    """The base of all; Consul begins its keys with a capital."""


class Locality(Part):
    """Where something runs."""

    region: str = ""
    zone: str = ""


class Node(Part):
    """The machine."""

    node: str = ""
    address: str = ""
    datacenter: str = ""
    meta: dict[str, str] | None = None
    locality: Locality | None = None


class Weights(Part):
    """Shares of the load by health."""

    passing: int = 1
    warning: int = 1


class Service(Part):
    """The instance."""

    id: str = msgspec.field(default="", name="ID")
    service: str = ""
    address: str = ""
    port: int = 0
    tags: list[str] | None = None
    meta: dict[str, str] | None = None
    weights: Weights | None = None
    namespace: str = ""
    partition: str = ""
    locality: Locality | None = None


class Check(Part):
    """One health check of the node or of the instance."""

    status: str


class Entry(Part):
    """An instance with its node and all checks."""

    node: Node
    service: Service
    checks: list[Check] | None = None

    @property
    def status(self) -> str:
        """The worst of all checks, as Consul counts it; maintenance is a critical check."""
        worst = "passing"
        for check in self.checks or ():
            status = check.status
            if status == "warning":
                worst = status if worst == "passing" else worst
            elif status != "passing":
                worst = "critical"
        return worst


def weight_of(entry: Entry) -> int:
    """Return the weight for the health that it has; 0: no load."""
    weights = entry.service.weights
    if weights is None:
        return 1
    return weights.passing if entry.status == "passing" else weights.warning


def target(entry: Entry, locality_meta: tuple[str, ...]) -> dict[str, str]:
    """Return the labels of an instance."""
    node, service = entry.node, entry.service
    host = service.address or node.address
    labels = {
        **_own(service),
        ADDRESS: join(host, service.port),
        WEIGHT: str(weight_of(entry)),
        LOCALITY: locality(node, service, locality_meta),
    }
    for name, value in (
        ("address", node.address), ("dc", node.datacenter), ("health", entry.status), ("namespace", service.namespace),
        ("node", node.node), ("partition", service.partition), ("service", service.service),
        ("service_address", service.address), ("service_id", service.id), ("service_port", str(service.port)),
        ("tags", f",{','.join(service.tags)}," if service.tags else ""),
    ):
        labels[META + name] = value
    for key, value in (node.meta or {}).items():
        labels[f"{META}metadata_{_label(key)}"] = value
    for key, value in (service.meta or {}).items():
        labels[f"{META}service_metadata_{_label(key)}"] = value
    return labels


def locality(node: Node, service: Service, keys: tuple[str, ...]) -> str:
    """Return region/zone/subzone: Consul's own, else by the node's metadata; the datacenter is the region by default.
    """
    known = service.locality or node.locality
    if known is not None and known.region:
        return f"{known.region}/{known.zone}" if known.zone else known.region
    meta = node.meta or {}
    region, *inner = [meta.get(key, "") for key in keys]
    parts = [region or node.datacenter]
    for part in inner:
        if not part:
            break
        parts.append(part)
    return "/".join(parts)


def _own(service: Service) -> dict[str, str]:
    """Return the endpoint's own labels: tags (``version=v2``, or ``canary``, which is ``true``), then metadata."""
    labels = {}
    for tag in service.tags or ():
        key, equals, value = tag.partition("=")
        labels[key] = value if equals else "true"
    labels.update(service.meta or {})
    return {key: value for key, value in labels.items() if key and not key.startswith("__")}


def _label(key: str) -> str:
    """Return a key as Prometheus writes it in a label's name."""
    return "".join([char if char.isascii() and char.isalnum() else "_" for char in key])
