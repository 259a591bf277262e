"""Which endpoints stay although an answer lacks them, and until when; for ``source``.

A registry that restarts, or that sends half of its list, has lost endpoints that are well. So removals wait where the
answer before was a failure or the source has begun anew, and where at least half of a list of some length is gone at
once. Whatever stands in an answer again is as it was; what is missing until its time is up goes.
"""

from typing import Any

FEW = 4
"""Lists that are shorter may halve: one of two endpoints may really be gone, and would get half of the load."""

Specs = dict[str, Any]


class Grace:
    """Part of what is known of a source, so that a reload in between changes nothing. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.until: dict[str, float] = {}

    def keep(self, before: Specs, found: Specs, now: float, hold_s: float, is_doubtful: bool) -> Specs:
        """Return what of ``before`` stays beside ``found``."""
        missing = [address for address in before if address not in found]
        if is_doubtful or len(before) >= FEW and 2 * len(found) <= len(before):
            self.until = {address: self.until.get(address, now + hold_s) for address in missing}
        else:
            self.until = {address: self.until[address] for address in missing if address in self.until}
        self.until = {address: until for address, until in self.until.items() if until > now}
        return {address: before[address] for address in self.until}

    def next_s(self, now: float) -> float | None:
        """Return in how many seconds the next one goes, or None."""
        return max(0.0, min(self.until.values()) - now) if self.until else None
