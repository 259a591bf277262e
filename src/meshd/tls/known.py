"""Clients whose certificates are known by their hashes alone, with no authority that has signed them (Envoy's way).

OpenSSL refuses what no authority has signed, and the standard library gives nobody a say in that. But it shows messages
of the handshake before they are worked on (``SSLContext._msg_callback``, which debuggers use): a certificate whose hash
is one of those configured is trusted from then on as it stands. That its owner has the key is proven later in the
handshake, and all rules are asked after it as ever.
"""

import ssl
import weakref
from typing import Any

from meshd.wire.tls.certificate import Certificate

HANDSHAKE, CERTIFICATE = 22, 11
"""The content type, and the type of message (RFC 8446 5.1, 4)."""
TO_NOBODY = frozenset((18, 19, 20, 21))
"""OpenSSL's codes for chains that end at nobody who is trusted, from X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT on."""
MOST = 1000
"""Different certificates that a context may come to trust; then new contexts are made at the next look at the files.
Anybody can make any number of certificates with a known public key in them, though nobody can use them."""


def trust_known(context: ssl.SSLContext, tls: Any) -> None:
    """Let ``context``, which asks for certificates, take those that the rules of ``tls`` (``ServerTls``) know."""
    ours = weakref.ref(tls)
    trusted: set[str] = set()

    def look(engine: Any, direction: str, version: int, content: int, message: int, data: bytes) -> None:
        live = ours()
        if direction == "read" and content == HANDSHAKE and message == CERTIFICATE and live is not None:
            found = first_of(data, version)
            if found is not None and is_known(found, live.verifier):
                trust(engine, found, trusted)
                if len(trusted) == MOST:
                    live.again()

    context._msg_callback = look  # type: ignore[attr-defined]


def trust(engine: Any, found: Certificate, trusted: set[str]) -> None:
    """Make a certificate an authority of the context of ``engine``; ``trusted`` are those that are."""
    if found.fingerprint not in trusted and len(trusted) < MOST:
        trusted.add(found.fingerprint)
        engine.context.load_verify_locations(cadata=found.der)


def first_of(data: bytes, version: int) -> Certificate | None:
    """Return the first certificate of a Certificate message (RFC 5246 7.4.2, RFC 8446 4.4.2), None without one that
    can be read.
    """
    place = 4
    if version >= ssl.TLSVersion.TLSv1_3:
        place += 1 + data[place] if len(data) > place else 1
    place += 3
    size = int.from_bytes(data[place:place + 3], "big")
    try:
        return Certificate(data[place + 3:place + 3 + size]) if size else None
    except ValueError:
        return None


def is_known(found: Certificate, verifier: Any) -> bool:
    """Say whether the hash of a certificate, or of its key, is one of the rules'."""
    return found.fingerprint in verifier.hashes or found.spki_hash in verifier.keys
