"""The load balancer ``round_robin``: endpoints in turn, smooth where weights differ; clusters ask for each attempt."""

from meshd.api import PluginType, hookimpl
from meshd_plugins.round_robin.balancer import RoundRobin


def build(config, site):
    """Return a RoundRobin."""
    return RoundRobin(site.random)


@hookimpl
def meshd_plugins():
    """Offer the balancer."""
    return [PluginType(kind="load_balancer", name="round_robin", build=build, doc="Endpoints in turn, by weight.")]
