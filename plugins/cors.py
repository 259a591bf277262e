"""The http filter ``cors``: answers preflights and marks responses that other origins may read (Fetch standard 3.2)."""

import re2

from meshd.api import (
    CONTINUE, STOP, Boolean, Choice, Duration, HeaderName, ListOf, Nested, PluginType, Regex, Text, add_vary, config,
    hookimpl, option,
)

DETAIL = "cors_response"
"""Envoy's response code detail."""

STRANGER = b"https://stranger.invalid"
"""An origin that nobody means to trust; what matches it matches everything."""

TOKEN = Text(pattern=r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", maximum=256)
HEADER_LIST = ListOf(item=HeaderName(), maximum=500)


@config
class OriginMatch:
    """Origins that are allowed; exactly one of these."""

    exact: str | None = option(
        Text(minimum=1, maximum=1024), default=None, doc="SCHEME://HOST[:PORT], or * for every origin"
    )
    prefix: str | None = option(Text(minimum=1, maximum=1024), default=None, doc="the origin's beginning, with scheme")
    suffix: str | None = option(Text(minimum=1, maximum=1024), default=None, doc="the origin's end (.example.com)")
    regex: str | None = option(Regex(), default=None, doc="RE2, matching the whole origin")

    def check(self):
        """Yield a fault where not exactly one is given."""
        given = [name for name in ("exact", "prefix", "suffix", "regex") if getattr(self, name) is not None]
        if len(given) != 1:
            found = ", ".join(given) or "none"
            yield (given or ["exact"])[-1], f"expected one of exact, prefix, suffix, regex, got {found}"


@config
class Cors:
    """Cross-origin resource sharing. The matched origin is echoed, so one URL can serve several."""

    allow_origins: tuple[OriginMatch, ...] = option(
        ListOf(item=Nested(OriginMatch), maximum=1000), default=(),
        doc="who may read the answers (nobody, where routes say more)"
    )
    allow_methods: tuple[str, ...] = option(
        ListOf(item=TOKEN, maximum=100), default=("GET", "HEAD", "POST"), doc="methods granted to a preflight"
    )
    allow_headers: tuple[str, ...] = option(HEADER_LIST, default=(), doc="request fields granted to a preflight")
    expose_headers: tuple[str, ...] = option(HEADER_LIST, default=(), doc="response fields that scripts may read")
    max_age_s: float | None = option(Duration(), default=None, doc="how long a preflight's answer may be kept")
    allow_credentials: bool = option(Boolean(), default=False, doc="cookies and authorization may be sent")
    unmatched_preflights: str = option(
        Choice(("forward", "ignore")), default="forward",
        doc="preflights of other origins: send upstream (Istio's and Envoy's default), or answer 200 without a grant",
    )

    def check(self):
        """Yield faults between fields."""
        if self.allow_credentials:
            for place, origin in enumerate(self.allow_origins):
                if matcher([origin])(STRANGER):
                    yield "allow_credentials", (
                        f"allow_origins[{place}] matches every origin, so any site could act for the user: "
                        "expected a closer match"
                    )
            for name in ("allow_methods", "allow_headers", "expose_headers"):
                if "*" in getattr(self, name):
                    yield name, "'*' means nothing beside allow_credentials (Fetch standard): expected a list of names"


def _one(option):
    if option.exact is not None:
        return (lambda origin: True) if option.exact == "*" else option.exact.encode().__eq__
    if option.prefix is not None:
        prefix = option.prefix.encode()
        return lambda origin: origin.startswith(prefix)
    if option.suffix is not None:
        suffix = option.suffix.encode()
        return lambda origin: origin.endswith(suffix)
    expression = re2.compile(option.regex.encode())
    return lambda origin: expression.fullmatch(origin) is not None


def matcher(origins):
    """Return a callable(origin) -> bool for a sequence of OriginMatch."""
    exact = frozenset(one.exact.encode() for one in origins if one.exact not in (None, "*"))
    others = tuple(_one(one) for one in origins if one.exact is None or one.exact == "*")
    if not others:
        return exact.__contains__
    return lambda origin: origin in exact or any(match(origin) for match in others)


class CorsFilter:
    """Works only on requests with Origin; all fields but the origin itself are encoded at build time."""

    def __init__(self, config, site):
        self._allows = matcher(config.allow_origins)
        self._forwards = config.unmatched_preflights == "forward"
        self._any = any(one.exact == "*" for one in config.allow_origins)
        credentials = ((b"access-control-allow-credentials", b"true"),) if config.allow_credentials else ()
        self._grant = credentials + tuple(
            (name, ", ".join(values).encode())
            for name, values in (
                (b"access-control-allow-methods", config.allow_methods),
                (b"access-control-allow-headers", config.allow_headers),
            ) if values
        )
        if config.max_age_s is not None:
            self._grant += ((b"access-control-max-age", b"%d" % config.max_age_s),)
        expose = ((b"access-control-expose-headers", ", ".join(config.expose_headers).encode()),)
        self._marks = credentials + (expose if config.expose_headers else ())

    def on_request(self, exchange):
        """Answer a preflight; let everything else pass."""
        request = exchange.request
        if request.method != b"OPTIONS" or b"access-control-request-method" not in request.headers:
            return CONTINUE
        origin = request.headers.joined(b"origin")
        if origin is None:
            return CONTINUE
        is_allowed = self._allows(origin)
        if not is_allowed and self._forwards:
            return CONTINUE
        grant = ((b"access-control-allow-origin", self._shown(origin)), *self._grant) if is_allowed else ()
        exchange.reply(200, b"", grant, detail=DETAIL)
        return STOP

    def on_response(self, exchange):
        """Mark the response for the origin that asked, and as one that depends on it."""
        headers = exchange.response.headers
        if not self._any:
            add_vary(headers, b"origin")
        asked = exchange.request.headers
        if b"\r\norigin:" not in asked.low or exchange.detail == DETAIL:
            return
        origin = asked.joined(b"origin")
        if not self._allows(origin):
            return
        headers.set(b"access-control-allow-origin", self._shown(origin))
        for name, value in self._marks:
            headers.set(name, value)

    def explain(self, exchange):
        """Say what would happen to a request."""
        origin = exchange.request.headers.joined(b"origin")
        if origin is None:
            return "no origin: nothing to grant"
        shown = origin[:200].decode("latin-1")
        is_allowed = f"origin {shown} is {'allowed' if self._allows(origin) else 'not allowed'}"
        if self.on_request(exchange) is STOP:
            return f"{is_allowed}: answers the preflight"
        return f"{is_allowed}: passes the request on"

    def _shown(self, origin):
        return b"*" if self._any else origin


@hookimpl
def meshd_plugins():
    """Offer the filter."""
    return [
        PluginType(
            kind="http_filter", name="cors", config=Cors, build=CorsFilter,
            doc="Answers CORS preflights and marks responses for allowed origins.",
        )
    ]
