"""The client side of HTTP/1.1 (RFC 9112) without I/O: bytes in, responses out; owned by an upstream connection.

Strategy: as in ``request``. One response at a time is expected (``expect``); bytes beyond its end were answers that
nobody asked for (response queue poisoning): the response that is whole is still delivered, and the parser is FAILED
before the sink hears of its end, so that the connection is not pooled. Interim answers are passed on, at most eight for
one request. A body that is allowed nowhere (1xx, 204) and framing that contradicts itself are refused with 502.
"""

import re

from meshd.errors import ProtocolError
from meshd.hot import block
from meshd.hot.field import CODING, CONNECTION, CONNECTION_TWICE, HOP, LENGTH, LENGTH_TWICE, scan_fields
from meshd.http import framing
from meshd.http.chunk import Chunks
from meshd.http.framing import BODY, HEAD, IDLE, TUNNEL
from meshd.http.head import ResponseHead
from meshd.http.headers import Headers
from meshd.http.parser import CHUNKED, UNTIL_CLOSE, Parser

MAX_INFORMATIONAL = 8

_HOPS = CONNECTION | CONNECTION_TWICE | HOP
_status_line = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t -~\x80-\xff]*+))?+").fullmatch
_part_of_line = re.compile(rb"HTTP/1\.[01] [1-5][0-9][0-9](?: [\t -~\x80-\xff]*+)?+\r?+").fullmatch
KNOWN_LINES, KNOWN_LINE_BYTES = 256, 64
_known_lines: dict[bytes, tuple[int, bytes, int]] = {}
_SHORTEST = b"HTTP/1.1 200"
_BODILESS = (b"HEAD", b"CONNECT")  # the same head frames other bodies after these


class Truncated(ProtocolError):
    """The upstream ended the connection in the middle of a response."""


