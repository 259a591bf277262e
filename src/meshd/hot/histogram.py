"""The histogram cell: counts of observations by bucket; filled on a request's road, read by ``meshd.telemetry.writer``.

Strategy: ``observe`` adds to one bucket only; the writer makes the counts cumulative, as Prometheus wants them.
"""

from bisect import bisect_left

ENVOY_BOUNDS = (
    0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0, 30000.0, 60000.0,
    300000.0, 600000.0, 1800000.0, 3600000.0,
)
"""Envoy's default upper bounds (milliseconds or bytes), kept so that quantiles agree with Envoy's."""


class Histogram:
    """Observations in the unit of ``bounds``: ``counts[i]`` holds those <= bounds[i], the last one those beyond."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple = ENVOY_BOUNDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count ``value``."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def value(self) -> int:
        """How many values were observed."""
        return sum(self.counts)

    def cumulative(self) -> list:
        """Return for each bound, and for infinity at the end, how many observations were not greater."""
        running = 0
        found = []
        for count in self.counts:
            running += count
            found.append(running)
        return found

    def quantile(self, share: float) -> float:
        """Estimate the value below which ``share`` (0 to 1) lies; linear within a bucket, NaN without observations."""
        running = self.cumulative()
        if not running[-1]:
            return float("nan")
        wanted = share * running[-1]
        index = bisect_left(running, wanted)
        if index >= len(self.bounds):
            return self.bounds[-1] if self.bounds else float("nan")
        low = self.bounds[index - 1] if index else 0.0
        below = running[index - 1] if index else 0
        inside = running[index] - below
        return low + (self.bounds[index] - low) * ((wanted - below) / inside if inside else 0.0)
