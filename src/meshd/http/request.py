"""The server side of HTTP/1.1 (RFC 9112) without I/O: bytes in, requests out; owned by a downstream connection.

Strategy: a head is looked for as a whole and checked in one pass (``meshd.hot.field``). A head whose only steering
field is one Host goes the short way; every other head is looked at field by field. What two implementations could read
differently is refused. Events are given from one loop, and a sink may call ``next`` from within one: the loop goes on,
nothing recurses.

One empty line before a request line is skipped (RFC 9112 2.2), a second one is refused. ``HTTP/1.1`` and ``HTTP/1.0``
are the only versions. An Upgrade counts only in HTTP/1.1, named by Connection, on a request without a body; elsewhere
it is dropped (RFC 9110 7.8 allows that, and a tunnel behind a body is CVE-2026-58055). Expect knows ``100-continue``
alone, else 417.
"""

import re

from meshd.errors import ProtocolError
from meshd.hot.field import (
    CODING, CONNECTION, CONNECTION_TWICE, EXPECT, HOP, HOST, HOST_TWICE, LENGTH, LENGTH_TWICE, UNDERSCORE, request_line,
    scan_fields,
)
from meshd.http import authority, framing, target
from meshd.http.chunk import Chunks
from meshd.http.framing import BODY, DONE, HEAD, IDLE, TUNNEL
from meshd.http.head import RequestHead
from meshd.http.headers import Headers
from meshd.http.parser import CHUNKED, Parser

_HOPS = CONNECTION | CONNECTION_TWICE | HOP

MAX_KEPT_BYTES = 1 << 20  # of requests that wait for their turn; a caller that stops reading meanwhile never comes near

_known_hosts = authority._known
_version = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++ [!-~]++ HTTP/[0-9]\.[0-9]").fullmatch
_part_of_line = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++(?: [!-~]*+(?: [!-~]*+\r?+)?+)?+").fullmatch
_underscored = re.compile(rb"\r\n([^:\r]*_[^:\r]*):").findall