class ResponseParser(Parser):
    """Turns an upstream's bytes into calls of ``sink``: on_informational(head), on_response(head), on_body(data),
    on_end(trailers).

    ``max_head_bytes`` counts the status line, the fields and the empty line. A 101, or a 2xx to CONNECT, makes a tunnel
    of the connection: everything after it goes to ``on_body``. Raises ProtocolError (status 502); the parser is FAILED
    then.
    """

    __slots__ = ("_method", "_takes_101", "_is_expected", "_informational", "_last", "_known")

    def __init__(self, sink, max_head_bytes: int = 61440, max_fields: int = 100) -> None:
        super().__init__(sink, max_head_bytes, max_fields)
        self._method = b"GET"
        self._takes_101 = True
        self._is_expected = False
        self._informational = 0
        self._last = None
        self._known = None

    def expect(self, method: bytes, is_upgrade: bool = True) -> None:
        """A request with ``method`` was sent; its response may come. Without ``is_upgrade`` a 101 is refused."""
        if self._is_expected or self.state != IDLE:
            raise ProtocolError("response: expected one request at a time", 502)
        self._method = method
        self._takes_101 = is_upgrade
        self._is_expected = True
        self._informational = 0

    def receive(self, data: bytes) -> None:
        """Take what the upstream sent."""
        if self._data:
            data = self._join(data)
        self._data = data
        if not self._is_running:
            self._run()

    def eof(self) -> None:
        """The upstream sends no more: this ends a body that lasts until then; raises Truncated inside any other
        response."""
        if self.state == BODY and self._left == UNTIL_CLOSE:
            self._end(None)
        elif self.state == HEAD or self.state == BODY:
            self.stop()
            raise Truncated("response: expected the rest of it, got the end of the connection", 502)

    def _end(self, trailers: Headers | None) -> None:
        self._is_expected = False
        if not self._data:
            self.state = IDLE
            self.sink.on_end(trailers)
            return
        extra = self._data[self._at:self._at + 32]
        self.stop()
        self.sink.on_end(trailers)
        raise ProtocolError(f"response: {extra!r}: expected nothing after its end", 502)

    def _read_head(self) -> bool:
        data, at = self._data, self._at
        if at >= len(data):
            return False
        if not self._is_expected:
            raise ProtocolError(f"response: {data[at:at + 32]!r}: expected nothing, no request is waiting", 502)
        end = data.find(b"\r\n\r\n", self._seen)
        if end < 0:
            return self._read_part(data, at)
        if end + 4 - at > self.max_head_bytes:
            self._refuse_large()
        whole = data[at:end]
        if whole == self._last and self._method not in _BODILESS:
            return self._read_again(end)
        eol = data.find(b"\r\n", at)
        known = _known_lines.get(data[at:eol])
        if known is None:
            known = self._read_line(data, at, eol)
        headers = Headers(data[eol:end])
        head = ResponseHead(known[0], headers, known[1], known[2])
        self._use(end + 4)
        self._read_fields(head, scan_fields(headers.low, False))
        is_framed = self._left >= 0 and head.status >= 200 and self._method not in _BODILESS
        if is_framed and len(whole) <= framing.LAST_BYTES:
            self._last = whole
            self._known = (*known, headers.raw, headers.low, head.content_length, head.keep_alive)
        return self._deliver(head)

    def _read_again(self, end: int) -> bool:
        """The same head as the last one, as an upstream gives in a second to many requests: nothing to be read."""
        status, reason, version, raw, low, length, keep_alive = self._known
        head = ResponseHead(status, Headers.pair(raw, low), reason, version)
        self._left = head.content_length = length
        head.keep_alive = keep_alive
        self._use(end + 4)
        return self._deliver(head)

    def _read_line(self, data: bytes, at: int, eol: int) -> tuple[int, bytes, int]:
        """Return (status, reason, version) of a status line, and remember it: an upstream has few."""
        line = _status_line(data, at, eol)
        if line is None:
            self._refuse_line(data, at)
        known = int(line[2]), line[3] or b"", 11 if line[1] == b"1" else 10
        if len(_known_lines) < KNOWN_LINES and eol - at < KNOWN_LINE_BYTES:
            _known_lines[data[at:eol]] = known
        return known

    def _deliver(self, head: ResponseHead) -> bool:
        status = head.status
        if status < 200 and status != 101:
            return self._deliver_informational(head)
        if status == 101 or self._method == b"CONNECT" and 200 <= status < 300:
            self.state = TUNNEL
        else:
            self.state = BODY
        self.sink.on_response(head)
        if not self._left and self.state == BODY:
            self._end(None)
        return bool(self._data)

    def _deliver_informational(self, head: ResponseHead) -> bool:
        self._informational += 1
        if self._informational > MAX_INFORMATIONAL:
            raise ProtocolError(f"response: expected at most {MAX_INFORMATIONAL} interim ones", 502)
        self.state = IDLE
        self.sink.on_informational(head)
        return bool(self._data)

    def _read_part(self, data: bytes, at: int) -> bool:
        self.state = HEAD
        if len(data) - at >= self.max_head_bytes:
            self._refuse_large()
        eol = self._first_line_end(data, at, 502)
        if eol < 0:
            if len(data) - at <= framing.PART_BYTES:
                self._check_part_of_line(data, at)
        elif self._seen <= eol and not _status_line(data, at, eol):
            self._refuse_line(data, at)
        self._check_feeds(data, max(eol + 2, at), 502)
        return False

    def _check_part_of_line(self, data: bytes, at: int) -> None:
        size = len(data) - at
        if size >= len(_SHORTEST):
            if not _part_of_line(data, at):
                self._refuse_line(data, at)
        elif not _part_of_line(data[at:] + _SHORTEST[size:]):
            self._refuse_line(data, at)

    def _refuse_line(self, data: bytes, at: int) -> None:
        line = data[at:at + 64].split(b"\r\n")[0]
        raise ProtocolError(f"status line: {line!r}: expected HTTP/1.1 and a status of three digits, 100 to 599", 502)

    def _refuse_large(self) -> None:
        raise ProtocolError(f"response: head: expected at most {self.max_head_bytes} bytes", 502,
                            "http1.headers_too_large")

    def _read_fields(self, head: ResponseHead, fields: tuple) -> None:
        headers = head.headers
        bits, start, _, length, length_end, named, named_end = fields
        if bits < 0:
            line = headers.raw[:start].rfind(b"\r\n") + 2
            raise ProtocolError(f"response: field: {headers.raw[line:line + 64]!r}: expected name: value", 502)
        if len(headers.low) > self._uncounted_bytes and headers.low.count(b"\r\n") > self.max_fields:
            raise ProtocolError(f"response: head: expected at most {self.max_fields} fields", 502,
                                "http1.too_many_headers")
        if head.version == 10:
            head.keep_alive = False
        if bits & (LENGTH_TWICE | CODING):
            self._read_coding(head, bits)
        elif bits & LENGTH:
            size = block.number(headers.low, length, length_end)
            if size < 0:
                framing.read_length(headers.low[length:length_end], 502)
            self._left = head.content_length = size
        else:
            self._left = UNTIL_CLOSE
        if bits & _HOPS:
            keep = framing.strip_connection(headers, named, named_end) if bits & _HOPS == CONNECTION else -1
            if keep < 0:
                self._read_connection(head)
            else:
                head.keep_alive = keep > 0
        if head.status < 200 or head.status in (204, 304) or self._method == b"HEAD" or self._method == b"CONNECT":
            self._read_bodiless(head, bits)
        if self._left == UNTIL_CLOSE:
            head.keep_alive = False

    def _read_coding(self, head: ResponseHead, bits: int) -> None:
        if bits & LENGTH_TWICE:
            raise ProtocolError("response: content-length: expected one, got more", 502)
        if bits & LENGTH:
            raise ProtocolError("response: content-length: expected none beside transfer-encoding", 502,
                                "http1.content_length_and_chunked_not_allowed")
        if head.version == 10:
            raise ProtocolError("response: transfer-encoding: expected none in HTTP/1.0", 502,
                                "http1.transfer_encoding_not_allowed")
        framing.check_coding(head.headers, 502, 502)
        head.headers.remove(b"transfer-encoding")
        self._chunks = Chunks(502, self.max_head_bytes, self.max_fields)
        self._left = CHUNKED

    def _read_connection(self, head: ResponseHead) -> None:
        headers = head.headers
        named = framing.options(headers, 502)
        if b"close" in named:
            head.keep_alive = False
        elif head.version == 10:
            head.keep_alive = b"keep-alive" in named
        if head.status == 101:
            upgrade = headers.joined(b"upgrade")
            head.upgrade = upgrade.lower() if upgrade else None
        if b"trailer" in headers and self._left != CHUNKED:
            headers.remove(b"trailer")
        framing.strip(headers, named)

    def _read_bodiless(self, head: ResponseHead, bits: int) -> None:
        """RFC 9110 6.4.1 and 8.6: no body after HEAD, 1xx, 204 and 304, whatever the fields say; 1xx and 204 may not
        say it."""
        status = head.status
        is_tunnel = status == 101 or self._method == b"CONNECT" and 200 <= status < 300
        if status < 200 or status == 204 or is_tunnel:
            self._refuse_body(head, bits)
        elif status != 304 and self._method != b"HEAD":
            return
        if status == 101 and (not self._takes_101 or not head.upgrade):
            raise ProtocolError("response: 101: expected no switch of protocols", 502)
        self._left = head.content_length = 0
        self._chunks = None

    def _refuse_body(self, head: ResponseHead, bits: int) -> None:
        if bits & CODING:
            raise ProtocolError(f"response: {head.status}: expected no transfer-encoding", 502,
                                "http1.transfer_encoding_not_allowed")
        if bits & LENGTH:
            if head.content_length > 0:
                raise ProtocolError(f"response: {head.status}: expected no content-length", 502,
                                    "http1.content_length_not_allowed")
            head.headers.remove(b"content-length")
