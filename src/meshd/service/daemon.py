"""The daemon: world, reloader, admin API, watchdog and drain put together; started by ``meshd.cli.run``."""

import random
import signal
from collections.abc import Callable, Iterator
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from meshd import __version__
from meshd.admin.view import IDaemon
from meshd.config.child import LARGE
from meshd.document.fault import Fault
from meshd.explain.answer import explain
from meshd.host.launch import Launch
from meshd.host.lineage import Lineage
from meshd.model.snapshot import Loaded
from meshd.overload.monitor import Monitor
from meshd.runtime.child import ChildReader
from meshd.runtime.clock import Clock
from meshd.runtime.outcome import Outcome
from meshd.runtime.pump import pump
from meshd.runtime.reload import Reloader
from meshd.runtime.watchdog import Watchdog
from meshd.service import fact, origin
from meshd.service.admin import AdminService
from meshd.service.drain import Shutdown
from meshd.service.finding import log_findings
from meshd.service.generation import Generations
from meshd.service.systemd import Systemd
from meshd.telemetry import process
from meshd.telemetry.metrics import Metrics
from meshd.tls.store import SecretStore
from meshd.wire.world import World

log = Logger(namespace="meshd")

INITIALIZING = "INITIALIZING"
LIVE = "LIVE"
DRAINING = "DRAINING"
SWEEP_S = 300.0
"""How often idle metric series are looked for."""
LOGGED_FAULTS = 20
PREPARE_S = 5.0
"""After the start of a large configuration its reader begins, for the first reload; the start itself goes first."""
RECYCLE_AGAIN_S = 60.0
"""After a recycle that failed."""


