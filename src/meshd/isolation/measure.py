"""The numbers of an isolated filter: restarts, refused calls, round trips, memory."""

from typing import Any

BOUNDS_S = (5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Measures:
    """Cells of one instance; children before and after a reload share them."""

    def __init__(self, name: str, metrics: Any) -> None:
        self._name = name
        self._refused = metrics.counter(
            "meshd_isolation_refused_total", "Calls that no child process took", ("plugin", "hook"))
        self._calls = metrics.histogram(
            "meshd_isolation_call_duration_seconds", "Time until a child process had answered", ("plugin", "hook"),
            BOUNDS_S,
        )
        self._cells: dict[str, Any] = {}
        self.restarts = metrics.counter(
            "meshd_isolation_restarts_total", "Child processes started in place of another", ("plugin",)).cell(name)
        self.resident = metrics.gauge(
            "meshd_isolation_resident_bytes", "Resident memory of the child process", ("plugin",)).cell(name)

    def refused(self, hook: str) -> None:
        """Count a call that was not made."""
        self._refused.cell(self._name, hook).inc()

    def observe(self, hook: str, seconds: float) -> None:
        """Count a call that was answered."""
        cell = self._cells.get(hook)
        if cell is None:
            cell = self._cells[hook] = self._calls.cell(self._name, hook)
        cell.observe(seconds)
