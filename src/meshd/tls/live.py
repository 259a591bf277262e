"""What both sides of live TLS have in common: the contexts in force, made anew when files change, and its counters.

A load makes everything new and puts it in force by one assignment; what fails leaves the old in force, is counted, and
is logged once. Connections keep the context that they began with. With hundreds of certificates it takes a second, so
it goes in steps (generators), between which traffic flows.
"""

import ssl
from collections.abc import Generator
from typing import Any

from meshd.errors import MeshdError
from meshd.tls import material
from meshd.tls.cells import TlsCells
from meshd.tls.verify import Verifier
from meshd.wire.tls.certificate import Certificate
from meshd.wire.tls.security import Security

_CHAIN, _AUTHORITY = "cert_chain", "ca"
Rows = list[tuple[str, str, Certificate]]
Steps = Generator[None, None, Any]


class Live:
    """``where`` names its owner in messages (``listener NAME``), ``number`` counts those that had the same place;
    ``directory`` is that of the secrets.

    ``loaded`` are (kind, file, Certificate) of all that is in force, ``revoked`` (file, issuer, epoch second at which
    it expires, 0.0 for never) of the revocation lists; ``loaded_s`` is the epoch second since when;
    ``trouble`` says why the files as they are now cannot be used, "" where they are.
    """

    handshake_timeout_s = 10.0

    def __init__(self, spec: Any, where: str, directory: str, world: Any, cells: TlsCells) -> None:
        self.spec = spec
        self.where = where
        self.directory = directory
        self.world = world
        self.cells = cells
        self.verifier = Verifier(spec.validation)
        self.loaded: Rows = []
        self.revoked: list[tuple[str, str, float]] = []
        self.loaded_s = 0.0
        self.trouble = ""
        self.expiries: list[Any] = []
        self.number = 0
        self._seen: tuple = ()
        self._lists: str | None = None

    def paths(self) -> tuple[str, ...]:
        """Return the files that it is made of."""
        found: list[str | None] = []
        for one in self.certificates():
            found += material.pair_paths(one, self.directory)
        if self.spec.validation is not None:
            found += material.authority_paths(self.spec.validation, self.directory)
        return tuple(path for path in found if path is not None)

    def lists(self) -> str | None:
        """Return the file of the revocation lists, None where there is none."""
        validation = self.spec.validation
        return None if validation is None else material.authority_paths(validation, self.directory)[1]

    def goes_by_hash(self) -> bool:
        """Say whether hashes alone decide whom to trust."""
        validation = self.spec.validation
        return validation is not None and not validation.has_authorities

    def certificates(self) -> tuple[Any, ...]:
        """Return the model's certificates."""
        raise NotImplementedError

    def make(self) -> Steps:
        """Read the files and put what they hold in force; return what becomes ``loaded``. Raises MeshdError."""
        raise NotImplementedError

    # Files

    def load(self) -> Steps:
        """Read all files; the first time, and whenever one has changed. Raises MeshdError, with the old in force.

        A file that changes meanwhile is seen at the next look.
        """
        seen, lists = material.signature(self.paths()), self.lists()
        self.loaded = yield from self.make()
        self._seen, self._lists = seen, lists
        self.loaded_s = self.world.clock.wall()

    def again(self) -> None:
        """Load at the next look, whether a file has changed or not."""
        self._seen = ()

    def refreshing(self, is_asked: bool = False) -> Steps:
        """Load again if a file has changed; return whether that worked, None where nothing has changed.

        A folder's revocation lists that are gone leave the old in force until somebody asks (``is_asked``), since who
        replaces the file may be between its deletion and the new one.
        """
        if material.signature(self.paths()) == self._seen:
            if self.trouble:
                self.trouble = ""
                self.world.log.info("{where}: tls: files are again those in force", where=self.where)
            return None
        try:
            if self._lists is not None and self.lists() is None and not is_asked:
                raise material.BadSecret(self._lists, "the revocation lists are gone; a reload goes on without them")
            yield from self.load()
        except MeshdError as error:
            if self.trouble != str(error):
                self.trouble = str(error)
                self.world.log.error("{where}: tls: {error}: the old one stays in force", where=self.where, error=error)
            return False
        self.trouble = ""
        self.world.log.info("{where}: tls: files have changed and are in force", where=self.where)
        return True

    # Handshakes

    def local_of(self, engine: Any) -> Certificate | None:
        """Return the certificate that ``engine`` shows."""
        return engine.context.local

    def judge(self, security: Security) -> str:
        """Return why a connection that OpenSSL has taken is refused, "" where it is not; count it."""
        cells = self.cells
        try:
            is_old = security.is_resumed and not self.is_client_side  # OpenSSL does not look at its dates again
            peer = security.peer if self.verifier.is_asked or self.is_client_side or is_old else None
        except ValueError as error:
            cells.fail_verify_error.value += 1
            return f"TLS_error: verify cert failed: {error}"
        if peer is not None:
            if is_old and peer.not_after_s < self.world.clock.wall():
                cells.fail_verify_error.value += 1
                return "TLS_error: verify cert failed: certificate has expired"
            reason, attribute = self.verifier.check(peer, self.expected(security))
            if reason:
                getattr(cells, attribute).value += 1
                return f"TLS_error: {reason}"
        if not self.is_client_side and (self.spec.validation is None or not security.has_peer):
            cells.no_certificate.value += 1
        cells.handshake.value += 1
        cells.session_reused.value += security.is_resumed
        cells.count(security.cipher, security.version)
        return ""

    is_client_side = False

    def expected(self, security: Security) -> str:
        """Return the name that the peer's certificate must have, "" for any."""
        return ""

    def on_error(self, error: ssl.SSLError) -> str:
        """Count what OpenSSL has refused; return Envoy's words for it."""
        cells = self.cells
        reason = error.reason or "UNKNOWN"
        if isinstance(error, ssl.SSLCertVerificationError):
            cells.fail_verify_error.value += 1
            why = error.verify_message or reason
            return f"TLS_error:SSL routines:{reason}:verify cert failed: {why}"
        if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
            cells.fail_verify_no_cert.value += 1
        else:
            cells.connection_error.value += 1
        return f"TLS_error:SSL routines:{reason}"

    def on_late(self, timeout_s: float) -> str:
        """Count a handshake that took too long; return the words for it."""
        self.cells.connection_error.value += 1
        return f"TLS_error:no handshake within {round(timeout_s, 2):g} s"

    def on_cut(self) -> str:
        """Count a peer that left during the handshake; return the words for it."""
        self.cells.connection_error.value += 1
        return "TLS_error:the peer closed the connection during the handshake"

    def facts(self) -> dict[str, Any]:
        """Return what pages say of it: no key, and nothing of one."""
        now_s = self.world.clock.wall()
        return {
            "owner": self.where, "loaded_s": self.loaded_s, "error": self.trouble,
            "certificates": [fact(*row, now_s) for row in self.loaded],
            "revocation_lists": [
                {"path": path, "issuer": issuer, "expires_s": next_s or None,
                 "days_until_expiration": days(next_s, now_s) if next_s else None}
                for path, issuer, next_s in self.revoked],
        }


