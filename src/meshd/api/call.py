"""What a plugin asks of a cluster and what it gets: the arguments and the result of ``site.call``."""

import re
from collections.abc import Callable

import attrs

from meshd.http import grpc
from meshd.http.headers import Headers

Pairs = tuple[tuple[bytes, bytes], ...]

_METHOD = re.compile(rb"[A-Z]{1,32}")
_TARGET = re.compile(rb"/[\x21-\x7e]*")
_HOST = re.compile(rb"[\x21-\x7e]*")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_OURS = frozenset((b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect"))


@attrs.frozen(kw_only=True)
class CallRequest:
    """One request to a cluster; raises ValueError on what could not stand in a head.

    method, target (path and query), host, headers and body are bytes. ``host`` is the endpoint's address where empty;
    ``headers`` are (name, value) pairs without those that frame or route. ``timeout_s`` bounds the wait for the whole
    answer, or for its head where there is ``on_data``; ``idle_s`` then bounds the silence between two pieces (0: none).
    ``limit_bytes`` bounds the body that is kept. ``on_data(data)`` gets the body of a 2xx answer as it comes, without a
    bound and without back-pressure: whoever cuts it into lines bounds them. ``is_repeatable`` says that the request may
    be sent once more where an idle connection turns out to be closed; None: what RFC 9110 9.2.2 says of the method.
    """

    method: bytes = b"GET"
    target: bytes = b"/"
    host: bytes = b""
    headers: Pairs = attrs.field(default=(), repr=False)  # credentials
    body: bytes = attrs.field(default=b"", repr=False)
    timeout_s: float = 5.0
    idle_s: float = 0.0
    limit_bytes: int = 2**20
    on_data: Callable[[bytes], object] | None = None
    is_repeatable: bool | None = None

    def __attrs_post_init__(self) -> None:
        for name, pattern, expected in (
            ("method", _METHOD, "a method"), ("target", _TARGET, "a path and query"), ("host", _HOST, "an authority"),
        ):
            value = getattr(self, name)
            if not isinstance(value, bytes) or not pattern.fullmatch(value):
                raise ValueError(f"{name}: {value!r:.80}: expected {expected}, as bytes")
        for name, value in self.headers:
            if not _NAME.fullmatch(name) or name.lower() in _OURS or name.lower() == b"te" and value != b"trailers":
                raise ValueError(f"headers: {name!r:.80}: expected a field that neither frames nor routes")
        Headers.of(*self.headers)
        if not self.timeout_s > 0:
            raise ValueError(f"timeout_s: {self.timeout_s!r}: expected more than 0")


@attrs.frozen
class CallAnswer:
    """The answer to a call, whatever its status; ``body`` is b"" where ``on_data`` had it. Redirects are not followed.

    ``trailers`` are Headers, or None where there were none.
    """

    status: int
    headers: Headers
    body: bytes = b""
    trailers: Headers | None = None


def grpc_call(
    method: bytes, message: bytes, *, authority: bytes = b"", timeout_s: float = 5.0, fields: Pairs = (),
) -> CallRequest:
    """Return the CallRequest of a unary gRPC call of ``method`` (``/package.Service/Method``); the service is told the
    time that it has. The cluster must speak HTTP/2. ``fields`` are more of the head.
    """
    headers = ((b"te", b"trailers"), (b"content-type", grpc.CONTENT_TYPE),
               (grpc.TIMEOUT, grpc.timeout_text(max(timeout_s, 0.001))), *fields)
    return CallRequest(method=b"POST", target=method, host=authority, headers=headers, body=grpc.frame(message),
                       timeout_s=timeout_s, is_repeatable=True)


def grpc_message(answer: CallAnswer) -> bytes:
    """Return the message of the answer to a ``grpc_call``; raises ValueError, which says why, where there is none."""
    status = grpc.status_of(answer, answer.trailers)
    if status:
        source = answer.trailers if answer.trailers is not None and grpc.STATUS in answer.trailers else answer.headers
        text = (source.get(grpc.MESSAGE) or b"").decode("ascii", "replace")
        name = grpc.NAMES[status] if status > 0 else "that is none"
        raise ValueError(f"gRPC status {name}" + (f": {text:.200}" if text else f" (HTTP status {answer.status})"))
    found = grpc.messages_of(answer.body)
    if len(found) != 1:
        raise ValueError(f"expected one message, got {len(found)}")
    return found[0]
