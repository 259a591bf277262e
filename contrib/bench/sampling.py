"""Runs a module under a profiling timer and writes where it was: ``sampling.py REPORT MODULE [ARGUMENT...]``.

Every millisecond of CPU time a signal interrupts the main thread, whose stack is counted once it runs Python code again
(a sampling thread would see only the calls that release the interpreter's lock). Compiled functions have no frames, so
their time stands at the Python line that called them, or at the next one; MESHD_PURE=1 shows it in full.
"""

import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY_S = 0.001
LINES = 40
MAX_DEPTH = 60
LOOP = "ReactorBase.mainLoop internet/base.py"


class Sampler:
    """Counts lines and functions that run (self), and functions on the stack (all), below the reactor's loop."""

    def __init__(self, loop: str = LOOP) -> None:
        self.lines: Counter[str] = Counter()
        self.inner: Counter[str] = Counter()
        self.outer: Counter[str] = Counter()
        self.samples = 0
        self._loop = loop

    def start(self) -> None:
        """Begin to sample."""
        signal.signal(signal.SIGPROF, lambda number, frame: self.take(frame))
        signal.siginterrupt(signal.SIGPROF, False)
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def take(self, frame: FrameType | None) -> None:
        """Count one stack, if the reactor runs."""
        stack, line = [], frame.f_lineno if frame else 0
        while frame is not None and len(stack) < MAX_DEPTH:
            stack.append(place(frame))
            frame = frame.f_back
        if self._loop not in stack:
            return
        self.samples += 1
        self.lines[f"{stack[0]}:{line}"] += 1
        self.inner[stack[0]] += 1
        self.outer.update(set(stack[: stack.index(self._loop)]))

    def report(self) -> str:
        """Return the tables as text."""
        tables = (("lines", self.lines), ("functions, self", self.inner), ("functions, all", self.outer))
        rows = [row for title, counts in tables for row in self._table(title, counts)]
        return "\n".join([f"{self.samples} samples", *rows]) + "\n"

    def _table(self, title: str, counts: Counter[str]) -> list[str]:
        share = 100 / max(1, self.samples)
        return [f"\n{title}:", *(f"{share * count:6.1f} %  {name}" for name, count in counts.most_common(LINES))]


def place(frame: FrameType) -> str:
    """Return ``function folder/file``."""
    path = Path(frame.f_code.co_filename)
    return f"{frame.f_code.co_qualname} {path.parent.name}/{path.name}"


def main() -> None:
    """Run the module with its arguments; write the report at its end."""
    report, module, sys.argv = Path(sys.argv[1]), sys.argv[2], sys.argv[2:]
    sys.path.pop(0)  # this folder, whose module names are nobody's business
    sampler = Sampler()
    sampler.start()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        report.write_text(sampler.report())


if __name__ == "__main__":
    main()
