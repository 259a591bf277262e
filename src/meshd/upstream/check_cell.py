"""The metrics of health: of one cluster's checks, and of its members; Envoy's names."""

from typing import Any
from weakref import ref

from meshd.model.health import BY_CHECKS, DEGRADED, FAILED_ACTIVE_CHECK, IMMEDIATE_FAIL, PENDING_CHECK

PREFIX = "envoy_cluster_health_check_"
COUNTERS = (
    ("attempt", "checks made"), ("success", "checks that passed"), ("failure", "checks that failed, answers included"),
    ("passive_failure", "failures told by traffic (x-envoy-immediate-health-check-fail)"),
    ("network_failure", "checks that nobody answered"),
)
LABELS = ("cluster_name",)


class CheckCells:
    """The counters of one cluster's checks."""

    __slots__ = tuple(name for name, _ in COUNTERS)

    def __init__(self, metrics: Any, name: str) -> None:
        for word, doc in COUNTERS:
            setattr(self, word, metrics.counter(PREFIX + word, doc, LABELS).cell(name))


class Membership:
    """How many endpoints a cluster has, by health; counted when somebody asks. Kept for as long as the cluster is."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = ref(cluster)
        rows = [("envoy_cluster_membership_total", self.total, "endpoints"),
                ("envoy_cluster_membership_healthy", self.healthy, "endpoints that may be used, degraded ones apart"),
                ("envoy_cluster_membership_degraded", self.degraded, "endpoints that are degraded"),
                ("envoy_cluster_membership_excluded", self.excluded, "endpoints that panic does not count")]
        if cluster.spec.health_checks:
            rows += [(PREFIX + "healthy", self.passing, "endpoints whose checks pass"),
                     (PREFIX + "degraded", self.degraded_by_checks, "endpoints that call themselves degraded")]
        for name, function, doc in rows:
            cluster.world.metrics.gauge(name, doc, LABELS, scope="host").function(function, cluster.name)

    def _endpoints(self) -> tuple[Any, ...]:
        cluster = self._cluster()
        return cluster.endpoints if cluster is not None else ()

    def total(self) -> int:
        """Return how many there are."""
        return len(self._endpoints())

    def healthy(self) -> int:
        """Return how many may be used and are not degraded."""
        return sum(one.healthy and not one.bits & DEGRADED for one in self._endpoints())

    def degraded(self) -> int:
        """Return how many may be used and are degraded."""
        return sum(one.healthy and bool(one.bits & DEGRADED) for one in self._endpoints())

    def excluded(self) -> int:
        """Return how many do not count in the total by which panic is judged."""
        return sum(bool(one.bits & (PENDING_CHECK | IMMEDIATE_FAIL)) for one in self._endpoints())

    def passing(self) -> int:
        """Return how many pass their checks."""
        return sum(not one.bits & (FAILED_ACTIVE_CHECK | PENDING_CHECK) for one in self._endpoints())

    def degraded_by_checks(self) -> int:
        """Return how many say in their checks that they are degraded."""
        return sum(bool(one.bits & BY_CHECKS & DEGRADED) for one in self._endpoints())
