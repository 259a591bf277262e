"""A scripted raw upstream: each connection is given to a function, which says and reads bytes as it likes."""

import contextlib
import re
import socket
import struct
import threading

RESET = struct.pack("ii", 1, 0)


def reply(body=b"ok", status=b"200 OK", headers=b""):
    """Return a plain answer with content-length; ``headers`` are lines that end with CR LF."""
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, headers, len(body), body)


class Peer:
    """One accepted connection, for the script. Methods raise OSError or EOFError when the proxy has gone."""

    def __init__(self, sock):
        self.sock = sock
        self.rest = b""

    def head(self):
        """Return the next request's head (with its empty line); EOFError at the end."""
        while b"\r\n\r\n" not in self.rest:
            self._more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def read(self, count):
        """Return exactly ``count`` bytes of body."""
        while len(self.rest) < count:
            self._more()
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def body(self, head):
        """Return the whole body of a request with this head, content-length or chunked."""
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
        if length:
            return self.read(int(length[1]))
        return self._chunks() if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.I) else b""

    def line(self):
        """Return the next line, without its end."""
        while b"\r\n" not in self.rest:
            self._more()
        line, _, self.rest = self.rest.partition(b"\r\n")
        return line

    def _chunks(self):
        parts = []
        while size := int(self.line(), 16):
            parts.append(self.read(size))
            self.line()
        while self.line():
            pass
        return b"".join(parts)

    def _more(self):
        data = self.sock.recv(262144)
        if not data:
            raise EOFError
        self.rest += data

    def send(self, data):
        """Send all of ``data``."""
        self.sock.sendall(data)

    def wait_end(self):
        """Read until the proxy closes."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                self.rest = b""
                self._more()

    def reset(self):
        """Close with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()


class Upstream:
    """``script(peer)`` runs in a thread of its own for each connection, which is closed after it.

    ``accepted`` counts connections, ``open`` are their sockets, ``heads`` the requests that ``saying`` has seen.
    """

    def __init__(self, script, backlog=1024):
        self.script = script
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.port = self.socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.accepted = 0
        self.open = set()
        self.heads = []
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    def saying(cls, answer):
        """Return an upstream that reads each request whole and says ``answer``: bytes, or f(head, body)."""
        def script(peer):
            while True:
                head = peer.head()
                upstream.heads.append(head)
                body = peer.body(head)
                peer.send(answer(head, body) if callable(answer) else answer)
        upstream = cls(script)
        return upstream

    def _accept(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            self.accepted += 1
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        self.open.add(sock)
        try:
            self.script(Peer(sock))
        except (EOFError, OSError):
            pass
        finally:
            self.open.discard(sock)
            sock.close()

    def close(self):
        """Accept no more, and cut what is open."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for sock in list(self.open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
