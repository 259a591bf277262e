"""How many connections may wait at a listening socket."""

import socket
import struct


def backlog(sock):
    """Return the length of the queue that the kernel keeps for ``sock`` (tcpi_sacked of a listening socket)."""
    return struct.unpack("8B6I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32))[-1]
