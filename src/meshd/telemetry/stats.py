"""The metrics for people and scripts, as ``/stats`` has them: Envoy-like lines, a JSON list; used by the admin API."""

from bisect import bisect_left
from collections.abc import Callable, Iterator

from meshd.hot.histogram import Histogram
from meshd.telemetry.family import HISTOGRAM, Family
from meshd.telemetry.metrics import Metrics
from meshd.telemetry.writer import SLICE, number_text

QUANTILES = (0.5, 0.9, 0.99)


def quantile(cell: Histogram, share: float) -> float:
    """Estimate the value below which ``share`` (0 to 1) lies; linear within a bucket, NaN without observations."""
    running = cell.cumulative()
    if not running[-1]:
        return float("nan")
    wanted = share * running[-1]
    index = bisect_left(running, wanted)
    if index >= len(cell.bounds):
        return cell.bounds[-1] if cell.bounds else float("nan")
    low = cell.bounds[index - 1] if index else 0.0
    below = running[index - 1] if index else 0
    inside = running[index] - below
    return low + (cell.bounds[index] - low) * ((wanted - below) / inside if inside else 0.0)


def _everything(name: str) -> bool:
    return True


def _rows(metrics: Metrics, wanted: Callable[[str], bool]) -> Iterator[tuple]:
    for name in sorted(metrics.families):
        family = metrics.families[name]
        for series in list(family.series.values()) if wanted(name) else ():
            value = Family.read(series)
            if value is not None:
                yield family, series, value


def text_stats(metrics: Metrics, wanted: Callable[[str], bool] = _everything) -> Iterator[bytes]:
    """Yield ``name{labels}: value`` lines in slices; ``wanted(name)`` chooses the families."""
    lines: list[str] = []
    for family, series, value in _rows(metrics, wanted):
        text = number_text(value)
        if family.kind == HISTOGRAM:
            cell = series.cell
            shares = " ".join(f"P{share * 100:g}({number_text(quantile(cell, share))})" for share in QUANTILES)
            text = f"count={value} sum={number_text(cell.total)} {shares}"
        lines.append(f"{series.prefix.rstrip()}: {text}\n")
        if len(lines) >= SLICE:
            yield "".join(lines).encode("utf-8", "replace")
            lines.clear()
    yield "".join(lines).encode("utf-8", "replace")


def json_stats(metrics: Metrics, wanted: Callable[[str], bool] = _everything) -> list[dict]:
    """Return one dict for each series: name, type, scope, labels and value, or a histogram's count, sum and buckets."""
    return list(json_rows(metrics, wanted))


def json_rows(metrics: Metrics, wanted: Callable[[str], bool] = _everything) -> Iterator[dict]:
    """Yield what ``json_stats`` returns, one by one."""
    for family, series, value in _rows(metrics, wanted):
        labels = {name: text for name, text in zip(family.labels, series.values) if text is not None}
        row = {"name": family.name, "type": family.kind, "scope": family.scope, "labels": labels}
        if family.kind == HISTOGRAM:
            cell = series.cell
            row |= {"count": value, "sum": cell.total}
            row["buckets"] = dict(zip([number_text(bound) for bound in cell.bounds] + ["+Inf"], cell.cumulative()))
        else:
            row["value"] = value
        yield row
