"""Heads and chunks as bytes; called by the downstream and upstream connections, once for each message.

Strategy: the field block goes out as it is kept, so a head is one join of ready pieces. Start lines are made once for
each status. Callers have had hop-by-hop fields taken out by the parsers; those of the next hop are added here.
"""

from http import HTTPStatus

from meshd.http.head import RequestHead, ResponseHead
from meshd.http.headers import Headers

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_REASONS.update({413: b"Content Too Large", 414: b"URI Too Long", 416: b"Range Not Satisfiable",  # RFC 9110 15
                 418: b"I'm a teapot", 422: b"Unprocessable Content"})
_LINES = {status: b"HTTP/1.1 %d %s" % (status, _REASONS.get(status, b"Unknown")) for status in range(100, 600)}

_CHUNKED = b"\r\ntransfer-encoding: chunked\r\n\r\n"
_CLOSE = b"\r\nconnection: close\r\n\r\n"
_KEEP_ALIVE = b"\r\nconnection: keep-alive\r\n\r\n"
_END = b"\r\n\r\n"


def reason(status: int) -> bytes:
    """Return the reason phrase of ``status`` (RFC 9110 15), ``Unknown`` where there is none."""
    return _REASONS.get(status, b"Unknown")


def request_head(head: RequestHead, is_upgrade: bool = False) -> bytes:
    """Return a request's head for an HTTP/1.1 upstream; ``is_upgrade`` passes ``head.upgrade`` on."""
    end = _END
    if head.content_length < 0:
        end = _CHUNKED
    if is_upgrade and head.upgrade and head.method != b"CONNECT":
        end = b"\r\nconnection: upgrade\r\nupgrade: %b%b" % (head.upgrade, end)
    elif head.headers.low.find(b"\r\nte:") >= 0:
        end = b"\r\nconnection: te" + end  # RFC 9110 10.1.4
    return b"".join((head.method, b" ", head.target, b" HTTP/1.1", head.headers.raw, end))


def response_head(head: ResponseHead, version: int = 11, keep_alive: bool = True,
                  method: bytes = b"GET") -> tuple[bytes, bool, bool]:
    """Return (head, body is sent in chunks, connection closes after it) for a client that speaks ``version``.

    An unknown length becomes chunks for HTTP/1.1 and the connection's end for HTTP/1.0 (RFC 9112 6.3).
    """
    status = head.status
    if head.content_length >= 0 or status < 200 or status == 204 or status == 304 or method == b"HEAD":
        end, is_chunked = _END, False
    elif version > 10:
        end, is_chunked = _CHUNKED, True
    else:
        end, is_chunked, keep_alive = _END, False, False
    if version > 10:
        if not keep_alive and status >= 200:
            end = b"\r\nconnection: close" + end
        elif status == 101:
            end = b"\r\nconnection: upgrade\r\nupgrade: %b\r\n\r\n" % (head.upgrade or b"websocket")
    elif status >= 200:
        end = _KEEP_ALIVE if keep_alive else _CLOSE
    reason = head.reason
    line = _LINES.get(status)
    if line is None or reason and reason != _REASONS.get(status):
        line = b"HTTP/1.1 %d %b" % (status, reason)
    return line + head.headers.raw + end, is_chunked, not keep_alive


def chunk(data: bytes) -> bytes:
    """Return ``data``, which is not empty, as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Headers | None = None) -> bytes:
    """Return the end of a chunked body."""
    if trailers is None:
        return b"0\r\n\r\n"
    return b"0%b\r\n\r\n" % trailers.raw
