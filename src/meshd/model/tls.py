"""TLS: what is shown to clients and asked of them, and the same towards endpoints. Words and meanings are Envoy's.

Only paths and names of secrets stand here, never a key.
"""

import re

from meshd.document.option import (
    Boolean, Choice, Duration, File, ListOf, Nested, Regex, Text, config, option, place,
)

VERSIONS = ("1.2", "1.3")
CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
)
"""For TLS 1.2, in this order (Envoy's, all with forward secrecy and authenticated); 1.3 has none that need choosing."""
SECRET = Text(pattern=r"[A-Za-z0-9][A-Za-z0-9._-]*|/.+", maximum=4096)
"""A folder of ``secrets.directory``, or any by its absolute path."""
MESH_ALPN = ("istio-peer-exchange", "istio", "istio-http/1.0", "istio-http/1.1", "istio-h2")
"""What clients offer (ALPN) when they speak TLS of the mesh (Istio's words)."""
H2_ALPN = ("h2", "istio-h2")
HTTP1_ALPN = ("http/1.1", "http/1.0", "istio-http/1.1", "istio-http/1.0")
"""Words for the versions of HTTP, the registered ones (RFC 7301, RFC 9113 3.2) and Istio's."""
DISABLE, PERMISSIVE, STRICT = "disable", "permissive", "strict"
"""Whom a listener asks for mutual TLS (Istio's PeerAuthentication)."""
_HASH = re.compile(r"(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}")
_WAYS = ("exact", "prefix", "suffix", "regex")


@config
class Certificate:
    """A chain and its key: two files, or a folder of ``secrets.directory`` with both."""

    certificate_file: str | None = option(File(), default=None, doc="PEM: the certificate, then those of its issuers")
    key_file: str | None = option(File(), default=None, doc="PEM: its key, not encrypted")
    secret: str | None = option(
        SECRET, default=None, doc="a folder with `tls.crt` and `tls.key`, or `cert-chain.pem` and `key.pem`"
    )
    where: str = place()

    def check(self):
        """Yield faults between fields."""
        if self.secret is not None:
            if self.certificate_file or self.key_file:
                yield "secret", "expected either secret or certificate_file and key_file, not both"
        elif self.certificate_file is None or self.key_file is None:
            missing = "certificate_file" if self.certificate_file is None else "key_file"
            yield missing, "expected certificate_file and key_file, or secret"


@config
class SanMatch:
    """A test of a subject alternative name; written as a word it is ``exact``."""

    exact: str | None = option(Text(minimum=1), default=None, doc="the whole name; a DNS name in any case")
    prefix: str | None = option(Text(minimum=1), default=None, doc="its beginning")
    suffix: str | None = option(Text(minimum=1), default=None, doc="its end")
    regex: str | None = option(Regex(), default=None, doc="an expression (RE2) for the whole of it")
    type: str = option(
        Choice(("any", "dns", "uri", "email", "ip_address")), default="any", doc="which kind of name it must be"
    )

    def check(self):
        """Yield a fault unless exactly one way is given."""
        if sum(getattr(self, way) is not None for way in _WAYS) != 1:
            yield None, f"expected exactly one of {', '.join(_WAYS)}"


@config
class Validation:
    """What a peer's certificate must be. The rules add up, but for the two lists of hashes, of which one must fit."""

    ca_file: str | None = option(
        File(), default=None, doc="PEM of the authorities that are trusted; a part of a chain will do"
    )
    crl_file: str | None = option(
        File(), default=None, doc="PEM of revocation lists: one of every authority of the chain"
    )
    secret: str | None = option(
        SECRET, default=None,
        doc="a folder with `ca.crt` (`root-cert.pem`) and perhaps `ca.crl` (or the same with -cacert)"
    )
    system_roots: bool = option(Boolean(), default=False, doc="trust what this machine trusts")
    only_verify_leaf_cert_crl: bool = option(Boolean(), default=False, doc="ask the lists for the peer's own only")
    subject_alt_names: tuple[SanMatch, ...] = option(
        ListOf(item=Nested(SanMatch, word="exact"), maximum=1000), default=(), doc="one of its names must fit one"
    )
    verify_certificate_spki: tuple[str, ...] = option(
        ListOf(item=Text(pattern=r"[A-Za-z0-9+/]{43}="), maximum=1000), default=(),
        doc="base64 of the SHA-256 of its public key: one must fit, or one of the next"
    )
    verify_certificate_hash: tuple[str, ...] = option(
        ListOf(item=Text(pattern=_HASH.pattern), maximum=1000), default=(),
        doc="hexadecimal SHA-256 of the certificate, colons between or not"
    )
    spiffe: bool = option(Boolean(), default=False, doc="it has exactly one URI name, and that is a SPIFFE id")
    trust_domains: tuple[str, ...] = option(
        ListOf(item=Text(pattern=r"[a-z0-9._-]{1,255}"), maximum=1000), default=(),
        doc="the trust domain of its SPIFFE id is one of these"
    )
    where: str = place()

    @property
    def has_authorities(self) -> bool:
        """Say whether there is an authority to go by."""
        return self.ca_file is not None or self.secret is not None or self.system_roots

    def check(self):
        """Yield faults between fields."""
        if self.secret is not None and (self.ca_file or self.crl_file):
            yield "secret", "expected either secret or ca_file and crl_file, not both"
        if self.only_verify_leaf_cert_crl and not (self.crl_file or self.secret):
            yield "only_verify_leaf_cert_crl", "expected crl_file or secret beside it"
        if not (self.has_authorities or self.verify_certificate_spki or self.verify_certificate_hash):
            yield None, "expected ca_file, secret, system_roots, or hashes to verify by"


