"""The local workload's probe: one worker asks, all know; its clusters are not used while the workload fails.

``Workload`` is what is known, kept over reloads: the admin API shows it, and whoever publishes this workload to others
hears of changes there (``on_change``).
"""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred

from meshd.model.health import FAILED_PROBE
from meshd.upstream.check_state import CHANGED, CheckState
from meshd.upstream.checks import LOOK_S, checked_of
from meshd.upstream.lead import Lead
from meshd.wire.bus import Peers

TOPIC = "probe"


class Workload:
    """``is_well`` is None until the first result. ``since_s`` is epoch seconds.

    ``on_change`` are called with this object whenever ``is_well`` has changed. ``owners`` are the probes of old and new
    runtimes: the last one acts.
    """

    def __init__(self) -> None:
        self.is_well: bool | None = None
        self.reason = ""
        self.since_s = 0.0
        self.on_change: list[Callable[["Workload"], Any]] = []
        self.owners: list[Any] = []

    def fact(self) -> dict[str, Any]:
        """Return what the admin API says of it."""
        state = "unknown" if self.is_well is None else "healthy" if self.is_well else "unhealthy"
        return {"state": state, "reason": self.reason, "since_s": self.since_s or None}


@attrs.frozen
class Place:
    """Whom the checker asks."""

    address: str


class Probe:
    """``settings`` is the model's Probe, ``clusters`` are the live clusters of the workload."""

    def __init__(self, settings: Any, checker: Any, clusters: list[Any], workload: Workload, world: Any, lead: Lead,
                 log: Any) -> None:
        self.workload = workload
        self._settings = settings
        self._checker = checker
        self._clusters = clusters
        self._world = world
        self._lead = lead
        self._log = log
        self.names = [cluster.name for cluster in clusters]
        self._state = CheckState()
        self._peers = Peers(world.bus, TOPIC)
        self._call: Any = None
        self._running: Deferred | None = None
        self._is_stopped = False
        self._gauge = world.metrics.gauge(
            "meshd_workload_healthy", "1 while the local workload's probe passes", scope="host")
        family = world.metrics.counter("meshd_workload_probe_total", "probes of the local workload", ("result",))
        self._passed, self._failed = family.cell("success"), family.cell("failure")

    def start(self) -> None:
        """Ask from now on."""
        self.workload.owners.append(self)
        if self.workload.is_well is not None:
            self._state.know(not self.workload.is_well, self.workload.reason)
        self._peers.begin(self._heard)
        self._peers.tell({"do": "ask"})
        self._later(self._settings.initial_delay_s)

    def stop(self) -> None:
        """Ask no more; what it marked is undone where no other probe has taken over."""
        self._is_stopped = True
        self._peers.end()
        if self in self.workload.owners:
            self.workload.owners.remove(self)
        call, running, self._call, self._running = self._call, self._running, None, None
        for pending in (call, running):
            if pending is not None:
                pending.cancel()
        kept = self.workload.owners[-1].names if self.workload.owners else ()
        self._clusters = [cluster for cluster in self._clusters if cluster.name not in kept]
        self._mark(True)
        self._clusters = []

    def _later(self, seconds: float) -> None:
        self._call = self._world.call_later(seconds, self._look)

    @property
    def _acts(self) -> bool:
        return bool(self.workload.owners) and self.workload.owners[-1] is self

    def _look(self) -> None:
        """Ask, if it is this worker's turn."""
        self._call = None
        if not self._acts or not self._lead.hold():
            self._mark(self.workload.is_well is not False)  # endpoints may have come meanwhile
            self._later(min(LOOK_S, self._settings.period_s))
            return
        self._running = asked = maybeDeferred(self._checker.check, Place(self._settings.address))
        asked.addTimeout(self._settings.timeout_s, self._world.reactor)
        asked.addBoth(self._ended)

    def _ended(self, result: Any) -> None:
        if self._is_stopped:
            return
        self._running = None
        found = checked_of(result, self._settings.timeout_s)
        (self._passed if found.is_well else self._failed).inc()
        change = self._state.judge(attrs.evolve(found, is_final=False, is_degraded=False), self._settings)
        if change == CHANGED or self.workload.is_well is None:
            self._put(not self._state.is_failed, self._state.reason, round(self._world.clock.wall(), 3))
            self._tell()
        else:
            self._mark(self.workload.is_well is not False)
        self._later(self._settings.period_s)

    def _put(self, is_well: bool, reason: str, since_s: float) -> None:
        workload = self.workload
        has_changed = workload.is_well is not is_well
        workload.is_well, workload.reason, workload.since_s = is_well, reason, since_s
        self._gauge.cell().set(int(is_well))
        self._mark(is_well)
        if has_changed:
            if is_well:
                self._log.info("probe: the local workload is well")
            else:
                self._log.warn("probe: the local workload fails: {reason}", reason=reason)
            for callback in list(workload.on_change):
                callback(workload)

    def _mark(self, is_well: bool) -> None:
        note = {"flag": "failed_local_probe", "reason": self.workload.reason, "since_s": self.workload.since_s}
        for cluster in self._clusters:
            for endpoint in cluster.endpoints:
                cluster.mark(endpoint, FAILED_PROBE, not is_well, None if is_well else note)

    def _tell(self) -> None:
        workload = self.workload
        if workload.is_well is not None:
            self._peers.tell({"do": "state", "is_well": workload.is_well, "reason": workload.reason,
                              "since_s": workload.since_s})

    def _heard(self, message: dict[str, Any]) -> None:
        if not self._acts:
            return
        if message["do"] == "state":
            self._state.know(not message["is_well"], message["reason"])
            self._put(message["is_well"], message["reason"], message["since_s"])
        elif self._lead.is_held:
            self._tell()
