"""Frames as bytes and back, and field sections without compression, for conversations that no library would hold."""

import attrs
from hpack import Decoder

from meshd.http.h2.code import (
    CONTINUATION, DATA, GOAWAY, HEADERS, PING, PREFACE, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
)

END_STREAM = ACK = 1
END_HEADERS, PADDED, PRIORITIZED = 4, 8, 32

GET = ((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a.example"), (b":path", b"/"))
POST = ((b":method", b"POST"), *GET[1:])


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"", length: int | None = None) -> bytes:
    """Return a frame; ``length`` tells a lie."""
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + bytes((kind, flags)) + stream_id.to_bytes(4, "big") + payload


def number(value: int, bits: int, first: int = 0) -> bytes:
    """Return an integer (RFC 7541 5.1) with ``first`` as the bits before its prefix."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    made = [first | most]
    value -= most
    while value >= 128:
        made.append(value % 128 + 128)
        value //= 128
    return bytes((*made, value))


def text(value: bytes) -> bytes:
    """Return a string literal without Huffman coding (5.2)."""
    return number(len(value), 7) + value


def literal(name: bytes, value: bytes, first: int = 0) -> bytes:
    """Return a literal field (6.2): ``first`` 0 without indexing, 0x10 never indexed, 0x40 with indexing."""
    return bytes((first,)) + text(name) + text(value)


def block(fields) -> bytes:
    """Return a field section of literals."""
    return b"".join(literal(name, value) for name, value in fields)


def headers(stream_id: int, fields=GET, is_last: bool = True, flags: int = END_HEADERS) -> bytes:
    """Return a HEADERS frame; ``fields`` may be a ready block."""
    payload = fields if isinstance(fields, bytes) else block(fields)
    return frame(HEADERS, flags | (END_STREAM if is_last else 0), stream_id, payload)


def continuation(stream_id: int, payload: bytes, is_last: bool = True) -> bytes:
    """Return a CONTINUATION frame."""
    return frame(CONTINUATION, END_HEADERS if is_last else 0, stream_id, payload)


def data(stream_id: int, payload: bytes = b"", is_last: bool = True) -> bytes:
    """Return a DATA frame."""
    return frame(DATA, END_STREAM if is_last else 0, stream_id, payload)


def settings(*pairs: tuple[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in pairs))


def settings_ack() -> bytes:
    """Return the acknowledgement of SETTINGS."""
    return frame(SETTINGS, ACK, 0)


def window_update(stream_id: int, increment: int) -> bytes:
    """Return a WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream_id, increment.to_bytes(4, "big"))


def rst(stream_id: int, code: int = 8) -> bytes:
    """Return a RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream_id, code.to_bytes(4, "big"))


def ping(payload: bytes = b"12345678", flags: int = 0) -> bytes:
    """Return a PING frame."""
    return frame(PING, flags, 0, payload)


def goaway(last_stream_id: int = 0, code: int = 0, debug: bytes = b"") -> bytes:
    """Return a GOAWAY frame."""
    return frame(GOAWAY, 0, 0, last_stream_id.to_bytes(4, "big") + code.to_bytes(4, "big") + debug)


def priority(stream_id: int, depends: int = 0, weight: int = 15) -> bytes:
    """Return a PRIORITY frame."""
    return frame(PRIORITY, 0, stream_id, depends.to_bytes(4, "big") + bytes((weight,)))


def push_promise(stream_id: int, promised: int, fields=GET) -> bytes:
    """Return a PUSH_PROMISE frame."""
    return frame(PUSH_PROMISE, END_HEADERS, stream_id, promised.to_bytes(4, "big") + block(fields))


START = PREFACE + settings()


@attrs.frozen
class Frame:
    """A frame that came; ``fields`` are those of a HEADERS frame."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes
    fields: tuple = ()

    @property
    def is_end(self) -> bool:
        """Whether it ends its stream's message, or the stream."""
        return self.kind == RST_STREAM or self.kind in (DATA, HEADERS) and bool(self.flags & END_STREAM)

    @property
    def code(self) -> int:
        """The error code of a RST_STREAM or GOAWAY."""
        return int.from_bytes(self.payload[4:8] if self.kind == GOAWAY else self.payload[:4], "big")

    @property
    def status(self) -> int:
        """The status of a HEADERS frame, 0 without one."""
        return int(dict(self.fields).get(b":status", b"0"))


class Reader:
    """Cuts what a peer sends into frames. Field sections that go on in CONTINUATION frames are put together."""

    def __init__(self) -> None:
        self._data = b""
        self._decoder = Decoder()
        self._decoder.max_allowed_table_size = 1 << 16
        self._part = None

    def read(self, data: bytes) -> list[Frame]:
        """Return the frames that are complete now."""
        self._data += data
        found = []
        while len(self._data) >= 9:
            size = int.from_bytes(self._data[:3], "big")
            if len(self._data) < 9 + size:
                break
            kind, flags = self._data[3], self._data[4]
            stream_id = int.from_bytes(self._data[5:9], "big") & 0x7fffffff
            payload = self._data[9:9 + size]
            self._data = self._data[9 + size:]
            found += self._frame(kind, flags, stream_id, payload)
        return found

    def _frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> list[Frame]:
        if kind == HEADERS:
            self._part = (flags, stream_id, _bare(flags, payload))
        elif kind == CONTINUATION and self._part:
            self._part = (self._part[0] | flags, stream_id, self._part[2] + payload)
        else:
            return [Frame(kind, flags, stream_id, payload)]
        flags, stream_id, whole = self._part
        if not flags & END_HEADERS:
            return []
        self._part = None
        return [Frame(HEADERS, flags, stream_id, whole, tuple(self._decoder.decode(whole, raw=True)))]


def _bare(flags: int, payload: bytes) -> bytes:
    if flags & PADDED:
        payload = payload[1:len(payload) - payload[0]]
    return payload[5:] if flags & PRIORITIZED else payload
