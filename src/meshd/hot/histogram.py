"""The histogram cell: counts of observations by bucket; filled on a request's road, read by ``meshd.telemetry``.

Strategy: ``observe`` adds to one bucket only; ``cumulative`` sums them up, as Prometheus wants them.
``histogram.pyx`` is the compiled twin.
"""

from bisect import bisect_left


class Histogram:
    """Observations in the unit of ``bounds`` (ascending floats); ``total`` is their sum."""

    __slots__ = ("bounds", "total", "_counts")

    def __init__(self, bounds: tuple) -> None:
        self.bounds = bounds
        self.total = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Count ``value``: it belongs to the first bound that is not less."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add(self, counts: tuple, total: float) -> None:
        """Add what another histogram with these bounds has counted; raises ValueError on a number of buckets that
        differs.
        """
        if len(counts) != len(self._counts):
            raise ValueError(f"histogram: {len(counts)} counts: expected {len(self._counts)}")
        self._counts = [one + two for one, two in zip(self._counts, counts)]
        self.total += total

    @property
    def value(self) -> int:
        """How many values were observed."""
        return sum(self._counts)

    def cumulative(self) -> list:
        """Return for each bound, and for infinity at the end, how many observations were not greater."""
        running = 0
        found = []
        for count in self._counts:
            running += count
            found.append(running)
        return found
