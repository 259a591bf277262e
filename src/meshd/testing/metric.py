"""Metrics as a test reads them, and assertions on what a piece of a test changes.

A series is written as in /metrics: ``meshd_x_total{filter="f"}``. Labels that are left out may have any value, so the
number is the sum of all series that fit; a histogram has ``name_count``, ``name_sum`` and ``name_bucket``.
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from meshd.telemetry.metrics import Metrics
from meshd.telemetry.writer import expose

LIMIT_S = 2.0
"""How long a number may take: a response is out a moment before its exchange is counted."""
LOOK_S = 0.005
SHOWN = 12
"""Near misses that are named."""

_SERIES = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})?").fullmatch
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')


def parsed(series: str) -> tuple[str, frozenset]:
    """Return (name, labels) of a series; ValueError where it is none."""
    found = _SERIES(series)
    labels = found[2] or "" if found else ""
    if found is None or _LABEL.sub("", labels).strip(", "):
        raise ValueError(f"""series {series!r}: expected name or name{{label="value"}}""")
    return found[1], frozenset(_LABEL.findall(labels))


class Reading(Mapping):
    """All numbers at one moment. ``reading[series]`` is the sum of what fits; KeyError with near misses otherwise.

    ``get(series, default)``; iterating gives each series whole, as /metrics has it.
    """

    def __init__(self, values: dict[str, float]) -> None:
        self._values = values
        self._named: dict[str, list[str]] = {}
        for text in values:
            self._named.setdefault(text.partition("{")[0], []).append(text)

    def fitting(self, series: str) -> list[str]:
        """Return the series that have this name and these labels."""
        name, labels = parsed(series)
        return [text for text in self._named.get(name, ()) if not labels or labels <= parsed(text)[1]]

    def near(self, series: str) -> list[str]:
        """Return series that may have been meant: of the same name, or of one that looks like it."""
        name, _ = parsed(series)
        names = [name] if name in self._named else get_close_matches(name, self._named, 5, 0.6)
        return [text for one in names for text in self._named[one]][:SHOWN]

    def __getitem__(self, series: str) -> float:
        found = self.fitting(series)
        if not found:
            raise KeyError(f"{series}: no such series; near: {', '.join(self.near(series)) or 'none'}")
        return sum(self._values[text] for text in found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def since(self, before: "Reading") -> dict[str, float]:
        """Return what each series grew by, without those that did not change."""
        grown = {text: value - before._values.get(text, 0) for text, value in self._values.items()}
        return {text: value for text, value in grown.items() if value}


def reading_of(metrics: Metrics) -> Reading:
    """Return what /metrics would say now."""
    lines = b"".join(expose(metrics)).decode().splitlines()
    rows = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
    return Reading({series: float(value) for series, _, value in rows})


def read(source: Any) -> Reading:
    """Return the metrics of a proxy, or of a FakeSite."""
    found = source.metrics
    return found if isinstance(found, Reading) else reading_of(found)


class assert_metrics:
    """Assert what a block does to the metrics of ``source``, a Mesh or a FakeSite::

        with assert_metrics(proxy, {'hello_greetings_total{filter="hello"}': +1}):
            proxy.get("/hello")
        assert_metrics(proxy).has('hello_greetings_total{filter="hello"}', 1)

    Numbers have ``limit_s`` to come true. A series that is not there counts as 0. The failure names near misses.
    """

    def __init__(self, source: Any, expected: Mapping[str, float] | None = None, *, limit_s: float = LIMIT_S) -> None:
        self._source = source
        self._expected = dict(expected or {})
        self._limit_s = limit_s
        for series in self._expected:
            parsed(series)

    def __enter__(self) -> "assert_metrics":
        self._before = read(self._source)
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            self._await(self._wrong_differences)

    def has(self, series: str, value: float | None = None) -> None:
        """Assert that a series is there, with this value if one is given; AssertionError if not."""
        self._await(lambda: self._wrong_value(series, value))

    def _await(self, wrong: Any) -> None:
        until = time.monotonic() + self._limit_s
        while text := wrong():
            if time.monotonic() > until:
                raise AssertionError(text)
            time.sleep(LOOK_S)

    def _wrong_differences(self) -> str:
        after = read(self._source)
        lines = []
        for series, expected in self._expected.items():
            old, new = self._before.get(series, 0), after.get(series, 0)
            if new - old != expected:
                lines.append(f"{series}: expected {expected:+g}, got {new - old:+g} ({old:g} -> {new:g})")
                lines += [] if after.fitting(series) else _hints(after.near(series))
        if not lines:
            return ""
        changes = [f"{text} {value:+g}" for text, value in after.since(self._before).items() if _is_news(text)]
        return "metrics:\n" + _listed(lines) + "what did change:\n" + _listed(changes[:SHOWN] or ["nothing"])

    def _wrong_value(self, series: str, value: float | None) -> str:
        found = read(self._source)
        if not found.fitting(series):
            return f"metrics:\n  {series}: no such series\n" + _listed(_hints(found.near(series)))
        if value is None or found[series] == value:
            return ""
        parts = [f"{text} {found[text]:g}" for text in found.fitting(series)]
        return f"metrics:\n  {series}: expected {value:g}, got {found[series]:g}, which is\n" + _listed(parts)


def _hints(near: Iterable[str]) -> list[str]:
    return [f"  near: {text}" for text in near]


def _is_news(series: str) -> bool:
    """Say whether a change is worth telling: those of the process go on by themselves, buckets repeat the count."""
    return not series.startswith(("process_", "python_gc_")) and "_bucket{" not in series


def _listed(lines: Iterable[str]) -> str:
    return "".join(f"  {line}\n" for line in lines)
