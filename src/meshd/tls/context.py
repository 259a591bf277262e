"""OpenSSL's contexts from the model's settings: versions, ciphers, certificates, authorities."""

import ssl
from typing import Any

from meshd.errors import MeshdError
from meshd.tls import direct, groups, material, suites
from meshd.wire.tls.certificate import Certificate

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
TICKETS = 1
"""Session tickets given after a full handshake of TLS 1.3; a client uses one at a time."""

MAX_DEPTH = 8
"""Most authorities that are put behind a certificate."""


class Context(ssl.SSLContext):
    """``local`` is the certificate that is shown, or the first where there is one for each type of key."""

    local: Certificate | None = None


def make(spec: Any, side: int, alpn: tuple[str, ...]) -> Context:
    """Return a context of ``side`` (``ssl.PROTOCOL_TLS_SERVER`` or ``..._CLIENT``). Raises MeshdError."""
    context = Context(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = _VERSIONS[spec.min_version]
    context.maximum_version = _VERSIONS[spec.max_version]
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.set_ciphers(":".join(spec.cipher_suites))
    except ssl.SSLError:
        raise MeshdError(f"cipher_suites: {spec.cipher_suites!r}: OpenSSL knows none of them") from None
    suites.arrange(context)
    groups.choose(context, spec.ecdh_curves)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if side == ssl.PROTOCOL_TLS_SERVER:
        direct.keep_no_sessions(context)
        if spec.session_tickets:
            context.num_tickets = TICKETS
        else:
            context.num_tickets = 0
            context.options |= ssl.OP_NO_TICKET
    return context


def unknown_ciphers(names: tuple[str, ...]) -> list[str]:
    """Return which of ``cipher_suites`` OpenSSL knows nothing by; it passes over them. Words that take others away, or
    that sort, are not asked about.
    """
    context, found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), []
    for name in names:
        try:
            if name[0] not in "!-+@":
                context.set_ciphers(name)
        except ssl.SSLError:
            found.append(name)
    return found


class Authorities:
    """Who is trusted, read once and given to each context.

    For pages and metrics ``found`` are the certificates, ``revoked`` (file, issuer, expiry) of the revocation lists.
    """

    def __init__(self, validation: Any, directory: str) -> None:
        self._validation = validation
        self._ca, self._crl = material.authority_paths(validation, directory)
        self._data = b""
        self.found: list[Certificate] = []
        self.revoked: list[tuple[str, str, float]] = []
        if self._ca is not None:
            self._data, self.found = material.read_certificates(self._ca, "ca_file")

    @property
    def path(self) -> str:
        """The file of the authorities, "" for the system's."""
        return self._ca or ""

    def complete(self, chain: bytes, found: list[Certificate]) -> bytes:
        """Return the PEM of a chain that is shown, ``found`` in it, with what OpenSSL would add of the authorities.

        It would look for that at each handshake, and check each signature again: a third of the handshake's time. Where
        it is not clear who signed, it still does.
        """
        path = list(found)
        while len(found) == 1 and len(path) <= MAX_DEPTH and path[-1].issuer != path[-1].subject:
            signers = [one for one in self.found if one.subject == path[-1].issuer]
            if len(signers) != 1:
                return chain
            path += signers
        more = [ssl.DER_cert_to_PEM_cert(one.der).encode() for one in path[len(found):]]
        return b"\n".join([chain.rstrip(), *more])

    def load(self, context: ssl.SSLContext) -> None:
        """Make ``context`` trust them. Raises BadSecret."""
        if self._ca is not None:
            material.load_authorities(context, self._ca, self._data)
        if self._validation.system_roots:
            context.set_default_verify_paths()
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if self._crl is not None:
            lists = material.load_lists(context, self._crl, self._validation.only_verify_leaf_cert_crl)
            self.revoked = [(self._crl, *one) for one in lists]
