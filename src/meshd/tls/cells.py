"""Counters of TLS: of a listener's (``envoy_listener_ssl_...``) or a cluster's (``envoy_cluster_ssl_...``)."""

from typing import Any

ROWS = (
    ("handshake", "TLS handshakes that succeeded"),
    ("connection_error", "TLS connections that failed, but for certificates that were refused"),
    ("session_reused", "TLS handshakes that went on with a known session"),
    ("no_certificate", "TLS connections whose peer has shown no certificate"),
    ("fail_verify_no_cert", "TLS connections refused for want of the peer's certificate"),
    ("fail_verify_error", "TLS connections refused because the peer's certificate is not trusted"),
    ("fail_verify_san", "TLS connections refused by the names in the peer's certificate"),
    ("fail_verify_cert_hash", "TLS connections refused by the hash of the peer's certificate"),
)
PREFIXES = {"listener": "envoy_listener_ssl_", "cluster": "envoy_cluster_ssl_"}
KINDS = (
    ("ciphers", "cipher", "TLS connections by cipher suite"),
    ("versions", "version", "TLS connections by version"),
)
MOST = 64
"""Different pairs of suite and version that are counted by name: OpenSSL knows fewer."""


class TlsCells:
    """Each attribute is a cell with ``value``; ``count`` counts what was agreed on."""

    def __init__(self, metrics: Any, scope: str, label: str, name: str) -> None:
        self._name = name
        for attribute, doc in ROWS:
            setattr(self, attribute, metrics.counter(f"{PREFIXES[scope]}{attribute}", doc, (label,)).cell(name))
        self._families = [metrics.counter(f"{PREFIXES[scope]}{metric}", doc, (label, f"ssl_{word}"))
                          for metric, word, doc in KINDS]
        self._known: dict[tuple[str, str], tuple[Any, ...]] = {}

    def count(self, cipher: str, version: str) -> None:
        """Count one more connection."""
        cells = self._known.get((cipher, version))
        if cells is None:
            if len(self._known) >= MOST:
                return
            cells = tuple(family.cell(self._name, value) for family, value in zip(self._families, (cipher, version)))
            self._known[cipher, version] = cells
        for cell in cells:
            cell.value += 1
