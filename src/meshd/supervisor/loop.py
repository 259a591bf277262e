"""A selector, timers and signals: all that the supervisor waits for. One thread; callbacks must be short."""

import heapq
import itertools
import os
import selectors
import signal
import socket
from collections.abc import Callable
from typing import Any

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE


class Timer:
    """One call that is due later."""

    __slots__ = ("function", "args")

    def __init__(self, function: Callable[..., Any], args: tuple) -> None:
        self.function: Callable[..., Any] | None = function
        self.args = args

    def cancel(self) -> None:
        """Let it not be called; harmless afterwards."""
        self.function = None


class Loop:
    """``run`` goes on until ``stop``. ``report`` is called with an exception that a callback raised: a bug.

    ``now()`` is the monotonic time in seconds, that of ``clock``; ``wall()`` is that of the epoch.
    """

    def __init__(
        self, report: Callable[[BaseException], Any], clock: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self.now = clock
        self.wall = wall
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._signals: dict[int, Callable[[], Any]] = {}
        self._report = report
        self._is_running = False
        self._wake, self._woken = socket.socketpair()
        for end in (self._wake, self._woken):
            end.setblocking(False)
        self.watch(self._woken, READ, self.take_signals)

    def watch(self, fileobj: Any, events: int, callback: Callable[[], Any]) -> None:
        """Call ``callback`` whenever ``fileobj`` is ready; again for other events."""
        try:
            self._selector.modify(fileobj, events, callback)
        except KeyError:
            self._selector.register(fileobj, events, callback)

    def forget(self, fileobj: Any) -> None:
        """Watch ``fileobj`` no more."""
        try:
            self._selector.unregister(fileobj)
        except (KeyError, ValueError):
            pass

    def later(self, seconds: float, function: Callable[..., Any], *args: Any) -> Timer:
        """Call ``function(*args)`` after ``seconds``."""
        timer = Timer(function, args)
        heapq.heappush(self._timers, (self.now() + seconds, next(self._numbers), timer))
        return timer

    def on_signal(self, number: int, callback: Callable[[], Any]) -> None:
        """Call ``callback`` from the loop when the signal comes."""
        self._signals[number] = callback
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(number, lambda *_: None)

    def take_signals(self) -> None:
        """Call what waits for the signals that have come; after ``run`` for those that came while it returned."""
        try:
            numbers = set(os.read(self._woken.fileno(), 4096))
        except BlockingIOError:
            return
        for number in sorted(numbers):
            if number in self._signals:
                self._call(self._signals[number])

    def run(self) -> None:
        """Serve until ``stop``."""
        self._is_running = True
        while self._is_running:
            for key, _ in self._selector.select(self._wait_s()):
                self._call(key.data)
            self._due()

    def stop(self) -> None:
        """Let ``run`` return."""
        self._is_running = False

    def _wait_s(self) -> float | None:
        return max(0.0, self._timers[0][0] - self.now()) if self._timers else None

    def _due(self) -> None:
        now = self.now()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.function is not None:
                self._call(timer.function, *timer.args)

    def _call(self, function: Callable[..., Any], *args: Any) -> None:
        try:
            function(*args)
        except Exception as error:
            self._report(error)
