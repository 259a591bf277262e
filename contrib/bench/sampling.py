"""Runs a module under a sampling thread and writes where its main thread was: ``sampling.py REPORT MODULE [ARGUMENT...]``.

Compiled functions have no frames, so their time stands at the Python line that called them; MESHD_PURE=1 shows it in full.
The thread competes for the interpreter: trust the shares, not the throughput.
"""

import runpy
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY_S = 0.001
LINES = 30
MAX_DEPTH = 60


class Sampler:
    """Counts the main thread's functions: innermost (self) and anywhere on the stack (all)."""

    def __init__(self) -> None:
        self.inner: Counter[str] = Counter()
        self.outer: Counter[str] = Counter()
        self.samples = 0
        self._main = threading.main_thread().ident

    def start(self) -> None:
        """Begin to sample in a thread that ends with the process."""
        sys.setswitchinterval(0.0002)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(EVERY_S)
            frame = sys._current_frames().get(self._main)
            if frame is not None and frame.f_code.co_name != "doPoll":
                self.take(frame)

    def take(self, frame: FrameType | None) -> None:
        """Count one stack."""
        self.samples += 1
        self.inner[f"{place(frame)}:{frame.f_lineno}"] += 1
        seen = set()
        while frame is not None and len(seen) < MAX_DEPTH:
            seen.add(place(frame))
            frame = frame.f_back
        self.outer.update(seen)

    def report(self) -> str:
        """Return both tables as text."""
        return "\n".join([f"{self.samples} samples", *table("self", self.inner), *table("all", self.outer)]) + "\n"


def place(frame: FrameType) -> str:
    """Return ``function folder/file``."""
    path = Path(frame.f_code.co_filename)
    return f"{frame.f_code.co_qualname} {path.parent.name}/{path.name}"


def table(title: str, counts: Counter[str]) -> list[str]:
    """Return the most frequent lines with their shares."""
    total = max(1, max(counts.values(), default=1) if title == "all" else sum(counts.values()))
    rows = [f"{100 * count / total:6.1f} %  {name}" for name, count in counts.most_common(LINES)]
    return [f"\n{title}:", *rows]


def main() -> None:
    """Run the module with its arguments; write the report at its end."""
    report, module, sys.argv = Path(sys.argv[1]), sys.argv[2], sys.argv[2:]
    sys.path.pop(0)  # this folder, whose module names are nobody's business
    sampler = Sampler()
    sampler.start()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        report.write_text(sampler.report())


if __name__ == "__main__":
    main()
