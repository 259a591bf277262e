"""The http filter ``compression``: gzip (isal) and brotli for responses, as they stream by.

Strategy: the response's head is changed in ``on_response``; the body passes a ``Stream`` that holds one compressor's
window and nothing else. A body that comes whole in one piece is compressed in one call. The libraries are imported
where the filter is configured: they take most of a MiB.
"""

from functools import lru_cache

from meshd.api import (
    CONTINUE, Boolean, Choice, Integer, ListOf, PluginType, Size, Text, add_vary, config, hookimpl, option,
)

GZIP_WBITS = 31
"""15 bits of window (32 KiB) and a gzip wrapper: zlib's notation."""

BROTLI_LGWIN = 18
"""A window of 256 KiB: enough for web pages, and a bound on memory (the library's default is 4 MiB)."""

MAX_ACCEPT_BYTES = 256
"""Longer accept-encoding values are read as absent; browsers send some 30 bytes."""

CONTENT_TYPES = (
    "application/javascript", "application/json", "application/xhtml+xml", "application/xml", "application/wasm",
    "image/svg+xml", "text/css", "text/event-stream", "text/html", "text/javascript", "text/plain", "text/xml",
)
"""Envoy's defaults and four more."""

BODILESS = frozenset((101, 204, 205, 206, 304))
STALE_FIELDS = (b"content-md5", b"digest", b"repr-digest", b"content-digest", b"accept-ranges")
"""Fields that are wrong of a body that has been compressed, besides content-length."""


@config
class Compression:
    """Compresses responses for clients that accept it. Beware of BREACH: no secrets beside what a caller may inject."""

    encodings: tuple[str, ...] = option(
        ListOf(item=Choice(("br", "gzip")), minimum=1, maximum=2), default=("gzip", "br"),
        doc="what is offered; the first wins where the client likes several equally (br costs 5 to 8 times the time)",
    )
    gzip_level: int = option(Integer(maximum=3), default=1, doc="isal's level: 0 fastest, 3 smallest")
    brotli_quality: int = option(
        Integer(maximum=11), default=4, doc="0 fastest, 11 smallest (far too slow for live traffic)"
    )
    minimum_length_bytes: int = option(
        Size(), default=1024,
        doc="shorter bodies pass as they are; bodies of unknown length are compressed (Envoy's default: 30)"
    )
    content_types: tuple[str, ...] = option(
        ListOf(item=Text(pattern=r"[\w!#$&^.+-]+/[\w!#$&^.+-]+", maximum=200), minimum=1, maximum=500),
        default=CONTENT_TYPES,
        doc="media types, without parameters",
    )
    flush: str = option(
        Choice(("event_stream", "always", "never")), default="event_stream",
        doc="give out each chunk at once (costs size): for text/event-stream, for all, for none",
    )
    remove_accept_encoding: bool = option(
        Boolean(), default=False, doc="hide accept-encoding from the upstream, so that it does not compress itself"
    )
    max_active: int = option(
        Integer(minimum=1, maximum=1_000_000), default=256,
        doc="responses compressed at once (each holds 0.4 MiB with gzip, 1.1 MiB with brotli 4); more pass as they are",
    )

    def check(self):
        """Yield faults between fields."""
        if len(set(self.encodings)) != len(self.encodings):
            yield "encodings", "expected each encoding once"


def parse_accept(value):
    """Return a dict of coding -> quality (0.0 to 1.0); what is malformed counts as not acceptable (RFC 9110 12.5.3)."""
    accepted = {}
    for item in value.lower().split(b","):
        coding, _, parameters = item.partition(b";")
        coding = coding.strip()
        if coding:
            coding = b"gzip" if coding == b"x-gzip" else coding
            accepted[coding] = max(quality(parameters), accepted.get(coding, 0.0))
    return accepted


def quality(parameters):
    """Return the weight in ``parameters`` (``q=0.5``), 1.0 without one, 0.0 where it is not a qvalue."""
    name, _, number = parameters.strip().partition(b"=")
    if not name:
        return 1.0
    number = number.strip()
    digits = number.replace(b".", b"", 1)
    if name.strip() != b"q" or not digits.isdigit() or len(number) > 5:
        return 0.0
    return value if (value := float(number)) <= 1.0 else 0.0


def negotiate(value, offered):
    """Return the best of ``offered`` (codings, best first) for an accept-encoding ``value``, or None: identity.

    Identity wins only where the client weighs it higher; what is not named has the weight of ``*``, or none.
    """
    accepted = parse_accept(value)
    other = accepted.get(b"*", 0.0)
    best, best_quality = None, 0.0
    for coding in offered:
        weight = accepted.get(coding, other)
        if weight > best_quality:
            best, best_quality = coding, weight
    return None if best is None or accepted.get(b"identity", 0.0) > best_quality else best