@config
class DownstreamTls:
    """TLS towards clients."""

    certificates: tuple[Certificate, ...] = option(
        ListOf(item=Nested(Certificate), minimum=1, maximum=1000),
        doc="the first whose names fit what the client asks for (SNI) is shown, one for RSA and one for ECDSA keys"
    )
    client_certificate: str = option(
        Choice(("none", "optional", "required")), default="none",
        doc="asked of clients; optional: who shows one must show a good one (Istio's OPTIONAL_MUTUAL)"
    )
    validation: Validation | None = option(Nested(Validation), default=None, doc="what a client's certificate must be")
    min_version: str = option(Choice(VERSIONS), default="1.2", doc="oldest TLS")
    max_version: str = option(Choice(VERSIONS), default="1.3", doc="newest TLS")
    cipher_suites: tuple[str, ...] = option(
        ListOf(item=Text(pattern=r"[A-Za-z0-9_+!@=-]{1,100}"), minimum=1, maximum=100), default=CIPHERS,
        doc="of TLS 1.2, by OpenSSL's names, the best first"
    )
    ecdh_curves: tuple[str, ...] = option(
        ListOf(item=Text(pattern=r"[A-Za-z0-9_-]{1,64}"), maximum=20), default=(),
        doc="groups for keys, the best first (when absent: X25519, P-256, P-384, with OpenSSL 3.5 X25519MLKEM768 first)"
    )
    alpn: tuple[str, ...] | None = option(
        ListOf(item=Text(minimum=1, maximum=255), maximum=20), default=None,
        doc="protocols that are offered, the best first (when absent: what the chain speaks)"
    )
    session_tickets: bool = option(
        Boolean(), default=True, doc="clients may come back with a short handshake; each worker knows its own tickets"
    )
    handshake_timeout_s: float = option(
        Duration(minimum=0.001, maximum=3600.0), default=10.0,
        doc="from the connection's arrival at the chain to the end of the handshake",
    )
    where: str = place()

    def check(self):
        """Yield faults between fields."""
        if self.min_version > self.max_version:
            yield "min_version", "expected no more than max_version"
        if self.client_certificate != "none":
            if self.validation is None:
                yield "validation", "expected, for certificates of clients are asked for"
        elif self.validation is not None:
            yield "client_certificate", "expected optional or required where there is a validation"


@config
class UpstreamTls:
    """TLS towards endpoints. Without a validation the system's authorities are trusted."""

    sni: str | None = option(Text(minimum=1, maximum=255), default=None, doc="name that is asked for (SNI)")
    auto_sni: bool = option(
        Boolean(), default=True, doc="where sni is absent, ask for the request's host, or the endpoint's name"
    )
    auto_san_validation: bool = option(
        Boolean(), default=True, doc="where no subject_alt_names are given, the name that was asked for must be there"
    )
    validation: Validation | None = option(Nested(Validation), default=None, doc="what its certificate must be")
    insecure_skip_verify: bool = option(
        Boolean(), default=False, doc="take any certificate: whoever sits between reads and changes everything"
    )
    certificate: Certificate | None = option(Nested(Certificate), default=None, doc="ours, for mutual TLS")
    min_version: str = option(Choice(VERSIONS), default="1.2", doc="oldest TLS")
    max_version: str = option(Choice(VERSIONS), default="1.3", doc="newest TLS")
    cipher_suites: tuple[str, ...] = option(
        ListOf(item=Text(pattern=r"[A-Za-z0-9_+!@=-]{1,100}"), minimum=1, maximum=100), default=CIPHERS,
        doc="of TLS 1.2, by OpenSSL's names, the best first"
    )
    ecdh_curves: tuple[str, ...] = option(
        ListOf(item=Text(pattern=r"[A-Za-z0-9_-]{1,64}"), maximum=20), default=(),
        doc="groups for keys, the best first (when absent: X25519, P-256, P-384, with OpenSSL 3.5 X25519MLKEM768 first)"
    )
    alpn: tuple[str, ...] | None = option(
        ListOf(item=Text(minimum=1, maximum=255), maximum=20), default=None,
        doc="protocols that are offered, the best first (when absent: what the cluster speaks)"
    )
    mesh_alpn: bool = option(
        Boolean(), default=False, doc="where alpn is absent, offer Istio's words for mutual TLS of the mesh before it"
    )
    session_resumption: bool = option(Boolean(), default=True, doc="come back to an endpoint with a short handshake")
    where: str = place()

    def check(self):
        """Yield faults between fields."""
        if self.min_version > self.max_version:
            yield "min_version", "expected no more than max_version"
        if self.sni is not None and not _is_host_name(self.sni):
            yield "sni", "expected a host's name: labels of 1 to 63 characters with dots between, no blanks"
        if self.insecure_skip_verify and self.validation is not None:
            yield "insecure_skip_verify", "expected either a validation or to skip it, not both"


def _is_host_name(name: str) -> bool:
    """Say whether a server can be asked for a name (RFC 6066 3)."""
    try:
        return name.isprintable() and " " not in name and bool(name.encode("idna"))
    except UnicodeError:
        return False


@config
class Secrets:
    """Where secrets are found by name, and how soon a change is seen."""

    directory: str = option(
        File(), default="/etc/meshd/secrets", doc="a folder for each secret, of files as Kubernetes names them"
    )
    poll_s: float = option(
        Duration(minimum=0.05, maximum=3600.0), default=1.0, doc="how often files are looked at (SIGHUP looks at once)")
