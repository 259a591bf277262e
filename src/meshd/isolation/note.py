"""Log lines and metrics of one child, taken into the process's own within a bound."""

from typing import Any

from twisted.logger import LogLevel

from meshd.api import PluginError, TokenBucket
from meshd.isolation.absorb import Ledger
from meshd.isolation.message import MAX_TEXT, Note

NOTES_PER_S, NOTES_BURST = 50.0, 100.0
"""A child of ours sends five a second; more is a flood."""
LINES_PER_S, LINES_BURST = 200.0, 1000.0

LEVELS = {level.name: level for level in LogLevel.iterconstants()}


class Notes:
    """``take`` returns why the child must end, "" where all is well."""

    def __init__(self, log: Any, world: Any, record: Any) -> None:
        self._log = log
        self._world = world
        self._record = record
        self._ledger = Ledger(world.metrics)
        now = world.clock.now()
        self._notes = TokenBucket(NOTES_PER_S, NOTES_BURST, now)
        self._lines = TokenBucket(LINES_PER_S, LINES_BURST, now)

    def take(self, note: Note) -> str:
        """Take one note."""
        now = self._world.clock.now()
        if not self._notes.take(now):
            return f"it sent more than {NOTES_PER_S:g} notes a second"
        lost = max(0, note.lost)
        for level, text in note.lines:
            if self._lines.take(now):
                self._log.emit(LEVELS.get(level, LogLevel.info), "{text}", text=text[:MAX_TEXT])
            else:
                lost += 1
        if lost:
            self._log.warn("{lost} lines of the child process were dropped", lost=lost)
        try:
            for delta in note.deltas:
                self._ledger.add(delta)
        except ValueError as error:
            self._record.fault("metrics", PluginError(str(error)))
        return ""

    def close(self) -> None:
        """The child is gone."""
        self._ledger.close()
