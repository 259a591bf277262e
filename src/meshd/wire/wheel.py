"""Deadlines: one coarse wheel instead of a ``callLater`` per request.

Strategy: a timer stands in the slot of the earliest time it was armed for and is looked at when that slot
comes up; if its deadline has moved on meanwhile (as it does with every request) it is put into the later slot
then. Arming is two comparisons. Resolution is ``SLOT_S`` seconds; a deadline never fires early.
"""

import heapq
import math
from collections.abc import Callable
from typing import Any

SLOT_S = 0.01


class Timer:
    """One re-armable deadline. ``deadline`` is monotonic seconds, 0.0 when it is off; ``fire(now)`` is called once for
    each arming.
    """

    __slots__ = ("wheel", "fire", "deadline", "slot")

    def __init__(self, wheel: "Wheel", fire: Callable[[float], Any]) -> None:
        self.wheel = wheel
        self.fire = fire
        self.deadline = 0.0
        self.slot = 0

    def arm(self, deadline: float) -> None:
        """Fire at ``deadline`` instead of whenever was said before."""
        self.deadline = deadline
        slot = self.slot
        if not slot or deadline < (slot - 2) * SLOT_S:
            self.wheel.insert(self)

    def cancel(self) -> None:
        """Do not fire; the timer may be armed again."""
        self.deadline = 0.0

    def end(self) -> None:
        """Leave the wheel: it would hold the owner of a timer that is not needed any more until its slot comes up."""
        self.deadline = 0.0
        if self.slot:
            self.wheel.remove(self)


class Wheel:
    """All timers of one reactor. ``now`` is a callable of monotonic seconds; ``call_later(seconds, function)`` wakes
    it.
    """

    def __init__(self, now: Callable[[], float], call_later: Callable[..., Any], log: Any) -> None:
        self.now = now
        self.call_later = call_later
        self.log = log
        self.slots: dict[int, dict[Timer, None]] = {}
        self.order: list[int] = []
        self.wake = None
        self.wake_slot = 0

    def timer(self, fire: Callable[[float], Any]) -> Timer:
        """Return a timer that is off."""
        return Timer(self, fire)

    def insert(self, timer: Timer) -> None:
        """Put ``timer`` into the slot of its deadline, and out of the one that it was in."""
        if timer.slot:
            self.remove(timer)
        slot = timer.slot = math.ceil(timer.deadline / SLOT_S) + 1
        timers = self.slots.get(slot)
        if timers is not None:
            timers[timer] = None
            return
        self.slots[slot] = {timer: None}
        heapq.heappush(self.order, slot)
        if self.wake is None or slot < self.wake_slot:
            self.schedule()

    def remove(self, timer: Timer) -> None:
        """Take ``timer`` out of its slot."""
        timers = self.slots.get(timer.slot)
        if timers is not None:
            timers.pop(timer, None)
            if not timers:
                timers.clear()  # gives back the table that a dict keeps when its items are taken out one by one
        timer.slot = 0

    def schedule(self) -> None:
        """Wake up for the earliest slot that has a timer; those whose timers have all ended are forgotten."""
        if self.wake is not None:
            self.wake.cancel()
            self.wake = None
        while self.order and not self.slots[self.order[0]]:
            del self.slots[heapq.heappop(self.order)]
        if self.order:
            self.wake_slot = self.order[0]
            self.wake = self.call_later(max(0.0, self.wake_slot * SLOT_S - self.now()), self.tick)

    def tick(self) -> None:
        """Look at every slot that has come up."""
        self.wake = None
        now = self.now()
        while self.order and self.order[0] * SLOT_S <= now:
            slot = heapq.heappop(self.order)
            for timer in self.slots.pop(slot):
                if timer.slot == slot:
                    self.expire(timer, now)
        self.schedule()

    def expire(self, timer: Timer, now: float) -> None:
        """Fire ``timer``, put it off, or let it rest."""
        timer.slot = 0
        deadline = timer.deadline
        if deadline > now:
            self.insert(timer)
        elif deadline:
            timer.deadline = 0.0
            try:
                timer.fire(now)
            except Exception:
                self.log.failure("bug: unexpected error in a timer")
