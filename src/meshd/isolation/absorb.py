"""Metrics that an isolated filter makes in its child, added to the process's own; bounded for each child."""

import math
from typing import Any

from meshd.isolation.message import Delta
from meshd.telemetry.family import COUNTER, GAUGE, HISTOGRAM

MAX_SERIES = 1000
MAX_OBSERVATIONS = 1_000_000
"""In one note; what is beyond is no number that a filter has counted."""


class Ledger:
    """What one child has added. Counters and histograms stay when it ends; gauges lose what it had put in."""

    def __init__(self, metrics: Any) -> None:
        self._metrics = metrics
        self._cells: dict[tuple, Any] = {}
        self._gauges: dict[tuple, float] = {}

    def add(self, delta: Delta) -> None:
        """Add one movement; raises ValueError where it does not fit."""
        key = (delta.kind, delta.name, delta.values)
        cell = self._cells.get(key)
        if cell is None:
            if len(self._cells) >= MAX_SERIES:
                raise ValueError(f"metric {delta.name}: expected at most {MAX_SERIES} series of one child")
            cell = self._cells[key] = self._cell(delta)
        if delta.kind == HISTOGRAM:
            cell.add(checked(delta), delta.amount)
        elif delta.kind == GAUGE:
            cell.inc(delta.amount)
            self._gauges[key] = self._gauges.get(key, 0.0) + delta.amount
        elif not 0 <= delta.amount < math.inf:
            raise ValueError(f"metric {delta.name}: expected a counter to grow, got {delta.amount!r}")
        else:
            cell.inc(delta.amount)

    def _cell(self, delta: Delta) -> Any:
        metrics = self._metrics
        if delta.kind == COUNTER:
            return metrics.counter(delta.name, delta.doc, delta.labels).cell(*delta.values)
        if delta.kind == GAUGE:
            return metrics.gauge(delta.name, delta.doc, delta.labels).cell(*delta.values)
        known = metrics.families.get(delta.name)
        if delta.kind != HISTOGRAM or (known is not None and known.bounds != delta.bounds):
            raise ValueError(f"metric {delta.name}: expected the kind and bounds that it has here")
        return metrics.histogram(delta.name, delta.doc, delta.labels, delta.bounds).cell(*delta.values)

    def close(self) -> None:
        """The child has ended."""
        for key, amount in self._gauges.items():
            self._cells[key].dec(amount)
        self._gauges.clear()
        self._cells.clear()


def checked(delta: Delta) -> tuple[int, ...]:
    """Return the counts of a histogram's buckets; raises ValueError where they are none."""
    counts = delta.counts
    if not counts or min(counts) < 0 or sum(counts) > MAX_OBSERVATIONS or not math.isfinite(delta.amount):
        raise ValueError(f"metric {delta.name}: expected counts of observations and their sum")
    return counts
