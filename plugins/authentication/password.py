"""Password hashes: reading, making and checking them. Called by ``basic``, in a thread, and by ``python -m``.

Two forms: ``scrypt:N:r:p:SALT:HASH`` (RFC 7914, base64) and ``{SHA}HASH`` of htpasswd files, which is unsalted SHA-1,
quick to guess, and only read for the sake of existing files.
"""

import binascii
import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode

import attrs

MAX_MEMORY_BYTES = 128 * 1024 * 1024
"""What one scrypt may take: 128 * N * r must stay below it."""

DEFAULT_N, DEFAULT_R, DEFAULT_P = 2**14, 8, 1
"""RFC 7914's figures for interactive logins: 16 MiB and some 50 ms."""


@attrs.frozen
class Scrypt:
    """One scrypt hash with its cost."""

    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes = attrs.field(repr=False)

    def matches(self, password: bytes) -> bool:
        """Say whether ``password`` gives this hash. Takes the same time whatever the answer."""
        length = len(self.digest)
        made = hashlib.scrypt(
            password, salt=self.salt, n=self.n, r=self.r, p=self.p, maxmem=2 * MAX_MEMORY_BYTES, dklen=length
        )
        return hmac.compare_digest(made, self.digest)


@attrs.frozen
class Sha1:
    """One hash of an htpasswd file."""

    digest: bytes = attrs.field(repr=False)

    def matches(self, password: bytes) -> bool:
        """Say whether ``password`` gives this hash."""
        return hmac.compare_digest(hashlib.sha1(password).digest(), self.digest)


def parse(text):
    """Return the hash that ``text`` holds; raises ValueError, which never shows the text."""
    if text.startswith("{SHA}"):
        digest = _decode(text[5:])
        if len(digest) != 20:
            raise ValueError("{SHA}: expected 20 bytes in base64")
        return Sha1(digest)
    if text.startswith("scrypt:"):
        return _parse_scrypt(text.split(":"))
    raise ValueError("unknown password hash: expected scrypt:N:R:P:SALT:HASH or {SHA}HASH")


def _parse_scrypt(fields):
    if len(fields) != 6 or not all(field.isdecimal() and len(field) < 9 for field in fields[1:4]):
        raise ValueError("scrypt: expected scrypt:N:R:P:SALT:HASH")
    n, r, p = map(int, fields[1:4])
    if n < 2 or n & (n - 1) or not 1 <= r <= 32 or not 1 <= p <= 16 or 128 * n * r > MAX_MEMORY_BYTES:
        raise ValueError(f"scrypt: {n}:{r}:{p}: expected N a power of two, R up to 32, P up to 16, at most 128 MiB")
    salt, digest = _decode(fields[4]), _decode(fields[5])
    if len(salt) < 8 or not 16 <= len(digest) <= 64:
        raise ValueError("scrypt: expected a salt of at least 8 bytes and a hash of 16 to 64 bytes")
    return Scrypt(n, r, p, salt, digest)


def _decode(text):
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("password hash: expected base64") from None


def make(password: bytes, n: int = DEFAULT_N, r: int = DEFAULT_R, p: int = DEFAULT_P) -> str:
    """Return a new ``scrypt:`` hash of ``password`` with a random salt."""
    salt = secrets.token_bytes(16)
    digest = hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=2 * MAX_MEMORY_BYTES, dklen=32)
    return f"scrypt:{n}:{r}:{p}:{b64encode(salt).decode()}:{b64encode(digest).decode()}"


def decoy(known):
    """Return a hash that no password gives and that costs what those of ``known`` do, for users that do not exist."""
    for one in known:
        if isinstance(one, Scrypt):
            return attrs.evolve(one, salt=secrets.token_bytes(16), digest=secrets.token_bytes(32))
    return Sha1(secrets.token_bytes(20))
