"""Counts of one cluster and their limits; the cluster asks at each request, connection, wait and retry.

``breaker.pxd`` types it for the compiled build.
"""

from zope.interface import classImplements

from meshd.api import ICircuitBreaker

RESOURCES = (
    ("connections", "cx", "cx"),
    ("pending", "rq_pending", "pending"),
    ("requests", "rq", "rq"),
    ("retries", "rq_retry", "retries"),
)
"""(count, Envoy's name in ``..._open``, Envoy's name in ``remaining_...``)."""


class Counts:
    """What is in use; shared by the breakers of the old and the new runtime."""

    __slots__ = ("connections", "pending", "requests", "retries")

    def __init__(self):
        self.connections = self.pending = self.requests = self.retries = 0


class Breaker:
    """Compares counts with limits."""

    __slots__ = ("counts", "limits", "_max_connections", "_max_pending", "_max_requests", "_max_retries",
                 "_metrics", "_owner", "__weakref__")

    def __init__(self, limits, counts, metrics, owner):
        self.counts = counts
        self.limits = limits
        self._max_connections = limits.max_connections
        self._max_pending = limits.max_pending
        self._max_requests = limits.max_requests
        self._max_retries = limits.max_retries
        self._metrics = metrics
        self._owner = owner

    def start(self):
        """Show the counts in the metrics: from the swap on, these limits are the ones in force."""
        for name, short, remaining in RESOURCES:
            is_open = self._metrics.gauge(
                f"envoy_cluster_circuit_breakers_default_{short}_open", f"1 while no more {name} are admitted",
                ("cluster_name",), "host")
            left = self._metrics.gauge(
                f"envoy_cluster_circuit_breakers_default_remaining_{remaining}",
                f"{name} until the circuit breaker opens", ("cluster_name",), "host")
            is_open.function(self._gauge(name, lambda used, limit: int(used >= limit)), self._owner)
            left.function(self._gauge(name, lambda used, limit: max(0, limit - used)), self._owner)

    def _gauge(self, name, value):
        counts, limit = self.counts, getattr(self.limits, f"max_{name}")
        return lambda: value(getattr(counts, name), limit)

    def admit_request(self):
        """A request wants to be in flight."""
        counts = self.counts
        if counts.requests >= self._max_requests:
            return False
        counts.requests += 1
        return True

    def release_request(self):
        """It has ended."""
        self.counts.requests -= 1

    def admit_pending(self):
        """A request wants to wait for a connection."""
        counts = self.counts
        if counts.pending >= self._max_pending:
            return False
        counts.pending += 1
        return True

    def release_pending(self):
        """It waits no more."""
        self.counts.pending -= 1

    def admit_connection(self):
        """A connection wants to be opened."""
        counts = self.counts
        if counts.connections >= self._max_connections:
            return False
        counts.connections += 1
        return True

    def release_connection(self):
        """It has closed."""
        self.counts.connections -= 1

    def admit_retry(self):
        """An attempt wants to be a retry."""
        counts = self.counts
        if counts.retries >= self._max_retries:
            return False
        counts.retries += 1
        return True

    def release_retry(self):
        """It has ended."""
        self.counts.retries -= 1

    def state(self):
        """Return a dict of name -> (used, limit)."""
        return {name: (getattr(self.counts, name), getattr(self.limits, f"max_{name}")) for name, _, _ in RESOURCES}


classImplements(Breaker, ICircuitBreaker)
