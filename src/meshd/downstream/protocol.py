"""What a protocol is spoken by: the classes of downstream connections by name.

Each is made with (live chain, descriptor, peer, client, local), takes the descriptor's ownership, and has ``drain()``,
``lost(reason)``, ``abort()`` and ``descriptor`` for its listener, ``received(data)`` for bytes that came before it.
"""

from typing import Any

from meshd.downstream.connection import Connection
from meshd.downstream.h2.connection import H2Connection

CONNECTIONS = {"http": Connection, "http/1.1": Connection, "h2": H2Connection}
"""``http`` and ``tcp`` are what chains speak; others are agreed on (ALPN), or forced by ``http.codec``."""
ALIASES = {"istio-h2": "h2"}
"""Istio's words for what its sidecars agree on: those of HTTP/1 mean what the chain speaks anyway."""


def class_of(protocol: str, agreed: str) -> Any:
    """Return the class for a chain of ``protocol`` and a client with which ``agreed`` was agreed on ("": nothing)."""
    found = CONNECTIONS.get(ALIASES.get(agreed, agreed)) if protocol == "http" and agreed else None
    return CONNECTIONS[protocol] if found is None else found


def alpn_of(protocol: str) -> tuple[str, ...]:
    """Return what a chain of ``protocol`` offers over TLS where its settings say nothing."""
    if protocol != "http":
        return ()
    return ("h2", "http/1.1") if "h2" in CONNECTIONS else ("http/1.1",)
