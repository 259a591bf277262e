"""The chunked coding of a body, its extensions and trailers (RFC 9112 7.1); owned by the two parsers.

Strategy: a body is read in three places: a size line, data, and the trailer section. A size line is matched by one
pattern, so nothing is read that the grammar does not have (no sign, 0x, space or bare LF). Extensions are checked and
dropped. What is held back is at most one size line or the trailer section. The data of one call is handed on in one
piece.
"""

import re

from meshd.errors import ProtocolError
from meshd.hot.field import scan_fields
from meshd.http.framing import DROPPED_IN_TRAILERS, KEPT_PREFIXES, REFUSED_IN_TRAILERS
from meshd.http.headers import Headers

MAX_LINE_BYTES = 1024
MAX_EXTENSION_BYTES = 16384  # of a whole body; Go's figure after CVE-2023-39326

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = rb'"(?:[\t !\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_EXTENSION = rb"[ \t]*+;[ \t]*+" + _TOKEN + rb"(?:[ \t]*+=[ \t]*+(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?+"
_size_line = re.compile(rb"([0-9A-Fa-f]{1,16}+)((?:" + _EXTENSION + rb")*+)").fullmatch
_part_of_size = re.compile(rb"[0-9A-Fa-f]{0,16}+(?:[ \t]*+(?:;[\t -~\x80-\xff]*+)?+)\r?").fullmatch
_refused = re.compile(rb"\r\n(" + b"|".join(REFUSED_IN_TRAILERS) + rb"):").search
_dropped = re.compile(
    rb"\r\n((?:" + b"|".join(DROPPED_IN_TRAILERS) + rb")(?=:)|(?:" + b"|".join(KEPT_PREFIXES) + rb")[^:]*+):"
).findall

SIZE, DATA, DATA_END, TRAILERS, ENDED = range(5)


class Chunks:
    """Reads one body. ``status`` is what a broken one is refused with, ``limit_bytes`` bounds the trailer section."""

    __slots__ = ("status", "limit_bytes", "max_fields", "place", "left", "seen", "extension_bytes", "trailers")

    def __init__(self, status: int, limit_bytes: int, max_fields: int) -> None:
        self.status = status
        self.limit_bytes = limit_bytes
        self.max_fields = max_fields
        self.place = SIZE
        self.left = 0
        self.seen = 0  # of the trailer section: it does not end before
        self.extension_bytes = 0
        self.trailers = None

    def feed(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """Read on from ``at``; append body data to ``pieces``; return where it stopped."""
        size = len(data)
        while True:
            if self.place == SIZE:
                end = data.find(b"\r\n", at)
                if end < 0:
                    self._check_part(data, at)
                    return at
                self._read_size(data[at:end])
                at = end + 2
            elif self.place == DATA:
                end = at + self.left
                if end > size:
                    if at < size:
                        pieces.append(data[at:])
                        self.left = end - size
                    return size
                pieces.append(data[at:end])
                self.left = 0
                self.place = DATA_END
                at = end
            elif self.place == DATA_END:
                if not data.startswith(b"\r\n", at):
                    self._check_data_end(data, at)
                    return at
                at += 2
                self.place = SIZE
            else:
                return self._read_trailers(data, at)

    def _refuse(self, what: str, detail: str = "http1.codec_error", status: int = 0) -> None:
        raise ProtocolError(what, status or self.status, detail)

    def _check_data_end(self, data: bytes, at: int) -> None:
        if at < len(data) and data[at:at + 2] != b"\r":
            self._refuse(f"chunk data: {data[at:at + 2]!r}: expected CRLF")

    def _check_part(self, data: bytes, at: int) -> None:
        part = data[at:at + MAX_LINE_BYTES + 2]
        if len(part.removesuffix(b"\r")) > MAX_LINE_BYTES or not _part_of_size(part):
            self._refuse(f"chunk size: {part[:32]!r}: expected at most 16 hex digits")

    def _read_size(self, line: bytes) -> None:
        match = _size_line(line) if len(line) <= MAX_LINE_BYTES else None
        if match is None:
            self._refuse(f"chunk size: {line[:32]!r}: expected at most 16 hex digits")
        self.left = int(match[1], 16)
        self.extension_bytes += len(match[2])
        if self.extension_bytes > MAX_EXTENSION_BYTES:
            self._refuse(f"chunk extensions: expected at most {MAX_EXTENSION_BYTES} bytes in a body")
        self.place = DATA if self.left else TRAILERS

    def _read_trailers(self, data: bytes, at: int) -> int:
        if data.startswith(b"\r\n", at):
            self.place = ENDED
            return at + 2
        end = data.find(b"\r\n\r\n", at + self.seen)
        if end < 0:
            if len(data) - at >= self.limit_bytes:
                self._refuse_large()
            self._check_part_of_trailers(data, at)
            return at
        if end + 4 - at > self.limit_bytes:
            self._refuse_large()
        block = b"\r\n" + data[at:end]
        self.trailers = trailers = Headers(block)
        self._check_trailers(block, trailers.low)
        for name in _dropped(trailers.low):
            trailers.remove(name)
        self.place = ENDED
        return end + 4

    def _refuse_large(self) -> None:
        self._refuse(f"trailers: expected at most {self.limit_bytes} bytes", "http1.headers_too_large",
                     431 if self.status == 400 else self.status)

    def _check_part_of_trailers(self, data: bytes, at: int) -> None:
        """Refuse a bare LF early, for the end may never come; what was seen before is not looked at again."""
        feed = data.find(b"\n", at + self.seen)
        while feed >= 0:
            if feed == at or data[feed - 1] != 13:
                self._refuse("trailers: expected CRLF, got LF alone")
            feed = data.find(b"\n", feed + 1)
        self.seen = max(0, len(data) - at - 3)

    def _check_trailers(self, block: bytes, low: bytes) -> None:
        if scan_fields(low, False)[0] < 0:
            self._refuse("trailers: expected name: value lines")
        if block.count(b"\r\n") > self.max_fields:
            self._refuse(f"trailers: expected at most {self.max_fields} fields", "http1.too_many_headers",
                         431 if self.status == 400 else self.status)
        match = _refused(low)
        if match:
            self._refuse(f"trailers: {match[1]!r}: expected no field that frames or routes")
