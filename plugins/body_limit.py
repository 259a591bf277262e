"""The http filter ``body_limit``: refuses request bodies over a size, without keeping them."""

from meshd.api import CONTINUE, STOP, PluginType, Size, config, hookimpl, option

DETAIL = "request_payload_too_large"
"""Envoy's response code detail."""

BODY = b"Payload Too Large"


@config
class BodyLimit:
    """Largest request body. A declared length is refused before the upstream is contacted, chunks as they pass."""

    max_bytes: int = option(
        Size(), default=1024 * 1024, doc="largest request body; 413 beyond (nginx's default, 1 MiB)"
    )


class BodyLimitFilter:
    """Compares content-length, and counts only where there is none. Keeps no byte."""

    def __init__(self, config, site):
        self._max_bytes = config.max_bytes

    def on_request(self, exchange):
        """Refuse what is known to be too long; count what is chunked."""
        length = exchange.request.content_length
        if length < 0:
            exchange.transform_request(Count(exchange, self._max_bytes))
        elif length > self._max_bytes:
            refuse(exchange)
            return STOP
        return CONTINUE

    def explain(self, exchange):
        """Say what would happen to a request."""
        self.on_request(exchange)
        length = exchange.request.content_length
        if length < 0:
            return f"counts the chunks, at most {self._max_bytes} bytes"
        passes = "refuses" if length > self._max_bytes else "passes"
        return f"{passes} a body of {length} bytes, at most {self._max_bytes}"


def refuse(exchange):
    """Answer 413."""
    exchange.reply(413, BODY, detail=DETAIL)


class Count:
    """Counts the bytes of one body; refuses the request with the first byte too many, and swallows what follows."""

    __slots__ = ("_exchange", "_left_bytes")

    def __init__(self, exchange, limit_bytes):
        self._exchange = exchange
        self._left_bytes = limit_bytes

    def __call__(self, data, is_end):
        """Pass ``data``, or nothing once the limit is exceeded."""
        if self._left_bytes < 0:
            return b""
        self._left_bytes -= len(data)
        if self._left_bytes >= 0:
            return data
        exchange, self._exchange = self._exchange, None
        refuse(exchange)
        return b""


@hookimpl
def meshd_plugins():
    """Offer the filter."""
    return [
        PluginType(
            kind="http_filter", name="body_limit", config=BodyLimit, build=BodyLimitFilter,
            doc="Refuses request bodies over a size with 413.",
        )
    ]
