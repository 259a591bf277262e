"""The key of a request for ``ring_hash`` and ``maglev``: what ``hash`` names, hashed and combined as Envoy does.

Each rule gives 64 bits or nothing. Where there is a key already it is rotated left by one bit before the next is xored
in, so that two equal rules do not cancel each other out; the first ``terminal`` rule after which there is a key ends.
"""

from xxhash import xxh64_intdigest as xxh64

from meshd.api import Boolean, Duration, HeaderName, ListOf, MapOf, Nested, Text, config, option

NOTE = "consistent_hash."
"""``exchange.metadata`` has a request's new cookie under this and the cookie's name."""
TOKEN = Text(pattern=r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", maximum=200)
ATTRIBUTE = Text(pattern=r"[ -:<-~]*", maximum=1000)
LIMIT = 2**64 - 1


@config
class Cookie:
    """A cookie that a client is known by (Envoy's ``cookie``)."""

    name: str = option(TOKEN, doc="its name")
    path: str = option(ATTRIBUTE, default="", doc="where the client is to send it")
    ttl_s: float | None = option(
        Duration(step=1.0), default=None,
        doc="a client without it gets one for so long (0s: until its browser ends; never made when absent)")
    attributes: tuple[tuple[str, str], ...] = option(
        MapOf(value=ATTRIBUTE, key=TOKEN, maximum=20), default=(), doc="more attributes of a new one")


@config
class HashRule:
    """One thing that the key is made of."""

    header: str | None = option(HeaderName(), default=None, doc="values of a request field")
    cookie: Cookie | None = option(Nested(Cookie, word="name"), default=None, doc="value of a cookie")
    query: str | None = option(Text(minimum=1, maximum=200), default=None, doc="value of a query parameter, as written")
    source_address: bool = option(Boolean(), default=False, doc="the client's address, without its port")
    terminal: bool = option(Boolean(), default=False, doc="what follows does not count, if there is a key by now")

    def check(self):
        """Yield a fault unless exactly one thing is named."""
        named = [self.header is not None, self.cookie is not None, self.query is not None, self.source_address]
        if sum(named) != 1:
            yield None, "expected one of header, cookie, query, source_address"


RULES = ListOf(item=Nested(HashRule), maximum=100)


def key_function(rules, random):
    """Return the callable(exchange) -> key or None of these rules, None where there are none."""
    parts = [(rule_function(rule, random), rule.terminal) for rule in rules]
    if len(parts) < 2:
        return parts[0][0] if parts else None

    def key(exchange):
        found = None
        for part, is_terminal in parts:
            value = part(exchange)
            if value is not None:
                found = value if found is None else combined(found, value)
            if is_terminal and found is not None:
                break
        return found
    return key


def combined(key, value):
    """Return ``key`` rotated left by one bit, xor ``value``."""
    return (key << 1 & LIMIT | key >> 63) ^ value


def rule_function(rule, random):
    """Return the callable(exchange) -> key or None of one rule."""
    if rule.header is not None:
        return of_header(rule.header.encode())
    if rule.cookie is not None:
        return of_cookie(rule.cookie, random)
    return of_query(rule.query.encode()) if rule.query is not None else of_source


def of_header(name):
    """Return the key of a field; of several values, sorted, the hash of one is the next one's seed."""
    needle = b"\r\n" + name + b":"

    def key(exchange):
        headers = exchange.request.headers
        value = headers.value(needle)
        if value is None:
            return None
        if headers.low.count(needle) == 1:
            return xxh64(value)
        found = 0
        for value in sorted(headers.get_all(name)):
            found = xxh64(value, found)
        return found
    return key


def of_source(exchange):
    """Return the key of the client's address; None for a client on a unix socket."""
    client = exchange.client
    return xxh64(client.encode()) if client and client != "unix" else None


def of_query(name):
    """Return the key of the parameter's first value, not decoded."""
    def key(exchange):
        query = exchange.request.query
        for pair in query.split(b"&") if query else ():
            found, _, value = pair.partition(b"=")
            if found == name:
                return xxh64(value)
        return None
    return key


def of_cookie(cookie, random):
    """Return the key of a cookie; where the client has none and it has a ttl, of a new one that the answer brings."""
    start = cookie.name.encode() + b"="
    note = NOTE + cookie.name

    def key(exchange):
        value = cookie_value(exchange.request.headers, start)
        if not value:
            if cookie.ttl_s is None:
                return None
            value = exchange.metadata.get(note)
            if value is None:
                value = exchange.metadata[note] = b"%016x" % random.getrandbits(64)
                exchange.add_response_header(b"set-cookie", set_cookie(cookie, value))
        return xxh64(value)
    return key


def cookie_value(headers, start):
    """Return the value of the first cookie that begins with ``start`` (NAME=), without quotes; None without one."""
    if b"\r\ncookie:" not in headers.low:
        return None
    for line in headers.get_all(b"cookie"):
        for crumb in line.split(b";"):
            crumb = crumb.strip()
            if crumb.startswith(start):
                return crumb[len(start):].strip(b'"')
    return None


def set_cookie(cookie, value):
    """Return the value of ``set-cookie``, in Envoy's order: Max-Age, Path, what is configured, HttpOnly."""
    parts = [b'%b="%b"' % (cookie.name.encode(), value)]
    if cookie.ttl_s:
        parts.append(b"Max-Age=%d" % cookie.ttl_s)
    if cookie.path:
        parts.append(b"Path=" + cookie.path.encode())
    parts += [f"{name}={text}".encode() if text else name.encode() for name, text in cookie.attributes]
    return b"; ".join([*parts, b"HttpOnly"])
