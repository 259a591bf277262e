"""The world of an isolated filter: real time, chance, threads and environment; state, log and metrics of its own child.

``runtime``'s ``Ground`` and ``Site`` are used as they are; what they stand on is replaced here.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import Logger, LogLevel, formatEvent

from meshd.api import PluginError
from meshd.isolation.message import MAX_TEXT, Delta, Note
from meshd.runtime.clock import Clock
from meshd.runtime.site import no_cluster
from meshd.telemetry.family import GAUGE, HISTOGRAM
from meshd.telemetry.metrics import Metrics
from meshd.wire.bus import Bus

MAX_LINES = 1000
OWN = ("meshd_series_dropped_total", "meshd_metric_errors_total")
"""Families that every ``Metrics`` has; the parent has its own."""


class ChildMetrics(Metrics):
    """Families whose movements are sent to the parent."""

    def collector(self, registry: object) -> None:
        """Not available: the parent cannot ask a collector in another process."""
        raise PluginError("metrics.collector: not available to an isolated filter: use counter, gauge and histogram")


class ChildWorld:
    """What ``Ground`` and ``Site`` want of a world."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.clock = Clock(reactor)
        self.call_later = reactor.callLater
        self.on_reopen: list[Callable[[], Any]] = []
        self.node: Any = None
        self.random = random.Random()
        self.metrics = ChildMetrics()
        self.log = Logger(namespace="meshd.isolated")
        self.bus = Bus()
        self.is_ready: Callable[[], bool] = lambda: True

    def dial(self, address: str, receiver: Any, timeout_s: float) -> Any:
        """Not available: there is no poller here."""
        raise PluginError("site.dial: not available to an isolated filter")

    def run(self, function: Callable[..., Any], *args: Any) -> None:
        """Run one piece of work."""
        function(*args)


class NoClusters(Mapping):
    """``site.cluster``: clusters live in the parent."""

    def __getitem__(self, name: str) -> Any:
        return no_cluster(name)

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


class Lines:
    """A log observer that keeps lines until they are sent; debug lines and what does not fit are left out."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str]] = []
        self.lost = 0

    def __call__(self, event: dict) -> None:
        """Keep one event (ILogObserver)."""
        level = event.get("log_level") or LogLevel.info
        if level is LogLevel.debug:
            return
        if len(self.kept) >= MAX_LINES:
            self.lost += 1
            return
        failure = event.get("log_failure")
        text = formatEvent(event) or ""
        if failure is not None:
            text += "\n" + failure.getTraceback()
        self.kept.append((level.name, text[:MAX_TEXT]))


class Reporter:
    """Makes notes of log lines and of series that have moved."""

    def __init__(self, lines: Lines, metrics: Metrics) -> None:
        self._lines = lines
        self._metrics = metrics
        self._sent: dict[tuple, Any] = {}

    def note(self) -> Note | None:
        """Return what is new, or None."""
        lines, self._lines.kept = tuple(self._lines.kept), []
        lost, self._lines.lost = self._lines.lost, 0
        deltas = tuple(self._deltas())
        return Note(lines, lost, deltas) if lines or lost or deltas else None

    def _deltas(self) -> Any:
        for family in list(self._metrics.families.values()):
            if family.name in OWN:
                continue
            for values, series in list(family.series.items()):
                delta = self._delta(family, values, series)
                if delta is not None:
                    yield delta

    def _delta(self, family: Any, values: tuple, series: Any) -> Delta | None:
        key = (family.name, values)
        if family.kind == HISTOGRAM:
            now = (series.cell.total, tuple(buckets(series.cell)))
            total, counts = self._sent.get(key, (0.0, (0,) * len(now[1])))
            amount, moved = now[0] - total, tuple(one - two for one, two in zip(now[1], counts))
        else:
            now = family.read(series)
            if now is None:
                return None
            amount, moved = now - self._sent.get(key, 0), ()
        if not (amount or any(moved)):
            return None
        self._sent[key] = now
        if family.kind != GAUGE and amount < 0 and not moved:
            return None
        bounds = family.bounds if family.kind == HISTOGRAM else ()
        return Delta(family.kind, family.name, family.doc, family.labels, bounds, values, float(amount), moved)


def buckets(histogram: Any) -> list[int]:
    """Return the count of each bucket alone."""
    found, before = [], 0
    for count in histogram.cumulative():
        found.append(count - before)
        before = count
    return found
