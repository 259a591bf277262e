"""A raw client: sends any bytes, reads answers strictly (RFC 9112), and tells how the connection ended."""

import contextlib
import itertools
import re
import socket
import struct
from typing import NamedTuple

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\t -~\x80-\xff]*").fullmatch
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t -~\x80-\xff]*)").fullmatch
SIZE = re.compile(rb"[0-9a-fA-F]{1,16}").fullmatch
LIMIT_S = 20.0


class Heard(NamedTuple):
    """An answer as the client read it: ``fields`` in order with lower-case names; ``interim`` are the 1xx before it."""

    status: int
    fields: list
    body: bytes
    interim: tuple
    trailers: list
    line: bytes

    def get(self, name):
        """Return the values of a field."""
        return [value for key, value in self.fields if key == name]

    @property
    def closes(self):
        """Whether it says that the connection ends."""
        return b"close" in self.get(b"connection")


class Cut(Exception):
    """The connection ended inside an answer; ``args`` are the part and whether by a reset."""


def fields_of(lines):
    """Return [(lower-case name, value)] of field lines; one that RFC 9112 5 does not allow fails."""
    pairs = []
    for line in lines:
        match = FIELD(line)
        assert match, f"no field line: {line!r}"
        pairs.append((match[1].lower(), match[2].rstrip(b" \t")))
    return pairs


def pieces(data, mode):
    """Return ``data`` as it is written: ``whole``, or ``split`` byte by byte (large ones in some hundred pieces)."""
    if mode == "whole":
        return [data]
    size = 1 if len(data) < 4000 else 509
    return [data[at:at + size] for at in range(0, len(data), size)]


class Client:
    """One connection. ``is_reset``: the peer ended it by a reset. ``host`` is its address, and no other's."""

    numbers = itertools.count()
    status_line = staticmethod(STATUS_LINE)

    def __init__(self, port, limit_s=LIMIT_S):
        number = next(self.numbers)
        self.host = f"127.{1 + (number >> 14) % 250}.{(number >> 7) % 128}.{1 + number % 128}"
        self.sock = socket.create_connection(("127.0.0.1", port), limit_s, (self.host, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        self.is_reset = self.is_ended = False

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.sock.close()

    def send(self, data, mode="whole"):
        """Send all that the peer takes; say whether that was all."""
        for piece in pieces(data, mode):
            try:
                self.sock.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                return False
        return True

    def half_close(self):
        """Say that nothing more will be sent."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Leave by a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def more(self):
        """Read once; say whether anything came."""
        if self.is_ended:
            return False
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError:
            self.is_reset = True
            data = b""
        self.rest += data
        self.is_ended = not data
        return bool(data)

    def answer(self, method=b"GET"):
        """Return the next final answer; EOFError where the connection ended before it, Cut where inside."""
        interim = []
        while True:
            line, fields = self._head()
            status = int(line[9:12])
            if status >= 200 or status == 101:
                break
            interim.append((status, fields))
        length = [value for name, value in fields if name == b"content-length"]
        codings = [value for name, value in fields if name == b"transfer-encoding"]
        assert len(length) + len(codings) <= 1, fields
        trailers = []
        if method == b"HEAD" or status in (101, 204, 304):
            body = b""
        elif codings:
            assert codings == [b"chunked"], codings
            body, trailers = self._chunks()
        else:
            body = self._take(int(length[0])) if length else self.until_end()
        return Heard(status, fields, body, tuple(interim), trailers, line)

    def until(self, mark):
        """Return everything up to and with ``mark``."""
        while mark not in self.rest and self.more():
            pass
        head, found, self.rest = self.rest.partition(mark)
        return head + found

    def until_end(self):
        """Return everything up to the end of the connection."""
        while self.more():
            pass
        data, self.rest = self.rest, b""
        return data

    def _head(self):
        while b"\r\n\r\n" not in self.rest:
            if not self.more():
                if self.rest:
                    raise Cut(self.rest, self.is_reset)
                raise EOFError("the connection ended, expected an answer")
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        assert self.status_line(line), f"no status line: {line!r}"
        return line, fields_of(lines)

    def _take(self, count):
        while len(self.rest) < count:
            if not self.more():
                raise Cut(self.rest, self.is_reset)
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def _line(self):
        while b"\r\n" not in self.rest:
            if not self.more():
                raise Cut(self.rest, self.is_reset)
        line, _, self.rest = self.rest.partition(b"\r\n")
        return line

    def _chunks(self):
        parts = []
        while True:
            line = self._line()
            assert SIZE(line), f"no chunk size: {line!r}"
            if not int(line, 16):
                break
            parts.append(self._take(int(line, 16)))
            assert self._take(2) == b"\r\n"
        lines = []
        while line := self._line():
            lines.append(line)
        return b"".join(parts), fields_of(lines)
