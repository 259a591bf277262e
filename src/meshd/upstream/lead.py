"""Which worker of the host runs the active health checks: the one that holds the lead, a count of one in the ledger.

A worker that dies loses it (the supervisor buries its counts), one that drains gives it up; another then takes it the
next time that it looks.
"""

from typing import Any

from meshd.wire.cell import ledger

KEY = ("lead", "health_checks")


class Lead:
    """One per process; ``close`` when nobody wants checks any more."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self._ledger = ledger(world.arena, KEY, 1)
        self.is_held = False

    def hold(self) -> bool:
        """Take the lead where it is free; say whether this worker has it."""
        if self._world.is_leaving:
            self.give()
        elif not self.is_held:
            self.is_held = self._ledger.take(0, 1)
        return self.is_held

    def give(self) -> None:
        """Leave it to another."""
        if self.is_held:
            self.is_held = False
            self._ledger.give(0)

    def close(self) -> None:
        """End it."""
        self.give()
        self._ledger.close()
