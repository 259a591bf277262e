"""What a protocol is spoken by: the classes of downstream connections by name.

Each is made with (live chain, descriptor, peer, client, local), takes the descriptor's ownership, and has ``drain()``,
``lost(reason)``, ``abort()`` and ``descriptor`` for its listener, ``received(data)`` for bytes that came before it.
"""

from typing import Any

from meshd.downstream.connection import Connection
from meshd.downstream.h2.connection import H2Connection

CONNECTIONS = {"http": Connection, "http1": Connection, "h2": H2Connection}
"""By what a chain speaks (``speech_of``) or what was agreed on with the client (ALPN)."""
ALIASES = {"istio-h2": "h2"}
"""Istio's words for what its sidecars agree on: those of HTTP/1 mean what the chain speaks anyway."""
SPEECHES = {"auto": "http", "http1": "http1", "http2": "h2"}
OFFERS = {"http": ("h2", "http/1.1"), "http1": ("http/1.1",), "h2": ("h2",)}


def speech_of(spec: Any) -> str:
    """Return what a chain speaks: its protocol, of HTTP by its codec; ``http`` is either version."""
    return SPEECHES[spec.http.codec] if spec.protocol == "http" else spec.protocol


def class_of(speech: str, agreed: str) -> Any:
    """Return the class for a chain and a client with which ``agreed`` was agreed on ("": nothing)."""
    found = CONNECTIONS.get(ALIASES.get(agreed, agreed)) if speech == "http" and agreed else None
    return CONNECTIONS[speech] if found is None else found


def alpn_of(spec: Any) -> tuple[str, ...]:
    """Return what a chain offers over TLS where its settings say nothing."""
    return OFFERS.get(speech_of(spec), ())
