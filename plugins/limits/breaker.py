"""What of one cluster is in use, and the limits; the cluster asks at each request, connection, wait and retry.

``breaker.pxd`` types it for the compiled build.
"""

from zope.interface import classImplements

from meshd.api import ICircuitBreaker

CONNECTIONS, PENDING, REQUESTS, RETRIES = range(4)
RESOURCES = (
    ("connections", "cx", "cx"),
    ("pending", "rq_pending", "pending"),
    ("requests", "rq", "rq"),
    ("retries", "rq_retry", "retries"),
)
"""(name, Envoy's name in ``..._open``, Envoy's name in ``remaining_...``), in the order of the ledger's counts."""


class Breaker:
    """Takes from a ledger up to its limits; the breakers of the old and the new runtime have the same ledger.

    ``high`` is the breaker of routes with priority ``high``, or None where they are counted with the others.
    ``max_connections_per_endpoint``: 0 for any number.
    """

    __slots__ = ("ledger", "limits", "high", "max_connections_per_endpoint", "_max_connections", "_max_pending",
                 "_max_requests", "_max_retries", "_metrics", "_owner", "_priority", "_is_tracked", "__weakref__")

    def __init__(self, limits, ledger, metrics, owner, priority="default", is_tracked=True):
        self.ledger = ledger
        self.limits = limits
        self._max_connections = limits.max_connections
        self._max_pending = limits.max_pending
        self._max_requests = limits.max_requests
        self._max_retries = limits.max_retries
        self._metrics = metrics
        self._owner = owner
        self._priority = priority
        self._is_tracked = is_tracked
        self.high = None
        self.max_connections_per_endpoint = 0

    def start(self):
        """Show the counts in the metrics: from the swap on, these limits are the ones in force."""
        begin = f"envoy_cluster_circuit_breakers_{self._priority}"
        for index, (name, short, remaining) in enumerate(RESOURCES):
            is_open = self._metrics.gauge(
                f"{begin}_{short}_open", f"1 while no more {name} are admitted", ("cluster_name",), "host")
            is_open.function(self._gauge(index, self.is_full), self._owner)
            if self._is_tracked:
                left = self._metrics.gauge(
                    f"{begin}_remaining_{remaining}", f"{name} until the circuit breaker opens", ("cluster_name",),
                    "host")
                left.function(self._gauge(index, self.left), self._owner)
        if self.high is not None:
            self.high.start()

    def _gauge(self, index, value):
        return lambda: value(index)

    def limit(self, index):
        """Return the limit of a resource."""
        return getattr(self.limits, f"max_{RESOURCES[index][0]}")

    def is_full(self, index):
        """Return 1 while no more of a resource is admitted, else 0."""
        return int(self.ledger.used(index) >= self.limit(index))

    def left(self, index):
        """Return what is left of a resource."""
        return max(0, self.limit(index) - self.ledger.used(index))

    def stop(self):
        """The runtime has ended."""
        if self.high is not None:
            self.high.stop()

    def admit_request(self):
        """A request wants to be in flight."""
        return self.ledger.take(REQUESTS, self._max_requests)

    def release_request(self):
        """It has ended."""
        self.ledger.give(REQUESTS)

    def admit_pending(self):
        """A request wants to wait for a connection."""
        return self.ledger.take(PENDING, self._max_pending)

    def release_pending(self):
        """It waits no more."""
        self.ledger.give(PENDING)

    def admit_connection(self):
        """A connection wants to be opened."""
        return self.ledger.take(CONNECTIONS, self._max_connections)

    def release_connection(self):
        """It has closed."""
        self.ledger.give(CONNECTIONS)

    def admit_retry(self):
        """An attempt wants to be a retry."""
        return self.ledger.take(RETRIES, self._max_retries)

    def release_retry(self):
        """It has ended."""
        self.ledger.give(RETRIES)

    def state(self):
        """Return a dict of name -> (used on this host, limit); those of priority high are called ``high_...``."""
        found = {name: (self.ledger.used(index), self.limit(index)) for index, (name, _, _) in enumerate(RESOURCES)}
        if self.high is not None:
            found |= {f"high_{name}": pair for name, pair in self.high.state().items()}
        return found


classImplements(Breaker, ICircuitBreaker)