def days(end_s: float, now_s: float) -> int:
    """Return the whole days until ``end_s``, less than 0 once it has come."""
    return int((end_s - now_s) // 86400)


def finish(steps: Steps) -> Any:
    """Do all steps at once; return what they return."""
    try:
        while True:
            next(steps)
    except StopIteration as ended:
        return ended.value


def fact(kind: str, path: str, one: Certificate, now_s: float) -> dict[str, Any]:
    """Return what pages say of a certificate."""
    return {
        "kind": kind, "path": path, "serial_number": one.serial, "subject": one.subject, "issuer": one.issuer,
        "subject_alt_names": [{"type": name, "value": value} for name, value in one.names],
        "spiffe_id": one.spiffe_id, "key_type": one.key_type, "sha256": one.fingerprint,
        "valid_from_s": one.not_before_s, "expires_s": one.not_after_s,
        "days_until_expiration": days(one.not_after_s, now_s),
    }


def chain_rows(path: str, chain: list[Certificate]) -> Rows:
    """Return rows of ``loaded`` for a chain that is shown."""
    return [(_CHAIN, path, one) for one in chain]


def authority_rows(path: str, found: list[Certificate]) -> Rows:
    """Return rows of ``loaded`` for authorities."""
    return [(_AUTHORITY, path, one) for one in found]
