"""Sources that fetch all there is once and are told of changes from then on; the base of consul, etcd and kubernetes.

Strategy: ``look`` answers from what is kept as long as a watch stands, and fetches where none does. Each change wakes
the discovery, which looks. A watch that breaks is a failed look, so the discovery's back-off decides when all is
fetched anew. A watch that ends at once, again and again, is put off for longer and longer.
"""

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from meshd_plugins.discovery.source import Answer, SourceError

STEADY_S = 5.0
"""A watch that has lived for so long was a good one, as is one that had news: the next begins at once."""
GAP_S = 0.2
"""From the begin of one watch to the next, at least (Consul's advice is to bound the rate of blocking queries)."""


class Follower:
    """A source (ISource). What it is about is written by its subclasses: ``fetch``, ``follow`` and ``answer``."""

    name = ""

    def __init__(self, options: Any, site: Any) -> None:
        self._options = options
        self._clock = site.clock
        self._random = site.random
        self._wake: Any = None
        self._is_current = False
        self._error: SourceError | None = None
        self._following: Deferred | None = None
        self._timer: Any = None
        self._began = -GAP_S
        self._short = 0
        self._has_news = False

    def fetch(self) -> Deferred:
        """Ask for all there is and keep it. Fails with SourceError."""
        raise NotImplementedError

    def follow(self) -> Deferred:
        """Watch for what comes after that, calling ``changed`` and ``confirmed``, until the Deferred fires.

        It gives whether the next watch can go on from here; where it cannot, or where it fails with SourceError, all is
        fetched again.
        """
        raise NotImplementedError

    def answer(self) -> Answer:
        """Return what is kept."""
        raise NotImplementedError

    def start(self, wake: Any) -> None:
        """Watch after the next fetch."""
        self._wake = wake

    def stop(self) -> None:
        """Watch no more."""
        self._wake = None
        self._end_watch()

    def look(self) -> Deferred:
        """Return a Deferred of an Answer."""
        error, self._error = self._error, None
        if error is not None:
            return fail(error)
        if self._is_current:
            return succeed(self.answer())
        return self.fetch().addCallback(self._fetched)

    def changed(self) -> None:
        """What is kept is another now: the discovery should look."""
        self._has_news = True
        self.confirmed()

    def confirmed(self) -> None:
        """What is kept was found to be right: the discovery should see that it is not old."""
        if self._wake is not None and self._is_current:
            self._wake()

    def _fetched(self, _: Any) -> Answer:
        if self._wake is not None:
            self._is_current = True
            self._plan()
        return self.answer()

    def _plan(self) -> None:
        """Begin a watch, not at once where the last ones have ended soon."""
        self._end_watch()
        wait = max(0.0, self._began + GAP_S - self._clock.now())
        if self._short:
            bound = min(self._options.retry_max_s, self._options.retry_base_s * 2.0 ** min(self._short - 1, 30))
            wait = max(wait, self._random.uniform(0.0, bound))
        self._timer = self._clock.call_later(wait, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._began = self._clock.now()
        self._has_news = False
        self._following = following = self.follow()
        following.addCallbacks(self._ended, self._lost)

    def _count(self) -> None:
        self._following = None
        is_good = self._has_news or self._clock.now() - self._began >= STEADY_S
        self._short = 0 if is_good else self._short + 1

    def _ended(self, goes_on: bool) -> None:
        if self._wake is None:
            return
        self._count()
        if goes_on:
            self._plan()
        else:
            self._is_current = False
            self._wake()

    def _lost(self, why: Failure) -> None:
        if self._wake is None:
            return
        self._count()
        self._is_current = False
        self._error = why.value if why.check(SourceError) else SourceError(f"{why.type.__name__}: {why.value}")
        self._wake()

    def _end_watch(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        following, self._following = self._following, None
        if following is not None:
            wake, self._wake = self._wake, None  # its end is no news
            following.cancel()
            self._wake = wake


class Lines:
    """Cuts the pieces of a stream into lines and gives each to ``take(line)``; a longer one is a SourceError."""

    def __init__(self, take: Any, limit_bytes: int) -> None:
        self._take = take
        self._limit_bytes = limit_bytes
        self._kept: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take a piece. Raises SourceError."""
        first, *others = data.split(b"\n")
        self._keep(first)
        for line in others:
            whole, self._kept, self._size = b"".join(self._kept), [], 0
            if whole.strip():
                self._take(whole)
            self._keep(line)

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit_bytes:
            raise SourceError(f"stream: a line is too long: expected at most {self._limit_bytes} bytes")
        if data:
            self._kept.append(data)
