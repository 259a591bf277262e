"""The circuit breaker ``limits``: how much of one cluster may be in use at once; the cluster asks it.

The counts are a ledger of the site, keyed by the instance's name (the cluster's): all workers of a host count
together, requests in flight over a reload are counted once, and new limits apply to them at once.
"""

from meshd.api import Integer, PluginType, config, hookimpl, option
from meshd_plugins.limits.breaker import RESOURCES, Breaker

LARGEST = 2**32 - 1


@config
class Limits:
    """Envoy's defaults. A limit is that of all workers of this host together; one of 0 admits nothing."""

    max_connections: int = option(Integer(maximum=LARGEST), default=1024, doc="connections to all endpoints together")
    max_pending: int = option(Integer(maximum=LARGEST), default=1024, doc="requests that wait for a connection")
    max_requests: int = option(Integer(maximum=LARGEST), default=1024, doc="requests in flight")
    max_retries: int = option(Integer(maximum=LARGEST), default=3, doc="retries in flight")


def build(config, site):
    """Return a Breaker over the counts of ``site.name``; without a configuration, with the default limits."""
    ledger = site.ledger(("circuit_breaker", "limits", site.name), len(RESOURCES))
    return Breaker(config or Limits(), ledger, site.metrics, site.name)


@hookimpl
def meshd_plugins():
    """Offer the circuit breaker."""
    return [
        PluginType(
            kind="circuit_breaker", name="limits", config=Limits, build=build,
            doc="Bounds connections, waiting requests, requests and retries of a cluster.",
        )
    ]
