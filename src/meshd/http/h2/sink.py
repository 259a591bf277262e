"""Who listens to a session: all calls, each doing nothing; a connection derives from this or has the same methods."""

from meshd.http.head import RequestHead, ResponseHead
from meshd.http.headers import Headers


class Sink:
    """Called from within ``Session.receive`` and ``Session.take``; may call the session back, ``receive`` excepted.

    For each message: one head, bodies, one end. A head with ``is_last`` has no body and no ``on_end``. After
    ``on_reset`` nothing more comes for its stream. What happens to a stream after ``Session.reset`` is not told.
    """

    def on_request(self, stream_id: int, head: RequestHead, is_last: bool) -> None:
        """A client began a request (server side)."""

    def on_response(self, stream_id: int, head: ResponseHead, is_last: bool) -> None:
        """The final head of an answer (client side); 101 for an extended CONNECT that was granted."""

    def on_informational(self, stream_id: int, head: ResponseHead) -> None:
        """A 1xx head, 101 excepted (client side)."""

    def on_body(self, stream_id: int, data: bytes) -> None:
        """Bytes of a body, never empty. They hold flow-control credit until ``Session.consume``."""

    def on_end(self, stream_id: int, trailers: Headers | None) -> None:
        """The peer has sent all of its message."""

    def on_reset(self, stream_id: int, code: int, is_local: bool) -> None:
        """The stream is gone: by the peer's RST_STREAM, or (``is_local``) because the peer broke the protocol on it.

        Bytes that were not consumed need no ``consume`` any more. The code NO_ERROR from a server that has answered
        whole means that it needs no more of the request (8.1).
        """

    def on_closed(self, stream_id: int) -> None:
        """Both sides have ended a stream in order, and all that was queued has been taken.

        A server that has answered before the request's end calls ``Session.reset`` with NO_ERROR, or waits.
        """

    def on_writable(self, stream_id: int) -> None:
        """A queue that ``send`` reported above ``write_high_bytes`` has fallen to ``write_low_bytes`` or less."""

    def on_settings(self, max_concurrent_streams: int, allows_connect: bool) -> None:
        """The peer's SETTINGS: how many streams it takes (2**32 - 1 where it does not say), RFC 8441 or not."""

    def on_goaway(self, last_stream_id: int, code: int, debug: bytes) -> None:
        """The peer takes no stream above ``last_stream_id``; streams of ours above it are told by ``on_reset`` with
        REFUSED_STREAM before this (they were not processed and may be sent again)."""

    def on_ping_ack(self, payload: bytes) -> None:
        """The peer answered a ``Session.ping``."""

    def on_error(self, code: int, detail: str, message: str) -> None:
        """The connection is over: write what ``take`` gives (a GOAWAY), then close. Streams are not told one by one.

        ``code`` is what the GOAWAY says, ``detail`` a response code detail, ``message`` for the log.
        """

    def on_count(self, name: str) -> None:
        """Something that Envoy's ``http2.`` statistics count happened; names are in counter.py."""
