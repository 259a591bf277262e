"""Retry budgets: circuit breakers whose limit of retries is a share of the requests. ``limits`` builds them.

The rule is Envoy's (``RetryBudgetImpl`` of its resource manager), over all workers of a host together; but the share
is of the requests that are not retries themselves, so that a chain of N hops makes at most ``(1 + percent / 100) ** N``
requests of one. docs/formulas.md has the formula.
"""

from collections import deque

from meshd_plugins.limits.breaker import RESOURCES, Breaker

SLICES = 10
"""Parts of an interval; requests leave it in whole parts (Envoy's figure)."""
LARGEST = 2**32 - 1
REQUESTS, RETRIES = ([row[0] for row in RESOURCES].index(name) for name in ("requests", "retries"))


def retries_allowed(percent, min_retry_concurrency, requests):
    """Return how many retries may be in flight at once: ``max(percent / 100 * requests, min_retry_concurrency)``.

    ``requests`` are those in flight (those that wait for a connection included) less the retries, or those begun within
    an interval. The product is rounded down (Envoy, source/common/upstream/resource_manager_impl.h).
    """
    return max(int(percent / 100.0 * requests), min_retry_concurrency)


class BudgetBreaker(Breaker):
    """Admits retries up to a share of the requests in flight."""

    __slots__ = ("budget",)

    def __init__(self, limits, ledger, metrics, owner, priority, is_tracked):
        super().__init__(limits, ledger, metrics, owner, priority, is_tracked)
        self.budget = limits.budget

    def limit(self, index):
        """Return the limit of a resource as it is now."""
        if index != RETRIES:
            return super().limit(index)
        budget = self.budget
        return retries_allowed(budget.percent, budget.min_retry_concurrency, self.requests())

    def left(self, index):
        """Return what is left of a resource; of a budget 0, as in Envoy, since it moves with the requests."""
        return 0 if index == RETRIES else super().left(index)

    def requests(self):
        """Return the requests that the budget is a share of."""
        ledger = self.ledger
        return max(0, ledger.used(REQUESTS) - ledger.used(RETRIES))

    def admit_retry(self):
        """An attempt wants to be a retry."""
        return self.ledger.take(RETRIES, self.limit(RETRIES))


class IntervalBreaker(BudgetBreaker):
    """Admits retries up to a share of the requests that began within the last ``interval_s``.

    Each is one in the ledger ``begun``, of which this worker gives back what it took an interval ago.
    """

    __slots__ = ("_begun", "_clock", "_slices", "_count", "_call")

    def __init__(self, limits, ledger, begun, site, priority, is_tracked):
        super().__init__(limits, ledger, site.metrics, site.name, priority, is_tracked)
        self._begun = begun
        self._clock = site.clock
        self._slices = deque()
        self._count = 0
        self._call = None

    def requests(self):
        """Return the requests that the budget is a share of."""
        return self._begun.used(0)

    def admit_request(self):
        """A request wants to be in flight."""
        if not super().admit_request():
            return False
        if self._begun.take(0, LARGEST):
            self._count += 1
            if self._call is None:
                self._call = self._clock.call_later(self.budget.interval_s / SLICES, self._turn)
        return True

    def _turn(self):
        """A slice of time is over: forget the requests of the one that was an interval ago."""
        self._call = None
        slices = self._slices
        slices.append(self._count)
        self._count = 0
        if len(slices) > SLICES:
            self._give(slices.popleft())
        if any(slices):
            self._call = self._clock.call_later(self.budget.interval_s / SLICES, self._turn)
        else:
            slices.clear()

    def _give(self, count):
        for _ in range(count):
            self._begun.give(0)

    def stop(self):
        """Forget this worker's requests; what comes after it counts its own."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._give(sum(self._slices) + self._count)
        self._slices.clear()
        self._count = 0
        super().stop()
