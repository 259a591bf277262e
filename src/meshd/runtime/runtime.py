"""The runtime: live objects made from one Snapshot, started at the swap, stopped after their last request."""

import gc
from collections.abc import Generator, Iterable, Iterator
from types import MethodType
from typing import Any

import attrs
from twisted.internet.defer import Deferred, FirstError, gatherResults, maybeDeferred
from twisted.python.failure import Failure

from meshd.api import ConfigurationError
from meshd.downstream.listener import LiveListener
from meshd.downstream.listener_filters import ListenerFilters
from meshd.downstream.live_chain import LiveChain
from meshd.downstream.udp import UdpListener
from meshd.exchange.chain import Chain, Use
from meshd.model.snapshot import Snapshot
from meshd.registry import Entry, Registry
from meshd.registry.entry import one_line
from meshd.runtime.assembly import Built, describe
from meshd.runtime.pump import pump
from meshd.runtime.site import Ground


YOUNG = 64
"""So many starts between two looks of the collector at what is young."""
LARGE = 64
"""A tuple of so many items is taken apart in slices."""


@attrs.frozen(eq=False)
class Parts:
    """What a live cluster is made of: its plugin objects, and (scope, key) of the state that they share."""

    built: tuple[Built, ...]
    claims: tuple[tuple[str, Any], ...]


