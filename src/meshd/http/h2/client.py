"""One HTTP/2 request after another on a connection of our own, without I/O; health checks use it, for gRPC too.

It has the face of ``ResponseParser``. Requests that pass through have the pools of their cluster instead.
"""

from collections.abc import Callable
from typing import Any

from meshd.errors import ProtocolError
from meshd.http.h2.session import CLIENT, start
from meshd.http.h2.settings import Settings
from meshd.http.h2.sink import Sink
from meshd.http.head import RequestHead
from meshd.http.headers import Headers

SETTINGS = Settings(initial_stream_window_size=65535, initial_connection_window_size=65535, max_concurrent_streams=1)


class Http2Client(Sink):
    """``sink`` hears of the answer as a ResponseParser's does. What is to be written goes to ``write``."""

    def __init__(self, sink: Any, write: Callable[[bytes], Any] | None = None) -> None:
        self.sink = sink
        self.write = write
        self._session = start(CLIENT, SETTINGS, self)
        self._stream = 0
        self._fault = ""

    @property
    def is_usable(self) -> bool:
        """Whether another request may be made."""
        return self._session.can_request

    def ask(self, head: RequestHead, body: bytes = b"") -> None:
        """Send a request."""
        self._stream = self._session.request(head, not body)
        if body:
            self._session.send(self._stream, body, True)
        self._flush()

    def cancel(self) -> None:
        """Nobody wants the answer any more."""
        stream_id, self._stream = self._stream, 0
        self._session.reset(stream_id)
        self._flush()

    def receive(self, data: bytes) -> None:
        """Take what has come; raises ProtocolError where there will be no answer."""
        self._session.receive(data)
        self._flush()
        if self._fault:
            fault, self._fault = self._fault, ""
            raise ProtocolError(fault, 502, "http2.protocol_error")

    def eof(self) -> None:
        """The connection has ended; raises ProtocolError."""
        raise ProtocolError("response: expected the rest of it, got the end of the connection", 502)

    def _flush(self) -> None:
        data = self._session.take()
        if data and self.write is not None:
            self.write(data)

    # The session's sink

    def on_informational(self, stream_id: int, head: Any) -> None:
        """Not the answer yet."""
        self.sink.on_informational(head)

    def on_response(self, stream_id: int, head: Any, is_last: bool) -> None:
        """The head of the answer."""
        self.sink.on_response(head)
        if is_last and self._stream:
            self.on_end(stream_id, None)

    def on_body(self, stream_id: int, data: bytes) -> None:
        """Part of its body."""
        self._session.consume(stream_id, len(data))
        if self._stream:
            self.sink.on_body(data)

    def on_end(self, stream_id: int, trailers: Headers | None) -> None:
        """It is whole."""
        self._stream = 0
        self.sink.on_end(trailers)

    def on_reset(self, stream_id: int, code: int, is_local: bool) -> None:
        """There will be no answer."""
        if stream_id == self._stream:
            self._fault = f"response: the stream was reset (code {code})"

    def on_error(self, code: int, detail: str, message: str) -> None:
        """The peer broke HTTP/2."""
        self._fault = f"response: HTTP/2: {message}"
