"""Local replies: the answers that meshd makes itself."""

import email.utils
from typing import Any

from meshd.http import flag as flags
from meshd.http import grpc
from meshd.http.head import ResponseHead
from meshd.http.headers import Headers

_date = (0, b"")


def date(wall: float) -> bytes:
    """Return the Date field's value; formatted once a second. ``wall`` is epoch seconds."""
    global _date
    second = int(wall)
    if _date[0] != second:
        _date = (second, email.utils.formatdate(second, usegmt=True).encode())
    return _date[1]


def local_head(wall: float, status: int, body: bytes, headers: Any, content_type: bytes) -> ResponseHead:
    """Return the head of a local reply with ``headers``, an iterable of (name, value).

    204 must not have a content-length, and that of a 304 would be of what is not sent (RFC 9110 8.6).
    """
    pairs = []
    if status not in (204, 304):
        pairs.append((b"content-length", b"%d" % len(body)))
        if body:
            pairs.append((b"content-type", content_type))
    pairs += [*headers, (b"date", date(wall))]
    head = ResponseHead(status, Headers.of(*pairs))
    head.content_length = len(body)
    return head


def answer_of(exchange: Any, status: int, body: bytes, headers: Any,
              content_type: bytes = b"text/plain") -> tuple[ResponseHead, bytes]:
    """Return (head, body) of a local reply as the request's protocol has it: a gRPC call gets its status in the head,
    as Envoy's ``sendLocalReply`` has it. One that came as gRPC-Web is answered like others; that filter shapes it.
    """
    if not exchange.folds_trailers and grpc.is_grpc(exchange.request.headers):
        status, body, headers = 200, b"", grpc.shape(status, body, headers)
    return local_head(exchange.downstream.world.clock.wall(), status, body, headers, content_type), body


def explain(bit: int) -> bytes:
    """Return the body for a flag: its sentence."""
    return "; ".join(flags.sentences(bit)).encode() + b"\n"


REPLY_HEADERS = {flags.UO: ((b"x-envoy-overloaded", b"true"),), flags.RL: ((b"x-envoy-ratelimited", b"true"),)}

DETAILS = {
    flags.UH: (503, "no_healthy_upstream"),
    flags.UO: (503, "upstream_reset_before_response_started{overflow}"),
    flags.UF: (503, "upstream_reset_before_response_started{connection_failure}"),
    flags.UC: (503, "upstream_reset_before_response_started{connection_termination}"),
    flags.UR: (503, "upstream_reset_before_response_started{remote_reset}"),
    flags.UPE: (502, "upstream_reset_before_response_started{protocol_error}"),
    flags.UT: (504, "response_timeout"),
    flags.SI: (408, "stream_idle_timeout"),
    flags.NC: (503, "cluster_not_found"),
    flags.DF: (503, "dns_resolution_failure"),
}
"""Response flag -> (status, Envoy's response code detail) of the reply made for it."""

RESETS = {
    "reset by upstream: REFUSED_STREAM": "remote_refused_stream_reset",
    "reset by upstream: CONNECT_ERROR": "remote_error_with_CONNECT_request",
}
"""Reason of a failure -> Envoy's word for it in the detail, where that is not the flag's."""


def detail_of(bit: int, reason: str, is_late: bool = False) -> str:
    """Return the response code detail of a failure; ``is_late``: the answer had begun, and was cut."""
    detail = DETAILS[bit][1]
    if reason in RESETS:
        detail = detail.replace("remote_reset", RESETS[reason])
    return detail.replace("_before_", "_after_") if is_late else detail


def refuse(exchange: Any, name: str) -> None:
    """Answer 500 in place of what came from upstream: the plugin ``name`` failed on the way back."""
    exchange.held = None
    if exchange.attempt is not None:
        exchange.attempt.cancel()
    exchange.detail = f"plugin_error{{{name}}}"
    exchange.is_local_reply = True
    exchange.response_transform = None
    exchange.response, body = answer_of(exchange, 500, b"a plugin failed\n", ())
    exchange.downstream.begin(exchange, exchange.response)
    if body:
        exchange.on_upstream_body(body)
    exchange.end(True)
