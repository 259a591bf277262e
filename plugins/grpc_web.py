"""The http filter ``grpc_web``: gRPC for browsers, which can send no trailers and see none (PROTOCOL-WEB.md).

Strategy: Envoy's filter of the same name. A gRPC-Web request goes on as a gRPC call; of the answer the trailers come as
a last frame of the body, in the text form all of it in base64. What is no answer of gRPC, a local reply or an error
page, becomes a status in the head. Put ``cors`` before it for pages of other origins.
"""

import binascii

from meshd.api import CONTINUE, PluginType, config, grpc, hookimpl

TEXT = frozenset((b"application/grpc-web-text", b"application/grpc-web-text+proto"))
KINDS = TEXT | {b"application/grpc-web", b"application/grpc-web+proto"}
PROTO, TEXT_PROTO = b"application/grpc-web+proto", b"application/grpc-web-text+proto"
OK_KINDS = (PROTO, b"application/grpc-web")
ACCEPT_ENCODING = b"grpc-accept-encoding"
TRAILERS = b"\x80"
MESSAGE_BYTES = 16384
"""So much of an answer that is none of gRPC becomes grpc-message (Envoy's MAX_BUFFERED_PLAINTEXT_LENGTH)."""
BAD = b"Bad gRPC-web request, invalid base64 data."
BAD_SIZE, BAD_DATA = "grpc_base_64_decode_failed_bad_size", "grpc_base_64_decode_failed"
"""Envoy's body and its response code details."""


@config
class GrpcWeb:
    """Has no options."""


class Decoding:
    """The request's transform of the text form: base64 whose last group is padded; ``rest`` is a part of a group."""

    def __init__(self, exchange):
        self._exchange = exchange
        self._rest = b""

    def __call__(self, data, is_end):
        data = self._rest + data
        if is_end and len(data) % 4:
            return self._refuse(BAD_SIZE)
        whole = len(data) - len(data) % 4
        self._rest = data[whole:]
        try:
            return binascii.a2b_base64(data[:whole], strict_mode=True)
        except binascii.Error:
            return self._refuse(BAD_DATA)

    def _refuse(self, detail):
        self._rest = b""
        self._exchange.reply(400, BAD, detail=detail)
        return b""


class Folding:
    """The answer's transform: its body, in base64 where ``is_text``, and its trailers as the last frame.

    Each piece is a padded segment of its own, so that no message waits for the next.
    """

    def __init__(self, exchange, is_text):
        self._exchange = exchange
        self._is_text = is_text

    def __call__(self, data, is_end):
        if is_end and self._exchange.trailers is not None:
            lines = b"".join([b"%b:%b\r\n" % pair for pair in self._exchange.trailers])
            data += b"%b%b%b" % (TRAILERS, len(lines).to_bytes(4, "big"), lines)
        return binascii.b2a_base64(data, newline=False) if self._is_text and data else data


class GrpcWebFilter:
    """``exchange.metadata`` has under its name whether the client wants the text form."""

    def __init__(self, config, site):
        self._name = site.name

    def on_request(self, exchange):
        """Make a gRPC call of a gRPC-Web request."""
        request = exchange.request
        headers = request.headers
        kind = headers.get(b"content-type")
        if kind not in KINDS:
            return CONTINUE
        exchange.metadata[self._name] = headers.get(b"accept") in TEXT
        exchange.folds_trailers = True
        headers.set(b"content-type", grpc.CONTENT_TYPE)
        headers.set(b"te", b"trailers")
        if ACCEPT_ENCODING not in headers:
            headers.add(ACCEPT_ENCODING, b"identity")
        if kind in TEXT and request.content_length:
            headers.remove(b"content-length")
            request.content_length = -1
            exchange.transform_request(Decoding(exchange))
        return CONTINUE

    def on_response(self, exchange):
        """Fold the trailers into the body, or make a status of what is no answer of gRPC."""
        is_text = exchange.metadata.get(self._name)
        if is_text is None:
            return None
        head = exchange.response
        is_bare = grpc.is_head_alone(head)
        is_answer = grpc.is_grpc_answer(head) or is_web_answer(head)
        head.headers.set(b"content-type", TEXT_PROTO if is_text else PROTO)
        if is_bare:
            return None
        head.headers.remove(b"content-length")
        head.content_length = -1
        if is_answer:
            exchange.transform_response(Folding(exchange, is_text))
            return None
        return exchange.gather_response(MESSAGE_BYTES).addCallback(self._tell, head)

    def _tell(self, body, head):
        """The body of what is no answer of gRPC is here: it is the message."""
        headers = head.headers
        if grpc.STATUS not in headers:
            headers.set(grpc.STATUS, b"%d" % grpc.FROM_HTTP.get(head.status, grpc.UNKNOWN))
        headers.set(grpc.MESSAGE, grpc.encode_message(body.removesuffix(b"\n")))
        headers.set(b"content-length", b"0")
        head.content_length = 0

    def explain(self, exchange):
        """Say what would happen to a request."""
        if self.on_request(exchange) is CONTINUE and exchange.folds_trailers:
            return "makes a gRPC call of it; the answer's trailers come in its body"
        return "no gRPC-Web: passes it on as it is"


def is_web_answer(head):
    """Say whether an answer is one of gRPC-Web already."""
    kind = (head.headers.get(b"content-type") or b"").partition(b";")[0].rstrip().lower()
    return head.status == 200 and kind in OK_KINDS


@hookimpl
def meshd_plugins():
    """Offer the filter."""
    return [
        PluginType(
            kind="http_filter", name="grpc_web", config=GrpcWeb, build=GrpcWebFilter,
            doc="Takes gRPC-Web, and makes gRPC of it.",
        )
    ]
