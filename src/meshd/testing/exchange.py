"""A FakeExchange: the IExchange surface without sockets, for unit tests of filters, balancers, policies and telemetry.

    exchange = FakeExchange(b"GET", b"/a?b=c", [(b"accept", b"text/html")])
    assert exchange.request_phase(filter) is CONTINUE
    exchange.respond(200, [(b"content-type", b"text/html")], content_length=5)
    exchange.response_phase(filter)
    body = exchange.response_body(b"he", b"llo")
"""

import inspect
from typing import Any

import attrs
from twisted.internet import defer
from zope.interface import implementer

from meshd.api import Headers, IExchange, RequestHead, ResponseHead

_DEFAULTS: dict[str, Any] = {
    "response": None, "route": None, "cluster": None, "endpoint": None, "tried": (), "attempts": 0, "identity": None,
    "flags": 0, "detail": "", "failure": "", "peer": "192.0.2.1:40000", "client": "192.0.2.1",
    "local": "192.0.2.254:80", "upstream_local": "", "listener": "test", "connection_id": 1, "stream_id": 1,
    "started": 0.0, "request_ended": 0.0, "upstream_began": 0.0, "response_began": 0.0, "ended": 0.0,
    "request_bytes": 0, "response_bytes": 0, "is_local_reply": False, "wanted": None, "trailers": None,
    "folds_trailers": False, "security": None, "upstream_security": None,
}


@attrs.frozen(kw_only=True)
class Reply:
    """One call of ``exchange.reply``; ``headers`` is a tuple of (name, value)."""

    status: int
    body: bytes
    headers: tuple
    flag: int
    detail: str
    content_type: bytes

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of ``name`` (lower case), or None."""
        return next((value for key, value in self.headers if key.lower() == name), None)


def answer_of(result: Any) -> Any:
    """Return what a filter's answer comes to; a Deferred or coroutine must be done (AssertionError otherwise)."""
    if inspect.iscoroutine(result):
        result = defer.ensureDeferred(result)
    if not isinstance(result, defer.Deferred):
        return result
    box: list = []
    result.addBoth(box.append)
    assert box, "the answer is still awaited"
    if hasattr(box[0], "raiseException"):
        box[0].raiseException()
    return box[0]


def request_head(
    method: bytes = b"GET", target: bytes = b"/", headers: Any = (), host: bytes = b"example.com", version: int = 11
) -> RequestHead:
    """Make a RequestHead as the codec would: Host is the first line, framing fields are read from ``headers``."""
    pairs = ((b"host", host),) if host else ()
    head = RequestHead(method, target, host.lower(), version, Headers.of(*pairs, *headers))
    length = head.headers.get(b"content-length")
    head.content_length = int(length) if length else (-1 if b"transfer-encoding" in head.headers else 0)
    upgrade = head.headers.get(b"upgrade")
    head.upgrade = upgrade.lower() if upgrade else None
    head.expect_continue = (head.headers.get(b"expect") or b"").lower() == b"100-continue"
    return head


@implementer(IExchange)
class FakeExchange:
    """One request; keyword arguments set any attribute of IExchange. ``replies`` records the local replies,
    ``added`` the fields that were added to the upstream's answer.
    """

    def __init__(
        self, method: bytes = b"GET", target: bytes = b"/", headers: Any = (), *, request: RequestHead | None = None,
        **attributes: Any,
    ) -> None:
        vars(self).update(_DEFAULTS)
        self.request = request or request_head(method, target, headers)
        self.metadata: dict = {}
        self.replies: list[Reply] = []
        self.added: list[tuple[bytes, bytes]] = []
        self.plan = None
        self.routes_cleared = 0
        self.phase = ""
        self.request_transforms: list = []
        self.response_transforms: list = []
        self.body = b""
        vars(self).update(attributes)

    # what a filter calls

    def reply(
        self, status: int, body: bytes = b"", headers: Any = (), flag: int = 0, detail: str = "",
        content_type: bytes = b"text/plain",
    ) -> None:
        """Record the reply and make it the response."""
        pairs = tuple(headers)
        self.replies.append(
            Reply(status=status, body=body, headers=pairs, flag=flag, detail=detail, content_type=content_type)
        )
        typed = ((b"content-type", content_type),) if body else ()
        length = (b"content-length", b"%d" % len(body))
        self.response = ResponseHead(status, Headers.of(length, *typed, *pairs))
        self.response.content_length = len(body)
        self.flags |= flag
        self.detail = detail
        self.is_local_reply = True

    def forward(self, plan: Any) -> None:
        """Keep the plan."""
        self.plan = plan

    def add_response_header(self, name: bytes, value: bytes) -> None:
        """Keep the field; ``respond`` puts it on the answer."""
        self.added.append((name, value))

    def clear_route(self) -> None:
        """Count it and forget the route."""
        self.route = None
        self.routes_cleared += 1

    def transform_request(self, transform: Any) -> None:
        """Keep the transform; refused outside ``on_request``."""
        assert self.phase in ("", "request"), "transform_request is for on_request only"
        self.request_transforms.append(transform)

    def transform_response(self, transform: Any) -> None:
        """Keep the transform; refused outside ``on_response``."""
        assert self.phase in ("", "response"), "transform_response is for on_response only"
        self.response_transforms.append(transform)

    def read_body(self, limit: int) -> defer.Deferred:
        """Return a fired Deferred of ``body``, or of None where it is longer than ``limit``."""
        return defer.succeed(self.body if len(self.body) <= limit else None)

    def gather_response(self, limit: int) -> defer.Deferred:
        """Return the Deferred that the test fires as ``gathered``."""
        assert self.phase in ("", "response"), "gather_response is for on_response only"
        self.gathered: defer.Deferred = defer.Deferred()
        return self.gathered

    # what a test calls

    def request_phase(self, filter: Any) -> Any:
        """Run ``filter.on_request`` and return its verdict (Deferreds and coroutines must be done)."""
        self.phase = "request"
        return answer_of(filter.on_request(self))

    def respond(self, status: int = 200, headers: Any = (), content_length: int | None = None) -> ResponseHead:
        """Let the upstream answer: a head with ``headers``, and content-length where it is known."""
        pairs = [*headers, *self.added]
        if content_length is not None:
            pairs.append((b"content-length", b"%d" % content_length))
        self.response = ResponseHead(status, Headers.of(*pairs))
        self.response.content_length = -1 if content_length is None else content_length
        self.detail = "via_upstream"
        return self.response

    def response_phase(self, filter: Any) -> None:
        """Run ``filter.on_response``, which must answer None."""
        self.phase = "response"
        assert filter.on_response(self) is None

    def complete(self, filter: Any) -> None:
        """Run ``filter.on_complete``, which must answer None."""
        self.phase = "complete"
        assert filter.on_complete(self) is None

    def request_body(self, *chunks: bytes) -> list[bytes]:
        """Pass chunks through the request transforms, the last with is_end; stops after a reply."""
        return self._flow(self.request_transforms, chunks)

    def response_body(self, *chunks: bytes) -> list[bytes]:
        """Pass chunks through the response transforms, the last with is_end."""
        return self._flow(self.response_transforms, chunks)

    def _flow(self, transforms: list, chunks: tuple[bytes, ...]) -> list[bytes]:
        out = []
        for number, data in enumerate(chunks, 1):
            before = len(self.replies)
            for transform in transforms:
                data = transform(data, number == len(chunks))
            out.append(data)
            if len(self.replies) > before:
                break
        return out
