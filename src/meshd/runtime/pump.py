"""Long work in short slices, so that traffic flows on: generators driven by the reactor."""

import time
from collections.abc import Callable, Generator
from typing import Any

from twisted.internet.defer import Deferred

SLICE_S = 0.002


class Pump:
    """Runs ``work`` for about ``slice_s`` in each turn of the reactor; ``done`` gets what it returns or raises."""

    def __init__(self, world: Any, work: Generator, slice_s: float, clock: Callable[[], float]) -> None:
        self.done: Deferred = Deferred(lambda _: work.close())
        self._world = world
        self._work = work
        self._slice_s = slice_s
        self._clock = clock
        world.call_later(0, self.turn)

    def turn(self) -> None:
        """Work for one slice."""
        if self.done.called:
            return
        until = self._clock() + self._slice_s
        try:
            next(self._work)
            while self._clock() < until:
                next(self._work)
        except StopIteration as ended:
            self.done.callback(ended.value)
        except Exception:
            self.done.errback()
        else:
            self._world.call_later(0, self.turn)


def pump(
    world: Any, work: Generator, slice_s: float = SLICE_S, clock: Callable[[], float] = time.perf_counter
) -> Deferred:
    """Return the Deferred of a Pump; cancelling it ends the work."""
    return Pump(world, work, slice_s, clock).done
