"""The server side of HTTP/1.1 (RFC 9112) without I/O: bytes in, one request at a time out; owned by a downstream connection.

Strategy: a head is looked for as a whole and checked in one pass (``meshd.hot.field``). A head whose only steering field is
one Host goes the short way; every other head is looked at field by field. What two implementations could read differently
is refused. Events are given from one loop, and a sink may call ``next`` from within one: the loop goes on, nothing recurses.

One empty line before a request line is skipped (RFC 9112 2.2), a second one is refused. ``HTTP/1.1`` and ``HTTP/1.0`` are the
only versions. An Upgrade counts only in HTTP/1.1, named by Connection, on a request without a body; elsewhere it is dropped
(RFC 9110 7.8 allows that, and a tunnel behind a body is CVE-2026-58055). Expect knows ``100-continue`` alone, else 417.
"""

import re

from meshd.errors import ProtocolError
from meshd.hot.field import (
    CODING, CONNECTION, CONNECTION_TWICE, EXPECT, HOP, HOST, HOST_TWICE, LENGTH, LENGTH_TWICE, UNDERSCORE, request_line,
    scan_fields,
)
from meshd.http import authority, framing
from meshd.http.chunk import ENDED, Chunks
from meshd.http.framing import BODY, DONE, FAILED, HEAD, IDLE, TUNNEL
from meshd.http.head import RequestHead
from meshd.http.headers import Headers

_HOPS = CONNECTION | CONNECTION_TWICE | HOP

MAX_KEPT_BYTES = 1 << 20  # of requests that wait for their turn; a caller that stops reading meanwhile never comes near

_known_hosts = authority._known
_absolute = re.compile(rb"([A-Za-z][A-Za-z0-9+.\-]*+)://([^/?]*+)(.*+)").fullmatch
_version = re.compile(rb"[!-~]++ [!-~]++ HTTP/[0-9]\.[0-9]").fullmatch
_part_of_line = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++(?: [!-~]*+(?: [!-~]*+\r?+)?+)?+").fullmatch
_underscored = re.compile(rb"\r\n([^:\r]*_[^:\r]*):").findall


