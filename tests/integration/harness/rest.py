"""An HTTP server in threads that plays an API: it can be stopped with all its connections and started again.

``trouble`` makes all answers bad: ``silent`` (none), ``garbage`` (no HTTP), ``cut`` (in the middle), ``slow`` (after
SLOW_S), or a status.
"""

import contextlib
import http.server
import json
import socket
import threading
import urllib.request
from urllib.parse import parse_qs, urlsplit

import attrs

from tests.integration.process import free_port

SLOW_S = 30.0


@attrs.frozen
class Asked:
    """A request; ``query`` has the last value of each parameter, ``queries`` all."""

    method: str
    path: str
    queries: dict
    headers: dict
    body: object

    @property
    def query(self):
        return {key: values[-1] for key, values in self.queries.items()}


@attrs.frozen
class Said:
    """An answer: ``value`` is JSON, or text as it is; ``lines`` (an iterator) are sent in chunks as they come."""

    status: int = 200
    value: object = None
    headers: dict = attrs.field(factory=dict)
    lines: object = None


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def serve(self):
        """Answer one request."""
        rest = self.server.rest
        data = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        asked = Asked(
            self.command, parts.path, parse_qs(parts.query, keep_blank_values=True),
            {key.lower(): value for key, value in self.headers.items()}, json.loads(data) if data else None)
        rest.asked.append(asked)
        if rest.trouble is not None and self.misbehave(rest):
            return
        self.say(rest.answer(asked))

    do_GET = do_PUT = do_POST = do_DELETE = serve

    def misbehave(self, rest):
        """Do what the trouble is; say whether that was the answer."""
        trouble = rest.trouble
        self.close_connection = True
        if isinstance(trouble, int):
            self.say(Said(trouble, "in trouble"))
        elif trouble in ("silent", "slow"):
            if rest.is_over.wait(SLOW_S) or trouble == "silent":
                return True
            return False
        elif trouble == "garbage":
            self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\x00\xff")
        else:
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n[{")
        return True

    def say(self, said):
        """Send an answer."""
        body = said.value if isinstance(said.value, str) else json.dumps(said.value)
        self.send_response(said.status)
        for name, value in {"content-type": "application/json", **said.headers}.items():
            self.send_header(name, value)
        if said.lines is None:
            data = b"" if said.status == 304 else body.encode()
            if said.status != 304:
                self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for line in said.lines:
            data = json.dumps(line).encode() + b"\n"
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *arguments):
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """Knows its connections, to cut them."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port, rest):
        self.rest = rest
        self.sockets = set()
        super().__init__(("127.0.0.1", port), Handler)

    def process_request(self, request, client_address):
        self.sockets.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.sockets.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        """The proxy has gone."""


class Rest:
    """``answer(asked)`` is written by subclasses. ``changed`` is a condition that guards what they keep."""

    def __init__(self):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.trouble = None
        self.asked = []
        self.changed = threading.Condition()
        self.start()

    def answer(self, asked):
        """Return a Said."""
        raise NotImplementedError

    def start(self):
        """Listen, at the same port as before."""
        self.is_over = threading.Event()
        self._server = Server(self.port, self)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        """Cut everything."""
        self.is_over.set()
        with self.changed:
            self.changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        for sock in list(self._server.sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def cut(self):
        """Cut the connections that are open."""
        for sock in list(self._server.sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    close = stop


def call(method, url, value=None, headers=()):
    """Return the JSON of an answer; urllib's HTTPError where it is no 2xx."""
    data = None if value is None else json.dumps(value).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **dict(headers)}, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        body = answer.read()
    return json.loads(body) if body else None
