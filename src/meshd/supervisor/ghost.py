"""What ended workers have counted: added up, so that no counter of the whole ever falls.

The format is that of ``meshd.telemetry.share``: one JSON object for each line, ``k`` the kind, ``r`` the rows. Gauges
end with their worker. A worker that was killed counts with what it told last.
"""

import json
from typing import Any

MAX_SERIES = 100_000

COUNTER = "counter"
HISTOGRAM = "histogram"
HOST = "host"
"""The scope of numbers that every worker tells alike."""


class Ghost:
    """``text`` is all of it, in the same format, made anew only after something was added."""

    def __init__(self) -> None:
        self._families: dict[str, dict[str, Any]] = {}
        self._rows: dict[tuple, Any] = {}
        self._text: bytes | None = b""

    def add(self, payload: bytes) -> None:
        """Add the counters and histograms of a worker that has ended."""
        for line in payload.splitlines():
            found = json.loads(line)
            if found["k"] in (COUNTER, HISTOGRAM) and found["s"] != HOST:
                self._families[found["n"]] = {key: value for key, value in found.items() if key != "r"}
                self._take(found)
        self._text = None

    def _take(self, found: dict[str, Any]) -> None:
        name, bounds = found["n"], len(found.get("b", ()))
        for values, number in found["r"]:
            key = (name, bounds, *values)
            old = self._rows.get(key)
            if old is None:
                if len(self._rows) < MAX_SERIES:
                    self._rows[key] = number
            elif found["k"] == COUNTER:
                self._rows[key] = old + number
            else:
                self._rows[key] = [one + other for one, other in zip(old, number)]

    @property
    def text(self) -> bytes:
        """All of it as one more worker would tell it."""
        if self._text is None:
            by_family: dict[tuple[str, int], list] = {}
            for (name, bounds, *values), number in self._rows.items():
                by_family.setdefault((name, bounds), []).append([values, number])
            lines = [
                json.dumps({**self._families[name], "r": rows}) for (name, bounds), rows in by_family.items()
                if len(self._families[name].get("b", ())) == bounds
            ]
            self._text = "\n".join(lines).encode()
        return self._text
