"""The words of the request tables: what a row is, and how its bytes are put together."""

from typing import NamedTuple


class Request(NamedTuple):
    """A request that must come out: ``body`` less its framing, ``keep_alive`` as the client wants it."""

    method: bytes = b"GET"
    target: bytes = b"/"
    host: bytes = b"a"
    body: bytes = b""
    keep_alive: bool = True


class Case(NamedTuple):
    """``status`` 0: all of ``data`` is taken; else the refusal, after ``requests`` have come out. ``names`` are the
    fields of the last request that must be left, None where it does not matter."""

    name: str
    data: bytes
    status: int
    detail: str
    requests: tuple[Request, ...]
    names: tuple[bytes, ...] | None


CODEC = "http1.codec_error"


def bad(name, data, status=400, detail=CODEC, requests=()):
    return Case(name, data, status, detail, tuple(requests), None)


def good(name, data, *requests, names=None):
    return Case(name, data, 0, "", requests or (Request(),), names)


def line(line: bytes) -> bytes:
    return line + b"\r\nHost: a\r\n\r\n"


def get(*lines: bytes, host: bytes = b"Host: a") -> bytes:
    return b"\r\n".join((b"GET / HTTP/1.1", host, *lines, b"", b""))


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join((b"POST / HTTP/1.1", b"Host: a", *lines, b"", body))


def chunks(body: bytes, *lines: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", *lines, body=body)


POST = Request(b"POST")
HELLO = Request(b"POST", body=b"hello")
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
NEXT_REQUEST = Request(target=b"/next")
REST = b"\r\nhello\r\n0\r\n\r\n"
