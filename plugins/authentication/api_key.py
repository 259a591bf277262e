"""The authenticator ``api_key``: keys in a header, query parameter or cookie.

Strategy: keys are held and looked up only as digests keyed with random bytes of this object. How long a look-up takes
says nothing of any key then, because a caller cannot choose the digest, and ten thousand keys cost what one does.
"""

import hmac
import os
from hashlib import blake2b, sha256
from urllib.parse import unquote_to_bytes

from meshd.api import (
    Boolean, ConfigurationError, Denied, File, HeaderName, Identity, MapOf, Text, config, option,
)
from meshd_plugins.authentication.table import read_table

MIN_KEY_CHARACTERS = 16
MAX_KEY_BYTES = 4096
HASHED = "sha256:"
NAME = Text(pattern=r"[^\x00-\x1f\x7f]+", minimum=1, maximum=256)
TOKEN = Text(pattern=r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", maximum=256)


@config
class ApiKey:
    """Callers by key. A hash is ``printf %s KEY | sha256sum``; keys must be long and random, for that hash is quick."""

    keys: tuple[tuple[str, str], ...] = option(
        MapOf(key=NAME, value=Text(minimum=MIN_KEY_CHARACTERS, maximum=MAX_KEY_BYTES, secret=True)), default=(),
        doc="caller's name: sha256:HEX, or the key itself"
    )
    file: str | None = option(
        File(exists=True), default=None, doc="file with such keys, one NAME:KEY a line; read at start and reload"
    )
    header: str | None = option(
        HeaderName(), default=None, doc="field that carries the key; of authorization, what follows Bearer"
    )
    query: str | None = option(
        TOKEN, default=None, doc="query parameter that carries it (it gets into logs of others: avoid)"
    )
    cookie: str | None = option(TOKEN, default=None, doc="cookie that carries it")
    forward: bool = option(Boolean(), default=False, doc="send the key upstream")

    def check(self):
        """Yield faults between fields."""
        if self.header is None and self.query is None and self.cookie is None:
            yield "header", "expected at least one of header, query, cookie"
        if not self.keys and self.file is None:
            yield "keys", "expected keys, file or both"
        seen = {}
        for name, text in self.keys:
            try:
                digest = stored_digest(text)
            except ValueError as error:
                yield "keys", f"{name}: {error}"
                continue
            if digest in seen:
                yield "keys", f"{name}: expected a key of its own, got that of {seen[digest]}"
            seen[digest] = name


def stored_digest(text):
    """Return the SHA-256 of the key that ``text`` states; raises ValueError."""
    if not text.startswith(HASHED):
        if not MIN_KEY_CHARACTERS <= len(text) <= MAX_KEY_BYTES:
            raise ValueError(f"expected a key of {MIN_KEY_CHARACTERS} to {MAX_KEY_BYTES} characters")
        return sha256(text.encode("utf-8", "surrogateescape")).digest()
    try:
        digest = bytes.fromhex(text[len(HASHED):])
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise ValueError("expected sha256: and 64 hexadecimal digits")
    return digest


class ApiKeyAuthenticator:
    """Reads the configured places in the order header, query, cookie; the first key found decides."""

    def __init__(self, config, site):
        self._blind_key = os.urandom(32)
        self._callers = {}
        known = [(name, stored_digest(text)) for name, text in config.keys]
        for name, digest in (*known, *(read_table(config.file, stored_digest) if config.file is not None else ())):
            if self._blind(digest) in self._callers:
                raise ConfigurationError(f"api_key: {name}: expected a key of its own, got that of another caller")
            self._callers[self._blind(digest)] = (digest, Identity(name=name, method="api_key"))
        places = (HeaderKey, config.header), (QueryKey, config.query), (CookieKey, config.cookie)
        self._places = tuple(place(name.encode()) for place, name in places if name is not None)
        self._has_bearer = config.header == "authorization"
        self._forwards = config.forward

    def _blind(self, digest):
        return blake2b(digest, digest_size=32, key=self._blind_key).digest()

    def challenge(self, realm):
        """Return the www-authenticate value; ApiKey is not registered, but a 401 must name a scheme."""
        return (b'Bearer realm="%s"' if self._has_bearer else b'ApiKey realm="%s"') % realm.encode()

    def strip(self, exchange):
        """Take the key out of the request, wherever one may stand."""
        if not self._forwards:
            for place in self._places:
                place.strip(exchange.request)

    def authenticate(self, exchange):
        """Return an Identity, or None without a key; raises Denied."""
        for place in self._places:
            key = place.read(exchange.request)
            if key is not None:
                return self._judge(key)
        return None

    explain = authenticate
    """A look-up has no effect."""

    def _judge(self, key):
        if len(key) > MAX_KEY_BYTES:
            raise Denied(f"key of {len(key)} bytes: expected at most {MAX_KEY_BYTES}")
        digest = sha256(key).digest()
        expected, identity = self._callers.get(self._blind(digest), (b"", None))
        if not hmac.compare_digest(digest, expected):
            raise Denied("unknown key")
        return identity


def only(values, what):
    """Return the one value, None without any; raises Denied where there are several: two readers would differ."""
    if len(values) > 1:
        raise Denied(f"{what}: expected one key, got {len(values)}")
    return values[0] if values else None


class HeaderKey:
    """A key in a field; with ``authorization`` only after ``Bearer``."""

    def __init__(self, name):
        self._name = name
        self._has_scheme = name == b"authorization"

    def read(self, request):
        """Return the key or None."""
        if self._name not in request.headers:
            return None
        value = only(request.headers.get_all(self._name), "header")
        if not self._has_scheme:
            return value or None
        return value[7:].strip() if value[:7].lower() == b"bearer " else None

    def strip(self, request):
        """Drop the field."""
        values = request.headers.get_all(self._name)
        if values and (not self._has_scheme or any(value[:7].lower() == b"bearer " for value in values)):
            request.headers.remove(self._name)


class QueryKey:
    """A key in the query; name and value may be percent-encoded."""

    def __init__(self, name):
        self._name = name

    def _is_ours(self, pair):
        return unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" ")) == self._name

    def read(self, request):
        """Return the key or None."""
        query = request.query
        found = [pair for pair in query.split(b"&") if self._is_ours(pair)] if query else []
        pair = only(found, "query")
        return None if pair is None else unquote_to_bytes(pair.partition(b"=")[2].replace(b"+", b" ")) or None

    def strip(self, request):
        """Drop the parameter."""
        query = request.query
        if query:
            kept = [pair for pair in query.split(b"&") if not self._is_ours(pair)]
            if len(kept) != query.count(b"&") + 1:
                request.set_target(request.path + (b"?" + b"&".join(kept) if kept else b""))


class CookieKey:
    """A key in a cookie (RFC 6265 4.2)."""

    def __init__(self, name):
        self._start = name + b"="

    def read(self, request):
        """Return the key or None."""
        crumbs = [crumb.strip() for line in request.headers.get_all(b"cookie") for crumb in line.split(b";")]
        found = only([crumb for crumb in crumbs if crumb.startswith(self._start)], "cookie")
        return None if found is None else found[len(self._start):].strip(b'"') or None

    def strip(self, request):
        """Drop the cookie, and leave the others."""
        lines = request.headers.get_all(b"cookie")
        crumbs = [crumb.strip() for line in lines for crumb in line.split(b";")]
        kept = [crumb for crumb in crumbs if crumb and not crumb.startswith(self._start)]
        if len(kept) != len(crumbs):
            request.headers.remove(b"cookie")
            if kept:
                request.headers.add(b"cookie", b"; ".join(kept))
