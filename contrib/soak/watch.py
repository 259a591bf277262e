"""What a process tree holds: resident memory and descriptors, sampled every few seconds. Used by soak.py."""

import os
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    """``at_s`` is seconds after the start; the rest are sums over the tree (shared pages count for each process)."""

    at_s: float
    resident_mib: float
    descriptors: int
    cpu_s: float
    processes: int


def tree(pid: int) -> list[int]:
    """Return a process and all that it has started."""
    found, todo = [], [pid]
    while todo:
        process = todo.pop()
        found.append(process)
        try:
            for task in os.listdir(f"/proc/{process}/task"):
                todo += map(int, Path(f"/proc/{process}/task/{task}/children").read_text().split())
        except OSError:
            continue
    return found


def take(pid: int, at_s: float) -> Sample:
    """Return a sample of the tree of ``pid`` now; a process that has just ended counts nothing."""
    pages = descriptors = ticks = count = 0
    for process in tree(pid):
        try:
            pages += int(Path(f"/proc/{process}/statm").read_text().split()[1])
            descriptors += len(os.listdir(f"/proc/{process}/fd"))
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
        count += 1
    return Sample(at_s, pages * PAGE_BYTES / 2 ** 20, descriptors, ticks / TICKS, count)
