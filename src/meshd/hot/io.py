"""The socket's read and write, and how clients are taken in. Twin of ``io.pyx``, which does the same within C.

Both work on non-blocking descriptors and hide EAGAIN and EINTR; every other error is an OSError.
"""

import os
import socket

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


def accept(fd: int) -> tuple[int, str, str] | None:
    """Return (descriptor, address, host) of the next client of a listening socket, None where nobody waits.

    The descriptor does not block; address and host are "unix:" and "unix" where the client has none.
    """
    listening = socket.socket(fileno=fd)
    try:
        sock, name = listening.accept()
    except BlockingIOError:
        return None
    finally:
        listening.detach()
    sock.setblocking(False)
    if sock.family == socket.AF_UNIX:
        return sock.detach(), "unix:", "unix"
    return sock.detach(), _render(name), name[0]


def local(fd: int) -> str:
    """Return our own address on a connection over IP."""
    borrowed = socket.socket(fileno=fd)
    try:
        return _render(borrowed.getsockname())
    finally:
        borrowed.detach()


def _render(name: tuple) -> str:
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
