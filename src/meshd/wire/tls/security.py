"""What a TLS connection has agreed on: asked by access logs, x-forwarded-client-cert and whoever chooses a codec."""

import hashlib
from typing import Any

from meshd.wire.tls.certificate import Certificate, certificates


class Security:
    """``alpn`` is the protocol that was agreed on ("" for none), ``server_name`` what the client asked for (SNI).

    ``peer`` is the other side's Certificate, None where it has shown none; ``is_resumed``: the handshake was a short
    one. ``forwarded`` is kept for whoever tells upstreams of the peer.
    """

    __slots__ = ("engine", "raw", "alpn", "server_name", "is_resumed", "local", "forwarded", "_peer", "_session_id")

    def __init__(self, engine: Any, tls: Any) -> None:
        self.engine = engine
        raw = self.raw = engine._sslobj  # without the frames of those that pass calls on
        self.alpn = raw.selected_alpn_protocol() or ""
        self.server_name = getattr(engine, "requested_name", None) or engine.server_hostname or ""
        self.is_resumed = bool(raw.session_reused)
        self.local: Certificate | None = tls.local_of(engine)
        self.forwarded: Any = None
        self._peer: Any = False
        self._session_id: str | None = None

    @property
    def peer(self) -> Certificate | None:
        """The other side's certificate. Raises ValueError where OpenSSL took one that cannot be read here."""
        if self._peer is False:
            data = self.engine.getpeercert(True)
            self._peer = Certificate(data) if data else None
        return self._peer

    @property
    def has_peer(self) -> bool:
        """Say whether the other side has shown a certificate."""
        return bool(self.engine.getpeercert(True)) if self._peer is False else self._peer is not None

    @property
    def version(self) -> str:
        """``TLSv1.3`` or ``TLSv1.2``."""
        return self.raw.version() or ""

    @property
    def cipher(self) -> str:
        """The cipher suite by OpenSSL's name."""
        row = self.raw.cipher()
        return row[0] if row else ""

    @property
    def session_id(self) -> str:
        """The session's id, hexadecimal; "" where it has none. Asked for once: see ``meshd.tls.client``."""
        if self._session_id is None:
            session = self.engine.session
            self._session_id = session.id.hex() if session is not None else ""
        return self._session_id

    @property
    def peer_chain(self) -> list[Certificate]:
        """All certificates that the peer has sent, its own first; that alone after a short handshake, in which nothing
        is sent, as OpenSSL's tickets have no more.
        """
        ask = getattr(self.engine, "get_unverified_chain", None)
        if ask is not None:
            found = [Certificate(data) for data in ask()]
        else:
            chain = self.raw.get_unverified_chain() or ()  # public from Python 3.13 on
            found = certificates("".join(one.public_bytes() for one in chain).encode())
        return found or ([self.peer] if self.peer is not None else [])

    @property
    def peer_digest(self) -> str:
        """The SHA-256 of the peer's certificate, hexadecimal; "" without one."""
        data = self.engine.getpeercert(True)
        return hashlib.sha256(data).hexdigest() if data else ""
