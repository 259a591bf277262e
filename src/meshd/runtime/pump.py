"""Long work in short slices, so that traffic flows on: generators driven by the reactor."""

import time
from collections.abc import Callable, Generator
from typing import Any

from twisted.internet.defer import Deferred

SLICE_S = 0.002


def pump(world: Any, work: Generator, slice_s: float = SLICE_S, clock: Callable[[], float] = time.perf_counter) -> Deferred:
    """Run ``work`` for about ``slice_s`` seconds in each turn of the reactor; the Deferred gets what it returns or raises.

    Cancelling the Deferred ends the work.
    """
    done = Deferred(lambda _: work.close())

    def turn() -> None:
        if done.called:
            return
        until = clock() + slice_s
        try:
            while clock() < until:
                next(work)
        except StopIteration as ended:
            done.callback(ended.value)
        except Exception:
            done.errback()
        else:
            world.call_later(0, turn)

    world.call_later(0, turn)
    return done
