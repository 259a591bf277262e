"""What a protocol is spoken by: the classes of downstream connections by name.

Each is made with (live chain, descriptor, peer, client, local), takes the descriptor's ownership, and has ``drain()``,
``lost(reason)``, ``abort()`` and ``descriptor`` for its listener, and ``serve(early, arrival)``, called once it is
counted: with bytes that came before it, and the Arrival that it was, or None.
"""

from typing import Any

from meshd.downstream.connection import Connection
from meshd.downstream.tcp import TcpConnection

CONNECTIONS = {"http": Connection, "tcp": TcpConnection}
"""``http`` and ``tcp`` are what chains speak; others are agreed on (ALPN)."""
H2 = ("h2", "istio-h2")
"""HTTP/2 by its own word and by Istio's, whose words for HTTP/1 mean what the chain speaks anyway."""


def class_of(protocol: str, agreed: str) -> Any:
    """Return the class for a chain of ``protocol`` and a client with which ``agreed`` was agreed on ("": nothing)."""
    is_h2 = protocol == "http" and agreed in H2 and "h2" in CONNECTIONS
    return CONNECTIONS["h2" if is_h2 else protocol]


def alpn_of(protocol: str) -> tuple[str, ...]:
    """Return what a chain of ``protocol`` offers over TLS where its settings say nothing."""
    if protocol != "http":
        return ()
    return ("h2", "http/1.1") if "h2" in CONNECTIONS else ("http/1.1",)
