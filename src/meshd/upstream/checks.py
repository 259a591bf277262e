"""The active health checks of one cluster: asked by timers, judged by ``check_state``, written into the verdicts.

Strategy: the worker that has the lead (``upstream/lead.py``) asks, and tells the others what changed; a worker that
starts asks it for all that is known, one that takes the lead goes on from what it knows. Checks that are due wait in a
heap with one timer; a turn of the reactor begins a few, and a process has a bounded number on its way.
"""

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import count, islice
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, maybeDeferred
from twisted.python.failure import Failure

from meshd.model.health import DEGRADED_ACTIVE_CHECK, FAILED_ACTIVE_CHECK, IMMEDIATE_FAIL, Checked
from meshd.upstream.check_cell import CheckCells
from meshd.upstream.check_state import CHANGED, CheckState, interval_s
from meshd.upstream.lead import Lead
from meshd.wire.bus import Peers

LOOK_S = 1.0
"""How often it is looked whether the lead is free and the cluster has had traffic."""
SLICE = 16
"""Checks begun, or endpoints taken up, in one turn of the reactor."""
MOST = 256
"""Checks of one cluster on their way at once."""
FULL_S = 0.02
"""Then others wait so long."""
TELL_S = 0.01
"""Changes within so many seconds are told to the other workers together."""
ROWS = 500
"""Verdicts in one message."""
FIRST_S = 2.0
"""The start of a configuration waits at most so long for the first verdicts (as Envoy's clusters warm up)."""
MOST_LINES = 20
"""Lines of the log in one second."""
IMMEDIATE = b"x-envoy-immediate-health-check-fail"


class Session:
    """One endpoint under one of the cluster's checks."""

    __slots__ = ("endpoint", "settings", "checker", "state", "running", "is_ended")

    def __init__(self, endpoint: Any, settings: Any, checker: Any) -> None:
        self.endpoint = endpoint
        self.settings = settings
        self.checker = checker
        self.state = CheckState()
        self.running: Deferred | None = None
        self.is_ended = False


