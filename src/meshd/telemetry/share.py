"""The numbers of one worker as text that others can add up, and several of them as one ``Metrics``.

A line is a JSON object: ``n`` name, ``k`` kind, ``d`` doc, ``l`` label names, ``s`` scope, ``b`` bounds (histograms),
``r`` rows of [label values, number], a histogram's number being its cumulative counts and, last, its sum. What plugins
keep in prometheus_client registries has kind ``collected``: ``t`` its type, rows of [sample name, labels, number].
``meshd.supervisor.ghost`` adds up the same format for workers that have ended.

Numbers of scope ``worker`` are added; of scope ``host`` every worker tells the same, and the largest is taken.
"""

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.core import Metric

from meshd.telemetry.cell import Counter, Gauge
from meshd.telemetry.family import HISTOGRAM, Family, Series
from meshd.telemetry.metrics import Metrics

ROWS = 400
"""Series in one line: about 1 ms of work."""
COLLECTED = "collected"
HOST = "host"


class Sum:
    """A histogram that was added up: it has what a written histogram needs."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    @property
    def value(self) -> int:
        """How many values were observed."""
        return self.counts[-1]

    def cumulative(self) -> list[int]:
        """Return for each bound, and for infinity, how many observations were not greater."""
        return self.counts

    def add(self, number: list) -> None:
        """Add a histogram's row."""
        self.counts = [one + other for one, other in zip(self.counts, number)]
        self.total += number[-1]


def shared(metrics: Metrics) -> Iterator[bytes]:
    """Yield all series as lines, one after a slice of about 1 ms."""
    for family in list(metrics.families.values()):
        head = {"n": family.name, "k": family.kind, "d": family.doc, "l": family.labels, "s": family.scope}
        if family.kind == HISTOGRAM:
            head["b"] = family.bounds
        rows = []
        for series in list(family.series.values()):
            number = _number(family, series)
            if number is not None:
                rows.append((series.values, number))
            if len(rows) >= ROWS:
                yield _line(head, rows)
                rows = []
        if rows:
            yield _line(head, rows)
    for registry in list(metrics.registries):
        yield from _collected(metrics, registry)


def _line(head: dict[str, Any], rows: list) -> bytes:
    return json.dumps({**head, "r": rows}).encode() + b"\n"


def _number(family: Family, series: Series) -> Any:
    if family.kind == HISTOGRAM:
        cell = series.cell
        return (*cell.cumulative(), cell.total) if cell.bounds == family.bounds else None
    value = family.read(series)
    return value if value is not None and math.isfinite(value) else None


def _collected(metrics: Metrics, registry: Any) -> Iterator[bytes]:
    try:
        for found in registry.collect():
            head = {"n": found.name, "k": COLLECTED, "d": found.documentation, "t": found.type}
            yield _line(head, [[one.name, one.labels, one.value] for one in found.samples if math.isfinite(one.value)])
    except Exception:  # a plugin's collector: what the others have must still be told
        metrics.errors.value += 1


class Together:
    """Several workers' numbers. ``metrics`` can be written like those of one process."""

    def __init__(self) -> None:
        self.metrics = Metrics(max_series=1 << 62)
        self.metrics.families.clear()
        self._collected: dict[str, Metric] = {}
        self._samples: dict[tuple, list] = {}

    def add(self, payloads: Iterable[bytes]) -> Iterator[None]:
        """Add what workers have told, one line for each step."""
        for payload in payloads:
            for line in payload.splitlines():
                found = json.loads(line)
                if found["k"] == COLLECTED:
                    self._take_collected(found)
                else:
                    self._take(found)
                yield
        self.metrics.registries = [self] if self._collected else []

    def _take(self, found: dict[str, Any]) -> None:
        labels, bounds = tuple(found["l"]), tuple(found.get("b", ()))
        family = self.metrics._family(found["k"], found["n"], found["d"], labels, bounds, found["s"])
        for values, number in found["r"]:
            key = tuple(values)
            series = family.series.get(key)
            if series is None:
                cell = Sum(bounds) if bounds else (Counter() if found["k"] == "counter" else Gauge())
                series = family.series[key] = Series(family.name, labels, key, cell, family.lines)
            if bounds:
                series.cell.add(number)
            elif found["s"] == HOST:
                series.cell.value = max(series.cell.value, number)
            else:
                series.cell.value += number

    def _take_collected(self, found: dict[str, Any]) -> None:
        name = found["n"]
        self._collected.setdefault(name, Metric(name, found["d"], found["t"]))
        for sample, labels, number in found["r"]:
            key = (name, sample, *sorted(labels.items()))
            row = self._samples.setdefault(key, [name, sample, labels, 0.0])
            row[3] += number

    def collect(self) -> Iterator[Metric]:
        """Yield what plugins keep in registries of their own, added up (prometheus_client's Collector)."""
        for row in self._samples.values():
            self._collected[row[0]].add_sample(*row[1:])
        self._samples.clear()
        yield from self._collected.values()