class Failed(Exception):
    """The daemon could not start; ``faults`` are Fault objects, none where the text says it all.

    ``is_configuration`` says whether the configuration is to blame, and not a port that is taken.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.text)
        self.faults = tuple(fault for fault in outcome.faults if isinstance(fault, Fault))
        self.is_configuration = outcome.is_configuration


@implementer(IDaemon)
class Daemon(MultiService):
    """One worker. ``log_levels`` is the process's log; ``on_end`` is called when everything has been drained.

    ``launch`` is how this process was started. For tests: ``clock`` is the plugins' (default: the reactor's);
    ``read()`` returns a Deferred of a reload's Loaded (default: read from ``paths`` in a child process).
    """

    def __init__(
        self, reactor: Any, loaded: Loaded | None, registry: Any, paths: list[str], *, log_levels: Any,
        on_end: Callable[[], Any], environment: Any = None, launch: Launch = Launch(), clock: Any = None,
        read: Callable[[], Deferred] | None = None,
    ) -> None:
        super().__init__()
        self.reactor = reactor
        self.registry = registry
        self.paths = tuple(paths)
        self.log = log_levels
        self.metrics = Metrics()
        self.clock = clock or Clock(reactor)
        self.world = World(reactor, self.clock, random.Random(), self.metrics, log)
        self.world.is_ready = lambda: self.is_ready
        self.world.secrets = SecretStore(self.world)
        self.monitor = Monitor(self.world)
        self.monitor.on_recycle = self._recycle
        self.started_wall = self.clock.wall()
        self._began = self.clock.now()
        self._first = loaded
        self._is_healthy = True
        self._is_stopped = False
        self.last_reload: dict | None = None
        self._child: ChildReader | None = None
        self.reloader = Reloader(self.world, registry, read or self._reader(), environment=environment)
        self.admin = AdminService(self, reactor, loaded.snapshot.admin.address if loaded is not None else "")
        self.admin.setServiceParent(self)
        self.systemd = Systemd(self, launch)
        self.reloader.on_swap += [
            self.admin.swapped, self._watch, self._protect, self._hold_drain, self.systemd.swapped]
        self.lineage = lineage = Lineage(launch)
        self.shutdown = Shutdown(
            self.reloader, self.world, on_end, lambda: lineage.starting is None and self.admin.finish())
        self._generations = Generations(
            reactor, self.lineage, sockets=self._listening, on_heir=self._succeeded, retry=self.request_reload)
        self.reloader.upgrade = self._generations.upgrade
        self._watchdog: Watchdog | None = None
        self._watched: Any = None
        self._sweep = LoopingCall(self._sweep_metrics)
        self._sweep.clock = reactor
        process.install(self.metrics, __version__)

    def _reader(self) -> Callable[[], Deferred]:
        """Return what reads the configuration anew."""
        fingerprint = getattr(self.registry, "fingerprint", ())
        settings = self._first.snapshot.plugins
        self._child = ChildReader(self.world, list(self.paths), settings, fingerprint=fingerprint)
        return self._child.read

    # Start and end

    def begin(self) -> Deferred:
        """Bind and serve; the Deferred fails with Failed, or OSError and ConfigurationError of the admin's address."""
        self._begin_work()
        self.systemd.adopt()
        self.startService()
        return self.reloader.begin(self._first).addCallback(self._begun)

    def _begin_work(self) -> None:
        """Start what runs whatever the configuration says; ``end`` ends it."""
        self.world.poller.start()
        self.monitor.start()
        self.world.secrets.start()
        self._sweep.start(SWEEP_S, now=False)

    def _begun(self, outcome: Outcome) -> None:
        self._first = None
        if not outcome.is_accepted:
            raise Failed(outcome)
        if not self.shutdown.is_running:
            self.lineage.serves()
        log.info(
            "meshd {version} ready: {listeners}; {clusters} clusters; admin {admin}", version=__version__,
            listeners=", ".join(f"{row['name']} {row['bound']}" for row in self.listeners()) or "no listeners",
            clusters=len(self.runtime.clusters), admin=self.admin.bound,
        )
        self.systemd.ready()
        if self._child is not None and len(self.loaded.files) >= LARGE:
            self.world.call_later(PREPARE_S, self._prepare)

    def _prepare(self) -> None:
        if self._child is not None and not self.shutdown.is_running:
            self._child.prepare().addCallback(self.reloader.assume)

    def end(self) -> None:
        """Give back what ``begin`` took; traffic has been drained."""
        self._leave_child()
        self._generations.end()
        self.world.secrets.stop()
        self.systemd.end()
        if self._sweep.running:
            self._sweep.stop()
        if self._watchdog is not None:
            self._watchdog.stop()
        self.monitor.stop()
        self.world.poller.stop()

    def _leave_child(self) -> None:
        """There will be no more reloads."""
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def _watch(self, runtime: Any) -> None:
        """Run the watchdog that the configuration in force asks for."""
        settings = runtime.snapshot.plugins.watchdog
        if settings == self._watched:
            return
        if self._watchdog is not None:
            self._watchdog.stop()
        self._watchdog, self._watched = None, settings
        if settings.enabled:
            self._watchdog = Watchdog(
                settings, beat=lambda: self.world.beat, owner=self.registry.owner, on_late=self._late,
                post=self.reactor.callFromThread, metrics=self.metrics, report=_report_late,
            )
            self._watchdog.start()

    def _recycle(self) -> None:
        """Memory has grown beyond what is configured: let a fresh generation take over, or ask again later."""
        def look(outcome: dict) -> None:
            if not outcome["accepted"]:
                self.world.call_later(RECYCLE_AGAIN_S, setattr, self.monitor, "is_recycled", False)

        self.upgrade().addCallback(look)

    def _protect(self, runtime: Any) -> None:
        """Judge what is too much by the configuration in force."""
        self.monitor.configure(runtime.snapshot.overload)

    def _hold_drain(self, runtime: Any) -> None:
        """A reload must not open listeners anew where a drain has begun or the admin API has closed them."""
        if not self.is_accepting:
            self._close_listeners()

    def _close_listeners(self) -> None:
        for listener in self.reloader.listeners.values():
            listener.close()
            for connection in list(listener.connections):
                connection.drain()

    def _listening(self) -> list[tuple[int, str, str, bool]]:
        """Return what is handed over to another generation."""
        live = [one for one in self.reloader.listeners.values() if one.socket is not None]
        rows = [(one.socket.fileno(), one.name, one.place, one.is_foreign) for one in live]
        return rows + self.admin.handed_over()

    def _succeeded(self, pid: int) -> None:
        """Another generation serves on our sockets: end after the last request. A drain that runs already goes on."""
        self.systemd.notify.main_pid(pid)
        self._leave_child()
        for listener in self.reloader.listeners.values():
            listener.is_foreign = True
        self.admin.leave()
        if not self.shutdown.is_running:
            self.shutdown.begin(is_succeeded=True)

    def _late(self, late: Any) -> None:
        if late.entry is not None and self.runtime is not None:
            self.runtime.strike(late.entry, late.selves)

    def _sweep_metrics(self) -> Deferred:
        return pump(self.world, self.metrics.sweep(self.clock.now()))

    # What the admin API reads

    @property
    def state(self) -> str:
        """INITIALIZING, LIVE or DRAINING."""
        if self.shutdown.is_running:
            return DRAINING
        return LIVE if self.runtime is not None else INITIALIZING

    @property
    def is_ready(self) -> bool:
        """Say whether traffic should come here."""
        return self.state == LIVE and self._is_healthy and not self._is_stopped

    @property
    def is_accepting(self) -> bool:
        """Say whether listeners are to be open: no drain has begun, and the admin API has not closed them."""
        return not (self.shutdown.is_running or self._is_stopped)

    @property
    def loaded(self) -> Loaded | None:
        """The configuration in force."""
        return self.reloader.loaded

    @property
    def runtime(self) -> Any:
        """The runtime in force."""
        return self.reloader.runtime

    @property
    def generation(self) -> int:
        """How many configurations were accepted."""
        return self.reloader.generation

    @property
    def uptime_s(self) -> float:
        """Seconds since the start."""
        return self.clock.now() - self._began

    @property
    def heir(self) -> int | None:
        """The process of the next generation, where that serves already."""
        return None if self.lineage.heir is None else self.lineage.heir.pid

    def pages(self) -> list:
        """Return the admin API's pages."""
        return self.admin.pages()

    def listeners(self) -> list[dict]:
        """Return what is known of each listener."""
        return [fact.listener_fact(listener) for _, listener in sorted(self.reloader.listeners.items())]

    def clusters(self, name: str = "") -> Iterator[dict]:
        """Yield what is known of each cluster, or of the one that has this name."""
        return fact.cluster_facts(self.runtime, name)

    def discoveries(self) -> list[tuple[Any, Any]]:
        """Return (discovery object, live cluster) of all clusters that have one, by name."""
        return sorted(self.runtime.discoveries if self.runtime is not None else (), key=lambda pair: pair[1].name)

    def plugins(self) -> list[dict]:
        """Return what is known of each plugin."""
        return fact.plugin_facts(self.registry, self.runtime)

    def overload(self) -> dict:
        """Return what is refused at the moment, and the figures behind it."""
        return self.monitor.fact()

    def workload(self) -> dict | None:
        """Return how the local workload is, by its probe; None where none is configured."""
        return fact.workload_fact(self.runtime)

    def explain(self, asked: Any) -> Deferred:
        """Return a Deferred of what would happen to a request now; nothing is sent, counted or taken."""
        bound = {name: listener.local for name, listener in self.reloader.listeners.items()}
        return pump(self.world, explain(self.runtime, asked, bound))

    def origins(self) -> Deferred:
        """Return a Deferred of where the values in force came from."""
        return origin.ask(self.reactor, self.paths, self.loaded.digest)

    # What signals and the admin API do

    def request_reload(self) -> None:
        """SIGHUP: reload, and log the outcome."""
        if self.lineage.signal(signal.SIGHUP):
            return
        if self.shutdown.is_running:
            log.warn("reload: draining: no reload")
        else:
            self.reload()

    def reload(self) -> Deferred:
        """Reload; the Deferred gets the outcome as a dict."""
        return self._reload(self.reloader.reload)

    def upgrade(self) -> Deferred:
        """Hand over to a new generation of processes; the Deferred gets the outcome as a dict."""
        return self._reload(self.reloader.renew)

    def _reload(self, ask: Callable[[], Deferred]) -> Deferred:
        if self.shutdown.is_running:
            return _refusal(self)
        before = list(self.reloader.listeners.values())
        previous = self.generation
        self.systemd.reloading()
        self.world.secrets.look()
        outcome = ask().addBoth(self.systemd.reloaded)
        return outcome.addCallback(self._reloaded, before, previous)

    def _reloaded(self, outcome: Outcome, before: list, previous: int) -> dict:
        now = set(self.reloader.listeners.values())
        closed = sum(len(listener.connections) for listener in before if listener not in now)
        node = self.loaded.snapshot.node.id if self.loaded is not None else "-"
        found = fact.outcome_fact(outcome, node=node, previous=previous, closed=closed)
        self.last_reload = {key: value for key, value in found.items() if key != "text"}
        if self.reloader.is_quiet:
            return found
        for fault in outcome.faults[:LOGGED_FAULTS] if len(outcome.faults) > 1 else ():
            log.error("configuration refused: {fault}", fault=fact.fault_line(fault))
        log_findings(log, outcome.warnings)
        return found

    def drain_listeners(self) -> None:
        """Accept no more until the process is started anew; connections close after their request."""
        self._is_stopped = True
        self.systemd.listeners_closed()
        self._close_listeners()

    def set_health(self, is_healthy: bool) -> None:
        """/healthcheck/fail and /healthcheck/ok."""
        self._is_healthy = is_healthy
        log.info("readiness {word} by the admin API", word="restored" if is_healthy else "withdrawn")

    def quit(self) -> None:
        """SIGTERM: drain and end; again: cut. With an heir, which ends too, this process is draining already."""
        if not self.lineage.signal(signal.SIGTERM):
            self.shutdown.begin()
            self.systemd.stopping()

    def reopen(self) -> None:
        """SIGUSR1: log files are opened anew."""
        self.lineage.signal(signal.SIGUSR1)
        self.world.reopen()

    def dump(self) -> None:
        """SIGUSR2: write the state to the log."""
        self.lineage.signal(signal.SIGUSR2)
        for line in fact.state_lines(self):
            log.info("dump: {line}", line=line)


def _report_late(text: str) -> None:
    """Log what the watchdog saw; called in its thread, while the reactor is still blocked."""
    log.warn("{text}", text=text)


def _refusal(daemon: Daemon) -> Deferred:
    """Return the outcome of a reload that is not made because the daemon ends."""
    faults = ("the daemon is draining",)
    outcome = Outcome(is_accepted=False, generation=daemon.generation, digest="", text="", faults=faults)
    node = daemon.loaded.snapshot.node.id if daemon.loaded is not None else "-"
    return succeed(fact.outcome_fact(outcome, node=node, previous=daemon.generation, closed=0))
