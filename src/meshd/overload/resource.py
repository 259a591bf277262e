"""The resources that are watched: each reads its value, and says what it read in figures."""

import os
import resource as limits
from collections import deque
from typing import Any

from meshd.overload import cgroup
from meshd.telemetry.process import resident_bytes
from meshd.wire import spare
from meshd.wire.probe import Probe

MEASURES = 4
"""Measures of the lag of which the least counts: a queue that stands, not one that comes and goes (as CoDel judges
queues: Nichols and Jacobson, Controlling Queue Delay, 2012).
"""
SEARCH_S = 60.0
"""How often the groups of this process are looked up anew."""
MIB = 1024 * 1024


class Lag:
    """How late the reactor is, in seconds: the least of the last measures."""

    name = "lag"

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._recent = deque([0.0] * MEASURES, MEASURES)
        self.value_s = 0.0

    def read(self, now: float) -> float:
        """Take a measure in."""
        self._recent.append(self._probe.measure(now))
        self.value_s = min(self._recent)
        return self.value_s

    def fact(self) -> dict[str, Any]:
        """Return the figures."""
        return {"lag_s": round(self.value_s, 4), "last_s": round(self._recent[-1], 4)}

    def __str__(self) -> str:
        return f"the reactor is {self.value_s * 1e3:.0f} ms late"


class Descriptors:
    """The share of clients' descriptors that is open."""

    name = "descriptors"

    def __init__(self, poller: Any) -> None:
        self._poller = poller
        self.used = 0
        self.limit = spare.client_ceiling()

    def read(self, now: float) -> float:
        """Count."""
        self.limit = spare.client_ceiling()
        self.used = self._count()
        return self.used / self.limit

    def _count(self) -> int:
        """Return how many are open: Linux 6.2 tells, before it is at least what is watched, or below the first gap."""
        told = os.stat("/proc/self/fd").st_size
        if told:
            return told
        try:
            return max(len(self._poller.owners), spare.lowest_free(self._poller.fileno()))
        except OSError:
            return limits.getrlimit(limits.RLIMIT_NOFILE)[0]

    def fact(self) -> dict[str, Any]:
        """Return the figures."""
        return {"open": self.used, "limit": self.limit}

    def __str__(self) -> str:
        return f"{self.used} of {self.limit} descriptors for clients are open"


class Memory:
    """The share of the tightest limit that is used; 0.0 where there is none. ``near`` is the least share of interest.

    ``resident_bytes`` is this process's own, 0 where nothing asks for it.
    """

    name = "memory"

    def __init__(self, settings: Any, near: float) -> None:
        self.resident_bytes = 0
        self.used_bytes = 0
        self.limit_bytes = 0
        self._near = near
        self._own_bytes = settings.limit_bytes
        self._needs_own = bool(settings.limit_bytes or settings.recycle_bytes)
        self._levels: list[cgroup.Level] = []
        self._search_at = 0.0

    def read(self, now: float) -> float:
        """Read the usage. Raises OSError where a group is gone; they are looked up anew then."""
        if now >= self._search_at:
            self._search_at = now + SEARCH_S
            self._levels = cgroup.levels()
        pairs = []
        if self._needs_own:
            self.resident_bytes = resident_bytes()
            if self._own_bytes:
                pairs.append((self.resident_bytes, self._own_bytes))
        try:
            pairs += [pair for pair in map(self._read_level, self._levels) if pair is not None]
        except (OSError, ValueError):
            self._search_at = now
            raise
        self.used_bytes, self.limit_bytes = max(pairs, key=lambda pair: pair[0] / pair[1], default=(0, 0))
        return self.used_bytes / self.limit_bytes if self.limit_bytes else 0.0

    def _read_level(self, level: cgroup.Level) -> tuple[int, int] | None:
        limit = level.limit_bytes()
        return (level.used_bytes(self._near * limit), limit) if limit else None

    def fact(self) -> dict[str, Any]:
        """Return the figures."""
        return {"used_bytes": self.used_bytes, "limit_bytes": self.limit_bytes or None}

    def __str__(self) -> str:
        return f"{self.used_bytes / MIB:.1f} of {self.limit_bytes / MIB:.1f} MiB of memory are used"