class CompressionFilter:
    """Decides by the response's head; a response that it leaves alone costs a few look-ups."""

    def __init__(self, config, site):
        self._minimum = config.minimum_length_bytes
        self._types = frozenset(name.lower().encode() for name in config.content_types)
        offered = tuple(name.encode() for name in config.encodings)
        self._choose = lru_cache(maxsize=256)(lambda value: negotiate(value, offered))
        self._makers = {b"gzip": Gzip(config.gzip_level), b"br": Brotli(config.brotli_quality)}
        self._flush = config.flush
        self._max_active = config.max_active
        self._active = set()
        total = site.metrics.counter("meshd_compressed_responses_total", "Responses compressed", ("filter", "encoding"))
        self._cells = {coding: total.cell(site.name, coding.decode()) for coding in offered}
        self._name = site.name
        self._hides = config.remove_accept_encoding
        if self._hides:
            self.on_request = self._hide

    def _hide(self, exchange):
        headers = exchange.request.headers
        value = headers.joined(b"accept-encoding")
        if value is not None:
            exchange.metadata[self._name] = value
            headers.remove(b"accept-encoding")
        return CONTINUE

    def on_response(self, exchange):
        """Compress where the response may be, and the client wants it."""
        response = exchange.response
        media = self._media(exchange, response)
        if media is None:
            return
        add_vary(response.headers, b"accept-encoding")
        coding = self._coding(exchange)
        if coding is None or len(self._active) >= self._max_active:
            return
        length = response.content_length
        change_head(response, coding)
        flushes = self._flush == "always" or self._flush == "event_stream" and media == b"text/event-stream"
        self._active.add(exchange.stream_id)
        self._cells[coding].inc()
        exchange.transform_response(Stream(self._makers[coding], flushes, length))

    def on_complete(self, exchange):
        """Give the place of a response back."""
        self._active.discard(exchange.stream_id)

    def _media(self, exchange, response):
        """Return the media type of a response that may be compressed, or None."""
        length = response.content_length
        if 0 <= length < self._minimum or length == 0 or response.status in BODILESS or response.status < 200:
            return None
        headers = response.headers
        media = (headers.get(b"content-type") or b"").partition(b";")[0].strip().lower()
        if media not in self._types or exchange.request.method in (b"HEAD", b"CONNECT"):
            return None
        if b"\r\ncontent-encoding:" in headers.low or b"\r\ncontent-range:" in headers.low:
            return None
        is_fixed = forbids_change(headers) or forbids_change(exchange.request.headers)
        return None if is_fixed else media

    def _coding(self, exchange):
        headers = exchange.request.headers
        if self._hides:
            value = exchange.metadata.get(self._name)
        elif b"\r\naccept-encoding:" in headers.low:
            value = headers.joined(b"accept-encoding")
        else:
            return None
        return self._choose(value) if value and len(value) <= MAX_ACCEPT_BYTES else None


def forbids_change(headers):
    """Say whether Cache-Control has no-transform (RFC 9111 5.2.1.6 and 5.2.2.6)."""
    if b"no-transform" not in headers.low:
        return False
    return b"no-transform" in (headers.joined(b"cache-control") or b"").lower()


def change_head(response, coding):
    """Make the head that of the compressed body, whose length nobody knows yet."""
    headers = response.headers
    headers.remove(b"content-length")
    response.content_length = -1
    for name in STALE_FIELDS:
        if name in headers.low:
            headers.remove(name)
    headers.add(b"content-encoding", coding)
    tag = headers.get(b"etag") if b"\r\netag:" in headers.low else None
    if tag is not None and not tag.startswith(b"W/"):
        headers.set(b"etag", b"W/" + tag)


class Gzip:
    """Makes gzip compressors of one level."""

    def __init__(self, level):
        from isal import isal_zlib

        self._library = isal_zlib
        self._level = level

    def whole(self, data):
        """Return all of ``data``, compressed."""
        return self._library.compress(data, self._level, GZIP_WBITS)

    def begin(self):
        """Return (compress, flush, finish) of a new stream."""
        library = self._library
        stream = library.compressobj(self._level, library.DEFLATED, GZIP_WBITS)
        return stream.compress, lambda: stream.flush(library.Z_SYNC_FLUSH), stream.flush


class Brotli:
    """Makes brotli compressors of one quality."""

    def __init__(self, quality):
        import brotli

        self._library = brotli
        self._quality = quality

    def whole(self, data):
        """Return all of ``data``, compressed."""
        return self._library.compress(data, quality=self._quality, lgwin=BROTLI_LGWIN)

    def begin(self):
        """Return (compress, flush, finish) of a new stream."""
        stream = self._library.Compressor(quality=self._quality, lgwin=BROTLI_LGWIN)
        return stream.process, stream.flush, stream.finish


class Stream:
    """One body on its way: a transform of response chunks. ``length`` is what it will come to, -1 where unknown."""

    __slots__ = ("_maker", "_flushes", "_length", "_compress", "_flush", "_finish")

    def __init__(self, maker, flushes, length):
        self._maker = maker
        self._flushes = flushes
        self._length = length
        self._compress = None

    def __call__(self, data, is_end):
        """Return the compressed bytes that are ready, all of them at the end."""
        if self._compress is None:
            if is_end or len(data) == self._length:
                self._compress, self._finish = nothing, nothing
                return self._maker.whole(data)
            self._compress, self._flush, self._finish = self._maker.begin()
        out = self._compress(data) if data else b""
        if is_end:
            return out + self._finish()
        return out + self._flush() if self._flushes and data else out


def nothing(data=b""):
    """Stand for the compressor of a body that has left whole."""
    return b""


@hookimpl
def meshd_plugins():
    """Offer the filter."""
    return [
        PluginType(
            kind="http_filter", name="compression", config=Compression, build=CompressionFilter,
            doc="Compresses responses with gzip or brotli.",
        )
    ]
