"""How long what is ready waits for the poller: a descriptor of our own that is made ready and stands in line.

Strategy: epoll reports what is ready in the order in which it became so, and puts what stays ready to the end. So the
time from making an eventfd ready to its event is what every client waits just now, whatever the cause: many ready
sockets, or one plugin that keeps the thread. It costs no clock reading but one for each probe.
"""

import os
import time
from collections.abc import Callable

from meshd.wire.poller import READ, Poller


class Probe:
    """``last_s`` is the last measure in seconds; ``is_out`` says that one is under way."""

    def __init__(self, poller: Poller, now: Callable[[], float] = time.monotonic) -> None:
        self.last_s = 0.0
        self.is_out = False
        self._since = 0.0
        self._poller = poller
        self._now = now
        self._fd = -1

    def start(self) -> None:
        """Take a descriptor; raises OSError."""
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poller.register(self._fd, READ, self)

    def stop(self) -> None:
        """Give it back."""
        fd, self._fd = self._fd, -1
        self.is_out = False
        if fd >= 0:
            self._poller.close(fd)

    def send(self, since: float) -> None:
        """Measure the time from ``since`` (monotonic seconds, when this call was due) until our turn comes."""
        self._since = since
        self.is_out = True
        os.eventfd_write(self._fd, 1)

    def measure(self, now: float) -> float:
        """Return the last measure, or the age of the one that is under way where that is more, in seconds."""
        return max(self.last_s, now - self._since) if self.is_out else self.last_s

    def on_event(self, mask: int) -> None:
        """Our turn has come (the poller's call)."""
        os.eventfd_read(self._fd)
        self.is_out = False
        self.last_s = max(0.0, self._now() - self._since)

    def on_bug(self) -> None:
        """Nothing depends on this but the measure."""
