"""The world of the data plane: the poller, the wheel, the clock and what else lives as long as the process."""

import socket
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.threads import deferToThreadPool

from meshd.wire.bus import Bus
from meshd.wire.overload import Overload
from meshd.wire.pipe import Pipes
from meshd.wire.poller import Poller
from meshd.wire.sockets import Sockets
from meshd.wire.stream import Stream
from meshd.wire.wheel import Wheel


MAX_LOOKUPS = 100
"""Names that may be looked up at once."""


class World:
    """One per process; handed to constructors in place of globals.

    reactor: Twisted's. random: a ``random.Random``. metrics: an ``IMetrics``. log: a ``twisted.logger.Logger``.
    ``clock`` has ``now()``, ``wall()`` and ``call_later``. ``node`` is the model's Node, set by the runtime.
    ``overload`` says what is refused at the moment; its monitor is the daemon's. ``arena`` is the memory shared with
    the other workers of this host (``wire/cell.py``), None where there are no others; ``bus`` tells them things.
    ``clusters`` are the live ones of the runtime in force, by name. ``is_leaving``: this process drains, and leads
    nothing any more; ``secrets`` renews certificates (``meshd.tls.store``), None where nothing is served;
    ``is_ready()``: traffic should come here.
    """

    def __init__(self, reactor: Any, clock: Any, random: Any, metrics: Any, log: Any) -> None:
        self.reactor = reactor
        self.clock = clock
        self.random = random
        self.metrics = metrics
        self.log = log
        self.node: Any = None
        self.arena: Any = None
        self.clusters: dict[str, Any] = {}
        self.poller = Poller(reactor, log)
        self.wheel = Wheel(time.monotonic, self.call_later, log)
        self.sockets = Sockets()
        self.pipes = Pipes()
        self.overload = Overload()
        self.bus = Bus()
        self.secrets: Any = None
        self.is_leaving = False
        self.is_ready: Callable[[], bool] = lambda: not self.is_leaving
        self.on_reopen: list[Callable[[], Any]] = []
        self.connections: set[Any] = set()
        self.next_id = 0
        self.lookups = 0

    @property
    def beat(self) -> float:
        """When the running batch of work began (monotonic seconds), 0.0 while the reactor may sleep."""
        return self.poller.beat

    def call_later(self, seconds: float, function: Callable[..., Any], *args: Any) -> Any:
        """Call ``function`` from the reactor, with the heartbeat on."""
        return self.reactor.callLater(seconds, self.run, function, *args)

    def run(self, function: Callable[..., Any], *args: Any) -> None:
        """Run one piece of work from the reactor so that the watchdog sees it."""
        poller = self.poller
        poller.now = poller.beat = time.monotonic()
        try:
            function(*args)
        finally:
            poller.beat = 0.0
            if poller.closing or poller.unsent:
                poller.settle()

    def dial(self, address: str, receiver: Any, timeout_s: float, tls: Any = None, host: str = "",
             alpn: tuple[str, ...] = (), preface: bytes = b"") -> Stream:
        """Open a connection that is no pool's (``wire/stream.py``)."""
        return Stream(self, address, receiver, timeout_s, tls, host, alpn, preface)

    def resolve(self, host: str) -> Deferred:
        """Return a Deferred of the addresses of ``host`` (list of str), asked of the system's resolver in a thread."""
        if self.lookups >= MAX_LOOKUPS:
            return fail(OSError(f"{MAX_LOOKUPS} names are being looked up already"))
        self.lookups += 1
        done: Deferred = Deferred()
        running = deferToThreadPool(
            self.reactor, self.reactor.getThreadPool(), socket.getaddrinfo, host, None, 0, socket.SOCK_STREAM)
        running.addCallback(lambda rows: list(dict.fromkeys(row[4][0] for row in rows)))
        running.addBoth(lambda result: self.run(self.resolved, done, result))
        return done

    def resolved(self, done: Deferred, result: Any) -> None:
        """One look-up has ended."""
        self.lookups -= 1
        done.callback(result)

    def reopen(self) -> None:
        """Tell every log writer to open its file anew (SIGUSR1)."""
        for callback in list(self.on_reopen):
            callback()

    def unique(self) -> int:
        """Return the next number of this process, for connections and streams."""
        self.next_id += 1
        return self.next_id
