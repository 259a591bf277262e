"""Frames as h2 wants them: called by the pure engine with each whole frame.

h2 takes some stream errors for connection errors, knows no reserved bits, keeps an encoder's table as large as the
peer allows, and ends the connection at a GOAWAY. What it cannot bear is changed here.
"""

from collections import deque

from hpack import Decoder, NeverIndexedHeaderTuple

from meshd.http.h2.code import HEADER_TABLE_SIZE, RST_STREAM
from meshd.http.h2.fields import Secret

END_STREAM = ACK = 1
END_HEADERS = 4
TABLE_BYTES = 4096
"""What our encoder uses of the table that a peer allows, as libnghttp2 does by default."""

SHORT_COOKIE_BYTES = 20
"""A shorter cookie could be guessed byte by byte (libnghttp2's and h2's bound)."""

_SECRET = (b"authorization", b"proxy-authorization")
_LENGTH, _HIDDEN = b"content-length", b"(content-length)"


class LengthDecoder(Decoder):
    """Hides content-length from h2, which refuses the connection where it is none; ``reveal`` brings it back."""

    def decode(self, data: bytes, raw: bool = False) -> list:
        """Return the fields of a section."""
        return [(_HIDDEN, field[1]) if field[0] == _LENGTH else field for field in super().decode(data, raw)]


def reveal(section) -> tuple:
    """Return the fields as they came."""
    return tuple([
        (_LENGTH, field[1]) if field[0] == _HIDDEN else
        Secret(bytes(field[0]), bytes(field[1])) if isinstance(field, NeverIndexedHeaderTuple) else
        (bytes(field[0]), bytes(field[1])) for field in section])


def secured(section: list) -> list:
    """Return the section with what no table may keep marked as such (RFC 7541 7.1.3): what came so, and as libnghttp2
    does.
    """
    return [NeverIndexedHeaderTuple(field[0], field[1])
            if type(field) is not tuple or field[0] in _SECRET
            or field[0] == b"cookie" and len(field[1]) < SHORT_COOKIE_BYTES else field
            for field in section]


def plain_settings(frame: bytes) -> bytes:
    """Return SETTINGS with a table for our encoder that is no larger than we use."""
    payload = bytearray(frame[9:])
    for at in range(0, len(payload) - 5, 6):
        if int.from_bytes(payload[at:at + 2], "big") == HEADER_TABLE_SIZE:
            size = min(int.from_bytes(payload[at + 2:at + 6], "big"), TABLE_BYTES)
            payload[at + 2:at + 6] = size.to_bytes(4, "big")
    return frame[:9] + bytes(payload)


def without_reserved_bit(frame: bytes, at: int) -> bytes:
    """Return the frame with the first bit of the byte at ``at`` cleared."""
    if len(frame) <= at or not frame[at] & 128:
        return frame
    return frame[:at] + bytes((frame[at] & 127,)) + frame[at + 1:]


def rst(stream_id: int, code: int) -> bytes:
    """Return a RST_STREAM frame."""
    return b"\0\0\4\3\0" + stream_id.to_bytes(4, "big") + code.to_bytes(4, "big")


def once(data: bytes, was_reset: dict[int, bool]) -> bytes:
    """Take out what h2 says to frames that come on a stream that was reset: it says it again and again.

    ``was_reset`` has these streams, and whether that is still to be said.
    """
    kept = []
    at = 0
    while at < len(data):
        end = at + 9 + int.from_bytes(data[at:at + 3], "big")
        if data[at + 3] != RST_STREAM:
            kept.append(data[at:end])
        else:
            stream_id = int.from_bytes(data[at + 5:at + 9], "big")
            if was_reset.get(stream_id, True):
                kept.append(data[at:end])
                was_reset[stream_id] = False
        at = end
    return b"".join(kept)


class Queue:
    """Bytes of one stream that flow control has not let out."""

    __slots__ = ("is_last", "is_sent", "parts", "size", "trailers")

    def __init__(self) -> None:
        self.parts = deque()
        self.size = 0
        self.is_last = self.is_sent = False
        self.trailers = None

    def push(self, data: bytes) -> None:
        """Append bytes."""
        if data:
            self.parts.append(data)
            self.size += len(data)

    def pop(self, limit: int) -> bytes:
        """Take at most ``limit`` bytes of the first part."""
        part = self.parts.popleft()
        if len(part) > limit:
            self.parts.appendleft(part[limit:])
            part = part[:limit]
        self.size -= len(part)
        return part
