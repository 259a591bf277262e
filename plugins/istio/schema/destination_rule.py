"""DestinationRule (networking.istio.io): subsets of a host, and how each is reached."""

from meshd.api import ListOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import HOST, LABELS, NAMESPACES, WorkloadSelector
from meshd_plugins.istio.schema.form import label_fault, label_faults, wildcard_fault
from meshd_plugins.istio.schema.traffic_policy import TrafficPolicy


@camel_config
class Subset:
    """Some of the host's endpoints."""

    name: str = option(Text(minimum=1, maximum=63), doc="its name, for VirtualServices")
    labels: tuple[tuple[str, str], ...] = option(LABELS, default=(), doc="labels that its endpoints have")
    traffic_policy: TrafficPolicy | None = option(
        Nested(TrafficPolicy), default=None, doc="replaces the host's policy, field by field"
    )

    def check(self):
        """Yield faults of the name and the labels."""
        fault = label_fault(self.name)
        if fault:
            yield "name", fault
        yield from label_faults("labels", self.labels)


@camel_config
class DestinationRule:
    """What happens to traffic for a host once it is routed there."""

    host: str = option(HOST, doc="a service of the registry, or a wildcard")
    traffic_policy: TrafficPolicy | None = option(Nested(TrafficPolicy), default=None, doc="of all its endpoints")
    subsets: tuple[Subset, ...] = option(
        ListOf(item=Nested(Subset), unique="name"), default=(), doc="named sets of endpoints"
    )
    export_to: tuple[str, ...] = option(NAMESPACES, default=(), doc="namespaces that see it (*: all)")
    workload_selector: WorkloadSelector | None = option(
        Nested(WorkloadSelector), default=None, doc="proxies of its namespace that it is for (all)"
    )

    def check(self):
        """Yield a fault of the host; ``validate`` looks at exportTo."""
        fault = wildcard_fault(self.host)
        if fault:
            yield "host", fault
