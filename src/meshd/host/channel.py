"""Messages between the supervisor and a worker over a socket pair: a JSON head, bytes, descriptors.

Strategy: a frame is two lengths, the head and the payload; descriptors travel beside the first byte of their frame
(SCM_RIGHTS, unix(7)) and are counted in the head, so that they cannot go astray. Neither side ever waits: what the
kernel does not take is kept, up to ``MAX_QUEUED_BYTES``; a peer that reads no more is given up by its owner.
The two ends belong to one program, so what breaks the rules is a bug or a dying peer, and the channel ends.
"""

import array
import json
import socket
import struct
from collections import deque
from typing import Any

HEAD = struct.Struct("!II")
MAX_HEAD_BYTES = 16 * 1024 * 1024
MAX_PAYLOAD_BYTES = 1024 * 1024 * 1024
MAX_QUEUED_BYTES = 1280 * 1024 * 1024
"""More than a configuration of the largest size (config/wire.py) and what may stand before it."""
MAX_FDS = 200
"""Descriptors in one message; the kernel takes 253 (unix(7), SCM_MAX_FD)."""
PIECE_BYTES = 256 * 1024
READS = 64
"""Pieces taken in one turn."""

Message = tuple[dict[str, Any], bytes, list[int]]


class ChannelEnded(Exception):
    """The peer has gone, or sent what no peer sends."""


class Channel:
    """One end. ``sock`` is non-blocking. Descriptors that are received belong to the caller."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.queued_bytes = 0
        self._out: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        self._in = bytearray()
        self._fds: deque[int] = deque()

    def fileno(self) -> int:
        """Return the descriptor, for select."""
        return self.sock.fileno()

    @property
    def wants_write(self) -> bool:
        """Say whether something waits to be sent."""
        return bool(self._out)

    def send(self, head: dict[str, Any], payload: bytes = b"", fds: tuple[int, ...] = ()) -> None:
        """Send a message, or keep what the kernel does not take yet. ``fds`` must stay open until it has gone.

        Raises ChannelEnded where the peer has gone or has not read for too long.
        """
        text = json.dumps({**head, "fds": len(fds)} if fds else head).encode()
        frame = HEAD.pack(len(text), len(payload)) + text
        self._queue(frame, fds)
        if payload:
            self._queue(payload, ())
        self.flush()

    def _queue(self, data: bytes, fds: tuple[int, ...]) -> None:
        if self.queued_bytes + len(data) > MAX_QUEUED_BYTES:
            raise ChannelEnded("it does not read what it is told")
        self._out.append((memoryview(data), fds))
        self.queued_bytes += len(data)

    def flush(self) -> None:
        """Write until nothing is left or the kernel takes no more; raises ChannelEnded."""
        while self._out:
            data, fds = self._out[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            try:
                count = self.sock.sendmsg([data[:PIECE_BYTES]], rights)
            except BlockingIOError:
                return
            except OSError as error:
                raise ChannelEnded(str(error)) from None
            self.queued_bytes -= count
            if count == len(data):
                self._out.popleft()
            else:
                self._out[0] = (data[count:], ())

    def receive(self) -> list[Message]:
        """Return the messages that have come whole, none where nothing has; raises ChannelEnded at the end."""
        found: list[Message] = []
        for _ in range(READS):
            try:
                data, rights, flags, _ = self.sock.recvmsg(PIECE_BYTES, socket.CMSG_SPACE(MAX_FDS * 4))
            except BlockingIOError:
                break
            except OSError as error:
                raise ChannelEnded(str(error)) from None
            self._keep(rights)
            if flags & socket.MSG_CTRUNC:
                raise ChannelEnded("descriptors were lost")
            if not data:
                if found:
                    break  # the end is told at the next call
                raise ChannelEnded("closed")
            self._in += data
            found += self._messages()
        return found

    def _keep(self, rights: list) -> None:
        for level, kind, data in rights:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds = array.array("i")
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
                self._fds.extend(fds)

    def _messages(self) -> list[Message]:
        found = []
        while len(self._in) >= HEAD.size:
            head_size, payload_size = HEAD.unpack_from(self._in)
            if head_size > MAX_HEAD_BYTES or payload_size > MAX_PAYLOAD_BYTES:
                raise ChannelEnded(f"a message of {head_size} and {payload_size} bytes")
            end = HEAD.size + head_size + payload_size
            if len(self._in) < end:
                break
            head = json.loads(bytes(memoryview(self._in)[HEAD.size : HEAD.size + head_size]))
            payload = bytes(memoryview(self._in)[HEAD.size + head_size : end])
            del self._in[:end]
            found.append((head, payload, [self._fds.popleft() for _ in range(head.pop("fds", 0))]))
        return found

    def close(self) -> None:
        """Close this end and the descriptors that nobody asked for."""
        self.sock.close()
        self._out.clear()
        while self._fds:
            socket.close(self._fds.popleft())
