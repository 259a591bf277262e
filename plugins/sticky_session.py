"""The http filter ``sticky_session``: a client stays at the endpoint that it has; Envoy's ``stateful_session``.

The address of the endpoint is kept by the client, in a cookie or a field, in base64. It is honoured as long as the
cluster has the endpoint and it may be used; otherwise the load balancer chooses, and the client is told the new one.
What is read from clients is an address that the cluster must have anyway, so it opens no other door.
"""

from base64 import b64decode, b64encode

from meshd.api import (
    CONTINUE, Boolean, Duration, HeaderName, MapOf, Nested, PluginType, Text, config, health, hookimpl, option,
)

MAX_VALUE = 400
"""Longer values are no address (bytes of base64)."""


@config
class SessionCookie:
    """The cookie that holds the address."""

    name: str = option(Text(pattern=r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", maximum=200), doc="its name")
    path: str = option(
        Text(pattern=r"[ -:<-~]*", maximum=1000), default="",
        doc="where the client is to send it; requests for other paths are left alone")
    ttl_s: float = option(Duration(step=1.0), default=0.0, doc="how long it lasts (0s: until the browser ends)")
    attributes: tuple[tuple[str, str], ...] = option(
        MapOf(value=Text(pattern=r"[ -:<-~]*", maximum=1000), maximum=20), default=(), doc="more attributes")


@config
class StickySessionOptions:
    """Where the client keeps the address: one of both."""

    cookie: SessionCookie | None = option(Nested(SessionCookie, word="name"), default=None, doc="in a cookie")
    header: str | None = option(HeaderName(), default=None, doc="in this field, of requests and answers")
    strict: bool = option(
        Boolean(), default=False, doc="answer 503 where the endpoint cannot be used, in place of choosing another")
    draining: bool = option(
        Boolean(), default=False, doc="go on with an endpoint that its source says is draining")

    def check(self):
        """Yield a fault unless one place is named."""
        if (self.cookie is None) == (self.header is None):
            yield None, "expected either cookie or header"


class CookieStore:
    """Reads and writes the cookie."""

    def __init__(self, options):
        self._start = options.name.encode() + b"="
        self._path = options.path.encode()
        parts = [b"Max-Age=%d" % options.ttl_s] if options.ttl_s else []
        if options.path:
            parts.append(b"Path=" + self._path)
        parts += [f"{name}={text}".encode() if text else name.encode() for name, text in options.attributes]
        self._tail = b"".join([b"; " + part for part in (*parts, b"HttpOnly")])

    def covers(self, path):
        """Say whether a request's path is within the cookie's (RFC 6265 5.1.4)."""
        own = self._path
        if not own or not path.startswith(own):
            return not own
        return own.endswith(b"/") or len(path) == len(own) or path[len(own):len(own) + 1] == b"/"

    def read(self, headers):
        """Return the value (base64), or None."""
        for line in headers.get_all(b"cookie"):
            for crumb in line.split(b";"):
                crumb = crumb.strip()
                if crumb.startswith(self._start):
                    return crumb[len(self._start):].strip(b'"')
        return None

    def write(self, headers, address):
        """Tell the client; the address stands in a message of field 1, as Envoy writes it."""
        text = address.encode()
        value = b64encode(b"\n" + bytes([len(text)]) + text) if len(text) < 128 else b64encode(text)
        headers.add(b"set-cookie", self._start + b'"' + value + b'"' + self._tail)


class HeaderStore:
    """Reads and writes the field."""

    def __init__(self, name):
        self._name = name.encode()

    def covers(self, path):
        """Every path is covered."""
        return True

    def read(self, headers):
        """Return the value (base64), or None."""
        return headers.get(self._name)

    def write(self, headers, address):
        """Tell the client."""
        headers.set(self._name, b64encode(address.encode()))


def address_of(value):
    """Return the address that ``value`` holds, or None: the text itself, or a message whose field 1 is the text."""
    if not value or len(value) > MAX_VALUE:
        return None
    try:
        data = b64decode(value, validate=True)
        if data[:1] == b"\n" and len(data) > 2 and len(data) >= 2 + data[1] and data[1] < 128:
            data = data[2:2 + data[1]]
        return data.decode("ascii")
    except ValueError:
        return None


class StickySession:
    """Asks for the endpoint that the client had, and tells it the one that it has."""

    def __init__(self, options, name):
        self._store = CookieStore(options.cookie) if options.cookie is not None else HeaderStore(options.header)
        self._is_strict = options.strict
        self._borne = health.DRAINING if options.draining else 0
        self._name = name

    def on_request(self, exchange):
        """Note which endpoint is wanted."""
        request = exchange.request
        if not self._store.covers(request.path):
            return CONTINUE
        address = address_of(self._store.read(request.headers))
        exchange.metadata[self._name] = address or ""
        if address is not None:
            exchange.wanted = address, self._is_strict, self._borne
        return CONTINUE

    def on_response(self, exchange):
        """Tell the client where it has not been before."""
        endpoint = exchange.endpoint
        if endpoint is None or exchange.is_local_reply or self._name not in exchange.metadata:
            return
        if endpoint.address != exchange.metadata[self._name]:
            self._store.write(exchange.response.headers, endpoint.address)

    def explain(self, exchange):
        """Say which endpoint would be asked for."""
        request = exchange.request
        address = address_of(self._store.read(request.headers)) if self._store.covers(request.path) else None
        return f"asks for endpoint {address}" if address else "the load balancer chooses, and the client is told"


def build(config, site):
    """Return a StickySession."""
    return StickySession(config, site.name)


@hookimpl
def meshd_plugins():
    """Offer the filter."""
    return [
        PluginType(kind="http_filter", name="sticky_session", config=StickySessionOptions, build=build,
                   doc="A client stays at the endpoint that it has, by a cookie or a field.")
    ]