class RequestParser(Parser):
    """Turns one connection's bytes into calls of ``sink``: on_request(head), on_body(data), on_end(trailers or None).

    ``max_head_bytes`` counts the request line, the fields and the empty line. ``underscores``: ``allow`` field names
    with an underscore, ``reject`` the request, or ``drop`` the field. After ``on_end`` nothing is parsed until
    ``next()``; the caller stops reading meanwhile, so what is kept (``buffered`` bytes) is at most what was received in
    one go. Raises ProtocolError with the status to answer; the parser is FAILED from then on and drops what still
    comes.
    """

    __slots__ = ("allow_http_10", "underscores", "_watches", "_is_after_blank", "_last", "_low", "_host")

    def __init__(self, sink, max_head_bytes: int = 61440, max_fields: int = 100, allow_http_10: bool = True,
                 underscores: str = "allow") -> None:
        super().__init__(sink, max_head_bytes, max_fields)
        self.allow_http_10 = allow_http_10
        self.underscores = underscores
        self._watches = underscores != "allow"
        self._is_after_blank = False
        self._last = self._low = self._host = None  # of the last head that went the short way

    def receive(self, data: bytes) -> None:
        """Take what the peer sent."""
        if self._data:
            if len(self._data) - self._at > MAX_KEPT_BYTES:
                self._refuse_pipeline()
            data = self._join(data)
        self._data = data
        if not self._is_running and self.state != DONE:
            self._run()

    def next(self) -> None:
        """Go on with the next request, which may be here already; only after ``on_end``."""
        if self.state == DONE:
            self.state = IDLE
            if self._data and not self._is_running:
                self._run()

    def start_tunnel(self) -> bytes:
        """Return the bytes that wait here; what comes from now on goes to ``on_body`` as it is."""
        kept = self._data[self._at:]
        self._data = b""
        self._at = self._seen = 0
        self.state = TUNNEL
        return kept

    def _end(self, trailers: Headers | None) -> None:
        self.state = DONE
        self.sink.on_end(trailers)

    def _read_head(self) -> bool:
        data, at = self._data, self._at
        end = data.find(b"\r\n\r\n", self._seen)
        if end < 0 or data[at] == 13:
            return self._read_part()
        eol = data.find(b"\r\n", at)
        if end + 4 - at > self.max_head_bytes:
            self._refuse_large(eol)
        code = request_line(data, at, eol)
        if code < 0:
            self._refuse_line(data[at:eol])
        space = code >> 1
        if end + 4 == len(data):
            self._data = b""
            self._at = self._seen = 0
        else:
            self._at = self._seen = end + 4
        self._is_after_blank = False
        fields = data[eol:end]
        # the short ways: HTTP/1.1, a path as the target, not CONNECT
        is_usual = code & 1 and data[space + 1] == 47 and data[at] != 67
        if is_usual and fields == self._last:
            head = RequestHead(data[at:space], data[space + 1:eol - 9], self._host, 11, Headers.pair(fields, self._low))
        else:
            head = self._read_block(data[at:space], data[space + 1:eol - 9], 10 + (code & 1), fields, is_usual)
        self.state = BODY
        self.sink.on_request(head)
        if not self._left and self.state == BODY:
            self._end(None)
        return bool(self._data)

    def _read_block(self, method: bytes, target: bytes, version: int, fields: bytes, is_usual: bool) -> RequestHead:
        """Read the fields; remember those of a head with one known Host and nothing else that steers, since a client
        that keeps its connection repeats them."""
        headers = Headers(fields)
        low = headers.low
        bits, start, stop, length, length_end, named, named_end = scan_fields(low, self._watches)
        head = RequestHead(method, target, low[start:stop], version, headers)
        if not (is_usual and bits == HOST and head.host in _known_hosts and len(low) <= self._uncounted_bytes):
            self._read_fields(head, bits, start, low[length:length_end], named, named_end)
        elif len(fields) <= framing.LAST_BYTES:
            self._last, self._low, self._host = fields, low, head.host
        return head

    def _read_part(self) -> bool:
        """Look at a head that is not whole yet, so that what cannot become one does not wait for a deadline."""
        data, at = self._data, self._at
        size = len(data) - at
        if not size:
            return False
        if data[at] == 13:
            return self._skip_blank(data, at)
        self.state = HEAD
        eol = self._first_line_end(data, at, 400)
        if size >= self.max_head_bytes:
            self._refuse_large(eol)
        if eol < 0 and size <= framing.PART_BYTES and not _part_of_line(data, at):
            raise ProtocolError(f"request line: {data[at:at + 64]!r}: expected METHOD TARGET HTTP/1.1")
        if eol >= 0 and self._seen <= eol and request_line(data, at, eol) < 0:
            self._refuse_line(data[at:eol])
        self._check_feeds(data, eol + 2, 400)
        return False

    def _skip_blank(self, data: bytes, at: int) -> bool:
        if data[at:at + 2] == b"\r" and not self._is_after_blank:
            self.state = HEAD
            return False
        if self._is_after_blank or data[at + 1] != 10:
            raise ProtocolError(f"request line: {data[at:at + 16]!r}: expected a method")
        self._is_after_blank = True
        self.state = IDLE
        self._use(at + 2)
        return bool(self._data)

    def _refuse_large(self, eol: int) -> None:
        if eol < 0 or eol + 2 - self._at > self.max_head_bytes:
            raise ProtocolError(f"request line: expected at most {self.max_head_bytes} bytes", 414,
                                "http1.headers_too_large")
        raise ProtocolError(f"head: expected at most {self.max_head_bytes} bytes", 431, "http1.headers_too_large")

    def _refuse_pipeline(self) -> None:
        self.stop()
        raise ProtocolError(f"pipeline: expected at most {MAX_KEPT_BYTES} bytes ahead of the answer")

    def _refuse_line(self, line: bytes) -> None:
        text = f"request line: {line[:80]!r}: "
        if not _version(line):
            raise ProtocolError(text + "expected METHOD TARGET HTTP/1.1")
        if line[-8:-2] != b"HTTP/1" or line[-1:] not in b"01":
            raise ProtocolError(text + "expected HTTP/1.1 or HTTP/1.0", 505, "http1.unsupported_version")
        raise ProtocolError(text + "expected a target without a fragment", 400, "http1.invalid_url")

    def _read_fields(self, head: RequestHead, bits: int, start: int, length: bytes, named: int, named_end: int) -> None:
        """Check what the short way does not know, in the order of what is worst to get wrong."""
        headers = head.headers
        if bits < 0:
            line = headers.raw[:start].rfind(b"\r\n") + 2
            text = f"field: {headers.raw[line:line + 64]!r}: byte {start - line + 1}"
            raise ProtocolError(f"{text}: expected name: value")
        if len(headers.low) > self._uncounted_bytes and headers.low.count(b"\r\n") > self.max_fields:
            raise ProtocolError(f"head: expected at most {self.max_fields} fields", 431, "http1.too_many_headers")
        if head.version == 10:
            if not self.allow_http_10:
                raise ProtocolError("request line: 'HTTP/1.0': expected HTTP/1.1", 505, "low_version")
            head.keep_alive = False
        if bits & HOST_TWICE or head.host not in _known_hosts:
            target.check_host(head, bits & HOST_TWICE > 0)
        if bits & (LENGTH | CODING):
            self._read_framing(head, bits, length)
        if bits & EXPECT:
            self._read_expect(head)
        if bits & _HOPS:
            keep = framing.strip_connection(headers, named, named_end) if bits & _HOPS == CONNECTION else -1
            if keep < 0:
                self._read_connection(head)
            else:
                head.keep_alive = keep > 0
        if head.target[:1] != b"/" or head.method == b"CONNECT":
            target.read(head)
        if bits & UNDERSCORE:
            self._read_underscores(headers)

    def _read_framing(self, head: RequestHead, bits: int, length: bytes) -> None:
        """Decide where the body ends (RFC 9112 6.3)."""
        headers = head.headers
        if bits & CODING:
            if head.version == 10:
                raise ProtocolError("transfer-encoding: expected none in HTTP/1.0", 400,
                                    "http1.transfer_encoding_not_allowed")
            if bits & LENGTH:
                raise ProtocolError("content-length: expected none beside transfer-encoding", 400,
                                    "http1.content_length_and_chunked_not_allowed")
            framing.check_coding(headers)
            headers.remove(b"transfer-encoding")
            self._chunks = Chunks(400, self.max_head_bytes, self.max_fields)
            self._left = head.content_length = CHUNKED
        else:
            if bits & LENGTH_TWICE:
                raise ProtocolError("content-length: expected one, got more")
            self._left = head.content_length = framing.read_length(length)
        if head.method == b"CONNECT" and head.content_length:
            raise ProtocolError("content-length: expected no body with CONNECT", 400,
                                "http1.content_length_not_allowed")

    def _read_expect(self, head: RequestHead) -> None:
        values = head.headers.get_all(b"expect")
        if len(values) != 1 or values[0].lower() != b"100-continue":
            raise ProtocolError(f"expect: {b', '.join(values)[:64]!r}: expected 100-continue", 417)
        head.expect_continue = head.version > 10 and head.content_length != 0
        if not head.expect_continue:
            head.headers.remove(b"expect")  # nothing to wait for, or a client that cannot (RFC 9110 10.1.1)

    def _read_connection(self, head: RequestHead) -> None:
        headers = head.headers
        named = framing.options(headers)
        if b"close" in named:
            head.keep_alive = False
        elif head.version == 10:
            head.keep_alive = b"keep-alive" in named
        if b"upgrade" in named and head.version > 10 and head.content_length == 0:
            upgrade = headers.joined(b"upgrade")
            head.upgrade = upgrade.lower() if upgrade else None
        if b"trailer" in headers and head.content_length >= 0:
            headers.remove(b"trailer")
        framing.strip(headers, named)

    def _read_underscores(self, headers: Headers) -> None:
        names = _underscored(headers.low)
        if self.underscores == "reject":
            raise ProtocolError(f"field: {names[0]!r}: expected no underscore in a name", 400,
                                "http1.unexpected_underscore")
        for name in names:
            headers.remove(name)
