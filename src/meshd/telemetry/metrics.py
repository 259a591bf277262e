"""``site.metrics``: all families of a process, bounded in number; written out by ``meshd.telemetry.writer``."""

import re
from collections.abc import Iterator

from zope.interface import implementer

from meshd.api.site import IMetrics
from meshd.telemetry.cell import Counter
from meshd.telemetry.family import COUNTER, GAUGE, HISTOGRAM, SCOPES, Family

ENVOY_BOUNDS = (
    0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0, 30000.0, 60000.0,
    300000.0, 600000.0, 1800000.0, 3600000.0,
)
"""Envoy's default upper bounds (milliseconds or bytes), kept so that quantiles agree with Envoy's."""

MAX_SERIES = 100_000
IDLE_S = 3600.0
"""Istio's statsEvictionInterval."""

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_SLICE = 2000


class Room:
    """How many lines are in use, of how many; families hold this and not their ``Metrics``, which is freed without the
    garbage collector then. ``dropped`` counts refusals; it is set when the families are there.
    """

    __slots__ = ("most", "used", "dropped")

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0
        self.dropped: Counter

    def admit(self, lines: int) -> bool:
        """Take ``lines``, or count a refusal and return False."""
        if self.used + lines > self.most:
            self.dropped.value += 1
            return False
        self.used += lines
        return True

    def release(self, lines: int) -> None:
        """Give back ``lines``."""
        self.used -= lines


@implementer(IMetrics)
class Metrics:
    """Families by name. At most ``max_series`` lines are ever written; what is refused is counted.

    Each family states its ``scope``: ``worker`` numbers of several processes are added up, ``host`` numbers
    are the same in each.
    """

    def __init__(self, max_series: int = MAX_SERIES) -> None:
        self._room = Room(max_series)
        self.families: dict[str, Family] = {}
        self.registries: list = []
        self._room.dropped = self.counter(
            "meshd_series_dropped_total", "Series refused because max_series are in use"
        ).cell()
        self.errors = self.counter(
            "meshd_metric_errors_total", "Numbers of plugins that could not be read at a scrape"
        ).cell()

    @property
    def used(self) -> int:
        """How many lines are in use."""
        return self._room.used

    def counter(self, name: str, doc: str, labels: tuple = (), scope: str = "worker") -> Family:
        """Return the family of counters ``name``; raises ValueError where it exists with another kind or labels."""
        return self._family(COUNTER, name, doc, tuple(labels), (), scope)

    def gauge(self, name: str, doc: str, labels: tuple = (), scope: str = "worker") -> Family:
        """Return the family of gauges ``name``."""
        return self._family(GAUGE, name, doc, tuple(labels), (), scope)

    def histogram(self, name: str, doc: str, labels: tuple = (), bounds: tuple = (), scope: str = "worker") -> Family:
        """Return the family of histograms ``name``; ``bounds`` are ascending, in its unit (Envoy's when empty).

        Other bounds than before make its histograms begin anew as they are asked for.
        """
        bounds = tuple(float(bound) for bound in bounds) or ENVOY_BOUNDS
        if any(low >= high for low, high in zip(bounds, bounds[1:])):
            raise ValueError(f"metric {name}: bounds {bounds!r}: expected ascending numbers")
        return self._family(HISTOGRAM, name, doc, tuple(labels), bounds, scope)

    def collector(self, registry: object) -> None:
        """Add a prometheus_client CollectorRegistry; where two have a metric of one name, the later one is written."""
        if registry not in self.registries:
            self.registries.append(registry)

    def value(self, name: str, *values: str) -> float | None:
        """Return the number of one series (a histogram's count), None where there is none; for pages and tests."""
        family = self.families.get(name)
        series = family.series.get(values) if family is not None else None
        return None if series is None else family.read(series)

    def sweep(self, now_s: float, idle_s: float = IDLE_S) -> Iterator[None]:
        """End idle series (``Family.sweep``) in slices: call now and then and go through the iterator at leisure."""
        seen = 0
        for family in list(self.families.values()):
            for one in family.sweep(now_s, idle_s):
                seen += one
                if seen % _SLICE == 0:
                    yield

    def _family(self, kind: str, name: str, doc: str, labels: tuple, bounds: tuple, scope: str) -> Family:
        found = self.families.get(name)
        if found is None:
            _check_names(kind, name, labels, scope)
            found = self.families[name] = Family(
                kind, name, doc, labels, bounds=bounds, scope=scope, admit=self._room.admit, release=self._room.release
            )
        if (found.kind, found.labels) != (kind, labels):
            raise ValueError(
                f"metric {name}: {kind} with labels {labels!r}: expected the {found.kind} with labels {found.labels!r}"
            )
        if found.bounds != bounds:
            found.bounds = bounds
            found.overflow = found._make()
        return found


def _check_names(kind: str, name: str, labels: tuple, scope: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"metric {name!r}: name: expected letters, digits, _ and :")
    if scope not in SCOPES:
        raise ValueError(f"metric {name}: scope {scope!r}: expected one of {SCOPES!r}")
    for label in labels:
        if not _LABEL.fullmatch(label) or (kind == HISTOGRAM and label == "le"):
            raise ValueError(
                f"metric {name}: label {label!r}: expected letters, digits and _, and not le on a histogram"
            )
    if len(set(labels)) != len(labels):
        raise ValueError(f"metric {name}: labels {labels!r}: expected no name twice")
