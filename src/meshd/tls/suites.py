"""The order of the cipher suites of TLS 1.3, for which Python's ``ssl`` has a word from 3.15 on (``set_ciphersuites``).

OpenSSL has AES with 256 bits first, BoringSSL 128: Envoy's clients, browsers and Go offer it so. With SHA-256 in the
processor a full handshake takes a tenth less time by it.
"""

import ssl

from meshd.tls import direct

FIRST = "TLS_AES_128_GCM_SHA256"
PRIORITIZE_CHACHA = 1 << 21
"""Of OpenSSL: a client that has ChaCha20 first, as those without AES in their processor, gets it."""


def arrange(context: ssl.SSLContext) -> None:
    """Put ``FIRST`` first among those that OpenSSL has, its configuration regarded; else its order stays."""
    context.options |= PRIORITIZE_CHACHA
    names = [suite["name"] for suite in context.get_ciphers() if suite["protocol"] == "TLSv1.3"]
    if FIRST in names:
        names.sort(key=lambda name: name != FIRST)
        _give(context, ":".join(names))


def _by_python(context: ssl.SSLContext, names: str) -> bool:
    context.set_ciphersuites(names)
    return True


_give = _by_python if hasattr(ssl.SSLContext, "set_ciphersuites") else direct.set_suites
