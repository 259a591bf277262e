"""The circuit breaker ``limits``: how much of one cluster may be in use at once; the cluster asks it.

The counts are a ledger of the site, keyed by the instance's name (the cluster's): all workers of a host count
together, requests in flight over a reload are counted once, and new limits apply to them at once.
"""

from meshd.api import Boolean, Duration, Integer, Nested, Number, PluginType, config, hookimpl, option
from meshd_plugins.limits.breaker import RESOURCES, Breaker
from meshd_plugins.limits.budget import BudgetBreaker, IntervalBreaker

LARGEST = 2**32 - 1


@config
class Budget:
    """How many retries may be in flight, by how much else is (Envoy's ``retry_budget``)."""

    percent: float = option(Number(maximum=100.0), default=20.0, doc="retries, of the requests in flight (or interval)")
    min_retry_concurrency: int = option(Integer(maximum=LARGEST), default=3, doc="retries that may be in flight anyway")
    interval_s: float = option(
        Duration(maximum=60.0), default=0.0,
        doc="count the requests that began within this time, in place of those in flight (Istio's budgetInterval)")


@config
class High:
    """The limits of routes with ``priority: high``, counted apart. Envoy's defaults."""

    max_connections: int = option(Integer(maximum=LARGEST), default=1024, doc="connections to all endpoints together")
    max_pending: int = option(Integer(maximum=LARGEST), default=1024, doc="requests that wait for a connection")
    max_requests: int = option(Integer(maximum=LARGEST), default=1024, doc="requests in flight")
    max_retries: int = option(Integer(maximum=LARGEST), default=3, doc="retries in flight")
    budget: Budget | None = option(Nested(Budget), default=None, doc="in place of max_retries")


@config
class PerHost:
    """Limits of each endpoint by itself."""

    max_connections: int = option(
        Integer(minimum=1, maximum=LARGEST), doc="connections of one worker to one endpoint (the first is always made)")


@config
class Limits:
    """Envoy's defaults. A limit is that of all workers of this host together; one of 0 admits nothing."""

    max_connections: int = option(Integer(maximum=LARGEST), default=1024, doc="connections to all endpoints together")
    max_pending: int = option(Integer(maximum=LARGEST), default=1024, doc="requests that wait for a connection")
    max_requests: int = option(Integer(maximum=LARGEST), default=1024, doc="requests in flight")
    max_retries: int = option(Integer(maximum=LARGEST), default=3, doc="retries in flight")
    budget: Budget | None = option(Nested(Budget), default=None, doc="in place of max_retries: a share of the requests")
    high: High | None = option(
        Nested(High), default=None, doc="routes with priority high (counted with the others when absent)")
    per_host_thresholds: PerHost | None = option(Nested(PerHost), default=None, doc="limits of each endpoint")
    track_remaining: bool = option(Boolean(), default=True, doc="show what is left in the metrics (Envoy: false)")


def build(config, site):
    """Return a Breaker over the counts of ``site.name``; without a configuration, with the default limits."""
    config = config or Limits()
    made = one(config, site, "default", config.track_remaining)
    if config.high is not None:
        made.high = one(config.high, site, "high", config.track_remaining)
    if config.per_host_thresholds is not None:
        made.max_connections_per_endpoint = config.per_host_thresholds.max_connections
    return made


def one(limits, site, priority, is_tracked):
    """Return the breaker of one priority."""
    key = ("circuit_breaker", "limits", site.name)
    ledger = site.ledger(key if priority == "default" else (*key, priority), len(RESOURCES))
    if limits.budget is None:
        return Breaker(limits, ledger, site.metrics, site.name, priority, is_tracked)
    if not limits.budget.interval_s:
        return BudgetBreaker(limits, ledger, site.metrics, site.name, priority, is_tracked)
    begun = site.ledger((*key, priority, "begun"), 1)
    return IntervalBreaker(limits, ledger, begun, site, priority, is_tracked)


@hookimpl
def meshd_plugins():
    """Offer the circuit breaker."""
    return [
        PluginType(
            kind="circuit_breaker", name="limits", config=Limits, build=build,
            doc="Bounds connections, waiting requests, requests and retries of a cluster.",
        )
    ]
