"""Request and response heads as the codecs deliver them and filters change them."""

from meshd.http.headers import Headers


class RequestHead:
    """One request without its body.

    method, target, host: bytes. ``target`` is what is routed on and sent upstream (path and query, normalised),
    ``path`` is ``target`` less the query, ``original_target`` what came on the wire. ``host`` is the authority in
    lower case, with its port where it had one (b"" from an HTTP/1.0 client without Host). ``scheme`` is b"http" or
    b"https". ``version`` is 10, 11 or 20. ``content_length`` is bytes, 0 without a body, -1 when unknown (chunked).
    ``upgrade`` is the lower-case protocol of an Upgrade request, or None. ``expect_continue``: the client waits for
    100. ``keep_alive``: the client wants the connection kept.
    """

    __slots__ = (
        "method", "target", "path", "original_target", "host", "scheme", "version", "headers",
        "content_length", "upgrade", "expect_continue", "keep_alive",
    )

    def __init__(self, method: bytes, target: bytes, host: bytes, version: int, headers: Headers) -> None:
        self.method = method
        self.original_target = target
        self.host = host
        self.scheme = b"http"
        self.version = version
        self.headers = headers
        self.content_length = 0
        self.upgrade = None
        self.expect_continue = False
        self.keep_alive = True
        self.target = target
        mark = target.find(b"?")
        self.path = target if mark < 0 else target[:mark]

    def set_target(self, target: bytes) -> None:
        """Replace path and query; ``target`` is origin-form (or ``*``)."""
        self.target = target
        mark = target.find(b"?")
        self.path = target if mark < 0 else target[:mark]

    @property
    def query(self) -> bytes | None:
        """What follows ``?``, or None where there is none."""
        return None if len(self.path) == len(self.target) else self.target[len(self.path) + 1:]


class ResponseHead:
    """One response without its body.

    ``status`` int, ``reason`` bytes, ``version`` 10, 11 or 20. ``content_length`` is bytes, -1 when unknown (chunked or
    until the connection's end), 0 where there is no body. ``keep_alive``: the upstream connection can be used again.
    ``upgrade`` is the lower-case protocol that a 101 switches to, else None.
    """

    __slots__ = ("status", "reason", "version", "headers", "content_length", "keep_alive", "upgrade")

    def __init__(self, status: int, headers: Headers, reason: bytes = b"", version: int = 11) -> None:
        self.status = status
        self.reason = reason
        self.version = version
        self.headers = headers
        self.content_length = -1
        self.keep_alive = True
        self.upgrade = None
