"""The http filter ``fault``: delays, aborts and slow answers on purpose, as Envoy's and Istio's fault injection."""

from meshd.api import PluginType, hookimpl
from meshd_plugins.fault.config import Fault
from meshd_plugins.fault.filter import FaultFilter


@hookimpl
def meshd_plugins():
    """Offer the filter."""
    return [
        PluginType(
            kind="http_filter", name="fault", config=Fault, build=FaultFilter,
            doc="Injects faults: delays, aborts, slow answers.",
        )
    ]
