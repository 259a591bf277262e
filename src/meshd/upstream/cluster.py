"""A live cluster: its endpoints, balancer, circuit breaker and counters. Built by the runtime, used by attempts."""

from typing import Any

from meshd.upstream.endpoint import Endpoint
from meshd.upstream.pool import Pool
from meshd.wire.address import parse

COUNTERS = (
    ("requests", "envoy_cluster_upstream_rq_total", "requests sent to the cluster, retries included"),
    ("retries", "envoy_cluster_upstream_rq_retry", "requests that were retries"),
    ("retry_overflow", "envoy_cluster_upstream_rq_retry_overflow", "retries that the circuit breaker refused"),
    ("request_overflow", "envoy_cluster_upstream_rq_overflow", "requests that the circuit breaker refused"),
    ("pending_overflow", "envoy_cluster_upstream_rq_pending_overflow", "requests refused a place in the queue"),
    ("timeouts", "envoy_cluster_upstream_rq_timeout", "requests that ended at the route's timeout"),
    ("per_try_timeouts", "envoy_cluster_upstream_rq_per_try_timeout", "attempts that ended at the per-try timeout"),
    ("connections", "envoy_cluster_upstream_cx_total", "connections opened"),
    ("connect_failures", "envoy_cluster_upstream_cx_connect_fail", "connections that could not be made"),
    ("connection_overflow", "envoy_cluster_upstream_cx_overflow", "connections that the circuit breaker refused"),
)
NAMES = [row[0] for row in COUNTERS]


class Cells:
    """The counters of one cluster; each attribute is a cell with ``value``."""

    __slots__ = (*NAMES, "active_connections", "active_requests")

    def __init__(self, metrics: Any, name: str) -> None:
        for attribute, metric, doc in COUNTERS:
            setattr(self, attribute, metrics.counter(metric, doc, ("cluster_name",)).cell(name))
        self.active_connections = metrics.gauge(
            "envoy_cluster_upstream_cx_active", "connections open", ("cluster_name",)).cell(name)
        self.active_requests = metrics.gauge(
            "envoy_cluster_upstream_rq_active", "requests in flight", ("cluster_name",)).cell(name)


class Cluster:
    """``spec`` is the model's cluster. ``endpoints`` is the tuple in use, ``idle`` counts unused connections over all
    of them.
    """

    def __init__(self, spec: Any, balancer: Any, breaker: Any, world: Any) -> None:
        self.spec = spec
        self.name = spec.name
        self.balancer = balancer
        self.breaker = breaker
        self.world = world
        self.pick = balancer.pick
        self.cells = Cells(world.metrics, spec.name)
        self.endpoints: tuple[Endpoint, ...] = ()
        self.inherited: dict[str, Endpoint] = {}
        self.idle = 0
        self.is_started = False

    def adopt(self, previous: "Cluster") -> None:
        """Use the pools of ``previous`` for the addresses that stay; it goes on working until ``start``."""
        self.inherited = {endpoint.address: endpoint for endpoint in previous.endpoints}

    def set_endpoints(self, specs: tuple[Any, ...]) -> None:
        """Replace the endpoints; pools of those that stay are kept, the others' drain."""
        known = self.inherited | {endpoint.address: endpoint for endpoint in self.endpoints}
        gone, self.endpoints = self.endpoints, tuple(self.endpoint(spec, known.get(spec.address)) for spec in specs)
        kept = {endpoint.pool for endpoint in self.endpoints}
        if self.is_started:
            self.bind()
            for endpoint in gone:
                if endpoint.pool not in kept:
                    endpoint.pool.retire()
        self.balancer.update(tuple(endpoint for endpoint in self.endpoints if endpoint.healthy))

    def endpoint(self, spec: Any, known: Endpoint | None) -> Endpoint:
        """Return the endpoint that stands already, or a new one over the same pool, or a new one."""
        if known is None:
            return Endpoint(spec, Pool(self.world, spec.address, target_of(spec.address)))
        return known if known.spec == spec else Endpoint(spec, known.pool)

    def start(self) -> None:
        """Take the pools over: called at the swap."""
        self.is_started = True
        self.bind()
        self.idle = sum(len(endpoint.pool.idle) for endpoint in self.endpoints)
        self.inherited = {}

    def bind(self) -> None:
        """Make every pool ours."""
        for endpoint in self.endpoints:
            endpoint.pool.bind(self)

    def retire(self) -> None:
        """Drain the pools that no other cluster has taken over."""
        for endpoint in self.endpoints:
            if endpoint.pool.cluster is self:
                endpoint.pool.retire()


def target_of(address: str) -> tuple[int, Any] | None:
    """Return (family, sockaddr), or None for a name that has to be resolved first."""
    try:
        return parse(address)
    except ValueError:
        return None
