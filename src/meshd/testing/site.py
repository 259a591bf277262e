"""A site for plugin tests: time, chance, names and threads are in the test's hand; metrics and state are real."""

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from meshd.api import CallRequest, IStream, Plugin
from meshd.model.snapshot import Node
from meshd.registry import Registry
from meshd.runtime.assembly import Assembly
from meshd.runtime.site import Ground, Site, finish
from meshd.runtime.state import Claims, StateTable
from meshd.telemetry.metrics import Metrics
from meshd.testing.call import FakeCall
from meshd.testing.registry import registry_with
from meshd.wire.bus import Bus

EPOCH_S = 1_700_000_000.0


class FakeTime:
    """``site.clock`` in the test's hand: twisted's Clock under the names that plugins know.

    Monotonic time starts at ``now_s``, wall time at ``wall_s``; both stand still but for ``advance``. ``followers`` are
    functions that are told of each advance.
    """

    def __init__(self, clock: Clock | None = None, *, now_s: float = 1000.0, wall_s: float = EPOCH_S) -> None:
        self.clock = Clock() if clock is None else clock
        self.call_later = self.clock.callLater
        self.followers: list[Callable[[float], Any]] = []
        self._now_s = now_s
        self._wall_s = wall_s

    def now(self) -> float:
        """Return monotonic seconds."""
        return self._now_s + self.clock.seconds()

    def wall(self) -> float:
        """Return epoch seconds."""
        return self._wall_s + self.clock.seconds()

    def advance(self, seconds: float) -> None:
        """Let time pass; calls that fall due are made, here and in the proxies that go by this time.

        As with twisted's Clock, time jumps: a timer that arms itself anew fires once in one advance.
        """
        self.clock.advance(seconds)
        for follower in list(self.followers):
            follower(seconds)

    @property
    def timers(self) -> list[Any]:
        """The calls that are still to be made."""
        return self.clock.getDelayedCalls()


@implementer(IStream)
class FakeStream:
    """What ``FakeSite.connect`` returns: the test plays the other side by the receiver's methods."""

    def __init__(self, cluster: str, receiver: Any, address: str) -> None:
        self.cluster = cluster
        self.receiver = receiver
        self.address = address
        self.sent: list[bytes] = []
        self.pending_bytes = 0
        self.is_paused = self.is_half_closed = self.is_closed = False

    def send(self, data: bytes) -> None:
        """Keep it."""
        self.sent.append(data)

    def pause(self) -> None:
        """Note it."""
        self.is_paused = True

    def resume(self) -> None:
        """Note it."""
        self.is_paused = False

    def half_close(self) -> None:
        """Note it."""
        self.is_half_closed = True

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


class FakeWorld:
    """What sites share, without a socket or a thread; ``reactor`` is a twisted Clock."""

    def __init__(self, seed: int = 1, clock: FakeTime | None = None) -> None:
        self.clock = FakeTime() if clock is None else clock
        self.reactor = self.clock.clock
        self.call_later = self.reactor.callLater
        self.on_reopen: list[Callable[[], Any]] = []
        self.node: Any = None
        self.arena: Any = None
        self.clusters: dict[str, Any] = {}
        self.random = random.Random(seed)
        self.metrics = Metrics()
        self.log = None
        self.poller = None
        self.wheel = None
        self.beat = 0.0
        self.bus = Bus()
        self.secrets: Any = None
        self.is_leaving = False
        self.is_ready: Callable[[], bool] = lambda: not self.is_leaving

    def dial(self, address: str, receiver: Any, timeout_s: float, tls: Any = None, host: str = "",
             alpn: tuple[str, ...] = (), preface: bytes = b"") -> Any:
        """Put a function of the test's own here, which returns what ``site.dial`` returns."""
        raise OSError(f"{address}: no test has put a connection in site.world.dial")

    @staticmethod
    def run(function: Callable[..., Any], *args: Any) -> None:
        """Run one piece of work."""
        function(*args)


