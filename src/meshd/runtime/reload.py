"""The configuration in force and how it changes: read in a child, built beside the old one, swapped, the old one freed.

Strategy: all or nothing. Until the swap a fault of any kind leaves everything as it was. The swap is one turn of the
reactor. A request finishes on the runtime that it began with; the old one is stopped after its last. A request to
reload that comes during a reload leads to one more, however many come. A configuration that did not change is built
again too: files that plugins read are read anew, and plugins that were bypassed get another chance. Only clusters
whose plugins are shipped ones are taken over as they are, where the reader knows that they are the same
(``config/child.py``).
"""

import gc
from collections.abc import Callable, Generator, Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, gatherResults, succeed

from meshd.api import ConfigurationError, MeshdError
from meshd.config.outline import worker_count
from meshd.config.transfer import compare
from meshd.downstream.listener import LiveListener
from meshd.errors import GenerationNeeded
from meshd.model.snapshot import Loaded
from meshd.overload import heap
from meshd.registry import Registry
from meshd.runtime.build import build
from meshd.runtime.change import changes
from meshd.runtime.outcome import Outcome, OutcomeMetrics
from meshd.runtime.pump import pump
from meshd.runtime.runtime import Runtime, retire
from meshd.runtime.state import StateTable
from meshd.runtime.swap import Swap, drain

NEVER = 1_000_000_000
"""A threshold of the collector that is not reached: no full collection, which takes 0.1 s with 10,000 routes."""

START_TIMEOUT_S = 30.0
"""How long the ``start()`` of plugins may take before the configuration is refused: child processes of isolated filters
are among them, which take 0.5 s on an idle machine and many times that on a busy one.
"""