class Runtime:
    """``clusters`` by name; ``chains`` by the listener's name and their own, ``listener_filters`` by the listener's;
    ``built`` are the plugin objects, in the order of making, but for those of clusters that may be taken over
    (``parts``).

    ``discoveries`` are (discovery object, live cluster) pairs. A cluster that is the same in the next configuration is
    that runtime's too: ``shared`` names those that another runtime starts and ends, ``parts`` says what they are made
    of. Listeners are not part of it: they live on, and serve
    by the chain of the runtime in force. ``secured`` is the TLS that the world's secrets look after from the swap on:
    until then, and where there is none, it is the old one's files that matter.
    """

    def __init__(self, snapshot: Snapshot, registry: Registry, ground: Ground, built: list[Built]) -> None:
        self.snapshot = snapshot
        self.registry = registry
        self.ground = ground
        self.built = built
        self.clusters: dict[str, Any] = ground.clusters
        self.chains: dict[str, dict[str, Chain]] = {}
        self.listener_filters: dict[str, ListenerFilters] = {}
        self.discoveries: list[tuple[Any, Any]] = []
        self.workload: Any = None
        self.parts: dict[str, Parts] = {}
        self.shared: set[str] = set()
        self.secured: list[Any] = []
        self.is_started = False
        self.ending: list[Deferred] = []

    @property
    def uses(self) -> Iterator[Use]:
        """Every use of a plugin in a chain."""
        for chain in self.in_use():
            yield from chain.uses
            yield from chain.all_sinks

    def in_use(self) -> Iterator[Any]:
        """Everything that connections may be busy with: chains, and the filters of listeners."""
        for chains in self.chains.values():
            yield from chains.values()
        yield from self.listener_filters.values()

    def live(self, spec: Any) -> LiveListener | UdpListener:
        """Return a new live listener that serves by this runtime; raises MeshdError."""
        if spec.is_udp:
            chain = self.chains[spec.name][""]
            return UdpListener(spec, self.clusters[spec.udp.cluster], self.ground.world, chain)
        return LiveListener(spec, self.chains[spec.name], self.ground.world, self.listener_filters.get(spec.name))

    def renew(self, listener: Any, spec: Any) -> list[LiveChain]:
        """Let a live listener serve by this runtime; return its chains that have gone."""
        if spec.is_udp:
            listener.replace(spec, self.clusters[spec.udp.cluster], self.chains[spec.name][""])
            return []
        return listener.replace(spec, self.chains[spec.name], self.listener_filters.get(spec.name))

    def own(self) -> Iterator[Built]:
        """Every plugin object that this runtime starts and ends."""
        for name, parts in self.parts.items():
            if name not in self.shared:
                yield from parts.built
        yield from self.built

    def start(self) -> Deferred:
        """Start the plugin objects and look for endpoints, in slices; the Deferred fails as the first that cannot.

        Cancelling it starts no more, and cancels those that take their time.
        """
        self.is_started = True
        begun = pump(self.ground.world, self._begin())
        begun.addCallback(gatherResults, consumeErrors=True)
        return begun.addErrback(lambda why: why.value.subFailure if why.check(FirstError) else why)

    def _begin(self) -> Generator[None, None, list[Deferred]]:
        """Begin one start in each step; return what to wait for."""
        waits: list[Deferred] = []
        try:
            for label, work, args in self._starts():
                waits.append(maybeDeferred(work, *args).addErrback(_cannot_start, label))
                if len(waits) % YOUNG == 0:
                    gc.collect(1)  # what a start leaves behind must not wait for one long look at all of it
                yield
        except GeneratorExit:
            for wait in waits:
                wait.addErrback(lambda _: None)
                wait.cancel()
            raise
        return waits

    def _starts(self) -> Iterator[tuple[str, Any, tuple]]:
        for discovery, cluster in self.discoveries:
            yield f"cluster {cluster.name}: discovery", discovery.watch, (cluster.set_endpoints,)
        for one in self.own():
            start = getattr(one.made, "start", None)
            if callable(start):
                yield describe(one.plugin), start, ()

    def take_over(self) -> set[str]:
        """The swap: pools and log reopening are this runtime's from now on, and the clusters whose names it returns."""
        self.ground.world.node = self.snapshot.node
        secrets = self.ground.world.secrets
        if secrets is not None:
            secrets.poll_s = self.snapshot.secrets.poll_s
            while self.secured:
                secrets.add(self.secured.pop())
        self.ground.world.clusters = self.clusters
        taken, self.shared = self.shared, set()
        for name, cluster in self.clusters.items():
            if name not in taken:
                cluster.start()
        if self.reopen not in self.ground.world.on_reopen:
            self.ground.world.on_reopen.append(self.reopen)
        return taken

    def give_over(self, taken: Iterable[str] = ()) -> None:
        """Another runtime has taken over, with these clusters: look for endpoints no more, as the pools are that one's.
        """
        self.ground.is_past = True
        watching = {id(discovery) for discovery, _ in self.discoveries}
        for one in self.built:
            if id(one.made) in watching:
                self._end(one)
        self.built[:] = [one for one in self.built if id(one.made) not in watching]
        self.discoveries.clear()
        self.shared.update(taken)

    def reopen(self) -> None:
        """SIGUSR1: tell the plugins that keep files open."""
        for callback in list(self.ground.reopeners):
            self._safely(callback, "reopen")

    def stop(self) -> Iterator[None]:
        """End the plugin objects, the clusters and the claims on state, one for each step; they must be out of use.

        ``ending`` then holds a Deferred for each plugin that takes longer.
        """
        if self.reopen in self.ground.world.on_reopen:
            self.ground.world.on_reopen.remove(self.reopen)
        for one in reversed(list(self.own()) if self.is_started else []):
            self._end(one)
            yield
        for name, cluster in self.clusters.items():
            if name not in self.shared:
                cluster.retire()
            yield
        for use in self.uses:
            use.record.end()
        yield from self.ground.claims.release()
        yield from self._empty()

    def _empty(self) -> Iterator[None]:
        """Break the ties between the parts, so that reference counts free them bit by bit."""
        for table in (self.chains, self.listener_filters, self.clusters):
            while table:
                table.popitem()
                yield
        while self.parts:
            name, parts = self.parts.popitem()
            for one in parts.built if name not in self.shared else ():
                untie(one.made)
            yield
        while self.built:
            untie(self.built.pop().made)
            yield
        for parts in (self.discoveries, self.ground.reopeners, self.secured):
            while parts:
                parts.pop()
                yield
        self.ground.build = None
        rest = [self.snapshot]
        self.snapshot = None
        yield from crumble(rest)

    def assume(self, snapshot: Snapshot) -> Iterator[None]:
        """Put an equal snapshot in the place of the one that this was built from, one cluster for each step."""
        old = [self.snapshot]
        self.snapshot = snapshot
        for spec in snapshot.clusters:
            cluster = self.clusters.get(spec.name)
            if cluster is not None and spec.name not in self.shared:  # a reload may come in between
                cluster.spec = spec
            yield
        yield from crumble(old)

    def strike(self, entry: Entry, selves: frozenset[int] = frozenset()) -> None:
        """Code of ``entry`` blocked: each use of it gets a strike, or only the one whose object is known."""
        ours = [use for use in self.uses if self.registry.entry(use.plugin.kind, use.plugin.type) is entry]
        for use in [use for use in ours if id(use.object) in selves] or ours:
            use.record.late()

    def _end(self, one: Built) -> None:
        stop = getattr(one.made, "stop", None)
        if callable(stop):
            self._safely(stop, describe(one.plugin))

    def _safely(self, work: Any, label: str) -> None:
        done = maybeDeferred(work)
        log = self.ground.world.log
        done.addErrback(lambda why: log.failure("{label}: failed", failure=why, label=label))
        if not done.called or done.paused:
            self.ending.append(done)


def _cannot_start(why: Failure, label: str) -> None:
    raise ConfigurationError(f"{label}: start: {one_line(why.value)}") from why.value


def untie(made: Any) -> None:
    """Remove bound methods that an object keeps of itself (``self.on_request = self._fast``).

    The collector, which would free such a circle, does not look at what was frozen.
    """
    for name, value in list(getattr(made, "__dict__", {}).items()):
        if isinstance(value, MethodType) and value.__self__ is made:
            delattr(made, name)


def retire(chains: Iterable[Chain]) -> Deferred:
    """Return a Deferred that fires when none of ``chains`` has an exchange in flight."""
    waits = []
    for chain in chains:
        idle: Deferred = Deferred()
        chain.retire(lambda idle=idle: idle.callback(None))
        waits.append(idle)
    return gatherResults(waits)


def crumble(items: list[Any]) -> Iterator[None]:
    """Let go of values of the model in slices, which it takes from ``items``: freed in one go, many would take long."""
    while items:
        item = items.pop()
        if type(item) is not tuple:
            items += [getattr(item, one.name) for one in attrs.fields(type(item))] if attrs.has(type(item)) else ()
        elif len(item) <= LARGE:
            items += item
        else:
            rest, item = list(item), None
            while rest:
                rest.pop()
                yield
        yield
