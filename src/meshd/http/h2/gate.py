"""Looks at the header of each frame that comes and goes, and says when there are too many of a kind (floods).

Called by both engines with every byte, so that limits hold alike. Strategy: a walk from header to header; nothing is
kept but counts and, where a read ends within a header, that part. The formulas are Envoy's (``ProtocolConstraints``).

A GOAWAY to a server has its last stream set to 0 on the way: it is about pushed streams, of which there are none, and
clients that say 2**31 - 1 (the first of two) are taken for broken by libnghttp2. The real one is ``goaway``.
"""

from meshd.http.h2.code import MAX_STREAM_ID, PREFACE
from meshd.http.h2.counter import CONTINUATIONS, EMPTY_FRAMES, OUTBOUND_CONTROL, PRIORITY_FRAMES, WINDOW_UPDATES
from meshd.http.h2.settings import ROOM

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ACK = END_STREAM = 1
END_HEADERS = 4
PADDED = 8
PROTOCOL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 1, 5, 6

_FREE_WINDOW_UPDATES = 5  # Envoy's initial allowance
_UPDATED_BYTES = 100
"""A DATA frame that was sent counts once more for so many bytes of it: many small messages leave in one frame, and
gRPC's libraries answer each of them, of 5 bytes or more, with an update of its stream. Envoy counts frames alone, and
ends busy streams of small messages.
"""


