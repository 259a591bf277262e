"""One isolated filter: its child process, and what happens when it misbehaves. Made by ``runtime``.

Strategy: at most one child takes calls (``current``); while it is replaced, another is being started (``fresh``) and
earlier ones may still have calls (``processes`` are all that live). A child that dies, blocks or writes what is no
message loses the calls in it, each of which gets the filter's ``on_error`` answer; a new one is started after a delay
that doubles. A child over its memory is replaced without loss: it goes on until the new one is ready, and ends after
its last call. The first restart in a row is waited for, within the timeout; after that calls are refused at once.
"""

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from meshd.api import PluginError
from meshd.isolation.calls import Calls, child_error
from meshd.isolation.filter import IsolatedFilter
from meshd.isolation.measure import Measures
from meshd.isolation.message import (
    COMPLETE, HOOKS, Answer, Ask, Failed, Note, Ping, Pong, Raised, Ready, Reopen, encode,
)
from meshd.isolation.note import Notes
from meshd.isolation.process import Process
from meshd.isolation.setup import Setup, frames
from meshd.model.plugin import Plugin

DELAY_S, MAX_DELAY_S = 0.05, 10.0
STEADY_S = 10.0
"""A child that lived so long was well: the next delay is the first again."""
CHECK_S = 0.25
"""How often memory is looked at."""
CEILING = 1.5
"""So many times its memory a child may have until it is killed, with calls in it."""
START_S, STOP_S = 30.0, 5.0
STACK_S = 0.05
"""How long a child that blocks gets to print its stack."""

RUNNING, STARTING, RESTARTING, STOPPED = "running", "starting", "restarting", "stopped"


