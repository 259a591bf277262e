"""``site`` as plugins get it, and what all sites of one runtime under construction share."""

import random
import socket
from collections.abc import Callable, Generator, Hashable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from zope.interface import implementer

from meshd.api import CallError, CallRequest, ISite, Plugin, PluginError
from meshd.exchange.pace import pace_response
from meshd.http import flag
from meshd.model.snapshot import Node
from meshd.runtime.state import HOST, Claims
from meshd.upstream.call import Call
from meshd.upstream.made import make_endpoint
from meshd.wire.proxy_protocol import header
from meshd.upstream.stream import connect
from meshd.wire.bus import Peers
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
        self.reactor = ground.world.reactor
        self.state = ground.claims.state
        self.tls: Any = None
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

    def call(self, cluster: str, request: CallRequest) -> Deferred:
        """Return a Deferred of a cluster's ``CallAnswer``; fails with CallError, or with PluginError in a child."""
        try:
            found = self._ground.cluster(cluster)
        except KeyError:
            return fail(CallError(cluster, "", "no such cluster", flag.NC))
        except PluginError as error:
            return fail(error)
        return Call(found, request).begin()

    def connect(self, cluster: str, receiver: Any, address: str = "") -> Any:
        """Return an ``IStream`` to an endpoint of ``cluster`` (the one at ``address``, if given), being opened."""
        return connect(self._ground.world, self.cluster(cluster), receiver, address)

    def pace_response(self, exchange: Any, bytes_per_s: float) -> Any:
        """Let the answer's body leave at this rate; return what has ``cancel()``, to be called in ``on_complete``."""
        if getattr(exchange, "downstream", None) is None:
            raise PluginError("pace_response: not available to an isolated filter", plugin=self.name)
        return pace_response(exchange, bytes_per_s)

    def endpoint(self, cluster: Any, spec: Any, name: Any) -> Any:
        """Return an endpoint of a live cluster, made at a request; its connections go where ``name`` says."""
        return make_endpoint(cluster, spec, name)

    def retire(self, endpoint: Any) -> None:
        """Let go of an endpoint that was made so."""
        endpoint.pool.retire()

    def peers(self, topic: str) -> Peers:
        """Return what tells the same plugin in the other workers of this host, and hears them."""
        return Peers(self._ground.world.bus, topic)

    def is_ready(self) -> bool:
        """Say whether traffic should come to this proxy."""
        return self._ground.world.is_ready()

    def dial(self, address: str, receiver: Any, timeout_s: float, host: str = "", alpn: tuple[str, ...] = ()) -> Any:
        """Open a connection of the plugin's own to HOST:PORT or unix:PATH; raises PluginError in a child process.

        A health checker's begins as its cluster's do: with a PROXY protocol header, with TLS, which asks for ``host``
        and offers ``alpn`` where its settings name nothing else.
        """
        version = self._proxy_protocol()
        preface = header(version) if version is not None else b""
        return self._ground.world.dial(address, receiver, timeout_s, self.tls, host, alpn, preface)

    def _proxy_protocol(self) -> str | None:
        """Return what connections to the endpoints of a cluster's plugin begin with, None for nothing."""
        found = self._ground.clusters.get(self.name) if self.owner.startswith("cluster ") else None
        return found.spec.proxy_protocol if found is not None else None

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

    ``build(plugin, owner)`` is a generator that returns the object of a configured plugin. ``is_past``: another runtime
    has taken over, whose clusters know better what there is. ``tls`` is that of its clusters, by owner.
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
        self.tls: dict[str, Any] = {}
        self.reopeners: list[Callable[[], Any]] = []
        self.is_past = False

    def cluster(self, name: str) -> Any:
        """Return the live cluster that calls go to: that of the runtime in force, once there is one after this one's.

        Raises KeyError.
        """
        if self.is_past and name in self.world.clusters:
            return self.world.clusters[name]
        return self.clusters[name]

    def site(self, name: str, owner: str) -> Site:
        """Return the site of the instance ``name``."""
        return Site(name, owner, self)
