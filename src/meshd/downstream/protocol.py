"""What a protocol is spoken by: the classes of downstream connections by name.

Each is made with (live chain, descriptor, peer, client, local), takes the descriptor's ownership, and has ``drain()``,
``lost(reason)``, ``abort()`` and ``descriptor`` for its listener, and ``serve(early, arrival)``, called once it is
counted: with bytes that came before it, and the Arrival that it was, or None.
"""

from meshd.downstream.connection import Connection
from meshd.downstream.tcp import TcpConnection

CONNECTIONS = {"http": Connection, "tcp": TcpConnection}
"""``http`` and ``tcp`` are what chains speak; others are agreed on (ALPN)."""
