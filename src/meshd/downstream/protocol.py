"""What a protocol is spoken by: the classes of downstream connections by name.

Each is made with (live chain, descriptor, peer, client, local), takes the descriptor's ownership, and has ``drain()``,
``lost(reason)``, ``abort()`` and ``descriptor`` for its listener, and ``serve(early, arrival)``, called once it is
counted: with bytes that came before it, and the Arrival that it was, or None.
"""

from typing import Any

from meshd.downstream.connection import Connection
from meshd.downstream.h2.connection import H2Connection
from meshd.downstream.tcp import TcpConnection
from meshd.model.tls import H2_ALPN

CONNECTIONS = {"http": Connection, "http1": Connection, "h2": H2Connection, "tcp": TcpConnection}
"""By what a chain speaks (``speech_of``)."""
SPEECHES = {"auto": "http", "http1": "http1", "http2": "h2"}
OFFERS = {"http": ("h2", "http/1.1"), "http1": ("http/1.1",), "h2": ("h2",)}


def speech_of(spec: Any) -> str:
    """Return what a chain speaks: its protocol, of HTTP by its codec; ``http`` is either version."""
    return SPEECHES[spec.http.codec] if spec.protocol == "http" else spec.protocol


def class_of(speech: str, agreed: str) -> Any:
    """Return the class for a chain and a client with which ``agreed`` was agreed on ("": nothing). Words for HTTP/1
    mean what the chain speaks anyway.
    """
    return CONNECTIONS["h2" if speech == "http" and agreed in H2_ALPN else speech]


def alpn_of(spec: Any) -> tuple[str, ...]:
    """Return what a chain offers over TLS where its settings say nothing."""
    return OFFERS.get(speech_of(spec), ())
