"""The authenticator ``basic``: user names and passwords (RFC 7617).

Strategy: a hash takes tens of milliseconds, so it runs in a thread. What it said is remembered for a while under a
digest of the credentials, keyed with random bytes of this object, so the usual request waits for nothing and no
password stays in memory. Requests with the same credentials wait for one hash. Unknown users cost the same work.
"""

import os
from base64 import b64decode
from collections import OrderedDict
from hashlib import blake2b

from twisted.internet.defer import Deferred

from meshd.api import (
    Boolean, ConfigurationError, Denied, Duration, File, Identity, Integer, MapOf, PluginError, Text, config, option,
)
from meshd_plugins.authentication.password import Sha1, decoy, parse
from meshd_plugins.authentication.table import read_table

MAX_HEADER_BYTES = 4096
DENIED_S = 5.0
"""How long a refusal is remembered at most: a client that tries again and again costs no hash each time."""

USER = Text(pattern=r"[^:\x00-\x1f\x7f]+", maximum=256)


@config
class Basic:
    """Users and their password hashes; ``python -m meshd_plugins.authentication`` makes one."""

    users: tuple[tuple[str, str], ...] = option(
        MapOf(key=USER, value=Text(secret=True, maximum=1024)), default=(),
        doc="user name: scrypt:N:R:P:SALT:HASH or {SHA}HASH"
    )
    file: str | None = option(
        File(exists=True), default=None,
        doc="htpasswd file with such hashes, one USER:HASH a line; read at start and reload"
    )
    cache_ttl_s: float = option(
        Duration(maximum=86400.0), default=300.0, doc="how long verified credentials need no hash (0: always hash)"
    )
    cache_size: int = option(
        Integer(minimum=1, maximum=1_000_000), default=10_000, doc="credentials remembered at most"
    )
    max_pending: int = option(
        Integer(minimum=1, maximum=1000), default=64, doc="hashes waited for at once; more requests fail with 500"
    )
    forward: bool = option(Boolean(), default=False, doc="send the authorization header upstream")

    def check(self):
        """Yield faults of the users given here."""
        if not self.users and self.file is None:
            yield "users", "expected users, file or both"
        for name, text in self.users:
            try:
                parse(text)
            except ValueError as error:
                yield "users", f"{name}: {error}"


class BasicAuthenticator:
    """``authenticate`` answers at once from memory, else with a Deferred."""

    def __init__(self, config, site):
        self._site = site
        known = [(name, parse(text)) for name, text in config.users]
        known += read_table(config.file, parse) if config.file is not None else []
        self._hashes = {name.encode("utf-8", "surrogateescape"): one for name, one in known}
        if len(self._hashes) != len(known):
            raise ConfigurationError("basic: a user is given twice: expected each name once")
        weak = sum(isinstance(one, Sha1) for one in self._hashes.values())
        if weak:
            site.log.warn("users with {{SHA}} hashes: {weak}: quick to guess: expected scrypt hashes", weak=weak)
        self._decoy = decoy(self._hashes.values())
        self._identities = {
            name: Identity(name=name.decode("utf-8", "replace"), method="basic") for name in self._hashes
        }
        self._memory = Memory(config.cache_ttl_s, config.cache_size)
        self._pending = {}
        self._max_pending = config.max_pending
        self._key = os.urandom(32)
        self.forward = config.forward

    def challenge(self, realm):
        """Return the www-authenticate value."""
        return b'Basic realm="%s", charset="UTF-8"' % realm.encode()

    def strip(self, exchange):
        """Take Basic credentials out of the request."""
        value = None if self.forward else exchange.request.headers.get(b"authorization")
        if value is not None and value[:6].lower() == b"basic ":
            exchange.request.headers.remove(b"authorization")

    def authenticate(self, exchange):
        """Return an Identity, None without Basic credentials, or a Deferred of an Identity; raises Denied."""
        value = exchange.request.headers.joined(b"authorization")
        if value is None or value[:6].lower() != b"basic ":
            return None
        user, password, digest = self._read(value)
        known = self._memory.get(digest, self._site.clock.now())
        if known is None:
            return self._hash(user, password, digest)
        return self._answer(known, user)

    def explain(self, exchange):
        """Return None without Basic credentials, else what can be said without a hash; raises Denied."""
        value = exchange.request.headers.joined(b"authorization")
        if value is None or value[:6].lower() != b"basic ":
            return None
        user, _, _ = self._read(value)
        known = "known" if user in self._hashes else "unknown"
        return f"checks the password of the {known} user {user[:64].decode('utf-8', 'replace')}"

    def _read(self, value):
        if len(value) > MAX_HEADER_BYTES:
            raise Denied(f"credentials of {len(value)} bytes: expected at most {MAX_HEADER_BYTES}")
        try:
            pair = b64decode(value[6:].strip(), validate=True)
        except ValueError:
            raise Denied("credentials are not base64") from None
        user, colon, password = pair.partition(b":")
        if not colon:
            raise Denied("credentials without a colon")
        return user, password, blake2b(pair, digest_size=32, key=self._key).digest()

    def _answer(self, is_right, user):
        if is_right:
            return self._identities[user]
        raise Denied(f"wrong password or unknown user {user[:64]!r}")

    def _hash(self, user, password, digest):
        waiting = Deferred()
        others = self._pending.get(digest)
        if others is not None:
            others.append(waiting)
        elif len(self._pending) >= self._max_pending:
            raise PluginError(f"basic: {self._max_pending} password hashes are waited for")
        else:
            self._pending[digest] = [waiting]
            one = self._hashes.get(user, self._decoy)
            self._site.in_thread(one.matches, password).addBoth(self._hashed, digest)
        return waiting.addCallback(self._answer, user)

    def _hashed(self, result, digest):
        waiting = self._pending.pop(digest)
        if isinstance(result, bool):
            self._memory.put(digest, result, self._site.clock.now())
        for one in waiting:
            if not one.called:
                (one.callback if isinstance(result, bool) else one.errback)(result)


class Memory:
    """Verdicts by digest, each for ``ttl_s`` (refusals for ``DENIED_S`` at most), ``size`` of them."""

    def __init__(self, ttl_s, size):
        self._ttl_s = ttl_s
        self._size = size
        self._rows = OrderedDict()

    def get(self, digest, now):
        """Return the verdict, or None where there is none."""
        row = self._rows.get(digest)
        if row is None or row[0] <= now:
            return None
        return row[1]

    def put(self, digest, is_right, now):
        """Remember a verdict."""
        ttl_s = self._ttl_s if is_right else min(self._ttl_s, DENIED_S)
        self._rows[digest] = (now + ttl_s, is_right)
        self._rows.move_to_end(digest)
        while len(self._rows) > self._size:
            self._rows.popitem(last=False)