class Isolate:
    """``record`` must be set before ``start``. ``part(plugin, owner)`` adds an object to be built, the filter first."""

    def __init__(
        self, plugin: Plugin, *, world: Any, registry: Any, node: Any, folder: str | None, environment: Any = None
    ) -> None:
        self.plugin = plugin
        self.limits = plugin.isolation
        self.record: Any = None
        self.parts: list[IsolatedFilter] = []
        self.processes: set[Process] = set()
        self.current: Process | None = None
        self.fresh: Process | None = None
        self.restarts = self.failures = 0
        self.is_stopped = self.is_proven = False
        self._world, self._registry, self._node = world, registry, node
        self._folder, self._environment = folder, environment
        self._plugins: list[Plugin] = []
        self._owners: list[str] = []
        self._log = Logger(namespace=f"meshd.plugin.{plugin.name}", observer=world.log.observer)
        self._measures = Measures(plugin.name, world.metrics)
        self._timers: dict[str, Any] = {}
        self._started: Deferred | None = None
        self._stopping: Deferred | None = None
        self._notes: dict[Process, Notes] = {}
        self.calls = Calls(plugin.name, self.limits, world, self._measures)
        self._heed = {
            Ready: self._on_ready, Failed: self._on_failed, Answer: self.calls.on_answer, Raised: self._on_raised,
            Ask: self.calls.on_ask, Pong: self._on_pong, Note: self._on_note,
        }

    def part(self, plugin: Plugin, owner: str) -> IsolatedFilter:
        """Add a configuration; return what stands in the chain for its object."""
        made = IsolatedFilter(self, len(self.parts))
        self.parts.append(made)
        self._plugins.append(plugin)
        self._owners.append(owner)
        return made

    @property
    def state(self) -> str:
        """``running``, ``starting``, ``restarting`` or ``stopped``."""
        if self.is_stopped:
            return STOPPED
        if self.current is not None:
            return RUNNING
        return RESTARTING if self.is_proven else STARTING

    def snapshot(self) -> dict[str, Any]:
        """Return it as plain data, for ``/plugins``."""
        process = self.current or self.fresh
        return {
            "state": self.state, "pid": process.pid if process is not None else None, "restarts": self.restarts,
            "pending": len(self.calls), "processes": len(self.processes),
            "resident_bytes": process.resident_bytes() if process is not None else 0,
        }

    # Start and end

    def start(self) -> Deferred:
        """Start the child; the Deferred fails with PluginError where it cannot build or start the filter."""
        started = self._started = Deferred(self._give_up)
        self._spawn()
        self._later("check", CHECK_S, self._check)
        return started

    def _give_up(self, started: Deferred) -> None:
        self._started = None
        self.stop()

    def stop(self) -> Deferred:
        """End all children after their last call; the Deferred fires when they are gone."""
        self.is_stopped = True
        self._cancel_all()
        for process in list(self.processes):
            process.retire()
        if not self.processes:
            self._end()
            return succeed(None)
        self._stopping = Deferred()
        self._later("stop", STOP_S, self._kill_all)
        return self._stopping

    def reopen(self) -> None:
        """SIGUSR1."""
        if self.current is not None:
            self.current.channel.send(encode(Reopen()))

    def _kill_all(self) -> None:
        for process in list(self.processes):
            process.kill(f"it did not end within {STOP_S:g} s")

    def _end(self) -> None:
        """Nothing is left: break the circles."""
        self._cancel_all()
        self.current = self.fresh = None
        self.calls.fail(list(self.calls.pending.values()), "the filter has ended")
        for part in self.parts:
            part.clear()
        self._heed.clear()
        stopping, self._stopping = self._stopping, None
        if stopping is not None:
            stopping.callback(None)

    def _spawn(self) -> None:
        """Start a child; it takes calls once it is ready."""
        if self.is_proven:
            self.restarts += 1
            self._measures.restarts.inc()
        setup = Setup(name=self.plugin.name, node=self._node, parts=tuple(self._plugins), owners=tuple(self._owners))
        try:
            process = self.fresh = Process(
                self._world, on_message=self._on_message, on_end=self._on_end, on_gone=self._on_gone,
                on_line=self._on_line, environment=self._environment,
            )
        except OSError as error:
            self._no_process(error)
            return
        self.processes.add(process)
        self._notes[process] = Notes(self._log, self._world, self.record)
        for payload in frames(setup, self._registry, self._folder, self.limits.memory_bytes):
            process.channel.send(payload)

    def _no_process(self, error: OSError) -> None:
        trouble = self._error(f"no child process: {error.strerror}")
        started, self._started = self._started, None
        if started is not None:
            started.errback(trouble)
            return
        self.record.fault("child", trouble, is_rare=True)
        self._restart(0.0)

    def _restart(self, lived_s: float) -> None:
        """Start another child in a while, unless one is on its way."""
        if self.is_stopped or not self.is_proven or self.fresh is not None or "spawn" in self._timers:
            return
        self.failures = 1 if lived_s >= STEADY_S else self.failures + 1
        delay_s = min(MAX_DELAY_S, DELAY_S * 2 ** min(self.failures - 1, 20))
        self._later("spawn", delay_s * (0.5 + self._world.random.random() / 2), self._spawn)
        if not self._is_awaited():
            self.calls.fail(self.calls.of(None), self._absence())

    def _is_awaited(self) -> bool:
        """Say whether calls may wait for the child that is being started."""
        return (self.fresh is not None or "spawn" in self._timers) and self.failures <= 1

    def _absence(self) -> str:
        return f"its child process is not running: it has ended {self.failures} times in a row"

    # Calls

    def ask(self, part: int, phase: int, exchange: Any) -> Deferred:
        """Return a Deferred of the hook's verdict; raises PluginError where no more can wait."""
        if self.current is None and not self._is_awaited():
            raise self.calls.refusal(phase, self._absence())
        asked = self.calls.ask(self.current, part, phase, exchange)
        if "look" not in self._timers:
            self._later("look", self.limits.timeout_s / 4, self._look)
        return asked

    def tell(self, part: int, phase: int, exchange: Any) -> None:
        """Call a hook whose answer nobody waits for."""
        self.calls.tell(self.current, part, phase, exchange)

    # What the child says

    def _on_message(self, process: Process, message: Any) -> None:
        self._heed[type(message)](process, message)

    def _on_ready(self, process: Process, message: Ready) -> None:
        if process is not self.fresh or len(message.phases) != len(self.parts):
            process.kill("it said to be ready when that was not expected")
            return
        old, self.current, self.fresh = self.current, process, None
        if old is not None:
            old.retire()
        self._log.info("child process {pid} is ready", pid=process.pid)
        self.is_proven = True
        started, self._started = self._started, None
        if started is not None:
            for part, phases in zip(self.parts, message.phases):
                part.have(phases)
            if self.record.on_change is not None:
                self.record.on_change()
            started.callback(None)
        self.calls.hand_over(process)

    def _on_failed(self, process: Process, message: Failed) -> None:
        process.kill(message.reason[:1000])

    def _on_raised(self, process: Process, message: Raised) -> None:
        if message.id:
            self.calls.on_raised(process, message)
        else:
            self.record.fault(HOOKS[COMPLETE], child_error(message, self.plugin.name))

    def _on_pong(self, process: Process, message: Pong) -> None:
        """Its word has been noted in ``heard``."""

    def _on_note(self, process: Process, message: Note) -> None:
        trouble = self._notes[process].take(message)
        if trouble:
            process.kill(trouble)

    def _on_line(self, line: str) -> None:
        self._log.warn("{line}", line=line)

    # How it is

    def _look(self) -> None:
        """Answer calls that have waited too long; see whether the child still lives."""
        now = self._world.clock.now()
        if self.current is not None:
            self._watch(self.current, now)
        self.calls.expire(now)
        if self.calls and "look" not in self._timers:
            self._later("look", self.limits.timeout_s / 4, self._look)

    def _watch(self, process: Process, now: float) -> None:
        """Ask a child that has been silent for half the timeout whether it lives; the other half it has to answer."""
        half_s = self.limits.timeout_s / 2
        if process.pinged and process.heard >= process.pinged:
            process.pinged = 0.0
        elif process.pinged:
            if now - process.pinged >= half_s:
                self._on_block(process)
        elif now - process.heard >= half_s:
            oldest = self.calls.oldest(process)
            if oldest is not None and now - oldest >= half_s:
                process.pinged = now
                process.channel.send(encode(Ping()))

    def _on_block(self, process: Process) -> None:
        """Give it up; it is killed when it has said where it stands."""
        process.reason = f"it blocked for {self.limits.timeout_s:g} s"
        process.show_stack()
        self._lose(process)
        self._world.call_later(STACK_S, process.kill, process.reason)

    def _check(self) -> None:
        """Look at the children's memory, again and again."""
        self._later("check", CHECK_S, self._check)
        limit, now = self.limits.memory_bytes, self._world.clock.now()
        for process in list(self.processes):
            resident = process.resident_bytes()
            if resident > CEILING * limit:
                process.kill(f"it had {mib(resident)} of memory, expected at most {mib(limit)}")
            elif process is self.fresh and now - process.began > START_S and self.is_proven:
                process.kill(f"it was not ready within {START_S:g} s")
            elif process is self.current:
                self._weigh(process, resident)

    def _weigh(self, process: Process, resident: int) -> None:
        """Replace a child that has grown too large."""
        limit = self.limits.memory_bytes
        self._measures.resident.set(resident)
        if resident > limit and self.fresh is None and "spawn" not in self._timers:
            text = f"process {process.pid} has {mib(resident)} of memory, expected at most {mib(limit)}: it is replaced"
            self.record.fault("memory", self._error(text), is_rare=True)
            self._restart(self._world.clock.now() - process.began)

    def _lose(self, process: Process) -> None:
        """Nothing more comes from it: its calls have failed, and another takes its place."""
        is_used = process in (self.current, self.fresh)
        if process is self.current:
            self.current = None
        elif process is self.fresh:
            self.fresh = None
        if is_used:
            self._restart(self._world.clock.now() - process.began)
        why = f": {process.reason}" if process.reason else ""
        self.calls.fail(self.calls.of(process), f"its child process {process.pid} has ended{why}")

    def _on_end(self, process: Process, reason: str) -> None:
        self._lose(process)

    def _on_gone(self, process: Process, ending: str) -> None:
        self.processes.discard(process)
        self._notes.pop(process).close()
        text = f"child process {process.pid} {ending}" + (f": {process.reason}" if process.reason else "")
        started, self._started = self._started, None
        if started is not None:
            started.errback(self._error(process.reason or text))
        elif not process.is_expected:
            self.record.fault("child", self._error(text), is_rare=True)
        if self.is_stopped and not self.processes:
            self._end()

    def _error(self, text: str) -> PluginError:
        return PluginError(text, plugin=self.plugin.name)

    # Time

    def _later(self, name: str, seconds: float, function: Any) -> None:
        """Call ``function`` later; of each name there is one at most."""
        def due() -> None:
            self._timers.pop(name, None)
            function()

        self._timers[name] = self._world.call_later(seconds, due)

    def _cancel_all(self) -> None:
        timers, self._timers = self._timers, {}
        for call in timers.values():
            if call.active():
                call.cancel()


def mib(count: int) -> str:
    """Return bytes for people."""
    return f"{count / 1048576:.0f} MiB"
