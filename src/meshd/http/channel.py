"""A connection of our own to a gRPC server, for one unary call after another, without I/O; health checks use it.

HTTP/2 by prior knowledge. What is to be written goes to ``write``; the owner hands ``received`` what comes, and says
``lost`` where the connection ends. Calls of requests that pass through have the pools of their cluster instead.
"""

from collections.abc import Callable
from typing import Any

import attrs

from meshd.errors import ProtocolError
from meshd.http import grpc
from meshd.http.h2.client import Http2Client
from meshd.http.head import RequestHead, ResponseHead
from meshd.http.headers import Headers

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


class Channel:
    """``is_usable``: another call may be made on it."""

    def __init__(self, write: Callable[[bytes], Any]) -> None:
        self._client = Http2Client(self, write)
        self._done: Callable[[Ended], Any] | None = None
        self._head: ResponseHead | None = None
        self._body = b""

    @property
    def is_usable(self) -> bool:
        """Whether the peer takes another call."""
        return self._done is None and self._client.is_usable

    def call(self, head: RequestHead, message: bytes, done: Callable[[Ended], Any]) -> None:
        """Make a call; ``done`` is called once, later."""
        self._done, self._body = done, b""
        self._client.ask(head, grpc.frame(message))

    def cancel(self) -> None:
        """Nobody wants the answer any more."""
        self._done = None
        self._client.cancel()

    def received(self, data: bytes) -> None:
        """Bytes have come."""
        try:
            self._client.receive(data)
        except ProtocolError as error:
            self._end(None, str(error))

    def lost(self, reason: str) -> None:
        """The connection has ended."""
        self._end(None, reason or LOST)

    def _end(self, status: int | None, reason: str = "", messages: tuple[bytes, ...] = ()) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(Ended(status, messages, reason))

    def _refuse(self, status: int, reason: str) -> None:
        self._client.cancel()
        self._end(status, reason)

    # What the client tells

    def on_informational(self, head: ResponseHead) -> None:
        """Not the answer yet."""

    def on_response(self, head: ResponseHead) -> None:
        """The head of the answer."""
        self._head = head
        if head.status != 200:
            self._refuse(grpc.FROM_HTTP.get(head.status, grpc.UNKNOWN), f"HTTP status {head.status}")
        elif not grpc.is_grpc(head.headers) and grpc.status_in(head.headers) is None:
            self._refuse(grpc.INTERNAL, "the answer is not one of gRPC")

    def on_body(self, data: bytes) -> None:
        """A part of its messages."""
        self._body += data
        if len(self._body) > LIMIT_BYTES:
            self._refuse(grpc.RESOURCE_EXHAUSTED, f"answer too long: expected at most {LIMIT_BYTES} bytes")

    def on_end(self, trailers: Headers | None) -> None:
        """The answer is whole; where it is a head alone, that has the status."""
        headers = self._head.headers if trailers is None and not self._body else trailers
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
