"""The supervisor under systemd: handed sockets, readiness, reload, status, watchdog, end.

What ``meshd.service.systemd`` is for a daemon of one process. The watchdog is fed while every worker's reactor is on
time, which its beats tell (``supervisor/team.py``).
"""

from typing import Any

from meshd.host import store
from meshd.host.activation import NOTHING_HANDED
from meshd.host.launch import Launch
from meshd.supervisor.log import Log
from meshd.supervisor.loop import Loop

LOOK_S = 3.0
"""How often the status is looked at and what systemd was too busy for is sent again."""
EXTENSION_S = 15.0
"""While the workers drain, so much time is asked for at each look: ``TimeoutStopSec=`` need not know our deadline."""
LATE_S = 5.0
"""A worker that has not shown itself for so long is not on time; it beats twice a second."""
SHOWN = 4


class ServiceManager:
    """``supervisor`` is the Supervisor; every call is made by it. Without systemd all of it comes to nothing."""

    def __init__(self, supervisor: Any, loop: Loop, log: Log, launch: Launch) -> None:
        self._supervisor = supervisor
        self._loop = loop
        self._log = log
        self._notify = launch.notify
        self._handed = launch.handed
        self._inherited = launch.testament.sockets()
        kept = [(store.kept_name(*row), sock) for sock, *row in self._inherited]
        self._store = store.Store(launch.notify, [*launch.handed.sockets, *kept])
        self._rejected = ""
        self._shown = ""

    def adopt(self) -> None:
        """Lay out what systemd and the generation before have handed over."""
        for fault in self._handed.faults:
            self._log.warn(fault)
        give = self._supervisor.shelf.given.give
        for name, sock in self._handed.sockets:
            found = store.listener_of(name)
            give(sock, *(found or (name,)), is_foreign=found is None)
        for sock, name, address, is_foreign in self._inherited:
            give(sock, name, address, is_foreign=is_foreign)
        self._handed, self._inherited = NOTHING_HANDED, []

    def swapped(self) -> None:
        """Other listeners may be in force: let systemd keep their sockets over a restart."""
        shelf = self._supervisor.shelf
        wanted = {}
        for (name, address), sock in shelf.held.items():
            kept = store.kept_name(name, address, shelf.given.is_foreign(sock))
            if kept:
                wanted[kept] = sock
        self._store.keep(wanted)

    def ready(self) -> None:
        """The first configuration is in force."""
        for bound in self._supervisor.shelf.given.close():
            self._log.warn(f"socket {bound}: handed over, but no listener has this name or address: closed")
        self._shown = self._status()
        self._notify.ready(self._shown)
        if self._notify.is_on:
            self._look()
        if self._notify.watchdog_s:
            self._feed()

    def failed(self, text: str) -> None:
        """The start has failed."""
        self._notify.status(f"could not start: {text}")
        self._notify.flush()

    def reloading(self) -> None:
        """A reload begins."""
        self._notify.reloading()

    def reloaded(self, outcome: dict[str, Any]) -> None:
        """A reload has ended, whatever came of it."""
        kept = f"keeping generation {outcome['generation']}; "
        self._rejected = "" if outcome["accepted"] else f"reload rejected: {outcome['summary']}, {kept}"
        if not self._supervisor.is_draining:
            self._shown = self._status()
            self._notify.ready(self._shown)

    def succeeded(self, pid: int) -> None:
        """Another process is the main one now."""
        self._notify.main_pid(pid)

    def stopping(self) -> None:
        """The drain begins."""
        self._shown = self._status()
        self._notify.stopping(self._shown)
        self._notify.extend(EXTENSION_S)

    def _look(self) -> None:
        self._loop.later(LOOK_S, self._look)
        self._notify.flush()
        if self._supervisor.is_draining:
            self._notify.extend(EXTENSION_S)
        text = self._status()
        if text != self._shown and self._notify.status(text):
            self._shown = text

    def _feed(self) -> None:
        self._loop.later(self._notify.watchdog_s / 2, self._feed)
        if self._supervisor.is_draining or self._supervisor.team.is_on_time(LATE_S):
            self._notify.watchdog()

    def _status(self) -> str:
        supervisor = self._supervisor
        connections = sum(member.connections for member in supervisor.team.members)
        if supervisor.is_draining:
            return f"draining: {connections} connections left"
        held = list(supervisor.shelf.held)
        where = ", ".join(f"{name} {address}" for name, address in held[:SHOWN]) + ", ..." * (len(held) > SHOWN)
        workers, clusters = len(supervisor.team.serving()), supervisor.outline.get("clusters", 0)
        return (f"{self._rejected}generation {supervisor.generation}: {workers} workers; {where}; "
                f"{clusters} clusters; {connections} connections")
