"""x-forwarded-client-cert: who the client of a mutual TLS connection is, told to the upstream (Envoy's five modes)."""

from typing import Any

from meshd.wire.tls.certificate import DNS, URI

NAME = b"x-forwarded-client-cert"
SANITIZE, FORWARD_ONLY, APPEND_FORWARD, SANITIZE_SET, ALWAYS_FORWARD_ONLY = MODES = (
    "sanitize", "forward_only", "append_forward", "sanitize_set", "always_forward_only")
_ESCAPES = str.maketrans({"\n": "%0A", " ": "%20", "+": "%2B", "/": "%2F", "=": "%3D"})


class ClientCert:
    """The rule of one chain. ``adds``: it adds what did not come."""

    def __init__(self, mode: str, details: Any) -> None:
        self.mode = mode
        self.details = details
        self.adds = mode in (APPEND_FORWARD, SANITIZE_SET)

    def apply(self, headers: Any, security: Any) -> None:
        """Change the request's field by what TLS says of the client; ``security`` is None without TLS."""
        if self.mode == ALWAYS_FORWARD_ONLY:
            return
        is_known = security is not None and security.has_peer
        if self.mode == SANITIZE or not is_known:
            headers.remove(NAME)
        elif self.mode != FORWARD_ONLY:
            value = self.value(security)
            before = b",".join(headers.get_all(NAME)) if self.mode == APPEND_FORWARD else b""
            headers.set(NAME, before + b"," + value if before else value)

    def value(self, security: Any) -> bytes:
        """Return the element for a client; made once for each connection."""
        kept = security.forwarded
        if kept is None or kept[0] is not self:
            kept = security.forwarded = self, self._made(security)
        return kept[1]

    def _made(self, security: Any) -> bytes:
        details, peer = self.details, security.peer
        parts = [f"By={uri}" for uri in (security.local.values(URI) if security.local is not None else ())]
        parts.append(f"Hash={peer.fingerprint}")
        if details.cert:
            parts.append(f'Cert="{peer.pem.translate(_ESCAPES)}"')
        if details.chain:
            chain = "".join(one.pem for one in security.peer_chain)
            parts.append(f'Chain="{chain.translate(_ESCAPES)}"')
        if details.subject:
            parts.append(f'Subject="{peer.subject}"')
        if details.uri:
            parts += [f"URI={uri}" for uri in peer.values(URI)] or ["URI="]
        if details.dns:
            parts += [f"DNS={name}" for name in peer.values(DNS)]
        return ";".join(parts).encode("ascii", "replace")
