"""A server that is scripted byte by byte: each connection is given to a function, which says and reads as it likes."""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from meshd.testing.client import RESET

END_S = 5.0
"""How long the end waits for a script that does not look at its connection."""


def reply(body: bytes = b"ok", status: bytes = b"200 OK", headers: bytes = b"") -> bytes:
    """Return a plain answer with content-length; ``headers`` are lines that end with CR LF."""
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, headers, len(body), body)


class Peer:
    """One accepted connection, for the script; ``number`` counts them from 1.

    Methods raise OSError or EOFError when the proxy has gone.
    """

    def __init__(self, sock: socket.socket, number: int = 0) -> None:
        self.sock = sock
        self.number = number
        self.rest = b""

    def head(self) -> bytes:
        """Return the next request's head (with its empty line); EOFError at the end."""
        while b"\r\n\r\n" not in self.rest:
            self._more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def read(self, count: int) -> bytes:
        """Return exactly ``count`` bytes of body."""
        while len(self.rest) < count:
            self._more()
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def body(self, head: bytes) -> bytes:
        """Return the whole body of a request with this head, content-length or chunked."""
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
        if length:
            return self.read(int(length[1]))
        return self._chunks() if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.I) else b""

    def line(self) -> bytes:
        """Return the next line, without its end."""
        while b"\r\n" not in self.rest:
            self._more()
        line, _, self.rest = self.rest.partition(b"\r\n")
        return line

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.line(), 16):
            parts.append(self.read(size))
            self.line()
        while self.line():
            pass
        return b"".join(parts)

    def _more(self) -> None:
        data = self.sock.recv(262144)
        if not data:
            raise EOFError
        self.rest += data

    def send(self, data: bytes) -> None:
        """Send all of ``data``."""
        self.sock.sendall(data)

    def wait_end(self) -> None:
        """Read until the proxy closes."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                self.rest = b""
                self._more()

    def reset(self) -> None:
        """Close with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()


class Server:
    """``script(peer)`` runs in a thread of its own for each connection, which is closed after it.

    ``accepted`` counts connections, ``open`` are their sockets, ``heads`` the requests that ``saying`` has seen.
    """

    def __init__(self, script: Callable[[Peer], Any], backlog: int = 1024) -> None:
        self.script = script
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.port = self.socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.accepted = 0
        self.open: set[socket.socket] = set()
        self.heads: list[bytes] = []
        self._threads: set[threading.Thread] = set()
        self._acceptor = self._start(self._accept)

    @classmethod
    def saying(cls, answer: Any) -> "Server":
        """Return a server that reads each request whole and says ``answer``: bytes, or f(head, body)."""
        def script(peer: Peer) -> None:
            while True:
                head = peer.head()
                server.heads.append(head)
                body = peer.body(head)
                peer.send(answer(head, body) if callable(answer) else answer)
        server = cls(script)
        return server

    def _start(self, work: Callable[..., Any], *args: Any) -> threading.Thread:
        thread = threading.Thread(target=self._run, args=(work, *args), name=f"server {self.address}", daemon=True)
        self._threads.add(thread)
        thread.start()
        return thread

    def _run(self, work: Callable[..., Any], *args: Any) -> None:
        try:
            work(*args)
        finally:
            self._threads.discard(threading.current_thread())

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            self.accepted += 1
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.open.add(sock)
            self._start(self._serve, sock, self.accepted)

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            self.script(Peer(sock, number))
        except (EOFError, OSError):
            pass
        finally:
            self.open.discard(sock)
            sock.close()

    def close(self) -> None:
        """Accept no more, cut what is open, and wait for the scripts; again does nothing."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        until = time.monotonic() + END_S
        self._acceptor.join(END_S)
        for sock in list(self.open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()
