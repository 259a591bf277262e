"""The lock of the pure twins on an arena: a byte range of its file, which the kernel frees when the holder dies."""

import fcntl
import os
import time

WAIT_S = 1.0
"""A lock is held for microseconds, or for as long as its holder is stopped. Who waits longer is refused."""


def acquire(fd: int, start: int) -> bool:
    """Lock the word at ``start`` of the file; say whether it came free within ``WAIT_S``."""
    deadline = 0.0
    while True:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 4, start)
            return True
        except BlockingIOError:
            now = time.monotonic()
            deadline = deadline or now + WAIT_S
            if now > deadline:
                return False
            os.sched_yield()


def release(fd: int, start: int) -> None:
    """Free the word at ``start``."""
    fcntl.lockf(fd, fcntl.LOCK_UN, 4, start)
