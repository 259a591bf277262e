"""The watchdog: a thread that sees the reactor late and says, while it still is, which plugin keeps it.

Strategy: the reactor's thread stamps ``beat`` when a batch of work begins and sets it to 0.0 when it may sleep, so
watching costs it nothing. The watchdog looks twice in each ``late_s``. A plugin is blamed where one and the same
activation of its code (the same frame) is found by two looks in a row: a batch that is long because it has much work
blames nobody. Code that keeps the interpreter lock (one long call into C) is seen only when it returns. Everything
but the report is posted to the reactor's thread.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import attrs

from meshd.model.plugin import Watchdog as WatchdogSettings
from meshd.registry import Entry

MESHD = "meshd"
PATIENCE = 4
"""So many times ``late_s`` until a batch that no plugin can be blamed for is reported."""
LAG_BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
STACK_LINES = 6


@attrs.frozen(eq=False)
class Suspect:
    """A frame of a plugin's code on the reactor's stack."""

    entry: Entry
    frame: FrameType


@attrs.frozen
class Late:
    """What was found: ``entry`` is None where no plugin is to blame; ``selves`` are ids of the objects that run."""

    entry: Entry | None
    age_s: float
    stack: tuple[str, ...] = ()
    selves: frozenset[int] = frozenset()

    def __str__(self) -> str:
        who = self.entry.label if self.entry is not None else MESHD
        return f"reactor: {self.age_s * 1e3:.0f} ms late: blocked by {who}: {' < '.join(self.stack)}"


class Watchdog:
    """``beat()`` is read, ``owner(module name)`` maps code to plugins, ``on_late(Late)`` is called in the reactor's
    thread through ``post``; ``report(text)`` is called in the watchdog's own, at once.
    """

    def __init__(
        self, settings: WatchdogSettings, *, beat: Callable[[], float], owner: Callable[[str], Entry | None],
        on_late: Callable[[Late], Any], post: Callable[..., Any], metrics: Any,
        report: Callable[[str], Any] | None = None, clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.late_s = settings.late_s
        self._beat = beat
        self._owner = owner
        self._on_late = on_late
        self._post = post
        self._report = report or to_stderr
        self._clock = clock
        self._lates = metrics.counter("meshd_reactor_late_total", "Times that the reactor was late", ("plugin",))
        self._lag = metrics.histogram(
            "meshd_reactor_lag_seconds", "Length of the batches that made the reactor late", (), LAG_BOUNDS_S
        ).cell()
        self._owners: dict[str, Entry | None] = {}
        self._batch = 0.0
        self._age_s = 0.0
        self._is_told = False
        self._before: tuple[Suspect, ...] = ()
        self._thread_id = threading.get_ident()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch the calling thread from now on."""
        self._thread_id = threading.get_ident()
        self._thread = threading.Thread(target=self._run, name="meshd-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def _run(self) -> None:
        while not self._ended.wait(self.late_s / 2):
            try:
                self.look(self._clock())
            except Exception as error:
                self._report(f"watchdog: {type(error).__name__}: {error}")

    def look(self, now: float) -> None:
        """Look once; ``now`` is in monotonic seconds."""
        beat = self._beat()
        if beat != self._batch:
            self._ended_batch()
            self._batch = beat
        self._age_s = now - beat if beat else 0.0
        if self._is_told or self._age_s < self.late_s / 2:
            return
        frame = sys._current_frames().get(self._thread_id)
        if frame is not None and self._beat() == beat:
            self._judge(frame)

    def _judge(self, frame: FrameType) -> None:
        suspects = self._suspects(frame)
        if self._age_s >= self.late_s:
            for one in suspects:
                if any(one.frame is other.frame for other in self._before):
                    return self._tell(Late(one.entry, self._age_s, stack_of(frame), self._selves(suspects, one.entry)))
            if self._age_s >= PATIENCE * self.late_s:
                return self._tell(Late(None, self._age_s, stack_of(frame)))
        self._before = suspects

    def _suspects(self, frame: FrameType | None) -> tuple[Suspect, ...]:
        found = []
        while frame is not None:
            entry = self._owner_of(frame.f_globals.get("__name__", ""))
            if entry is not None:
                found.append(Suspect(entry, frame))
            frame = frame.f_back
        return tuple(found)

    def _owner_of(self, module: str) -> Entry | None:
        if module not in self._owners:
            self._owners[module] = self._owner(module)
        return self._owners[module]

    @staticmethod
    def _selves(suspects: tuple[Suspect, ...], entry: Entry) -> frozenset[int]:
        return frozenset(
            id(one.frame.f_locals["self"]) for one in suspects if one.entry is entry and "self" in one.frame.f_locals
        )

    def _tell(self, late: Late) -> None:
        self._is_told = True
        self._before = ()
        self._report(str(late))
        self._post(self._count, late)

    def _count(self, late: Late) -> None:
        self._lates.cell(late.entry.name if late.entry is not None else MESHD).inc()
        self._on_late(late)

    def _ended_batch(self) -> None:
        if self._batch and self._age_s >= self.late_s:
            self._post(self._lag.observe, self._age_s)
            if not self._is_told:
                self._post(self._count, Late(None, self._age_s))
        self._is_told = False
        self._before = ()


def stack_of(frame: FrameType | None) -> tuple[str, ...]:
    """Return the innermost lines of a stack, short: ``plugin.py:12 on_request``."""
    lines = []
    while frame is not None and len(lines) < STACK_LINES:
        code = frame.f_code
        lines.append(f"{os.path.basename(code.co_filename)}:{frame.f_lineno} {code.co_name}")
        frame = frame.f_back
    return tuple(lines)


def to_stderr(text: str) -> None:
    """Write one line to standard error, past every buffer and lock."""
    os.write(2, f"meshd: {text}\n".encode("utf-8", "replace"))
