"""Bytes from one socket to another without a copy in this process: through a pipe. Twin of ``splice.pyx``.

All descriptors are non-blocking; EAGAIN and EINTR are hidden, every other error is an OSError.
"""

import os

FLAGS = getattr(os, "SPLICE_F_MOVE", 1) | getattr(os, "SPLICE_F_NONBLOCK", 2)
HAS_SPLICE = hasattr(os, "splice")


def pull(fd, pipe, count):
    """Move up to ``count`` bytes from a socket into an empty pipe; 0 at the end of the stream, -1 for none yet."""
    try:
        return os.splice(fd, pipe, count, flags=FLAGS)
    except BlockingIOError:
        return -1


def push(pipe, fd, count):
    """Move ``count`` bytes from a pipe to a socket; return how many the kernel took."""
    try:
        return os.splice(pipe, fd, count, flags=FLAGS)
    except BlockingIOError:
        return 0
