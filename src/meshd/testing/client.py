"""A blocking HTTP/1.1 client for tests: whole requests or any bytes, answers read strictly (RFC 9112).

    with Client(proxy) as client:
        answer = client.get("/hello", headers={"accept": "text/plain"})
        assert (answer.status, answer.headers["content-type"], answer.body) == (200, "text/plain", b"hello")
        client.send(b"GET / HTTP/1.1\\r\\n")        # raw bytes, then client.answer(), client.until(b"...")

It keeps its connection, follows no redirect, and tells how the peer ended.
"""

import contextlib
import json
import re
import socket
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

from meshd.testing.field import SIZE, BadMessage, Cut, Fields, encode, fields_of, lines_of, pairs_of
from meshd.wire.address import parse

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\t -~\x80-\xff]*").fullmatch
LIMIT_S = 10.0
FRAMING = {b"content-length", b"transfer-encoding"}
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER by which closing sends a reset."""


class Answer(NamedTuple):
    """An answer as it was read: ``fields`` in order with lower-case names; ``interim`` are the 1xx before it."""

    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""
    interim: tuple = ()
    trailers: list[tuple[bytes, bytes]] = []
    line: bytes = b""

    @property
    def headers(self) -> Fields:
        """The fields, by name in any case, as text."""
        return Fields(self.fields)

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """Return the body read as JSON."""
        return json.loads(self.body)

    def get(self, name: bytes) -> list[bytes]:
        """Return the values of a field (lower-case name), as bytes."""
        return [value for key, value in self.fields if key == name]

    @property
    def closes(self) -> bool:
        """Whether it says that the connection ends."""
        return b"close" in self.get(b"connection")


def address_of(target: Any) -> str:
    """Return the address of a port of loopback, of HOST:PORT or unix:PATH, or of what has an ``address``."""
    if isinstance(target, int):
        return f"127.0.0.1:{target}"
    return target if isinstance(target, str) else target.address


class Client:
    """One connection to ``target``: a port, an address, a Mesh or an Upstream. Waits at most ``limit_s`` for each byte.

    ``is_ended``: the peer has closed; ``is_reset``: by a reset. ``rest`` is what came and was not read yet.
    """

    status_line = staticmethod(STATUS_LINE)

    def __init__(self, target: Any, *, limit_s: float = LIMIT_S, source: str = "") -> None:
        self.address = address_of(target)
        self.limit_s = limit_s
        self.rest = b""
        self.is_reset = self.is_ended = False
        family, where = parse(self.address)
        self.sock = socket.socket(family)
        try:
            self._connect(where, source)
        except BaseException:
            self.sock.close()
            raise

    def _connect(self, where: Any, source: str) -> None:
        self.sock.settimeout(self.limit_s)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect(where)
        if self.sock.family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; again does nothing."""
        self.sock.close()

    # Whole requests

    def get(self, path: str | bytes, **options: Any) -> Answer:
        """Ask with GET; see ``request``."""
        return self.request("GET", path, **options)

    def request(
        self, method: str | bytes, path: str | bytes, *, headers: Any = (), body: str | bytes | Iterable[bytes] = b"",
    ) -> Answer:
        """Send a request and return its answer; EOFError and Cut as ``answer``.

        ``headers`` is a mapping or pairs. ``body`` is sent with its length, or chunked where it is pieces of bytes.
        Host is the client's address unless it is given.
        """
        self.send(self._composed(encode(method), encode(path), pairs_of(headers), body))
        return self.answer(encode(method))

    def _composed(self, method: bytes, path: bytes, pairs: list[tuple[bytes, bytes]], body: Any) -> bytes:
        names = {name.lower() for name, _ in pairs}
        if b"host" not in names:
            host = "localhost" if self.address.startswith("unix:") else self.address
            pairs = [(b"host", host.encode()), *pairs]
        if isinstance(body, str):
            body = body.encode()
        if not isinstance(body, bytes):
            pairs.append((b"transfer-encoding", b"chunked"))
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in body if piece) + b"0\r\n\r\n"
        elif (body or method in (b"POST", b"PUT", b"PATCH")) and not names & FRAMING:
            pairs.append((b"content-length", b"%d" % len(body)))
        return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, path, lines_of(pairs), body)

    # Bytes

    def send(self, data: bytes) -> bool:
        """Send all that the peer takes; say whether that was all."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave by a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()

    def more(self) -> bool:
        """Read once; say whether anything came. TimeoutError where nothing does in time."""
        if self.is_ended:
            return False
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError:
            self.is_reset = True
            data = b""
        except TimeoutError:
            raise TimeoutError(f"client of {self.address}: nothing came in {self.sock.gettimeout():g} s") from None
        self.rest += data
        self.is_ended = not data
        return bool(data)

    def read(self, count: int) -> bytes:
        """Return exactly ``count`` bytes; Cut where the connection ends before."""
        while len(self.rest) < count:
            if not self.more():
                raise Cut(self.rest, self.is_reset)
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def until(self, mark: bytes) -> bytes:
        """Return everything up to and with ``mark``, or up to the end of the connection."""
        while mark not in self.rest and self.more():
            pass
        head, found, self.rest = self.rest.partition(mark)
        return head + found

    def until_end(self) -> bytes:
        """Return everything up to the end of the connection."""
        while self.more():
            pass
        data, self.rest = self.rest, b""
        return data

    # Answers

    def answer(self, method: bytes = b"GET") -> Answer:
        """Return the next final answer; EOFError where the connection ended before it, Cut where inside.

        BadMessage where what came is no HTTP. ``method`` is the request's: an answer to HEAD has no body.
        """
        interim = []
        while True:
            line, fields = self._head()
            status = int(line[9:12])
            if status >= 200 or status == 101:
                break
            interim.append((status, fields))
        body, trailers = self._body(method, status, fields)
        return Answer(status, fields, body, tuple(interim), trailers, line)

    def _body(self, method: bytes, status: int, fields: list) -> tuple[bytes, list]:
        length = [value for name, value in fields if name == b"content-length"]
        codings = [value for name, value in fields if name == b"transfer-encoding"]
        if len(length) + len(codings) > 1 or codings not in ([], [b"chunked"]):
            raise BadMessage(f"framing: {fields}: expected one content-length, or transfer-encoding: chunked")
        if method == b"HEAD" or status in (101, 204, 304):
            return b"", []
        if codings:
            return self._chunks()
        return (self.read(int(length[0])) if length else self.until_end()), []

    def _head(self) -> tuple[bytes, list]:
        while b"\r\n\r\n" not in self.rest:
            if not self.more():
                if self.rest:
                    raise Cut(self.rest, self.is_reset)
                raise EOFError("the connection ended, expected an answer")
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        if not self.status_line(line):
            raise BadMessage(f"no status line: {line!r}")
        return line, fields_of(lines)

    def _line(self) -> bytes:
        while b"\r\n" not in self.rest:
            if not self.more():
                raise Cut(self.rest, self.is_reset)
        line, _, self.rest = self.rest.partition(b"\r\n")
        return line

    def _chunks(self) -> tuple[bytes, list]:
        parts = []
        while True:
            line = self._line()
            if not SIZE(line):
                raise BadMessage(f"no chunk size: {line!r}")
            if not int(line, 16):
                break
            parts.append(self.read(int(line, 16)))
            if self.read(2) != b"\r\n":
                raise BadMessage("a chunk is longer than it says")
        lines = []
        while line := self._line():
            lines.append(line)
        return b"".join(parts), fields_of(lines)
