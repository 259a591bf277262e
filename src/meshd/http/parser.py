"""What ``request`` and ``response`` share: the bytes that wait, the loop over them, bodies and tunnels.

Strategy: ``_data`` is what was received and ``_at`` how much of it has been used, so that a hundred thousand pipelined
messages in one piece are never copied. One loop gives all events; a sink that calls in from within one does not
recurse.
"""

from meshd.errors import ProtocolError
from meshd.http.chunk import ENDED
from meshd.http.framing import BODY, FAILED, HEAD, IDLE, TUNNEL
from meshd.http.headers import Headers

UNTIL_CLOSE = -2
CHUNKED = -1


class Parser:
    """Owned by one connection; ``state`` is one of framing's constants."""

    __slots__ = (
        "sink", "state", "max_head_bytes", "max_fields", "_uncounted_bytes", "_data", "_at", "_seen", "_left",
        "_chunks",
        "_is_running", "__weakref__",
    )

    def __init__(self, sink, max_head_bytes: int, max_fields: int) -> None:
        self.sink = sink
        self.state = IDLE
        self.max_head_bytes = max_head_bytes
        self.max_fields = max_fields
        self._uncounted_bytes = 4 * max_fields  # a line has at least four bytes, so a shorter block needs no count
        self._data = b""
        self._at = 0  # what lies before it has been used
        self._seen = 0  # no head ends before it
        self._left = 0  # bytes of the body that are still to come, or CHUNKED, or UNTIL_CLOSE
        self._chunks = None
        self._is_running = False

    @property
    def buffered(self) -> int:
        """How many received bytes wait here."""
        return len(self._data) - self._at

    def stop(self) -> None:
        """Parse nothing more and drop what waits here: for a connection that is about to be closed."""
        self.state = FAILED
        self._data = b""
        self._at = self._seen = 0

    def _run(self) -> None:
        self._is_running = True
        try:
            while True:
                state = self.state
                if state <= HEAD:
                    has_more = self._read_head()
                elif state == BODY:
                    has_more = self._read_chunks() if self._left == CHUNKED else self._read_body()
                else:
                    has_more = self._read_raw() if state == TUNNEL else self._rest(state)
                if not has_more:
                    return
        except ProtocolError:
            self.stop()
            raise
        finally:
            self._is_running = False

    def _rest(self, state: int) -> bool:
        """Neither head nor body nor tunnel: nothing is read, and after a failure nothing is kept."""
        if state == FAILED:
            self.stop()
        return False

    def _join(self, data: bytes) -> bytes:
        """Return what waits and ``data``."""
        at = self._at
        self._seen -= at
        self._at = 0
        return self._data[at:] + data

    def _use(self, at: int) -> None:
        """All before ``at`` has been read."""
        if at >= len(self._data):
            self._data = b""
            at = 0
        self._at = self._seen = at

    def _read_raw(self) -> bool:
        data = self._data[self._at:]
        self._data = b""
        self._at = self._seen = 0
        if data:
            self.sink.on_body(data)
        return bool(self._data)

    def _read_body(self) -> bool:
        data, at, left = self._data, self._at, self._left
        size = len(data) - at
        if not size:
            return False
        if left < 0 or size <= left:
            self._data = b""
            self._at = self._seen = 0
            piece = data[at:] if at else data
        else:
            self._at = self._seen = at + left
            piece = data[at:at + left]
        if left > 0:
            self._left = left = left - len(piece)
        self.sink.on_body(piece)
        if not left and self.state == BODY:
            self._end(None)
        return bool(self._data)

    def _read_chunks(self) -> bool:
        pieces = []
        chunks = self._chunks
        self._use(chunks.feed(self._data, self._at, pieces))
        if pieces:
            self.sink.on_body(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if chunks.place != ENDED or self.state != BODY:
            return False
        self._chunks = None
        self._left = 0
        self._end(chunks.trailers)
        return bool(self._data)

    def _end(self, trailers: Headers | None) -> None:
        raise NotImplementedError

    def _read_head(self) -> bool:
        raise NotImplementedError

    def _first_line_end(self, data: bytes, at: int, status: int) -> int:
        """Return where the first line ends, -1 where it does not yet; a search for one byte is the cheapest there
        is.
        """
        feed = data.find(b"\n", at, at + self.max_head_bytes)
        if feed >= 0 and (feed == at or data[feed - 1] != 13):
            raise ProtocolError(f"head: {data[at:feed][-32:]!r}: expected CRLF, got LF alone", status)
        return feed - 1 if feed > 0 else -1

    def _check_feeds(self, data: bytes, at: int, status: int) -> None:
        """Refuse a bare LF in a part of a head, for its end may never come; ``at`` is behind the first line."""
        feed = data.find(b"\n", max(self._seen, at))
        while feed >= 0:
            if data[feed - 1] != 13:
                raise ProtocolError(f"head: {data[max(0, feed - 32):feed]!r}: expected CRLF, got LF alone", status)
            feed = data.find(b"\n", feed + 1)
        self._seen = max(self._at, len(data) - 3)
