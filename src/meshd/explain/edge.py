"""What codec and edge do with the head before any filter sees it, by their own rules: ``Edge`` without a socket."""

from random import Random
from typing import Any

from meshd.downstream.client_cert import ALWAYS_FORWARD_ONLY, SANITIZE
from meshd.downstream.client_cert import NAME as CLIENT_CERT
from meshd.downstream.connection import UNDERSCORES
from meshd.downstream.edge import Edge, take_connect
from meshd.errors import ProtocolError
from meshd.explain.asked import Asked
from meshd.explain.view import Answer, Downstream, View
from meshd.http import flag
from meshd.http.head import RequestHead
from meshd.http.headers import Headers
from meshd.http.path import Redirect
from meshd.http.request import RequestParser

UNASKED = (SANITIZE, ALWAYS_FORWARD_ONLY)
"""Modes of x-forwarded-client-cert that do not depend on who the client is."""


class _Taker:
    """Takes what the codec reads."""

    head: RequestHead | None = None

    def on_request(self, head: RequestHead) -> None:
        """The head is whole."""
        self.head = head

    def on_body(self, data: bytes) -> None:
        """There is none."""

    on_end = on_body


def enter(asked: Asked, listener: str, spec: Any, chain: Any, world: Any, local: str) -> tuple[View, dict]:
    """Return the view of the request as the first filter would get it, and what was done to it as plain data.

    ``spec`` is the filter chain of the model, ``listener`` the name of its listener. ``view.answered`` is set where the
    request is refused or the client sent elsewhere.
    """
    scheme = b"http" if spec.tls is None else b"https"
    downstream = Downstream(world, listener, asked.client, local, scheme)
    taker, limits, http = _Taker(), spec.limits, spec.http
    parser = RequestParser(taker, limits.max_head_bytes, limits.max_fields, http.accept_http_10,
                           UNDERSCORES[http.headers_with_underscores_action])
    try:
        parser.receive(asked.head())
    except ProtocolError as error:
        view = View(downstream, chain, RequestHead(b"", b"", b"", 11, Headers()))
        return view, _refused(view, error, "the head is refused")
    if taker.head is None:
        view = View(downstream, chain, RequestHead(b"", b"", b"", 11, Headers()))
        return view, _refused(view, ProtocolError("head: expected a whole one"), "the head is refused")
    taker.head.scheme = scheme
    view = View(downstream, chain, taker.head)
    return view, _prepared(view, spec)


def _prepared(view: View, spec: Any) -> dict:
    request = view.request
    target, before = request.target, dict(request.headers)
    try:
        edge = Edge(spec.http, Random(0))
        if request.method == b"CONNECT":
            take_connect(request, edge)
        edge.prepare(view)
    except ProtocolError as error:
        return _refused(view, error, "refused before any filter")
    except Redirect as redirect:
        view.answered = Answer(status=307, body=b"", headers=((b"location", redirect.target),), flags=0,
                               detail="path_normalization_redirect")
        return {"steps": [f"sent elsewhere: the path has escaped slashes, location {text(redirect.target)}"]}
    mode = spec.http.forward_client_cert_details
    asks = spec.tls is not None and spec.tls.client_certificate != "none" and mode not in UNASKED
    return {"steps": list(_steps(target, before, view, mode if asks else ""))}


def _steps(target: bytes, before: dict, view: View, forwards: str) -> Any:
    """``forwards`` is the mode of x-forwarded-client-cert where it depends on a certificate, which nobody has here."""
    request = view.request
    if request.target != target:
        yield f"path {text(target)} is normalised to {text(request.target)}"
    after = dict(request.headers)
    if forwards:
        before.pop(CLIENT_CERT, None)
        yield f"field {text(CLIENT_CERT)}: {forwards} by the client's certificate, dropped where it has none"
    for name in before:
        if name not in after:
            yield f"field {text(name)} is dropped: only this mesh may set it"
    for name, value in after.items():
        if name == b"x-request-id" and before.get(name) != value:
            yield f"field {text(name)} is set to a new id"
        elif name in before and before[name] != value or name not in before:
            yield f"field {text(name)} is set to {text(value)}"
    if view.client != view.downstream.host:
        yield f"the client is {view.client}, by x-forwarded-for"


def _refused(view: View, error: ProtocolError, what: str) -> dict:
    view.answered = Answer(status=error.status, body=str(error).encode() + b"\n", headers=(), flags=flag.DPE,
                           detail=error.detail)
    return {"steps": [f"{what}: {error}"]}


def text(value: bytes) -> str:
    """Return bytes of a message as text."""
    return value.decode("utf-8", "backslashreplace")
