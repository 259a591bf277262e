"""What a peer's certificate must be beyond its chain of trust: names, hashes, SPIFFE ids. Rules of one Validation."""

import ipaddress
from collections.abc import Callable
from typing import Any

from meshd.document.regex import compile_regex
from meshd.wire.tls.certificate import DNS, IP, URI, Certificate

BY_SAN, BY_HASH = "fail_verify_san", "fail_verify_cert_hash"
"""Which counter a refusal is of."""

UNKNOWN_HASH = "verify cert failed: cert hash and spki"

Test = Callable[[str, str], bool]


class Verifier:
    """``check`` is asked after each handshake, short ones included."""

    def __init__(self, validation: Any) -> None:
        names = validation.subject_alt_names if validation is not None else ()
        self.tests: list[Test] = [_test(match) for match in names]
        self.keys = frozenset(validation.verify_certificate_spki) if validation is not None else frozenset()
        hashes = validation.verify_certificate_hash if validation is not None else ()
        self.hashes = frozenset(one.replace(":", "").lower() for one in hashes)
        self.domains = frozenset(validation.trust_domains) if validation is not None else frozenset()
        self.is_spiffe = validation is not None and (validation.spiffe or bool(self.domains))

    @property
    def is_asked(self) -> bool:
        """Say whether there is any rule."""
        return bool(self.tests or self.keys or self.hashes or self.is_spiffe)

    def check(self, peer: Certificate, name: str = "") -> tuple[str, str]:
        """Return (why it is refused, which counter that is of), two "" where it is not.

        ``name``, unless empty, must be one of its names where no rule says which.
        """
        if (self.keys or self.hashes) and peer.spki_hash not in self.keys and peer.fingerprint not in self.hashes:
            return UNKNOWN_HASH, BY_HASH
        if self.tests:
            if not any(test(kind, value) for kind, value in peer.names for test in self.tests):
                return "verify cert failed: SAN matcher", BY_SAN
        elif name and not is_named(peer, name):
            return f"verify cert failed: SAN matcher: it is not for {name}", BY_SAN
        if self.is_spiffe:
            why = self._spiffe(peer)
            if why:
                return f"verify cert failed: {why}", BY_SAN
        return "", ""

    def _spiffe(self, peer: Certificate) -> str:
        uris = peer.values(URI)
        if len(uris) != 1:
            return f"{len(uris)} URI names, expected exactly one SPIFFE id"
        domain, _, path = uris[0].removeprefix("spiffe://").partition("/")
        if not uris[0].startswith("spiffe://") or not domain or not path:
            return "its URI name is not a SPIFFE id"
        if self.domains and domain not in self.domains:
            return f"trust domain {domain} is not trusted"
        return ""


def _test(match: Any) -> Test:
    kind = "" if match.type == "any" else match.type
    if match.exact is not None:
        return _exact(kind, match.exact)
    if match.regex is not None:
        fits = compile_regex(match.regex).fullmatch
        return lambda one, value: (not kind or one == kind) and bool(fits(value))
    word = match.prefix if match.prefix is not None else match.suffix
    way = str.startswith if match.prefix is not None else str.endswith
    return lambda one, value: (not kind or one == kind) and way(value, word)


def _exact(kind: str, wanted: str) -> Test:
    address = _address(wanted)

    def test(one: str, value: str) -> bool:
        if kind and one != kind:
            return False
        if one == DNS:
            return dns_matches(value, wanted)
        return value == wanted or one == IP and value == address
    return test


def _address(text: str) -> str:
    """Return an IP address in its one form, "" where it is none."""
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        return ""


def dns_matches(pattern: str, name: str) -> bool:
    """Say whether a certificate's DNS name, perhaps with an asterisk for its first label, is that of ``name`` (RFC
    9525 6.3)."""
    pattern, name = pattern.lower().rstrip("."), name.lower().rstrip(".")
    if not pattern.startswith("*."):
        return pattern == name
    label, _, rest = name.partition(".")
    return bool(label) and rest == pattern[2:]


def is_named(peer: Certificate, name: str) -> bool:
    """Say whether ``name``, a host or an IP address, is one of the certificate's names; common names do not count."""
    address = _address(name)
    if address:
        return address in peer.values(IP)
    return any(dns_matches(one, name) for one in peer.values(DNS))