class FakeGround(Ground):
    """Gives the plugins that a FakeSite builds what it has itself in the place of the world: ``fake``."""

    fake: "FakeSite"

    def site(self, name: str, owner: str) -> Site:
        """Return the site of the instance ``name``."""
        site = super().site(name, owner)
        for method in ("call", "resolve", "in_thread"):
            setattr(site, method, getattr(self.fake, method))
        return site


class FakeSite(Site):
    """``FakeSite()`` is a site; ``advance(seconds)`` moves its time.

    ``build`` may use the types of ``plugins`` (modules and PluginTypes of the test) and all that are installed, or
    those of ``registry`` alone; ``clusters`` maps names to live clusters; ``hosts`` maps names to addresses for
    ``resolve``. ``time`` is its clock. ``logged`` holds the log events (dicts), and ``table`` the state, which another
    FakeSite may share to play the next runtime. ``calls`` are the FakeCalls of ``call``, which the test answers,
    ``streams`` the FakeStreams of ``connect``.
    """

    def __init__(
        self, name: str = "test", *, plugins: Iterable[Any] = (), registry: Registry | None = None,
        clusters: Mapping[str, Any] | None = None, hosts: Mapping[str, list[str]] | None = None,
        environment: Mapping[str, str] | None = None, node: Node = Node(), table: StateTable | None = None,
        world: Any = None, owner: str = "", time: FakeTime | None = None,
    ) -> None:
        self._assembly = Assembly(registry_with(plugins) if registry is None else registry)
        self.logged: list[dict] = []
        self.calls: list[FakeCall] = []
        self.table = StateTable() if table is None else table
        self.claims = Claims(self.table)
        self.world = FakeWorld(clock=time) if world is None else world
        ground = FakeGround(
            self.world, node=node, claims=self.claims, environment=environment or {},
            build=self._assembly.build, observer=self.logged.append,
        )
        ground.fake = self
        ground.clusters.update(clusters or {})
        self._assembly.ground = ground
        self._hosts = dict(hosts or {})
        self.streams: list[FakeStream] = []
        self.registry = self._assembly.registry
        super().__init__(name, owner, ground)

    @property
    def built(self) -> list[Any]:
        """The objects that ``build`` and ``make`` returned."""
        return [one.made for one in self._assembly.built]

    def advance(self, seconds: float) -> None:
        """Let time pass; calls that fall due are made."""
        self.world.reactor.advance(seconds)

    def make(self, kind: str, type: str, config: Any = None, name: str = "") -> Any:
        """Build a plugin as the runtime does, contract check included. ``config`` is the decoded object."""
        return self.build(Plugin(kind=kind, type=type, config=config, name=name or type))

    def reopen(self) -> None:
        """Do what SIGUSR1 does."""
        for callback in self._ground.reopeners:
            callback()

    def connect(self, cluster: str, receiver: Any, address: str = "") -> FakeStream:
        """Return a FakeStream, which ``streams`` keeps; raises KeyError for a cluster that is not there."""
        self.cluster(cluster)
        self.streams.append(FakeStream(cluster, receiver, address))
        return self.streams[-1]

    def release(self) -> None:
        """Give the state back, as the end of a runtime does."""
        finish(self.claims.release())

    def call(self, cluster: str, request: CallRequest) -> Deferred:
        """Keep the call in ``calls``; return the Deferred of what the test answers."""
        self.calls.append(FakeCall(cluster, request))
        return self.calls[-1].done

    def resolve(self, host: str) -> Deferred:
        """Return a Deferred of the addresses given for ``host``; fails with OSError on another name."""
        found = self._hosts.get(host)
        return fail(OSError(f"{host}: name unknown")) if found is None else succeed(list(found))

    def in_thread(self, function: Callable, *args: Any) -> Deferred:
        """Run ``function(*args)`` here and now."""
        return maybeDeferred(function, *args)
