"""The daemon under systemd: handed sockets, readiness, reload, status and end; every call is made by ``Daemon``.

Nothing here knows how a message travels (``host/notify.py``); without systemd all of it comes to nothing. In a worker
the supervisor speaks to systemd, so its ``Notify`` is a silent one.
"""

from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from meshd.host import store
from meshd.host.activation import NOTHING_HANDED
from meshd.host.launch import Launch
from meshd.runtime.outcome import Outcome
from meshd.service import fact
from meshd.service.heartbeat import Heartbeat

log = Logger(namespace="meshd.systemd")

LOOK_S = 3.0
"""How often the status is looked at and what systemd was too busy for is sent again."""
EXTENSION_S = 15.0
"""While the daemon drains it asks for this much time at each look, so that ``TimeoutStopSec=`` need not know ours."""
SHOWN_LISTENERS = 4


class Systemd:
    """``daemon`` is the Daemon, ``launch`` how it was started; ``adopt`` is called before anything is bound."""

    def __init__(self, daemon: Any, launch: Launch) -> None:
        self.notify = notify = launch.notify
        self._daemon = daemon
        self._inherited = launch.testament.sockets()
        kept = [(store.kept_name(*row), sock) for sock, *row in self._inherited]
        self._store = store.Store(notify, [*launch.handed.sockets, *kept])
        self._handed = launch.handed
        self._units: set[int] = set()
        self._taken: dict[int, Any] = {}
        self._reloads = 0
        self._rejected = ""
        self._shown = ""
        self._look = LoopingCall(self._refresh)
        self._look.clock = daemon.reactor
        self._heartbeat = Heartbeat(
            daemon.reactor, notify, lambda: daemon.admin.bound, lambda: daemon.admin.is_full)

    # Sockets

    def adopt(self) -> None:
        """Lay out the handed sockets for the admin API and the listeners."""
        for fault in self._handed.faults:
            log.warn("{fault}", fault=fault)
        give = self._daemon.world.sockets.give
        for name, sock in self._handed.sockets:
            found = store.listener_of(name)
            if found is None:
                self._units.add(store.identity(sock))
            give(sock, *(found or (name,)), is_foreign=found is None)
        for sock, name, address, is_foreign in self._inherited:
            if is_foreign:
                self._units.add(store.identity(sock))
            give(sock, name, address, is_foreign=is_foreign)
        self._handed, self._inherited = NOTHING_HANDED, []

    def close_unused(self) -> None:
        """Close the handed sockets that nothing took, and say which; systemd still holds those of .socket units."""
        for one in self._daemon.world.sockets.given:
            named = f"{one.bound} {one.name!r}" if one.name else one.bound
            if store.identity(one.sock) in self._units:
                log.warn("socket {named} from systemd: no listener has this address or name: closed here, but systemd "
                         "goes on to listen: expected a listener, or no such line in the .socket unit", named=named)
            else:
                log.info("socket {named} kept from before the restart: no listener wants it: closed", named=named)
        self._daemon.world.sockets.close()

    def swapped(self, runtime: Any) -> None:
        """Other listeners may be in force: let systemd keep their sockets over a restart.

        A unix socket's file goes with us, so it is bound anew; a .socket unit keeps its own.
        """
        if not self._daemon.is_accepting:
            return
        wanted, taken = {}, {}
        for listener in self._daemon.reloader.listeners.values():
            if listener.socket.fileno() < 0:
                continue  # it waits to be bound anew
            number = store.identity(listener.socket)
            is_unit = number in self._units
            name = store.kept_name(listener.spec.name, listener.place, is_unit)
            if is_unit:
                taken[number] = listener
            elif name:
                wanted[name] = listener.socket
        self._store.keep(wanted)
        self._lay_back([listener for number, listener in self._taken.items() if number not in taken])
        self._taken = taken

    def _lay_back(self, gone: list[Any]) -> None:
        """A .socket unit's socket whose listener goes waits for another, which could not be bound beside it."""
        for listener in gone:
            log.warn("socket {where} from systemd: its listener {name} has gone, but systemd goes on to listen: "
                     "expected no such line in the .socket unit", where=listener.local, name=listener.spec.name)
            if listener.socket is not None:
                self._daemon.world.sockets.give(listener.socket.dup(), listener.spec.name, is_foreign=True)

    def listeners_closed(self) -> None:
        """The admin API has closed the listeners for good: nobody is to wait in the queue of a kept socket."""
        self._store.keep({})

    # Life

    def ready(self) -> None:
        """The first configuration is in force."""
        self.close_unused()
        self._tell_ready()
        if self.notify.is_on:
            looking = self._look.start(LOOK_S, now=False)
            looking.addErrback(lambda failure: log.failure("bug: the status for systemd", failure))
            self._heartbeat.start()

    def failed(self, text: str) -> None:
        """The start has failed."""
        self.notify.status(f"could not start: {text}")

    def reloading(self) -> None:
        """A reload was asked for."""
        self._reloads += 1
        self.notify.reloading()

    def reloaded(self, result: Any) -> Any:
        """A reload has ended, whatever came of it. While another runs, systemd is told at its end."""
        self._reloads -= 1
        if isinstance(result, Outcome):
            self._rejected = _rejection(result)
        else:
            self._rejected = "reload failed: the log has more; "
        if not self._reloads:
            self._tell_ready()
        return result

    def _tell_ready(self) -> None:
        if not self._daemon.shutdown.is_running:  # else the end has been told already
            self._shown = self._status()
            self.notify.ready(self._shown)

    def stopping(self) -> None:
        """The drain begins."""
        self._shown = self._status()
        self.notify.stopping(self._shown)
        self.notify.extend(EXTENSION_S)

    def end(self) -> None:
        """Say and ask nothing more."""
        if self._look.running:
            self._look.stop()
        self._heartbeat.stop()
        self.notify.flush()

    # What systemctl status shows

    def _refresh(self) -> None:
        """Tell the status where it has changed, and systemd that a drain takes longer."""
        self.notify.flush()
        if self._daemon.shutdown.is_running:
            self.notify.extend(EXTENSION_S)
        text = self._status()
        if text != self._shown and self.notify.status(text):
            self._shown = text

    def _status(self) -> str:
        listeners = list(self._daemon.reloader.listeners.values())
        connections = _count(sum(len(listener.connections) for listener in listeners), "connection")
        if self._daemon.shutdown.is_running:
            return f"draining: {connections} left"
        if self._daemon.runtime is None:
            return "starting"
        where = ", ".join(f"{one.spec.name} {one.local}" for one in listeners)
        if not 0 < len(listeners) <= SHOWN_LISTENERS:
            where = _count(len(listeners), "listener")
        clusters = _count(len(self._daemon.runtime.clusters), "cluster")
        withdrawn = "" if self._daemon.is_ready else "readiness withdrawn; "
        return f"{self._rejected}{withdrawn}generation {self._daemon.generation}: {where}; {clusters}; {connections}"


def _rejection(outcome: Outcome) -> str:
    if outcome.is_accepted:
        return ""
    more = f" (and {len(outcome.faults) - 1} more)" if len(outcome.faults) > 1 else ""
    first = fact.fault_line(outcome.faults[0]) if outcome.faults else outcome.text
    return f"reload rejected: {first}{more}, keeping generation {outcome.generation}; "


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
