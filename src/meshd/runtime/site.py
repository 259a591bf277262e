"""``site`` as plugins get it, and what all sites of one runtime under construction share."""

import random
import socket
from collections.abc import Callable, Generator, Hashable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from zope.interface import implementer

from meshd.api import ISite, Plugin, PluginError
from meshd.model.snapshot import Node
from meshd.runtime.state import HOST, Claims
from meshd.wire.cell import buckets, ledger

MAX_THREAD_CALLS = 1000
"""Calls of plugins that may wait for a thread; more are refused, so that a flood cannot queue without end."""

_outstanding = [0]


@implementer(ISite)
class Site:
    """One per plugin instance; ``name`` and ``log`` are its own, the rest belongs to ``ground``."""

    def __init__(self, name: str, owner: str, ground: "Ground") -> None:
        self.name = name
        self.owner = owner
        self.node = ground.node
        self.clock = ground.clock
        self.random: random.Random = ground.world.random
        self.metrics = ground.world.metrics
        self.log = Logger(namespace=f"meshd.plugin.{name}", observer=ground.observer)
        self.environment = ground.environment
        self.state = ground.claims.state
        self._ground = ground

    def ledger(self, key: Hashable, size: int) -> Any:
        """Return the ``ILedger`` of ``key``: counts that all workers of this host share, kept over reloads."""
        arena = self._ground.world.arena
        return self.state(HOST, ("ledger", key, size), lambda: ledger(arena, key, size))

    def buckets(self, key: Hashable, max_keys: int) -> Any:
        """Return the ``IBuckets`` of ``key``: tokens that all workers of this host share, kept over reloads."""
        arena = self._ground.world.arena
        return self.state(HOST, ("buckets", key, max_keys), lambda: buckets(arena, key, max_keys))

    def cluster(self, name: str) -> Any:
        """Return the live cluster ``name`` of the runtime under construction; raises KeyError."""
        return self._ground.clusters[name]

    def build(self, plugin: Plugin) -> Any:
        """Build another configured plugin and return the object; it starts and stops with this runtime."""
        return finish(self._ground.build(plugin, self.owner))

    def resolve(self, host: str) -> Deferred:
        """Return a Deferred of a list of addresses (str), looked up by the system's resolver in a thread."""
        found = self.in_thread(socket.getaddrinfo, host, None, 0, socket.SOCK_STREAM)
        return found.addCallback(lambda rows: list(dict.fromkeys(row[4][0] for row in rows)))

    def in_thread(self, function: Callable, *args: Any) -> Deferred:
        """Run ``function(*args)`` in the reactor's thread pool; fails with PluginError where too many calls wait."""
        if _outstanding[0] >= MAX_THREAD_CALLS:
            return fail(PluginError(f"thread pool: {MAX_THREAD_CALLS} calls are waiting", plugin=self.name))
        _outstanding[0] += 1
        world, done = self._ground.world, Deferred()
        running = deferToThreadPool(world.reactor, world.reactor.getThreadPool(), function, *args)
        running.addBoth(lambda result: world.run(done.callback, _paid_back(result)))
        return done

    def on_reopen(self, callback: Callable[[], Any]) -> None:
        """Call ``callback()`` on SIGUSR1 for as long as this runtime lives."""
        self._ground.reopeners.append(callback)


def no_cluster(name: str) -> Any:
    """Stand for ``site.cluster`` of an isolated filter; raises PluginError."""
    raise PluginError(f"cluster {name!r}: not available to an isolated filter: clusters live in meshd's own process")


def _paid_back(result: Any) -> Any:
    _outstanding[0] -= 1
    return result


def finish(work: Generator) -> Any:
    """Run a sliced build to its end at once and return what it returns."""
    while True:
        try:
            next(work)
        except StopIteration as ended:
            return ended.value


class PluginClock:
    """``site.clock``: the world's clock; calls that fall due run with the heartbeat on, for the watchdog."""

    def __init__(self, world: Any) -> None:
        self.now = world.clock.now
        self.wall = world.clock.wall
        self._later = world.clock.call_later
        self._run = world.run

    def call_later(self, seconds: float, function: Callable[..., Any], *args: Any) -> Any:
        """Call ``function(*args)`` in so many seconds; return what has ``cancel()`` and ``active()``."""
        return self._later(seconds, self._run, function, *args)


class Ground:
    """What the sites of one runtime share: the world, its claims on state, its live clusters.

    ``build(plugin, owner)`` is a generator that returns the object of a configured plugin.
    """

    def __init__(
        self, world: Any, *, node: Node, claims: Claims, environment: Mapping[str, str],
        build: Callable[[Plugin, str], Generator], observer: Any = None,
    ) -> None:
        self.world = world
        self.node = node
        self.claims = claims
        self.environment = environment
        self.build = build
        self.observer = observer
        self.clock = PluginClock(world)
        self.clusters: dict[str, Any] = {}
        self.reopeners: list[Callable[[], Any]] = []

    def site(self, name: str, owner: str) -> Site:
        """Return the site of the instance ``name``."""
        return Site(name, owner, self)
