"""An exchange as an isolated filter sees it: heads and facts as they were when the hook was called.

What the hook changes is found by comparing, when it has returned, and sent to the parent as ``Changes``.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, fail
from zope.interface import classImplements

from meshd.api import Headers, IExchange, Identity, PluginError, RequestHead, ResponseHead
from meshd.isolation.message import (
    MAX_BODY_BYTES, MAX_METADATA_BYTES, REQUEST, Call, Changes, IdentityView, ReplyView, RequestView, ResponseView,
    decode_plain, encode_plain,
)


NO_BODIES = ": not available to an isolated filter: bodies do not pass through its process"


class Route:
    """``IRoute``; what routes put in a filter's place is the parent's business."""

    def __init__(self, name: str, virtual_host: str) -> None:
        self.name = name
        self.virtual_host = virtual_host
        self.overrides: dict = {}


class IsolatedExchange:
    """See ``IExchange``. ``read(limit)`` asks the parent for the request's body."""

    def __init__(self, call: Call, read: Callable[[int], Deferred]) -> None:
        self._call = call
        self._read = read
        self._body: Deferred | None = None
        self._notes: dict | None = None
        self._clears_route = False
        self._reply: ReplyView | None = None
        facts, identity = call.facts, call.identity
        for name in facts.__struct_fields__:
            setattr(self, name, getattr(facts, name))
        self.route = Route(*facts.route) if facts.route is not None else None
        self.cluster = SimpleNamespace(name=facts.cluster) if facts.cluster is not None else None
        self.endpoint = SimpleNamespace(address=facts.endpoint) if facts.endpoint is not None else None
        self.tried = ()
        self.request = request_of(call.request)
        self.response = None if call.response is None else response_of(call.response)
        self._identity = self.identity = None if identity is None else Identity(
            name=identity.name, method=identity.method, claims=identity.claims)

    @property
    def metadata(self) -> dict:
        """Notes of plugins; plain values only."""
        if self._notes is None:
            self._notes = decode_plain(self._call.metadata) if self._call.metadata else {}
        return self._notes

    def reply(self, status: int, body: bytes = b"", headers: Any = (), flag: int = 0, detail: str = "",
              content_type: bytes = b"text/plain") -> None:
        """Answer here and now; the first reply counts."""
        if self._call.phase != REQUEST:
            raise PluginError("reply: an isolated filter answers in on_request only")
        if len(body) > MAX_BODY_BYTES:
            raise PluginError(f"reply: body of {len(body)} bytes: expected at most {MAX_BODY_BYTES}")
        if self._reply is None:
            pairs = tuple((bytes(name), bytes(value)) for name, value in headers)
            self._reply = ReplyView(status, bytes(body), pairs, flag, detail, content_type)

    def clear_route(self) -> None:
        """The route must be found anew; until the next hook ``route`` is what it was."""
        self._clears_route = True

    def read_body(self, limit: int) -> Deferred:
        """Return a Deferred of the request's body, or of None when it is longer than ``limit`` (1 MiB at most)."""
        if self._call.phase != REQUEST:
            return fail(PluginError("read_body: an isolated filter reads the body in on_request only"))
        if self._body is None:
            self._body = self._read(limit)
        answer: Deferred = Deferred()

        def tell(data: Any) -> Any:
            answer.callback(data)
            return data

        self._body.addCallback(tell)
        return answer

    def forward(self, plan: Any) -> None:
        """For terminal filters, which are never isolated."""
        raise PluginError("forward: not available to an isolated filter")

    def transform_request(self, transform: Any) -> None:
        """Not available: bodies do not pass through the child."""
        raise PluginError("transform_request" + NO_BODIES)

    def transform_response(self, transform: Any) -> None:
        """Not available: bodies do not pass through the child."""
        raise PluginError("transform_response" + NO_BODIES)

    def changes(self) -> Changes | None:
        """Return what differs from the call, None where nothing does. Raises PluginError on metadata that is not plain.
        """
        found: dict[str, Any] = {}
        request, before = self.request, self._call.request
        if self._call.phase == REQUEST:
            _note(found, "method", request.method, before.method)
            _note(found, "target", request.target, before.target)
            _note(found, "headers", request.headers.raw, before.headers)
            if self.identity != self._identity:
                found.update(is_identified=True, identity=_identity(self.identity))
            if self._clears_route:
                found["clears_route"] = True
            if self._reply is not None:
                found["reply"] = self._reply
        elif self.response is not None:
            _note(found, "status", self.response.status, self._call.response.status)
            _note(found, "response_headers", self.response.headers.raw, self._call.response.headers)
        if self._notes is not None:
            found.update(self._changed_notes())
        return Changes(**found) if found else None

    def _changed_notes(self) -> dict[str, Any]:
        try:
            packed = encode_plain(self._notes)
            if packed == self._call.metadata or not (self._notes or self._call.metadata):
                return {}
            before = decode_plain(self._call.metadata) if self._call.metadata else {}
            now = decode_plain(packed)
        except (TypeError, ValueError) as error:
            raise PluginError(f"metadata: {error}: expected text keys and plain values of an isolated filter") from None
        changed = {key: value for key, value in now.items() if key not in before or before[key] != value}
        packed = encode_plain(changed) if changed else b""
        if len(packed) > MAX_METADATA_BYTES:
            raise PluginError(f"metadata: {len(packed)} bytes changed, expected at most {MAX_METADATA_BYTES}")
        return {"metadata": packed, "forgotten": tuple(key for key in before if key not in now)}


def _note(found: dict[str, Any], name: str, now: Any, before: Any) -> None:
    if now != before:
        found[name] = now


def _identity(identity: Identity | None) -> IdentityView | None:
    if identity is None:
        return None
    return IdentityView(identity.name, identity.method, tuple(tuple(pair) for pair in identity.claims))


def request_of(view: RequestView) -> RequestHead:
    """Return the head that a view shows."""
    head = RequestHead(view.method, view.original_target, view.host, view.version, Headers(view.headers))
    head.set_target(view.target)
    head.scheme = view.scheme
    head.content_length = view.content_length
    head.upgrade = view.upgrade
    head.expect_continue = view.expect_continue
    head.keep_alive = view.keep_alive
    return head


def response_of(view: ResponseView) -> ResponseHead:
    """Return the head that a view shows."""
    head = ResponseHead(view.status, Headers(view.headers), view.reason, view.version)
    head.content_length = view.content_length
    return head


classImplements(IsolatedExchange, IExchange)
