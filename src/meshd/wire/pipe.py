"""Pipes for bytes that the kernel moves from socket to socket; a few unused ones are kept. Asked by the relay."""

import fcntl
import os
import socket
from typing import Any

from meshd.hot import splice
from meshd.wire import spare

PIPE_BYTES = 262144
MAX_IDLE = 64
"""Unused pipes that are kept."""
MAX_PIPES = 256
"""Pipes there may be: each takes two descriptors, which connections need more. Who gets none copies."""


class Pipes:
    """The pipes of one process; ``count`` are all there are. ``is_usable``: the kernel moves bytes, as far as is known.
    """

    def __init__(self) -> None:
        self.idle: list[tuple[int, int]] = []
        self.count = 0
        self.is_usable = splice.HAS_SPLICE
        self._is_tried = False

    def take(self) -> tuple[int, int] | None:
        """Return (read end, write end) of an empty pipe; None where there is none to be had."""
        if self.idle:
            return self.idle.pop()
        if not self.is_usable or self.count >= MAX_PIPES:
            return None
        try:
            pair = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        self.count += 1
        if max(pair) >= spare.upstream_ceiling():
            self.close(pair)
            return None
        if not self._is_tried:
            self._is_tried = True
            self.is_usable = works(pair[1])
            if not self.is_usable:
                self.close(pair)
                return None
        try:
            fcntl.fcntl(pair[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except (OSError, AttributeError):
            pass  # a smaller one does too
        return pair

    def give(self, pair: tuple[int, int], is_empty: bool) -> None:
        """Take a pipe back; one that still holds bytes is closed."""
        if is_empty and len(self.idle) < MAX_IDLE:
            self.idle.append(pair)
        else:
            self.close(pair)

    def close(self, pair: Any) -> None:
        """Close both ends."""
        self.count -= 1
        for fd in pair:
            os.close(fd)

    def clear(self) -> None:
        """Close what is unused."""
        while self.idle:
            self.close(self.idle.pop())


def works(pipe: int) -> bool:
    """Say whether splice moves bytes here: a sandbox (seccomp) may refuse it."""
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        try:
            return splice.pull(one.fileno(), pipe, 1) < 0
        except OSError:
            return False
