"""From an exchange to a ``Call``, and from ``Changes`` back into the exchange; called by ``isolate``.

Nothing that comes back is taken on trust: heads are scanned as the codec scans them, and fields that frame, route or
belong to a connection must be as they were, so that a child cannot smuggle a request. ValueError says what is wrong.
"""

import re
from typing import Any

from meshd.api import Headers, Identity
from meshd.hot.field import scan_fields
from meshd.http.flag import FLAGS
from meshd.isolation.message import (
    MAX_BODY_BYTES, MAX_METADATA_BYTES, Call, Changes, Facts, IdentityView, ReplyView, RequestView, ResponseView,
    decode_plain, encode_plain,
)

FRAMING = (
    b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"te", b"trailer", b"keep-alive",
    b"proxy-connection", b"expect",
)
MAX_HEAD_BYTES = 128 * 1024
MAX_DEPTH = 6
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")
_TARGET = re.compile(rb"\*|/[!\x22\x24-~]*")
_DETAIL = re.compile(r"[!-~]{0,200}")
_BODILESS = (204, 304)
_KNOWN_FLAGS = sum(flag.bit for flag in FLAGS)


def call_of(number: int, part: int, phase: int, exchange: Any) -> Call:
    """Return what the child is to know of ``exchange``."""
    response, identity, notes = exchange.response, exchange.identity, exchange.notes
    return Call(
        number, part, phase, _request(exchange.request), None if response is None else _response(response),
        None if identity is None else IdentityView(identity.name, identity.method, tuple(identity.claims)),
        encode_plain(plain_of(notes)) if notes else b"", _facts(exchange),
    )


def _request(head: Any) -> RequestView:
    return RequestView(
        head.method, head.target, head.original_target, head.host, head.scheme, head.version, head.headers.raw,
        head.content_length, head.upgrade, head.expect_continue, head.keep_alive,
    )


def _response(head: Any) -> ResponseView:
    return ResponseView(head.status, head.reason, head.version, head.headers.raw, head.content_length)


def _facts(exchange: Any) -> Facts:
    """Return the rest. A route that nobody has looked at yet is matched, but not kept: filters behind may change it."""
    route = exchange.route_found
    if route is False:
        route = exchange.chain.match(exchange)
    cluster, endpoint = exchange.cluster, exchange.endpoint
    return Facts(
        None if route is None else (route.name, route.virtual_host), None if cluster is None else cluster.name,
        None if endpoint is None else endpoint.address, exchange.attempts, exchange.flags, exchange.detail,
        exchange.failure, exchange.peer, exchange.client, exchange.local, exchange.upstream_local, exchange.listener,
        exchange.connection_id, exchange.stream_id, exchange.started, exchange.request_ended, exchange.upstream_began,
        exchange.response_began, exchange.ended, exchange.request_bytes, exchange.response_bytes,
        exchange.is_local_reply,
    )


def plain_of(notes: dict) -> dict:
    """Return the metadata that can travel: text keys with plain values."""
    return {key: value for key, value in notes.items() if type(key) is str and _is_plain(value, MAX_DEPTH)}


def _is_plain(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in (str, bytes, bool, float) or value is None:
        return True
    if kind is int:
        return -(2**63) <= value < 2**64
    if not depth:
        return False
    if kind in (list, tuple):
        return all(_is_plain(one, depth - 1) for one in value)
    return kind is dict and all(type(key) is str and _is_plain(one, depth - 1) for key, one in value.items())


def apply(changes: Changes, exchange: Any, is_request: bool) -> None:
    """Do to ``exchange`` what the hook did in the child; raises ValueError with nothing half done."""
    head = exchange.request if is_request else exchange.response
    block = changes.headers if is_request else changes.response_headers
    headers = None if block is None else checked_headers(block, head.headers)
    if is_request:
        _check_request(changes, head)
    elif changes.status is not None:
        _check_status(changes.status, head.status)
    notes = _notes(changes.metadata)
    if changes.reply is not None:
        _check_reply(changes.reply, is_request)
    if headers is not None:
        head.headers = headers
    if is_request:
        _apply_request(changes, exchange)
    elif changes.status is not None:
        head.status = changes.status
    for key in changes.forgotten:
        exchange.metadata.pop(key, None)
    if notes:
        exchange.metadata.update(notes)


def _apply_request(changes: Changes, exchange: Any) -> None:
    head, identity = exchange.request, changes.identity
    if changes.method is not None:
        head.method = changes.method
    if changes.target is not None:
        head.set_target(changes.target)
    if changes.is_identified:
        exchange.identity = None if identity is None else Identity(
            name=identity.name, method=identity.method, claims=identity.claims)
    if changes.clears_route:
        exchange.clear_route()
    reply = changes.reply
    if reply is not None:
        exchange.reply(reply.status, reply.body, reply.headers, reply.flag, reply.detail, reply.content_type)


def checked_headers(block: bytes, before: Any) -> Headers:
    """Return ``block`` as Headers; ``before`` are those that it replaces."""
    headers = Headers(block)
    if len(block) > MAX_HEAD_BYTES or scan_fields(headers.low, False)[0] < 0:
        raise ValueError(f"headers: expected well-formed fields, at most {MAX_HEAD_BYTES} bytes")
    for name in FRAMING:
        if headers.get_all(name) != before.get_all(name):
            raise ValueError(f"headers: {name.decode()}: expected it as it was")
    return headers


def _check_request(changes: Changes, head: Any) -> None:
    method, target = changes.method, changes.target
    if method is not None and (not _METHOD.fullmatch(method) or {method, head.method} & {b"HEAD", b"CONNECT"}):
        raise ValueError(f"method {method[:64]!r}: expected a method, and none from or to HEAD and CONNECT")
    if target is not None and (len(target) > MAX_HEAD_BYTES or not _TARGET.fullmatch(target)):
        raise ValueError(f"target {target[:64]!r}: expected a path")


def _check_status(status: int, before: int) -> None:
    is_same_form = before >= 200 and (status in _BODILESS) == (before in _BODILESS)
    if not 200 <= status <= 599 or not is_same_form:
        raise ValueError(f"status {status} in place of {before}: expected one that has a body where that one has")


def _check_reply(reply: ReplyView, is_request: bool) -> None:
    if not is_request:
        raise ValueError("reply: expected it in on_request")
    if not 200 <= reply.status <= 599 or len(reply.body) > MAX_BODY_BYTES:
        raise ValueError(f"reply: expected a status from 200 to 599 and a body of at most {MAX_BODY_BYTES} bytes")
    if not _DETAIL.fullmatch(reply.detail) or reply.flag & ~_KNOWN_FLAGS or reply.flag < 0:
        raise ValueError("reply: expected a detail of visible characters and known response flags")
    fields = (*reply.headers, (b"content-type", reply.content_type))
    block = b"".join([b"\r\n" + name + b": " + value for name, value in fields])
    if block.count(b"\r") != len(fields):
        raise ValueError("reply: headers: expected well-formed fields")
    checked_headers(block, Headers())


def _notes(packed: bytes) -> dict:
    """Return changed metadata; raises ValueError (msgspec's errors are such) on what is none."""
    if len(packed) > MAX_METADATA_BYTES:
        raise ValueError(f"metadata: {len(packed)} bytes changed, expected at most {MAX_METADATA_BYTES}")
    return decode_plain(packed) if packed else {}
