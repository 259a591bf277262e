"""Runs ``meshd`` and notes the CPU time of each long turn of its reactor: ``turns.py FILE [ARGUMENT OF MESHD...]``.

FILE gets a list of [when (monotonic seconds), CPU seconds] at the end. Used by ``reload.py``. CPU time is what a turn
takes on a machine without other work.
"""

import json
import sys
import time
from pathlib import Path

from twisted.internet.epollreactor import EPollReactor

from meshd.cli.daemon import main

NOTED_S = 0.002
turns: list[tuple[float, float]] = []
last = [0.0]
wait = EPollReactor.doPoll


def note(self: EPollReactor, timeout: float) -> None:
    """Stand for the reactor's own wait: what was spent since the last one is a turn."""
    now = time.thread_time()
    if now - last[0] > NOTED_S:
        turns.append((time.monotonic(), now - last[0]))
    last[0] = now
    wait(self, timeout)


EPollReactor.doPoll = EPollReactor.doIteration = note
file, sys.argv[1:] = Path(sys.argv[1]), sys.argv[2:]
try:
    code = main()
finally:
    file.write_text(json.dumps(turns))
sys.exit(code)