class Reloader:
    """``runtime``, ``listeners`` (by name), ``loaded`` and ``outcome`` are in force; None or empty before ``begin``.

    ``read()`` returns a Deferred of a ``Loaded``. ``on_swap`` functions are called with the runtime after each swap.
    ``is_quiet``: another process tells the log of outcomes. ``consent()`` is asked before each swap, when all is bound
    and started; its Deferred fails where others refuse.
    ``upgrade(why)`` is asked where this process cannot serve what was read, because other code is installed now or
    another number of workers is wanted; its Deferred gets the pid of the generation that serves from now on.
    """

    def __init__(
        self, world: Any, registry: Registry, read: Callable[[], Deferred], *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.world = world
        self.registry = registry
        self.runtime: Runtime | None = None
        self.listeners: dict[str, LiveListener] = {}
        self.loaded: Loaded | None = None
        self.outcome: Outcome | None = None
        self.generation = 0
        self.on_swap: list[Callable[[Runtime], Any]] = []
        self.consent: Callable[[], Deferred] = lambda: succeed(None)
        self.upgrade: Callable[[str], Deferred] | None = None
        self.retiring = 0
        self.is_quiet = False
        self.table = StateTable(lambda key, error: world.log.error("state {key}: {error!r}", key=key, error=error))
        self._environment = environment
        self._read = read
        self._metrics = OutcomeMetrics(world.metrics)
        self._running: Deferred | None = None
        self._next: Deferred | None = None
        self._next_read = read

    def begin(self, loaded: Loaded) -> Deferred:
        """Start with ``loaded``, which was read in this process; the Deferred gets the Outcome, accepted or not."""
        return self._run(lambda: succeed(loaded))

    def reload(self) -> Deferred:
        """Read the configuration anew and swap to it; the Outcome is that of a reading that began after the call."""
        return self._ask(self._read)

    def renew(self) -> Deferred:
        """Hand over to a new generation, whatever has changed; the Deferred gets the Outcome."""
        return self._ask(_renewal)

    def _ask(self, read: Callable[[], Deferred]) -> Deferred:
        if self._running is None:
            return self._run(read)
        if self._next is None:
            self._next = Deferred()
            self._next_read = read
        if read is _renewal:
            self._next_read = read  # a new generation reads the configuration anew, too
        return _also(self._next)

    def assume(self, loaded: Loaded | None) -> Deferred:
        """Put ``loaded``, which was read again, in the place of what is in force where it is equal.

        Then what the next reading finds unchanged are the objects in force. The Deferred fires when that is done.
        """
        if loaded is None or self._running is not None or self.runtime is None:
            return succeed(None)
        done = pump(self.world, self._assume(loaded, self.runtime))
        return done.addErrback(lambda why: self.world.log.failure("bug: unexpected error after a reading", failure=why))

    def _assume(self, loaded: Loaded, runtime: Runtime) -> Generator[None, None, None]:
        changed = yield from changes(runtime.snapshot, loaded.snapshot)
        if loaded.digest == self.loaded.digest and not any(changed) and runtime is self.runtime:
            self.loaded = loaded
            yield from runtime.assume(loaded.snapshot)

    def drain(self, deadline_s: float) -> Deferred:
        """Accept no more; the Deferred fires when every connection has ended, or was cut after ``deadline_s``."""
        return drain(list(self.listeners.values()), deadline_s)

    def stop(self) -> Deferred:
        """End the runtime in force, which must be out of use; the Deferred fires when all its plugins have ended."""
        runtime, self.runtime = self.runtime, None
        if runtime is None:
            return succeed(None)
        return pump(self.world, runtime.stop()).addCallback(lambda _: gatherResults(runtime.ending))

    def _run(self, read: Callable[[], Deferred]) -> Deferred:
        self._running = done = Deferred.fromCoroutine(self._attempt(read))
        answer = _also(done)
        done.addBoth(self._ended)
        return answer

    def _ended(self, result: Any) -> None:
        self._running = None
        if self._next is not None:
            waiting, self._next = self._next, None
            self._run(self._next_read).chainDeferred(waiting)

    async def _attempt(self, read: Callable[[], Deferred]) -> Outcome:
        began = self.world.clock.now()
        thresholds = gc.get_threshold()
        gc.set_threshold(*thresholds[:2], NEVER)  # what is made now stays; only what dies young is looked for
        try:
            loaded = await read()
            self._check_process(loaded)
            outcome = self._accepted(loaded, await self._apply(loaded))
        except GenerationNeeded as change:
            outcome = await self._succeeded(change)
        except MeshdError as error:
            outcome = self._refused(error)
        except Exception as error:
            self.world.log.failure("bug: unexpected error in a reload")
            outcome = self._refused(MeshdError(f"bug: {type(error).__name__}: {error}"))
        finally:
            gc.set_threshold(*thresholds)
        self.outcome = attrs.evolve(
            outcome, duration_s=self.world.clock.now() - began, wall_s=self.world.clock.wall()
        )
        self._metrics.note(self.outcome)
        self._say(self.outcome)
        return self.outcome

    async def _apply(self, loaded: Loaded) -> tuple:
        """Build, bind, start, swap; raises MeshdError with nothing changed."""
        snapshot = loaded.snapshot
        old = self.runtime.snapshot if self.runtime is not None else None
        changed = await pump(self.world, changes(old, snapshot))
        work = build(
            snapshot, self.registry, self.world, self.runtime, table=self.table, environment=self._environment
        )
        runtime = await pump(self.world, work)
        swap = await self._ready(runtime)
        self._swap(swap, loaded)
        return changed

    def _check_process(self, loaded: Loaded) -> None:
        """Raise GenerationNeeded where this process cannot become what the configuration asks for."""
        if loaded.fingerprint:
            compare(self.registry.fingerprint, loaded.fingerprint)
        if self.loaded is None:
            return
        was, wanted = worker_count(self.loaded.snapshot), worker_count(loaded.snapshot)
        if was != wanted:
            raise GenerationNeeded(f"workers: {wanted} are wanted where {was} run")
        if _loading(loaded) != _loading(self.loaded):
            raise GenerationNeeded("plugins: load or dir has changed")

    async def _succeeded(self, change: GenerationNeeded) -> Outcome:
        """Another generation must take over: a module is never imported anew in a process."""
        if self.upgrade is None:
            return self._refused(ConfigurationError(f"plugins: {change}: expected a restart of meshd"))
        try:
            heir = await self.upgrade(str(change))
        except MeshdError as error:
            return self._refused(error)
        digest = self.loaded.digest if self.loaded is not None else ""
        text = f"{change}: a new generation serves (process {heir}), this one drains"
        return Outcome(is_accepted=True, generation=self.generation, digest=digest, text=text, heir=heir)

    async def _ready(self, runtime: Runtime) -> Swap:
        """Bind and start; raises MeshdError after everything was undone."""
        swap = None
        try:
            swap = Swap.plan(runtime, self.listeners.values())
            started = runtime.start()
            await started.addTimeout(START_TIMEOUT_S, self.world.reactor, _too_late)
            await self.consent()
            return swap
        except Exception as error:
            if swap is not None:
                swap.undo()
            await pump(self.world, runtime.stop())
            raise

    def _swap(self, swap: Swap, loaded: Loaded) -> None:
        """Everything at once: from here on requests are served by the new runtime."""
        old, self.runtime = self.runtime, swap.runtime
        self.loaded = loaded
        self.generation += 1
        taken = swap.runtime.take_over()
        self.listeners = swap.do()
        gc.collect(1)  # circles that died during the build (the admin API's, say) must not be frozen too
        gc.freeze()
        if old is None:
            heap.shrink()  # of what the start has left free
        for function in self.on_swap:
            self._tell(function)
        if old is not None:
            old.give_over(taken)
            self._retire(old, swap)

    def _tell(self, function: Callable[[Runtime], Any]) -> None:
        try:
            function(self.runtime)
        except Exception:
            self.world.log.failure("bug: unexpected error after a reload")

    def _retire(self, old: Runtime, swap: Swap) -> None:
        """Stop the old runtime after its last request; its listeners that are gone are drained first."""
        self.retiring += 1
        ended = swap.drain(old.snapshot.drain.deadline_s)
        ended.addCallback(lambda _: retire(old.in_use()))
        ended.addCallback(lambda _: pump(self.world, old.stop()))
        bug = "bug: unexpected error at the end of a runtime"
        ended.addErrback(lambda why: self.world.log.failure(bug, failure=why))
        ended.addBoth(self._retired)

    def _retired(self, result: Any) -> None:
        self.retiring -= 1

    def _accepted(self, loaded: Loaded, changed: tuple) -> Outcome:
        text = ", ".join(one.text for one in changed if one) or "nothing changed"
        return Outcome(
            is_accepted=True, generation=self.generation, digest=loaded.digest, text=text, changed=changed,
            warnings=loaded.warnings,
        )

    def _refused(self, error: MeshdError) -> Outcome:
        digest = self.loaded.digest if self.loaded is not None else ""
        faults = getattr(error, "faults", ()) or (str(error),)
        return Outcome(
            is_accepted=False, generation=self.generation, digest=digest, text=str(error), faults=faults,
            is_configuration=isinstance(error, ConfigurationError),
        )

    def _say(self, outcome: Outcome) -> None:
        if self.is_quiet:
            return
        if outcome.heir:
            self.world.log.info("{text}", text=outcome.text)
            return
        if outcome.is_accepted:
            self.world.log.info(
                "configuration {generation} in force: {text} ({ms} ms)", generation=outcome.generation,
                text=outcome.text, ms=round(outcome.duration_s * 1e3),
            )
            return
        kept = f"configuration {outcome.generation} stays in force" if outcome.generation else "nothing is served"
        self.world.log.error("configuration refused: {kept}: {text}", kept=kept, text=outcome.text)


def _renewal() -> Deferred:
    return fail(GenerationNeeded("an upgrade was asked for"))


def _loading(loaded: Loaded) -> tuple:
    return loaded.snapshot.plugins.load, loaded.snapshot.plugins.dir


def _too_late(result: Any, seconds: float) -> Any:
    raise ConfigurationError(f"plugins: start: not done after {seconds:g} s: expected a quicker start")


def _also(deferred: Deferred) -> Deferred:
    """Return a second Deferred with the result of the first."""
    other: Deferred = Deferred()

    def tell(result: Any) -> Any:
        other.callback(result)
        return result

    deferred.addBoth(tell)
    return other