class RequestParser:
    """Turns one connection's bytes into calls of ``sink``: on_request(head), on_body(data), on_end(trailers or None).

    ``max_head_bytes`` counts the request line, the fields and the empty line. ``underscores``: ``allow`` field names with an
    underscore, ``reject`` the request, or ``drop`` the field. After ``on_end`` nothing is parsed until ``next()``; the caller
    stops reading meanwhile, so what is kept (``buffered`` bytes) is at most what was received in one go.
    Raises ProtocolError with the status to answer; the parser is FAILED from then on and drops what still comes.
    """

    __slots__ = ("sink", "state", "max_head_bytes", "max_fields", "allow_http_10", "underscores", "_watches", "_data", "_at",
                 "_seen", "_left", "_chunks", "_uncounted_bytes", "_is_running", "_is_after_blank", "__weakref__")

    def __init__(self, sink, max_head_bytes: int = 61440, max_fields: int = 100, allow_http_10: bool = True,
                 underscores: str = "allow") -> None:
        self.sink = sink
        self.state = IDLE
        self.max_head_bytes = max_head_bytes
        self.max_fields = max_fields
        self.allow_http_10 = allow_http_10
        self.underscores = underscores
        self._watches = underscores != "allow"
        self._uncounted_bytes = 4 * max_fields  # a line has at least four bytes, so a shorter block needs no count
        self._data = b""
        self._at = 0  # what lies before it has been used
        self._seen = 0  # no head ends before it
        self._left = 0  # of a body of known length
        self._chunks = None
        self._is_running = False
        self._is_after_blank = False

    @property
    def buffered(self) -> int:
        """How many received bytes wait here."""
        return len(self._data) - self._at

    def receive(self, data: bytes) -> None:
        """Take what the peer sent."""
        if self._data:
            if len(self._data) - self._at > MAX_KEPT_BYTES:
                self._refuse_pipeline()
            data = self._data[self._at:] + data
            self._seen -= self._at
            self._at = 0
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

    def stop(self) -> None:
        """Parse nothing more and drop what waits here: for a connection that is about to be closed."""
        self.state = FAILED
        self._data = b""
        self._at = self._seen = 0

    def _run(self) -> None:
        self._is_running = True
        try:
            while self._step():
                pass
        except ProtocolError:
            self.stop()
            raise
        finally:
            self._is_running = False

    def _step(self) -> bool:
        """Give the events of one head or one piece of body; say whether there may be more to do."""
        state = self.state
        if state <= HEAD:
            return self._read_head()
        if state == BODY:
            return self._read_chunks() if self._left < 0 else self._read_body()
        if state == TUNNEL:
            return self._pass_on()
        if state == FAILED:
            self.stop()
        return False

    def _pass_on(self) -> bool:
        data = self._data[self._at:]
        self._data = b""
        self._at = 0
        if data:
            self.sink.on_body(data)
        return bool(self._data)

    def _read_body(self) -> bool:
        data, at, left = self._data, self._at, self._left
        size = len(data) - at
        if size <= 0:
            return False
        if size <= left:
            self._data = b""
            self._at = self._seen = 0
            piece = data[at:] if at else data
        else:
            self._at = self._seen = at + left
            piece = data[at:self._at]
        self._left = left = left - len(piece)
        self.sink.on_body(piece)
        if not left and self.state == BODY:
            self._end(None)
        return True

    def _read_chunks(self) -> bool:
        pieces = []
        chunks = self._chunks
        at = chunks.feed(self._data, self._at, pieces)
        self._keep_from(at)
        if pieces:
            self.sink.on_body(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if chunks.place == ENDED and self.state == BODY:
            self._chunks = None
            self._left = 0
            self._end(chunks.trailers)
            return True
        return False

    def _keep_from(self, at: int) -> None:
        if at >= len(self._data):
            self._data = b""
            at = 0
        self._at = self._seen = at

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
        headers = Headers(data[eol:end])
        low = headers.low
        bits, start, stop, length, length_end, named, named_end = scan_fields(low, self._watches)
        if end + 4 == len(data):
            self._data = b""
            self._at = self._seen = 0
        else:
            self._at = self._seen = end + 4
        self._is_after_blank = False
        head = RequestHead(data[at:space], data[space + 1:eol - 9], low[start:stop], 10 + (code & 1), headers)
        # the short way: one known Host, nothing else that steers, HTTP/1.1, a path as the target, a method other than CONNECT
        if not (bits == HOST and head.host in _known_hosts and code & 1 and data[space + 1] == 47 and data[at] != 67
                and len(low) <= self._uncounted_bytes):
            self._read_fields(head, bits, start, low[length:length_end], named, named_end)
        self.state = BODY
        self.sink.on_request(head)
        if not self._left and self.state == BODY:
            self._end(None)
        return True

    def _read_part(self) -> bool:
        """Look at a head that is not whole yet, so that what cannot become one does not wait for a deadline."""
        data, at = self._data, self._at
        size = len(data) - at
        if not size:
            return False
        if data[at] == 13:
            return self._skip_blank(data, at)
        self.state = HEAD
        eol = data.find(b"\r\n", at, at + self.max_head_bytes)
        if size >= self.max_head_bytes:
            self._refuse_large(eol)
        if eol < 0 and not _part_of_line(data, at):
            raise ProtocolError(f"request line: {data[at:at + 64]!r}: expected METHOD TARGET HTTP/1.1")
        if eol >= 0 and self._seen <= eol and request_line(data, at, eol) < 0:
            self._refuse_line(data[at:eol])
        feed = data.find(b"\n", max(self._seen, eol + 2))
        while feed >= 0:
            if data[feed - 1] != 13:
                raise ProtocolError(f"head: {data[at:feed][-32:]!r}: expected CRLF, got LF alone")
            feed = data.find(b"\n", feed + 1)
        self._seen = max(at, len(data) - 3)
        return False

    def _skip_blank(self, data: bytes, at: int) -> bool:
        if data[at:at + 2] == b"\r" and not self._is_after_blank:
            self.state = HEAD
            return False
        if self._is_after_blank or data[at + 1] != 10:
            raise ProtocolError(f"request line: {data[at:at + 16]!r}: expected a method")
        self._is_after_blank = True
        self.state = IDLE
        self._keep_from(at + 2)
        return True

    def _refuse_large(self, eol: int) -> None:
        if eol < 0 or eol + 2 - self._at > self.max_head_bytes:
            raise ProtocolError(f"request line: expected at most {self.max_head_bytes} bytes", 414, "http1.headers_too_large")
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
        if b"#" in line.split(b" ")[1]:
            raise ProtocolError(text + "expected a target without a fragment", 400, "http1.invalid_url")
        raise ProtocolError(text + "expected a method that is a token")

    def _read_fields(self, head: RequestHead, bits: int, start: int, length: bytes, named: int, named_end: int) -> None:
        """Check what the short way does not know, in the order of what is worst to get wrong."""
        headers = head.headers
        if bits < 0:
            line = headers.raw[:start].rfind(b"\r\n") + 2
            raise ProtocolError(f"field: {headers.raw[line:line + 64]!r}: byte {start - line + 1}: expected name: value")
        if len(headers.low) > self._uncounted_bytes and headers.low.count(b"\r\n") > self.max_fields:
            raise ProtocolError(f"head: expected at most {self.max_fields} fields", 431, "http1.too_many_headers")
        if head.version == 10:
            if not self.allow_http_10:
                raise ProtocolError("request line: 'HTTP/1.0': expected HTTP/1.1", 505, "low_version")
            head.keep_alive = False
        if bits & HOST_TWICE or head.host not in _known_hosts:
            self._check_host(head, bits)
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
            self._read_target(head)
        if bits & UNDERSCORE:
            self._read_underscores(headers)

    def _check_host(self, head: RequestHead, bits: int) -> None:
        if bits & HOST_TWICE:
            raise ProtocolError("host: expected one, got more", 400, "http1.codec_error")
        if head.host:
            authority.split(head.host)
        elif head.version > 10:
            raise ProtocolError("host: expected one, got none", 400, "missing_host_header")

    def _read_framing(self, head: RequestHead, bits: int, length: bytes) -> None:
        """Decide where the body ends (RFC 9112 6.3)."""
        headers = head.headers
        if bits & CODING:
            if head.version == 10:
                raise ProtocolError("transfer-encoding: expected none in HTTP/1.0", 400, "http1.transfer_encoding_not_allowed")
            if bits & LENGTH:
                raise ProtocolError("content-length: expected none beside transfer-encoding", 400,
                                    "http1.content_length_and_chunked_not_allowed")
            framing.check_coding(headers)
            headers.remove(b"transfer-encoding")
            self._chunks = Chunks(400, self.max_head_bytes, self.max_fields)
            self._left = head.content_length = -1
        else:
            if bits & LENGTH_TWICE:
                raise ProtocolError("content-length: expected one, got more")
            self._left = head.content_length = framing.read_length(length)
        if head.method == b"CONNECT" and head.content_length:
            raise ProtocolError("content-length: expected no body with CONNECT", 400, "http1.content_length_not_allowed")

    def _read_target(self, head: RequestHead) -> None:
        """Bring the other three forms of RFC 9112 3.2 to origin-form, or refuse them."""
        target = head.target
        if head.method == b"CONNECT":
            if authority.split(target.lower())[1] is None:
                raise ProtocolError(f"target: {target[:80]!r}: expected host:port with CONNECT", 400, "http1.invalid_url")
            return
        if target == b"*" and head.method == b"OPTIONS":
            return
        match = _absolute(target)
        if match is None or not match[2]:
            raise ProtocolError(f"target: {target[:80]!r}: expected a path or a URL", 400, "http1.invalid_url")
        if match[1].lower() not in (b"http", b"https"):
            raise ProtocolError(f"target: {match[1][:32]!r}: expected http or https", 400, "http1.invalid_scheme")
        self._take_authority(head, match[2].lower(), match[3])

    def _take_authority(self, head: RequestHead, host: bytes, rest: bytes) -> None:
        """The target's authority wins over the Host line, which is replaced (RFC 9112 3.2.2)."""
        authority.split(host)
        head.host = host
        head.headers.set(b"host", host)
        if not rest and head.method == b"OPTIONS":
            head.set_target(b"*")  # RFC 9112 3.2.4
        else:
            head.set_target(rest if rest[:1] == b"/" else b"/" + rest)

    def _read_expect(self, head: RequestHead) -> None:
        values = head.headers.get_all(b"expect")
        if len(values) != 1 or values[0].lower() != b"100-continue":
            raise ProtocolError(f"expect: {b', '.join(values)[:64]!r}: expected 100-continue", 417)
        head.expect_continue = head.version > 10 and head.content_length != 0

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
            raise ProtocolError(f"field: {names[0]!r}: expected no underscore in a name", 400, "http1.unexpected_underscore")
        for name in names:
            headers.remove(name)
