"""Write all metrics as Prometheus text (format 0.0.4), in slices; called by the admin API for each scrape.

Strategy: a series carries the text before its number, made once; a scrape formats numbers and joins. The generator
yields after ``SLICE`` lines (about 2 ms), so that the reactor can serve traffic in between.
"""

import re
from collections.abc import Iterator

import prometheus_client

from meshd.telemetry.family import HISTOGRAM, Family, Series
from meshd.telemetry.metrics import Metrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SLICE = 1500
"""Lines of text between two yields; 1 line costs about 1 microsecond."""

_DOC = {"\\": "\\\\", "\n": "\\n"}


def number_text(value: float) -> str:
    """Return a number as the text format has it."""
    if type(value) is int:
        return str(value)
    value = float(value)
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def expose(metrics: Metrics) -> Iterator[bytes]:
    """Yield the text of all metrics, piece by piece; each piece ends with a whole line."""
    lines: list[str] = []
    for family in list(metrics.families.values()):
        if not family.series:
            continue
        lines.append(_head(family))
        write = _histogram if family.kind == HISTOGRAM else _single
        for series in list(family.series.values()):
            write(metrics, family, series, lines)
            if len(lines) >= SLICE:
                yield "".join(lines).encode("utf-8", "replace")
                lines.clear()
    yield "".join(lines).encode("utf-8", "replace")
    yield from _collected(metrics)


def _head(family: Family) -> str:
    doc = re.sub(r"[\\\n]", lambda found: _DOC[found[0]], family.doc)
    return f"# HELP {family.name} {doc}\n# TYPE {family.name} {family.kind}\n"


def _single(metrics: Metrics, family: Family, series: Series, lines: list) -> None:
    try:
        value = series.cell.value
        if value is not None:
            lines.append(f"{series.prefix}{value if type(value) is int else number_text(value)}\n")
    except Exception:  # a plugin's function, or what it returned: the other series must still be written
        metrics.errors.value += 1


def _histogram(metrics: Metrics, family: Family, series: Series, lines: list) -> None:
    cell = series.cell
    labels = series.labels + "," if series.labels else ""
    start = f'{family.name}_bucket{{{labels}le="'
    running = cell.cumulative()
    for bound, count in zip(_bounds(cell.bounds), running):
        lines.append(f'{start}{bound}"}} {count}\n')
    tail = series.prefix[len(family.name):]
    lines.append(f"{family.name}_sum{tail}{number_text(cell.total)}\n")
    lines.append(f"{family.name}_count{tail}{running[-1]}\n")


_bound_texts: dict[tuple, tuple] = {}


def _bounds(bounds: tuple) -> tuple:
    """Return the texts of ``bounds`` and of infinity; ``5.0`` is written ``5`` as Envoy does."""
    found = _bound_texts.get(bounds)
    if found is None:
        if len(_bound_texts) > 1000:
            _bound_texts.clear()
        texts = [str(int(bound)) if bound == int(bound) else repr(bound) for bound in bounds]
        found = _bound_texts[bounds] = (*texts, "+Inf")
    return found


class _Once:
    """Looks like a registry to prometheus_client; gives one collected family."""

    def __init__(self, family: object) -> None:
        self._family = family

    def collect(self) -> list:
        return [self._family]


def _collected(metrics: Metrics) -> Iterator[bytes]:
    """Yield what prometheus_client makes of the plugins' registries, one family at a time, no name twice."""
    seen = set(metrics.families)
    for registry in reversed(list(metrics.registries)):
        names = set()
        try:
            for family in registry.collect():
                name = f"{family.name}_total" if family.type == "counter" else family.name
                if name not in seen:
                    names.add(name)
                    yield prometheus_client.generate_latest(_Once(family))
        except Exception:  # a plugin's collector: what the others have must still be written
            metrics.errors.value += 1
        seen |= names