class Gate:
    """Of one connection. ``flood`` is the name of the counter whose limit was passed, or None. ``code`` is that of a
    connection error, 0 without one: what an engine lets pass where the RFC says MUST, and what both find the same way.

    ``known`` has the peer's streams that are open, and those reset on this side, whose frames may still come.
    ``is_within``: a preface or a field section has begun and its end has not come. ``resets`` counts RST_STREAM frames
    that were sent, ``goaway`` is the last stream of the last GOAWAY received.
    """

    __slots__ = (
        "flood", "code", "known", "resets", "goaway", "is_within", "_is_begun", "_max_frame", "_is_server", "_kind",
        "_flags", "_left", "_passed", "_head", "_opened", "_last_stream_id", "_empty", "_priority", "_updates",
        "_data_sent", "_replies", "_section_bytes", "_continuations", "_max_empty", "_max_priority", "_max_updates",
        "_max_replies", "_max_section_bytes", "_max_continuations", "_has_greeted", "_before",
    )

    def __init__(self, is_server: bool, settings) -> None:
        self.flood = None
        self.code = 0
        self.known = set()
        self.is_within = self._is_begun = False
        self._max_frame = settings.max_frame_size
        self.resets = 0
        self.goaway = self._before = MAX_STREAM_ID
        self._is_server = is_server
        self._has_greeted = False
        self._kind = -1
        self._flags = self._passed = 0
        self._left = 24 if is_server else 0  # the preface
        self._head = b""
        self._opened = self._last_stream_id = self._empty = self._priority = self._updates = self._data_sent = 0
        self._replies = self._section_bytes = self._continuations = 0
        self._max_empty = settings.max_empty_frames
        self._max_priority = settings.max_priority_frames
        self._max_updates = settings.max_window_updates
        self._max_replies = settings.max_outbound_control_frames
        self._max_section_bytes = settings.max_head_bytes * ROOM
        self._max_continuations = settings.max_continuations

    def check(self, data: bytes) -> bytes:
        """Count the frames of ``data``; return it up to the frame with which the connection ends, if any, with the last
        stream of a GOAWAY to a server cleared.
        """
        fed = data
        size = len(data)
        at = start = 0
        while at < size and not self.code and self.flood is None:
            if self._left:
                step = self._left if self._left < size - at else size - at
                if self._kind < 0:
                    self._greet(data, at, step)
                elif self._kind == GOAWAY and self._passed < 4:
                    fed = self._clear(data, fed, at, step)
                elif self._passed == 0 and self._flags & PADDED and self._kind <= HEADERS:
                    self._padded(data[at])
                self._left -= step
                self._passed += step
                at += step
            elif not self._head and size - at >= 9:
                start = at
                self._open(data, at)
                at += 9
            else:
                start = at
                part = self._head + data[at:at + 9 - len(self._head)]
                at += len(part) - len(self._head)
                self._head = part
                if len(part) == 9:
                    self._head = b""
                    self._open(part, 0)
        if self._kind < 0:
            self.is_within = self._left > 0
        else:
            self.is_within = self._kind in (HEADERS, CONTINUATION) and (
                self._left > 0 or not self._flags & END_HEADERS)
        return fed[:start] if self.code or self.flood is not None else fed

    def _greet(self, data: bytes, at: int, step: int) -> None:
        """Look at a client's preface (3.4)."""
        if data[at:at + step] != PREFACE[self._passed:self._passed + step]:
            self.code = PROTOCOL_ERROR

    def _open(self, data: bytes, at: int) -> None:
        """Look at a frame's header."""
        length = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
        kind = data[at + 3]
        flags = data[at + 4]
        self._left = length
        self._passed = 0
        self._kind = kind
        self._flags = flags
        if length > self._max_frame:
            self.code = FRAME_SIZE_ERROR
        elif not self._is_begun:
            self._is_begun = True
            if kind != SETTINGS or flags & ACK:
                self.code = PROTOCOL_ERROR
        if kind == PUSH_PROMISE:
            self.code = PROTOCOL_ERROR  # no client may send it, and no server to us (6.6)
        if self.code:
            return
        stream_id = (data[at + 5] & 127) << 24 | data[at + 6] << 16 | data[at + 7] << 8 | data[at + 8]
        if kind == DATA:
            self._expect_used(stream_id)
            self._look(length, flags)
        elif kind == HEADERS:
            self._begin(stream_id)
            self._section_bytes = length
            self._continuations = 0
            self._look(length, flags)
        elif kind == CONTINUATION:
            self._continue(length, flags)
        elif kind == RST_STREAM:
            self._expect_used(stream_id)
        elif kind == WINDOW_UPDATE:
            self._expect_used(stream_id)
            self._updates += 1
            if self._updates > _FREE_WINDOW_UPDATES + 2 * (self._opened + self._max_updates * self._data_sent):
                self.flood = WINDOW_UPDATES
        elif kind == PRIORITY:
            if not stream_id:
                self.code = PROTOCOL_ERROR
            self._priority += 1
            if self._priority > self._max_priority * (1 + self._opened):
                self.flood = PRIORITY_FRAMES
        elif (kind == PING or kind == SETTINGS) and not flags & ACK:
            self._replies += 1
            if self._replies > self._max_replies:
                self.flood = OUTBOUND_CONTROL

    def _expect_used(self, stream_id: int) -> None:
        """Of an idle stream nothing is to be said but HEADERS and PRIORITY (5.1)."""
        if stream_id > self._last_stream_id or stream_id and not stream_id & 1:
            self.code = PROTOCOL_ERROR

    def _begin(self, stream_id: int) -> None:
        """HEADERS: of a client's new stream, or trailers of one that is known (5.1.1)."""
        if not stream_id & 1:
            self.code = PROTOCOL_ERROR
        elif not self._is_server:
            return
        elif stream_id > self._last_stream_id:
            self._last_stream_id = stream_id
            self._opened += 1
            self.known.add(stream_id)
        elif stream_id not in self.known:
            self.code = STREAM_CLOSED

    def _begin_own(self, stream_id: int) -> None:
        """HEADERS of ours: of a new stream, or trailers. A server may answer a stream with updates of its windows."""
        if stream_id > self._last_stream_id:
            self._last_stream_id = stream_id
            self._opened += 1

    def _look(self, length: int, flags: int) -> None:
        """Count frames without payload that end nothing; of a padded one the next byte tells."""
        if flags & END_STREAM or length and not flags & PADDED:
            self._empty = 0
        elif not length:
            self._count_empty()
        if flags & PADDED and not length:
            self.code = FRAME_SIZE_ERROR

    def _padded(self, pad_bytes: int) -> None:
        """Look at the length of a padding, which is less than that of the payload (6.1)."""
        if pad_bytes >= self._left:
            self.code = PROTOCOL_ERROR
        elif self._flags & END_STREAM:
            return
        elif pad_bytes + 1 == self._left:
            self._count_empty()
        else:
            self._empty = 0

    def _count_empty(self) -> None:
        self._empty += 1
        if self._empty > self._max_empty:
            self.flood = EMPTY_FRAMES

    def _continue(self, length: int, flags: int) -> None:
        self._continuations += 1
        self._section_bytes += length
        if self._continuations > self._max_continuations or self._section_bytes > self._max_section_bytes:
            self.flood = CONTINUATIONS
        elif length:
            self._empty = 0
        else:
            self._count_empty()

    def _clear(self, data: bytes, fed: bytes, at: int, step: int) -> bytes:
        """Take the last stream out of a GOAWAY's payload, as far as it is here; to a client it names one of its own,
        and does not rise (6.8).
        """
        if self._passed == 0:
            self._before, self.goaway = self.goaway, 0
        count = 4 - self._passed
        if count > step:
            count = step
        for index in range(count):
            self.goaway = self.goaway << 8 | data[at + index]
        if count == 4 - self._passed:
            self.goaway &= 0x7fffffff
            if not self._is_server and (self.goaway > self._before or self.goaway and not self.goaway & 1):
                self.code = PROTOCOL_ERROR
        return fed[:at] + b"\0" * count + fed[at + count:] if self._is_server else fed

    def sent(self, data: bytes) -> None:
        """Count the frames of what goes to the peer: whole ones."""
        self._replies = 0
        size = len(data)
        at = 0
        if not self._is_server and not self._has_greeted:
            self._has_greeted = True
            at = len(PREFACE)
        while at + 9 <= size:
            kind = data[at + 3]
            length = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
            if kind == DATA:
                self._data_sent += 1 + length // _UPDATED_BYTES
            elif kind == HEADERS and not self._is_server:
                self._begin_own((data[at + 5] & 127) << 24 | data[at + 6] << 16 | data[at + 7] << 8 | data[at + 8])
            elif kind == RST_STREAM:
                self.resets += 1
            at += 9 + length
