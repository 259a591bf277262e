"""What is known of one use of a plugin: faults, sampled times, strikes, and whether it is still called.

The chain tells it (``fault``, ``observe``), the watchdog too (``late``); ``/plugins`` shows ``snapshot()``.
"""

import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

from meshd.model.plugin import FAIL_OPEN, Plugin

BOUNDS_S = (1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 1e-2, 5e-2, 0.25, 1.0, 10.0)
LOG_EVERY_S = 1.0
STRIKE_WINDOW_S = 600.0

IN_USE = "in use"
BYPASSED = "bypassed"
REFUSED = "refused"
RUNNING = "running"


class Timing:
    """The sampled times of one hook, in seconds."""

    __slots__ = ("samples", "total_s", "longest_s", "cell")

    def __init__(self, cell: Any) -> None:
        self.samples = 0
        self.total_s = 0.0
        self.longest_s = 0.0
        self.cell = cell

    def add(self, seconds: float) -> None:
        """Count one sample."""
        self.samples += 1
        self.total_s += seconds
        if seconds > self.longest_s:
            self.longest_s = seconds
        self.cell.observe(seconds)

    def snapshot(self) -> dict[str, float]:
        """Return samples, mean and longest."""
        return {"samples": self.samples, "mean_s": self.total_s / self.samples, "longest_s": self.longest_s}


class PluginRecord:
    """``is_bypassed``: the plugin is called no more; requests pass it (fail-open) or are refused (fail-closed).

    That happens after ``max_errors`` faults (0: never) or ``strikes`` late times within ten minutes, and ends with
    the next reload. ``process`` is the child of an isolated filter (with ``state`` and ``snapshot()``), or None.
    ``on_change()`` is called when it happens. ``clock.now()`` is in monotonic seconds.
    """

    def __init__(
        self, plugin: Plugin, distribution: str, version: str, metrics: Any, log: Any, max_errors: int = 0,
        *, clock: Any, strikes: int = 3,
    ) -> None:
        self.plugin = plugin
        self.distribution = distribution
        self.version = version
        self.max_errors = max_errors
        self.is_bypassed = False
        self.on_change: Callable[[], Any] | None = None
        self.faults: dict[str, int] = {}
        self.last_fault = ""
        self.late_times = 0
        self.process: Any = None
        self._timings: dict[str, Timing] = {}
        self._strikes: deque[float] = deque(maxlen=max(1, strikes))
        self._clock = clock
        self._log = log
        self._next_log = 0.0
        self._unlogged = 0
        self._errors = metrics.counter("meshd_plugin_errors_total", "Faults of plugins", ("plugin", "hook"))
        self._durations = metrics.histogram(
            "meshd_plugin_duration_seconds", "Sampled time spent in plugins", ("plugin", "hook"), BOUNDS_S
        )
        self._bypassed = metrics.gauge("meshd_plugin_bypassed", "Uses of plugins that are called no more", ("plugin",))

    @property
    def errors(self) -> int:
        """All faults so far."""
        return sum(self.faults.values())

    @property
    def state(self) -> str:
        """``in use``, ``bypassed`` (requests pass it), ``refused`` (its requests are), or what the child does."""
        if not self.is_bypassed:
            return IN_USE if self.process is None or self.process.state == RUNNING else self.process.state
        return BYPASSED if self.plugin.on_error == FAIL_OPEN else REFUSED

    def fault(self, phase: str, error: BaseException, *, is_rare: bool = False) -> None:
        """Count and log a fault of the hook ``phase``; one a second is logged at most, the first with its traceback.

        One that ``is_rare`` is logged in any case.
        """
        self._errors.cell(self.plugin.name, phase).inc()
        self.faults[phase] = self.faults.get(phase, 0) + 1
        self.last_fault = f"{phase}: {type(error).__name__}: {error}"[:500]
        self._report(error, is_rare)
        if self.max_errors and self.errors >= self.max_errors:
            self._bypass(f"{self.errors} faults")

    def observe(self, phase: str, seconds: float) -> None:
        """Count one sampled call of the hook ``phase``."""
        timing = self._timings.get(phase)
        if timing is None:
            timing = self._timings[phase] = Timing(self._durations.cell(self.plugin.name, phase))
        timing.add(seconds)

    def late(self) -> None:
        """The plugin kept the reactor from its work: a strike."""
        self.late_times += 1
        now = self._clock.now()
        self._strikes.append(now)
        if len(self._strikes) == self._strikes.maxlen and now - self._strikes[0] <= STRIKE_WINDOW_S:
            self._bypass(f"it blocked the reactor {len(self._strikes)} times in ten minutes")

    def _report(self, error: BaseException, is_rare: bool) -> None:
        now = self._clock.now()
        if now < self._next_log and not is_rare:
            self._unlogged += 1
            return
        trace = "" if self.errors > 1 else "\n" + "".join(traceback.format_exception(error)).rstrip()
        self._log.error(
            "{label}: {text} ({unlogged} more since){trace}" if self._unlogged else "{label}: {text}{trace}",
            label=self.label, text=self.last_fault, unlogged=self._unlogged, trace=trace, raised=error,
        )
        self._next_log = now + LOG_EVERY_S
        self._unlogged = 0

    def _bypass(self, reason: str) -> None:
        if self.is_bypassed:
            return
        self.is_bypassed = True
        self._bypassed.cell(self.plugin.name).inc()
        then = "requests pass without it" if self.plugin.on_error == FAIL_OPEN else "its requests are refused"
        self._log.critical("{label}: called no more: {reason}: {then}", label=self.label, reason=reason, then=then)
        if self.on_change is not None:
            self.on_change()

    def end(self) -> None:
        """The runtime of this use has ended."""
        if self.is_bypassed:
            self._bypassed.cell(self.plugin.name).dec()
        self.on_change = self.process = None

    @property
    def label(self) -> str:
        """Name the plugin for people: ``plugin greeter (hello of acme-hello 1.2)``."""
        return f"plugin {self.plugin.name} ({self.plugin.type} of {self.distribution} {self.version}".rstrip() + ")"

    def snapshot(self) -> dict[str, Any]:
        """Return all of it as plain data; times in seconds."""
        return {
            "name": self.plugin.name, "kind": self.plugin.kind, "type": self.plugin.type,
            "distribution": self.distribution, "version": self.version, "on_error": self.plugin.on_error,
            "state": self.state, "faults": dict(self.faults), "last_fault": self.last_fault,
            "late": self.late_times, "timings": {phase: one.snapshot() for phase, one in self._timings.items()},
            "percent": self.plugin.percent, "canary_of": self.plugin.canary_of,
            "process": self.process.snapshot() if self.process is not None else None,
        }
