"""A connection of our own to a gRPC server, for one unary call after another, without I/O; health checks use it.

HTTP/2 by prior knowledge. What is to be written goes to ``write``; the owner hands ``received`` what comes, and says
``lost`` where the connection ends. Calls of requests that pass through have the pools of their cluster instead.
"""

from collections.abc import Callable
from typing import Any

import attrs

from meshd.http import grpc
from meshd.http.h2.session import CLIENT, start
from meshd.http.h2.settings import Settings
from meshd.http.h2.sink import Sink
from meshd.http.head import RequestHead
from meshd.http.headers import Headers

SETTINGS = Settings(initial_stream_window_size=65535, initial_connection_window_size=65535, max_concurrent_streams=1)
LIMIT_BYTES = 65536
"""The longest answer that is taken."""
LOST = "the connection was lost"


@attrs.frozen
class Ended:
    """How a call has ended. ``status`` is gRPC's, None where there was no answer; ``messages`` are what came with it.

    ``reason`` says in words why it failed.
    """

    status: int | None
    messages: tuple[bytes, ...] = ()
    reason: str = ""


def call_head(method: bytes, authority: bytes, fields: tuple[tuple[bytes, bytes], ...] = ()) -> RequestHead:
    """Return the head of a call of ``method`` (``/package.Service/Method``)."""
    pairs = ((b"te", b"trailers"), (b"content-type", grpc.CONTENT_TYPE), *fields)
    head = RequestHead(b"POST", method, authority, 20, Headers.of(*pairs))
    head.content_length = -1
    return head


class Channel(Sink):
    """``is_usable``: another call may be made on it."""

    def __init__(self, write: Callable[[bytes], Any]) -> None:
        self._write = write
        self._session = start(CLIENT, SETTINGS, self)
        self._done: Callable[[Ended], Any] | None = None
        self._stream = 0
        self._body = b""
        self._is_leaving = False

    @property
    def is_usable(self) -> bool:
        """Whether the peer takes another call."""
        session = self._session
        return self._done is None and not self._is_leaving and not session.is_closed and session.can_request

    def call(self, head: RequestHead, message: bytes, done: Callable[[Ended], Any]) -> None:
        """Make a call; ``done`` is called once, later."""
        self._done, self._body = done, b""
        self._stream = self._session.request(head, False)
        self._session.send(self._stream, grpc.frame(message), True)
        self._flush()

    def cancel(self) -> None:
        """Nobody wants the answer any more."""
        self._done = None
        self._session.reset(self._stream)
        self._flush()

    def received(self, data: bytes) -> None:
        """Bytes have come."""
        self._session.receive(data)
        self._flush()

    def lost(self, reason: str) -> None:
        """The connection has ended."""
        self._end(None, reason or LOST)

    def _flush(self) -> None:
        data = self._session.take()
        if data:
            self._write(data)

    def _end(self, status: int | None, reason: str = "", messages: tuple[bytes, ...] = ()) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(Ended(status, messages, reason))

    def _refuse(self, status: int, reason: str) -> None:
        self._session.reset(self._stream)
        self._end(status, reason)

    # The session's sink

    def on_response(self, stream_id: int, head: Any, is_last: bool) -> None:
        """The head of the answer."""
        if self._done is None:
            return
        if head.status != 200:
            self._refuse(grpc.FROM_HTTP.get(head.status, grpc.UNKNOWN), f"HTTP status {head.status}")
        elif is_last:
            self._finish(head.headers)
        elif not grpc.is_grpc(head.headers):
            self._refuse(grpc.INTERNAL, "the answer is not one of gRPC")

    def on_body(self, stream_id: int, data: bytes) -> None:
        """A part of its messages."""
        self._session.consume(stream_id, len(data))
        if self._done is not None:
            self._body += data
            if len(self._body) > LIMIT_BYTES:
                self._refuse(grpc.RESOURCE_EXHAUSTED, f"answer too long: expected at most {LIMIT_BYTES} bytes")

    def on_end(self, stream_id: int, trailers: Headers | None) -> None:
        """The answer is whole."""
        if self._done is not None:
            self._finish(trailers)

    def _finish(self, headers: Headers | None) -> None:
        status = grpc.status_in(headers)
        if status is None or status == grpc.INVALID:
            self._end(grpc.UNKNOWN, "the answer has no gRPC status")
            return
        try:
            messages = tuple(grpc.messages_of(self._body))
        except ValueError as error:
            self._end(grpc.INTERNAL, str(error))
            return
        text = (headers.get(grpc.MESSAGE) or b"").decode("ascii", "replace")
        reason = f"gRPC status {grpc.NAMES[status]}" + (f": {text:.200}" if text else "")
        self._end(status, reason if status else "", messages)

    def on_reset(self, stream_id: int, code: int, is_local: bool) -> None:
        """The call is gone."""
        self._end(None, f"the stream was reset (code {code})")

    def on_goaway(self, last_stream_id: int, code: int, debug: bytes) -> None:
        """This is the last call."""
        self._is_leaving = True

    def on_error(self, code: int, detail: str, message: str) -> None:
        """The peer broke HTTP/2."""
        self._end(None, message or detail)
