"""What a protocol is spoken by: the classes of downstream connections by name.

Each is made with (live chain, descriptor, peer, client, local), takes the descriptor's ownership, and has ``drain()``,
``lost(reason)``, ``abort()`` and ``descriptor`` for its listener, ``received(data)`` for bytes that came before it.
"""

from meshd.downstream.connection import Connection

CONNECTIONS = {"http": Connection}
"""``http`` and ``tcp`` are what chains speak; others are agreed on (ALPN)."""
