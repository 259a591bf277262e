"""Several workers of one host, played in one process: an arena each, over the same memory."""

import os

from meshd.host.arena import Arena


class Host:
    """``supervisor`` made the arena; ``worker()`` opens it as another process would."""

    def __init__(self, case, size_bytes=1 << 27, locking=""):
        self.case = case
        self.locking = locking
        self.supervisor = Arena.create(size_bytes)
        case.addCleanup(self.supervisor.close)

    def worker(self, locking=None):
        """Return the arena of a new worker, with a slot of its own."""
        arena = Arena.open(
            os.dup(self.supervisor.fd), self.supervisor.reserve(), self.locking if locking is None else locking)
        self.case.addCleanup(arena.close)
        return arena

    @property
    def resident_bytes(self):
        """The memory that the arena really takes."""
        return os.fstat(self.supervisor.fd).st_blocks * 512
