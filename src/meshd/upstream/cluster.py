"""A live cluster: its endpoints, balancer, circuit breaker and counters. Built by the runtime, used by attempts."""

from collections.abc import Callable, Iterable
from typing import Any

from meshd.model.cluster import EndpointSpec
from meshd.model.health import DISCOVERED, FAILED
from meshd.model.snapshot import Node
from meshd.upstream import slow_start
from meshd.upstream.check_cell import Membership
from meshd.upstream.endpoint import Endpoint
from meshd.upstream.endpoint_set import EndpointSet
from meshd.upstream.locality import is_ranked, priorities
from meshd.upstream.pool import Pool
from meshd.upstream.verdict import Verdicts

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
    ("per_try_idle_timeouts", "envoy_cluster_upstream_rq_per_try_idle_timeout",
     "attempts that ended at the per-try idle timeout"),
    ("none_healthy", "envoy_cluster_upstream_cx_none_healthy",
     "connections of TCP for which the cluster had no endpoint"),
    ("attempts_exceeded", "envoy_cluster_upstream_cx_connect_attempts_exceeded",
     "connections of TCP given up after their last connect attempt"),
    ("retry_success", "envoy_cluster_upstream_rq_retry_success", "retries whose answer was passed on"),
    ("retry_limit_exceeded", "envoy_cluster_upstream_rq_retry_limit_exceeded",
     "requests that would have been retried had an attempt been left"),
)
NAMES = [row[0] for row in COUNTERS]
SETTLE_S = 0.005
SETTLE_EACH_S = 0.00005
"""Changes of health that follow one another within so many seconds, and so many for each endpoint, are worked in
together: what it costs grows with the endpoints."""


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
    of them. ``pick(exchange)`` is the endpoint set's, another one after each change.

    ``tls`` is the live TLS towards its endpoints (``meshd.tls.client``), None where that is plain.
    ``verdicts`` is what is known of the health of the endpoints; the old and the new runtime share it.
    ``observe(endpoint, outcome)``, where it is not None, is told how each attempt ended.
    """

    def __init__(self, spec: Any, balancer: Any, breaker: Any, world: Any, *, verdicts: Verdicts | None = None,
                 node: Any = None, own_service: Callable[[], Iterable[Any]] = tuple, tls: Any = None) -> None:
        self.spec = spec
        self.tls = tls
        self.has_checks = bool(spec.health_checks)
        self.name = spec.name
        self.balancer = balancer
        self.breaker = breaker
        self.world = world
        self.verdicts = Verdicts() if verdicts is None else verdicts
        self.node = Node() if node is None else node
        self.set = EndpointSet(spec.balancing, balancer, world.random, self.node, own_service)
        self.pick = balancer.pick
        self.observe: Callable[[Any, Any], None] | None = None
        self.cells = Cells(world.metrics, spec.name)
        self.endpoints: tuple[Endpoint, ...] = ()
        self.by_address: dict[str, Endpoint] = {}
        self.inherited: dict[str, Endpoint] = {}
        self.idle = 0
        self.is_started = False
        self.arranged = 0.0
        self.calls: dict[str, Any] = {}
        self.streams: set[Any] = set()

    def adopt(self, previous: "Cluster") -> None:
        """Use the pools of ``previous`` for the addresses that stay; it goes on working until ``start``.

        Where another TLS is spoken the pools are new, and the endpoints with them.
        """
        if previous.spec.tls != self.spec.tls:
            return
        self.inherited = {endpoint.address: endpoint for endpoint in previous.endpoints}

    def set_endpoints(self, specs: tuple[EndpointSpec, ...]) -> None:
        """Replace the endpoints; pools of those that stay are kept, the others' drain."""
        selected = self.selected(specs)
        known = self.inherited | self.by_address
        is_first = not known
        gone, self.endpoints = self.endpoints, tuple(
            [self.endpoint(spec, known.get(spec.address), is_first) for spec in selected])
        self.by_address = {endpoint.address: endpoint for endpoint in self.endpoints}
        if is_ranked(self.spec.balancing.locality):
            for endpoint, priority in zip(
                self.endpoints, priorities(selected, self.node, self.spec.balancing.locality), strict=True):
                endpoint.priority = priority
        if self.is_started:
            self.bind()
            kept = {endpoint.pool for endpoint in self.endpoints}
            for endpoint in gone:
                if endpoint.pool not in kept:
                    endpoint.pool.retire()
            self.verdicts.keep(set(self.by_address))
        self.arrange()
        self.verdicts.arrived()

    def selected(self, specs: tuple[EndpointSpec, ...]) -> tuple[EndpointSpec, ...]:
        """Return those that have the labels of this cluster's subset."""
        wanted = self.spec.select
        if not wanted:
            return specs
        return tuple([spec for spec in specs if set(wanted) <= set(spec.labels)])

    def endpoint(self, spec: EndpointSpec, known: Endpoint | None, is_first: bool) -> Endpoint:
        """Return the endpoint that stands already, or a new one over the same pool, or a new one."""
        if known is None:
            made = Endpoint(spec, Pool(self.world, spec.address))
            if not is_first:
                self.warm_up(made)
        elif known.spec == spec:
            made = known
        else:
            made = Endpoint(spec, known.pool)
            made.warm_from, made.memo = known.warm_from, known.memo
        self.judge(made)
        return made

    def judge(self, endpoint: Endpoint) -> None:
        """Take the health flags in force."""
        verdicts = self.verdicts
        bits = DISCOVERED.get(endpoint.spec.health, 0)
        if verdicts.bits or self.has_checks:
            bits |= verdicts.of(endpoint.address, self.spec)
        was_healthy, endpoint.bits, endpoint.healthy = endpoint.healthy, bits, not bits & FAILED
        if endpoint.healthy and not was_healthy:
            self.warm_up(endpoint)

    def mark(self, endpoint: Any, bit: int, is_set: bool, note: Any = None) -> bool:
        """Set or clear a health flag (``meshd.model.health``) of an endpoint; say whether that was a change.

        ``note`` is a dict ready for JSON that says why.
        """
        return self.verdicts.mark(endpoint.address, bit, is_set, note)

    def on_check(self, callback: Callable[[str, bool], Any], is_wanted: bool = True) -> None:
        """Call ``callback(address, is_well)`` after each active check from now on, or no more."""
        if is_wanted:
            self.verdicts.on_check.append(callback)
        elif callback in self.verdicts.on_check:
            self.verdicts.on_check.remove(callback)

    def on_verdict(self, address: str) -> None:
        """The health flags of an address have changed."""
        endpoint = self.by_address.get(address)
        if endpoint is None:
            return
        self.judge(endpoint)
        if "settle" in self.calls:
            return
        settle_s = SETTLE_S + SETTLE_EACH_S * len(self.endpoints)
        if self.world.clock.now() - self.arranged < settle_s:
            self.later("settle", settle_s)
        else:
            self.arrange()

    def settle(self) -> None:
        """Work in the changes of health that have come together."""
        del self.calls["settle"]
        self.arrange()

    def warm_up(self, endpoint: Endpoint) -> None:
        """Begin with less than the whole weight, if the cluster has a slow start."""
        policy = self.spec.balancing.slow_start
        if policy is not None:
            endpoint.warm_from = self.world.clock.now()
            endpoint.weight = endpoint.spec.weight * slow_start.factor(0.0, policy)

    def arrange(self) -> None:
        """Work endpoints, health and weights into the set."""
        call = self.calls.pop("arrange", None)
        if call is not None and call.active():
            call.cancel()
        self.arranged = self.world.clock.now()
        policy = self.spec.balancing.slow_start
        if policy is not None and slow_start.warm(self.endpoints, policy, self.arranged):
            self.later("arrange", slow_start.step_s(policy))
        self.pick = self.set.update(self.endpoints)

    def later(self, name: str, seconds: float) -> None:
        """Call the method ``name`` in so many seconds, unless it is retired by then."""
        if self.is_started:
            self.calls[name] = self.world.call_later(seconds, getattr(self, name))

    def wanted(self, exchange: Any) -> Endpoint | None:
        """Return the endpoint of ``exchange.wanted`` (address, whether no other will do, health flags that do not
        matter), or what the policy picks.
        """
        address, is_strict, borne = exchange.wanted
        endpoint = self.by_address.get(address)
        if endpoint is not None and not endpoint.bits & FAILED & ~borne:
            if is_strict or endpoint not in exchange.tried:
                return endpoint
        return None if is_strict else self.pick(exchange)

    def start(self) -> None:
        """Take the pools over: called at the swap."""
        self.is_started = True
        self.verdicts.join(self)
        self.verdicts.membership = Membership(self)
        self.bind()
        self.idle = sum(len(pool.idle) for endpoint in self.endpoints for pool in endpoint.pool.every())
        self.inherited = {}
        if self.verdicts.bits or self.spec.health_checks or self.spec.balancing.slow_start is not None:
            for endpoint in self.endpoints:
                self.judge(endpoint)
            self.arrange()

    def bind(self) -> None:
        """Make every pool ours."""
        if self.endpoints:
            first = self.endpoints[0].pool
            first.bind(self)
            for endpoint in self.endpoints:
                endpoint.pool.bind_as(first)

    def retire(self) -> None:
        """Drain the pools that no other cluster has taken over."""
        self.verdicts.leave(self)
        heir = self.world.clusters.get(self.name)
        for stream in list(self.streams):
            stream.move(heir if heir is not self else None)
        while self.calls:
            self.calls.popitem()[1].cancel()
        self.is_started = False
        self.observe = None
        for endpoint in self.endpoints:
            if endpoint.pool.cluster is self:
                endpoint.pool.retire()