class Checks:
    """``parts`` are (HealthCheck, checker object) pairs. The runtime starts and stops it as it does plugins."""

    def __init__(self, cluster: Any, parts: list[tuple[Any, Any]], world: Any, lead: Lead, log: Any) -> None:
        self._cluster = cluster
        self._verdicts = cluster.verdicts
        self._parts = parts
        self._world = world
        self._lead = lead
        self._log = log
        self._cells = CheckCells(world.metrics, cluster.name)
        self._peers = Peers(world.bus, f"health_checks {cluster.name}")
        self._sessions: dict[str, list[Session]] = {}
        self._seen: Any = None
        self._coming: Iterator[Any] = iter(())
        self._heap: list[tuple[float, int, Session]] = []
        self._numbers = count()
        self._calls: dict[str, Any] = {}
        self._changed: set[str] = set()
        self._running = 0
        self._leads = False
        self._has_traffic = False
        self._second = self._lines = self._unsaid = 0
        self._first: Deferred | None = None

    # Start and end

    def start(self) -> Deferred:
        """Check from now on; the Deferred fires when every endpoint has a verdict, or after ``FIRST_S``."""
        self._verdicts.checkers.append(self)
        self._verdicts.on_members.append(self._members)
        self._token = str(self._world.random.getrandbits(64))
        self._peers.begin(self._heard)
        self._peers.tell({"do": "ask", "from": self._token})
        self._first = first = Deferred(lambda _: None)
        self._later("patience", FIRST_S, self._warm)
        self._look()
        return first

    def stop(self) -> None:
        """Check no more."""
        for name in list(self._calls):
            self._cancel(name)
        self._peers.end()
        for listeners, one in ((self._verdicts.checkers, self), (self._verdicts.on_members, self._members)):
            if one in listeners:
                listeners.remove(one)
        self._coming = iter(())
        for sessions in self._sessions.values():
            self._end(sessions)
        self._sessions.clear()
        self._heap.clear()
        self._warm()
        if not self._verdicts.checkers:
            self._verdicts.forget_checks()

    @staticmethod
    def _end(sessions: list[Session]) -> None:
        for session in sessions:
            session.is_ended = True
            running, session.running = session.running, None
            if running is not None:
                running.cancel()

    def _warm(self) -> None:
        """Let the swap go on."""
        self._cancel("patience")
        first, self._first = self._first, None
        if first is not None and not first.called:
            first.callback(None)

    def _later(self, name: str, seconds: float, function: Callable[..., Any]) -> None:
        self._cancel(name)
        self._calls[name] = self._world.call_later(seconds, function)

    def _cancel(self, name: str) -> None:
        call = self._calls.pop(name, None)
        if call is not None and call.active():
            call.cancel()

    @property
    def _acts(self) -> bool:
        """Whether a newer configuration has not taken the cluster over."""
        return bool(self._verdicts.checkers) and self._verdicts.checkers[-1] is self

    # Who is checked, and by whom

    def _look(self) -> None:
        """Take the lead where it is free; see who has come and gone."""
        self._later("look", LOOK_S, self._look)
        if not self._has_traffic and self._cluster.cells.connections.value:
            self._has_traffic = True
            self._peers.tell({"do": "traffic"})
        leads = self._acts and self._lead.hold()
        if leads and not self._leads:
            for sessions in self._sessions.values():
                for session in sessions:
                    self._schedule(session, self._world.random.random() * session.settings.interval_s)
        elif not leads:
            self._heap.clear()
        self._leads = leads
        self._members()

    def _members(self) -> None:
        """Take up new endpoints, let go of old ones."""
        endpoints = self._cluster.endpoints
        if endpoints is self._seen:
            return
        self._seen = endpoints
        known = {endpoint.address for endpoint in endpoints}
        for address in [one for one in self._sessions if one not in known]:
            self._end(self._sessions.pop(address))
        self._coming = iter([one for one in endpoints if not self._knows(one)])
        self._take_up()

    def _knows(self, endpoint: Any) -> bool:
        """Say whether it is checked already; it may be another object for the same address."""
        sessions = self._sessions.get(endpoint.address, ())
        for session in sessions:
            session.endpoint = endpoint
        return bool(sessions)

    def _take_up(self) -> None:
        """Take up some of those that have come."""
        self._calls.pop("coming", None)
        taken = list(islice(self._coming, SLICE * 16))
        for endpoint in taken:
            self._add(endpoint)
        if taken:
            self._later("coming", 0, self._take_up)
        self._look_warm()

    def _add(self, endpoint: Any) -> None:
        address = endpoint.address
        bits = self._verdicts.bits.get(address, 0)
        is_known = address in self._verdicts.checked
        sessions = self._sessions[address] = []
        for settings, checker in self._parts:
            session = Session(endpoint, settings, checker)
            sessions.append(session)
            if is_known:
                session.state.know(bool(bits & FAILED_ACTIVE_CHECK))
            if self._leads:
                spread_s = settings.interval_s if is_known else settings.initial_jitter_s
                self._schedule(session, self._world.random.random() * spread_s)

    def _look_warm(self) -> None:
        checked = self._verdicts.checked
        if self._first is not None and all(one.address in checked for one in self._cluster.endpoints):
            self._warm()

    # When

    def _schedule(self, session: Session, seconds: float) -> None:
        due = self._world.clock.now() + seconds
        heappush(self._heap, (due, next(self._numbers), session))
        if self._heap[0][2] is session:
            self._later("run", seconds, self._run)

    def _run(self) -> None:
        """Begin what is due."""
        self._calls.pop("run", None)
        now, begun = self._world.clock.now(), 0
        while self._heap and self._heap[0][0] <= now and begun < SLICE and self._running < MOST:
            session = heappop(self._heap)[2]
            if not session.is_ended and session.running is None:
                self._begin(session)
                begun += 1
        if self._heap:
            wait_s = FULL_S if self._running >= MOST else self._heap[0][0] - self._world.clock.now()
            self._later("run", max(wait_s, 0.0), self._run)

    def _begin(self, session: Session) -> None:
        self._cells.attempt.inc()
        self._running += 1
        asked = maybeDeferred(session.checker.check, session.endpoint)
        session.running = asked
        timeout_s = session.settings.timeout_s
        asked.addTimeout(timeout_s, self._world.reactor)
        asked.addBoth(self._ended, session)

    def _ended(self, result: Any, session: Session) -> None:
        """A check has ended, however it did."""
        self._running -= 1
        session.running = None
        if session.is_ended:
            return
        found = checked_of(result, session.settings.timeout_s)
        self._count(found)
        state = session.state
        change = state.judge(found, session.settings)
        self._say(session, found, change)
        if change == CHANGED or session.endpoint.address not in self._verdicts.checked:
            self._write(session.endpoint.address)
        if found.is_well and not state.is_failed:
            self._tell_well(session.endpoint.address)
        if self._leads:
            self._schedule(session, interval_s(
                session.settings, found.is_well, change, self._has_traffic, self._world.random))

    def _count(self, found: Checked) -> None:
        cells = self._cells
        (cells.success if found.is_well else cells.failure).inc()
        if not found.is_well and not found.is_final:
            cells.network_failure.inc()

    def _tell_well(self, address: str) -> None:
        """An endpoint passes all its checks."""
        if not any(one.state.is_failed for one in self._sessions.get(address, ())):
            for callback in list(self._verdicts.on_check):
                callback(address, True)

    def _say(self, session: Session, found: Checked, change: str) -> None:
        """Log a change, and what is to be logged always; so many lines a second, the others are counted."""
        settings, address, name = session.settings, session.endpoint.address, self._cluster.name
        is_known = address in self._verdicts.checked
        always = (settings.always_log_health_check_success if found.is_well
                  else settings.always_log_health_check_failures)
        if not always and (change != CHANGED or found.is_well and not is_known):
            return
        second = int(self._world.clock.now())
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > MOST_LINES:
            self._unsaid += 1
            return
        unsaid, self._unsaid = self._unsaid, 0
        say = self._log.info if found.is_well else self._log.warn
        say("health check: {cluster}: {address}: {kind}: {result}{more}", cluster=name, address=address,
            kind=settings.checker.type, result="passed" if found.is_well else f"failed: {found.reason}",
            more=f" ({unsaid} lines before this one were left out)" if unsaid else "")

    # What is known

    def _write(self, address: str) -> None:
        """Put an endpoint's verdict in force here, and tell the others."""
        sessions = self._sessions.get(address, ())
        failed = [one for one in sessions if one.state.is_failed and not one.state.is_first]
        if not failed and any(one.state.is_first for one in sessions):
            return
        bits = FAILED_ACTIVE_CHECK if failed else 0
        if any(one.state.is_immediate for one in failed):
            bits |= IMMEDIATE_FAIL
        if not failed and any(one.state.is_degraded for one in sessions):
            bits |= DEGRADED_ACTIVE_CHECK
        reason = failed[0].state.reason if failed else ""
        self._put(address, bits, reason)
        if self._peers.are_there:
            self._changed.add(address)
            if "tell" not in self._calls:
                self._later("tell", TELL_S, self._tell)

    def _put(self, address: str, bits: int, reason: str, since_s: float | None = None) -> None:
        since_s = round(self._world.clock.wall(), 3) if since_s is None else since_s
        note = {"flag": "failed_active_hc", "reason": reason, "since_s": since_s}
        self._verdicts.check(address, bits, note if bits & FAILED_ACTIVE_CHECK else None)
        self._look_warm()

    def on_result(self, endpoint: Any, outcome: Any) -> None:
        """Traffic has been answered: an endpoint may say that it wants no more (``IOutlierDetector``)."""
        headers = outcome.headers
        if headers is not None and IMMEDIATE in headers and self._acts:
            sessions = self._sessions.get(endpoint.address, ())
            if sessions and not sessions[0].state.is_immediate:
                self._cells.passive_failure.inc()
                found = Checked(is_well=False, reason=f"{IMMEDIATE.decode()} in an answer", is_immediate=True)
                change = sessions[0].state.judge(found, sessions[0].settings)
                self._say(sessions[0], found, change)
                self._write(endpoint.address)

    # The other workers

    def _row(self, address: str) -> list:
        bits = self._verdicts.bits.get(address, 0)
        note = self._verdicts.notes.get(address, {}).get(FAILED_ACTIVE_CHECK, {})
        return [address, bits & (FAILED_ACTIVE_CHECK | IMMEDIATE_FAIL | DEGRADED_ACTIVE_CHECK),
                note.get("reason", ""), note.get("since_s")]

    def _tell(self) -> None:
        self._calls.pop("tell", None)
        addresses, self._changed = self._changed, set()
        self._tell_rows(iter(sorted(addresses)), "")

    def _tell_rows(self, addresses: Iterator[str], to: str) -> None:
        """Tell verdicts, some in one turn."""
        rows = [self._row(address) for address in islice(addresses, ROWS)]
        if rows:
            self._peers.tell({"do": "rows", "to": to, "rows": rows})
        if len(rows) == ROWS:
            self._later(f"rows {to}", 0, lambda: self._tell_rows(addresses, to))

    def _heard(self, message: dict[str, Any]) -> None:
        """Another worker has said something."""
        if not self._acts:
            return
        if message["do"] == "ask":
            if self._lead.is_held:
                self._tell_rows(iter(sorted(self._verdicts.checked)), message["from"])
        elif message["do"] == "traffic":
            self._has_traffic = True
        elif message["to"] in ("", self._token):
            for row in message["rows"]:
                self._take(*row)

    def _take(self, address: str, bits: int, reason: str, since_s: float | None) -> None:
        """Another worker has judged an endpoint."""
        for session in self._sessions.get(address, ()):
            session.state.know(bool(bits & FAILED_ACTIVE_CHECK), reason)
            session.state.is_immediate = bool(bits & IMMEDIATE_FAIL)
        self._put(address, bits, reason, since_s)
        if not bits & FAILED_ACTIVE_CHECK:
            self._tell_well(address)


def checked_of(result: Any, timeout_s: float) -> Checked:
    """Return what a checker's answer says: a bool, a Checked, or a Failure."""
    if isinstance(result, Checked):
        return result
    if isinstance(result, bool):
        return Checked(is_well=result, reason="" if result else "the checker says no")
    if not isinstance(result, Failure):
        return Checked(is_well=False, reason=f"{result!r}: expected a bool or Checked")
    if result.check(TimeoutError, CancelledError):
        return Checked(is_well=False, reason=f"timed out after {timeout_s:g} s")
    return Checked(is_well=False, reason=str(result.value) or type(result.value).__name__)
