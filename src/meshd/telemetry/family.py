"""Families: one metric's name, kind and label names, and its series; made by ``meshd.telemetry.metrics.Metrics``."""

import re
import sys
from collections.abc import Callable, Iterator

from meshd.hot.histogram import Histogram
from meshd.telemetry.cell import Computed, Counter, Gauge

COUNTER = "counter"
GAUGE = "gauge"
HISTOGRAM = "histogram"
SCOPES = ("worker", "host")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
_ESCAPED = re.compile(r'[\\"\n]')
_UNHELD = 2  # references to a cell that nobody but its series keeps: the series' and getrefcount's own


def label_text(names: tuple, values: tuple) -> str:
    """Return ``a="x",b="y"``, escaped as the text format wants it; a label whose value is None is left out."""
    parts = []
    for name, value in zip(names, values):
        if value is not None:
            parts.append(f'{name}="{_ESCAPED.sub(lambda found: _ESCAPES[found[0]], value)}"')
    return ",".join(parts)


class Series:
    """One cell and the text that stands before its number; ``last`` and ``changed_s`` serve the sweep."""

    __slots__ = ("values", "cell", "lines", "labels", "prefix", "last", "changed_s")

    def __init__(self, name: str, names: tuple, values: tuple, cell: object, lines: int) -> None:
        self.values = values
        self.cell = cell
        self.lines = lines
        self.labels = label_text(names, values)
        self.prefix = f"{name}{{{self.labels}}} " if self.labels else f"{name} "
        self.last = None
        self.changed_s = None

    @property
    def is_held(self) -> bool:
        """Say whether somebody keeps the cell and might still add to it."""
        return sys.getrefcount(self.cell) > _UNHELD


class Family:
    """The series of one metric. ``cell(*values)`` gives the cell of these label values, always the same one.

    ``admit(lines)`` is asked before a labelled series is made, ``release(lines)`` told when one ends, so that all
    families together stay within ``Metrics``' bound; beyond it callers get ``overflow``, a cell that is never written.
    """

    def __init__(self, kind: str, name: str, doc: str, labels: tuple, *, bounds: tuple = (), scope: str = "worker",
                 admit: Callable = bool, release: Callable = bool) -> None:
        self.kind = kind
        self.name = name
        self.doc = doc
        self.labels = labels
        self.bounds = bounds
        self.scope = scope
        self.series: dict[tuple, Series] = {}
        self._admit = admit
        self._release = release
        self.overflow = self._make()

    @property
    def lines(self) -> int:
        """How many lines of text one series takes: Prometheus' own count of series."""
        return len(self.bounds) + 3 if self.kind == HISTOGRAM else 1

    def cell(self, *values: str | None) -> Counter | Gauge | Histogram:
        """Return the cell of these label values, in the order of ``labels``; None leaves a label out.

        Raises ValueError where their number differs.
        """
        found = self.series.get(values)
        if found is not None and getattr(found.cell, "bounds", self.bounds) == self.bounds:
            return found.cell
        return self._add(values, self._make)

    def function(self, function: Callable[[], float], *values: str | None) -> None:
        """Ask ``function()`` for the number at each scrape; it replaces what these label values had.

        A bound method is held weakly: the series ends with its object.
        """
        self.remove(*values)
        self._add(values, lambda: Computed(function))

    def remove(self, *values: str | None) -> bool:
        """End the series of these label values; say whether there was one."""
        values = self._texts(values)
        found = self.series.pop(values, None)
        if found is not None and self.labels:
            self._release(found.lines)
        return found is not None

    def _make(self) -> Counter | Gauge | Histogram:
        if self.kind == HISTOGRAM:
            return Histogram(self.bounds)
        return Counter() if self.kind == COUNTER else Gauge()

    def _texts(self, values: tuple) -> tuple:
        if len(values) != len(self.labels):
            raise ValueError(f"metric {self.name}: label values {values!r}: expected one for each of {self.labels!r}")
        return tuple(value if value is None or type(value) is str else _text(value) for value in values)

    def _add(self, values: tuple, make: Callable):
        values = self._texts(values)
        found = self.series.get(values)
        if found is not None and getattr(found.cell, "bounds", self.bounds) == self.bounds:
            return found.cell
        if found is not None:
            self.remove(*values)  # the bounds were changed by a reload: this histogram begins anew
        if self.labels and not self._admit(self.lines):
            return self.overflow
        series = self.series[values] = Series(self.name, self.labels, values, make(), self.lines)
        return series.cell

    def sweep(self, now_s: float, idle_s: float) -> Iterator[int]:
        """End labelled series whose number stood still for ``idle_s`` and whose cell nobody keeps.

        A cell that is kept is never ended, because its holder would go on adding to nothing. Yields 1 for each series.
        """
        for series in list(self.series.values()):
            yield 1
            if type(series.cell) is Computed:
                if series.cell.is_gone:
                    self.remove(*series.values)
                continue
            value = self.read(series)
            if value != series.last or series.changed_s is None:
                series.last = value
                series.changed_s = now_s
            elif self.labels and now_s - series.changed_s >= idle_s and not series.is_held:
                self.remove(*series.values)

    @staticmethod
    def read(series: Series) -> float | None:
        """Return the number (a histogram's count), None when its owner is gone or its function fails."""
        try:
            return series.cell.value
        except Exception:  # a plugin's function: its fault must not cost the other series
            return None


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if type(value) is bytes else str(value)
