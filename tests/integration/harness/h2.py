"""An HTTP/2 client on a blocking socket, and a load of such clients that counts what is lost."""

import socket
import threading

from meshd.http.h2.code import REFUSED_STREAM
from meshd.http.h2.session import start
from meshd.http.h2.settings import Settings
from meshd.http.h2.sink import Sink
from meshd.http.head import RequestHead
from meshd.http.headers import Headers
from tests.integration.process import wait_for

DEFAULT = Settings()


def request(target="/", method="GET", **fields):
    """Return a request's head."""
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    return RequestHead(method.encode(), target.encode(), b"mesh.test", 20, Headers.of((b"host", b"mesh.test"), *pairs))


class Answer:
    """``status`` is 0 before the head; ``reset`` is the code of a RST_STREAM, or None."""

    def __init__(self):
        self.status, self.headers, self.body, self.trailers, self.reset = 0, None, b"", None, None
        self.size, self.is_over = 0, False


class H2Client(Sink):
    """``answers`` by stream; ``is_leaving``: the other side has said GOAWAY, ``is_served``: it has said anything.
    Bodies are counted, and kept where ``keeps``; they are consumed where ``consumes``. A ``context`` makes it TLS.
    """

    def __init__(self, port, settings=DEFAULT, keeps=True, consumes=True, receive_bytes=0, timeout_s=20.0,
                 context=None):
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(timeout_s)
        self.socket.connect(("127.0.0.1", port))
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self.session = start("client", settings, self, "pure")
        self.answers = {}
        self.keeps, self.consumes = keeps, consumes
        self.is_leaving = self.is_gone = self.is_served = False
        self.goaways = []

    def begin(self, head, is_last=True):
        """Begin a request; return its stream, 0 where the connection takes none."""
        stream = self.session.request(head, is_last)
        if stream:
            self.answers[stream] = Answer()
        self.flush()
        return stream

    def flush(self):
        """Send what there is."""
        data = self.session.take()
        if data:
            self.socket.sendall(data)

    def read(self):
        """Read once; say whether anything came."""
        try:
            data = self.socket.recv(262144)
        except ConnectionError:
            data = b""
        if data:
            self.is_served = True
            self.session.receive(data)
            self.flush()
        else:
            self.is_gone = True
        return bool(data)

    def wait(self, *streams):
        """Read until all of these are over, or the connection is; return their answers."""
        while not all(self.answers[stream].is_over for stream in streams) and self.read():
            pass
        return [self.answers[stream] for stream in streams]

    def ask(self, target="/", **options):
        """Ask and return the answer."""
        return self.wait(self.begin(request(target, **options)))[0]

    def close(self):
        """Close."""
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    # what the session tells

    def on_response(self, stream_id, head, is_last):
        """A head."""
        answer = self.answers[stream_id]
        answer.status, answer.headers, answer.is_over = head.status, head.headers, is_last

    def on_body(self, stream_id, data):
        """Bytes."""
        answer = self.answers[stream_id]
        answer.size += len(data)
        if self.keeps:
            answer.body += data
        if self.consumes:
            self.session.consume(stream_id, len(data))

    def on_end(self, stream_id, trailers):
        """The end."""
        self.answers[stream_id].trailers = trailers
        self.answers[stream_id].is_over = True

    def on_reset(self, stream_id, code, is_local):
        """A reset."""
        self.answers[stream_id].reset = code
        self.answers[stream_id].is_over = True

    def on_goaway(self, last_stream_id, code, debug):
        """The other side leaves."""
        self.is_leaving = True
        self.goaways.append((last_stream_id, code))


class H2Load:
    """Clients that keep ``streams`` requests in flight each, and come back when a connection ends.

    ``lost`` is what failed; a stream that was refused by GOAWAY is none, it may be sent again (RFC 9113 6.8),
    nor is one on a connection that nobody has accepted.
    """

    def __init__(self, port, count=2, streams=8, target="/"):
        self.answers, self.opened, self.lost, self.bodies = 0, 0, [], {}
        self._port, self._streams, self._target = port, streams, target
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self):
        while not self._is_over.is_set():
            try:
                client = H2Client(self._port)
            except OSError:
                if self._is_over.wait(0.01):
                    return
                continue
            self.opened += 1
            with client:
                self._use(client)

    def _use(self, client):
        while not self._is_over.is_set() and not client.is_leaving and not client.is_gone:
            begun = [client.begin(request(self._target)) for _ in range(self._streams)]
            streams = [stream for stream in begun if stream]
            for stream, answer in zip(streams, client.wait(*streams)):
                del client.answers[stream]
                if answer.status == 200 and answer.is_over and answer.reset is None:
                    self.answers += 1
                    self.bodies[answer.body] = self.bodies.get(answer.body, 0) + 1
                elif answer.reset != REFUSED_STREAM and client.is_served:
                    self.lost.append((answer.status, answer.reset, client.goaways, stream))

    def warm(self, count=100):
        """Wait for some answers."""
        before = self.answers
        wait_for(lambda: self.answers >= before + count or self.lost, "answers")

    def stop(self):
        """End it."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()
