"""The monitor: looks at the resources a few times a second and changes what the process refuses.

Strategy: one timer, no thread. A tick reads each resource once, asks every threshold, and tells the world's
``Overload`` where an action begins or ends; nothing is asked on a request's road. An action lasts for at least
``LEAST_S`` and ends below its threshold, so that it does not flap.
"""

import math
import time
from collections.abc import Callable
from typing import Any

from meshd.model.overload import Overload as Settings
from meshd.overload import heap
from meshd.overload.resource import MIB, Descriptors, Lag, Memory
from meshd.overload.trigger import (
    ACTIONS, DISABLE_KEEPALIVE, RELEASES, SHRINK_HEAP, STOP_CONNECTIONS, STOP_REQUESTS, Trigger, triggers,
)
from meshd.wire.probe import Probe

LEAST_S = 1.0
"""How long an action lasts at least."""
SHRINK_S = 10.0
"""How often memory is given back while it is short."""


class Cells:
    """The monitor's numbers."""

    def __init__(self, metrics: Any) -> None:
        pressure = metrics.gauge(
            "envoy_overload_pressure", "how much of a resource is used, percent", ("resource",), "host")
        failed = metrics.counter("envoy_overload_failed_updates", "resources that could not be read", ("resource",))
        active = metrics.gauge("envoy_overload_active", "1 while an action is in force", ("action",), "host")
        self.pressure = {name: pressure.cell(name) for name in RELEASES}
        self.failed = {name: failed.cell(name) for name in RELEASES}
        self.active = {action: active.cell(action) for action in ACTIONS}
        self.lag_s = metrics.gauge(
            "meshd_overload_lag_seconds", "how long what is ready waits for its turn", scope="host").cell()


class Monitor:
    """``on_recycle()`` is called once, when the resident memory has reached ``memory.recycle``; None warns only.

    ``configure`` may be called at any time. ``now`` is monotonic seconds.
    """

    def __init__(self, world: Any, now: Callable[[], float] = time.monotonic) -> None:
        self.on_recycle: Callable[[], Any] | None = None
        self.is_recycled = False
        self._world = world
        self._now = now
        self._probe = Probe(world.poller, now)
        self._lag = Lag(self._probe)
        self._cells = Cells(world.metrics)
        self._active: dict[str, tuple[float, Trigger]] = {}
        self._shrunk_at = -SHRINK_S
        self._call: Any = None
        self._due = 0.0
        self._settings: Settings | None = None
        self.configure(Settings())

    def configure(self, settings: Settings) -> None:
        """Judge by these thresholds from the next tick on; what is in force stays until then."""
        if settings == self._settings:
            return
        self._settings = settings
        self.is_recycled = False
        self._triggers = triggers(settings)
        near = min((one.release for one in self._triggers if one.resource == "memory"), default=1.0)
        self._resources = (self._lag, Descriptors(self._world.poller), Memory(settings.memory, near))
        overload = self._world.overload
        overload.headers = ((b"retry-after", b"%d" % math.ceil(settings.retry_after_s)),)
        overload.max_wait_s = settings.max_wait_s

    def start(self) -> None:
        """Begin to look."""
        self._probe.start()
        self._look_later()

    def stop(self) -> None:
        """Look no more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
            self._probe.stop()

    def _look_later(self) -> None:
        self._due = self._now() + self._settings.interval_s
        self._call = self._world.call_later(self._settings.interval_s, self.tick)

    def tick(self) -> None:
        """Look once."""
        due, now = self._due, self._now()
        for resource in self._resources:
            self._read(resource, now)
        if not self._probe.is_out:
            self._probe.send(due)
        self._look_later()
        self._apply(now)
        self._recycle()

    def _read(self, resource: Any, now: float) -> None:
        """Read one resource and let its thresholds judge; they stay as they are where it cannot be read."""
        try:
            value = resource.read(now)
        except (OSError, ValueError):
            self._cells.failed[resource.name].value += 1
            return
        ours = [one for one in self._triggers if one.resource == resource.name]
        for one in ours:
            one.judge(value)
        if resource is self._lag:
            self._cells.lag_s.value = value
            value /= max((one.threshold for one in ours), default=1.0)
        self._cells.pressure[resource.name].value = round(100.0 * value, 1)

    def _apply(self, now: float) -> None:
        """Begin and end actions."""
        is_changed = False
        for action in ACTIONS:
            cause = next((one for one in self._triggers if one.action == action and one.is_on), None)
            began = self._active.get(action)
            if began is None and cause is not None:
                self._active[action] = (now, cause)
                self._say_begin(cause)
            elif began is not None and cause is None and now - began[0] >= LEAST_S:
                del self._active[action]
                self._say_end(began[1], now - began[0])
            else:
                continue
            is_changed = True
            self._cells.active[action].value = int(action in self._active)
        if is_changed:
            self._world.overload.change(
                disables_keepalive=DISABLE_KEEPALIVE in self._active, stops_requests=STOP_REQUESTS in self._active,
                stops_connections=STOP_CONNECTIONS in self._active)
        if SHRINK_HEAP in self._active and now - self._shrunk_at >= SHRINK_S:
            self._shrunk_at = now
            heap.shrink()

    def _say_begin(self, cause: Trigger) -> None:
        self._world.log.warn(
            "overload: {action} begins: {figures} (threshold {threshold})", action=cause.action,
            figures=self._figures(cause), threshold=str(cause))

    def _say_end(self, cause: Trigger, seconds: float) -> None:
        self._world.log.info(
            "overload: {action} ends after {seconds:.1f} s: {figures}", action=cause.action, seconds=seconds,
            figures=self._figures(cause))

    def _figures(self, cause: Trigger) -> str:
        return next(str(resource) for resource in self._resources if resource.name == cause.resource)

    def _recycle(self) -> None:
        """Ask for a fresh process where this one has grown too large."""
        most, used = self._settings.memory.recycle_bytes, self._resources[-1].resident_bytes
        if not most or used < most or self.is_recycled:
            return
        self.is_recycled = True
        self._world.log.warn(
            "overload: {used:.1f} MiB of memory are resident: recycle at {most:.1f} MiB", used=used / MIB,
            most=most / MIB)
        if self.on_recycle is not None:
            try:
                self.on_recycle()
            except Exception:
                self._world.log.failure("bug: unexpected error in a recycle")

    def fact(self) -> dict[str, Any]:
        """Return what is in force, for how long, and what was read last; for ``/server_info`` and the state dump."""
        now = self._now()
        resources = {
            one.name: {"pressure": self._cells.pressure[one.name].value, **one.fact()} for one in self._resources
        }
        actions = {action: round(now - since, 3) for action, (since, _) in self._active.items()}
        return {"actions": actions, "resources": resources}
