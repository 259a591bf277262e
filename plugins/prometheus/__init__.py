"""Istio's standard metrics and a few of Envoy's, as a telemetry sink.

Labels come from bounded sets: never a path, a Host or a client's address.
"""

from meshd.api import PluginType, hookimpl
from meshd_plugins.prometheus.config import Prometheus
from meshd_plugins.prometheus.sink import PrometheusSink


@hookimpl
def meshd_plugins():
    """Offer the sink."""
    return [
        PluginType(
            kind="telemetry", name="prometheus", config=Prometheus, build=PrometheusSink,
            doc="Istio's standard metrics, and Envoy's of listeners and clusters.",
        )
    ]
