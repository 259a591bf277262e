"""The socket's read and write. Twin of ``io.pyx``, which does the same without leaving C.

Both work on non-blocking descriptors and hide EAGAIN and EINTR; every other error is an OSError.
"""

import os

READ_BYTES = 65536


def recv(fd: int) -> bytes | None:
    """Return up to 64 KiB, b"" at the end of the stream, None where nothing is there yet."""
    try:
        return os.read(fd, READ_BYTES)
    except BlockingIOError:
        return None


def send(fd: int, data: bytes) -> int:
    """Return how many bytes of ``data`` the kernel took; 0 where its buffer is full."""
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0
