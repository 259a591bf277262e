"""Certificates, keys and authorities as files hold them: found, read, checked; never kept as a key.

OpenSSL takes files only: what has been read once is handed to it through a memory file, so that what was checked is
what is used, however the files change meanwhile.
"""

import contextlib
import os
import ssl
import stat
from collections.abc import Iterator
from typing import Any

from meshd.errors import MeshdError
from meshd.wire.tls.certificate import Certificate, certificates, no_certificates, only_certificates, revocations

MAX_BYTES = 8 * 1024 * 1024
"""No file of certificates is larger: the system's authorities are some 250 KiB."""
PAIRS = (("tls.crt", "tls.key"), ("cert-chain.pem", "key.pem"))
AUTHORITIES = (("ca.crt", "ca.crl"), ("root-cert.pem", "ca-crl.pem"))
"""Names of files in a secret's folder: Kubernetes', and those that Istio gives a workload outside of it."""
CA_FOLDER = "-cacert"
"""A folder beside the secret's that holds its authorities, as Istio has it: where it is there, those of the secret
itself (who has issued it, often) count for nothing."""


class BadSecret(MeshdError):
    """A file cannot be used. ``path`` is it; ``attribute`` is the option that names it."""

    def __init__(self, path: str, what: str, attribute: str = "") -> None:
        super().__init__(f"{path}: {what}")
        self.path = path
        self.attribute = attribute


def pair_paths(spec: Any, directory: str) -> tuple[str, str]:
    """Return the files of a certificate and its key."""
    if spec.secret is not None:
        return _named(os.path.join(directory, spec.secret), PAIRS)
    return spec.certificate_file, spec.key_file


def authority_paths(spec: Any, directory: str) -> tuple[str | None, str | None]:
    """Return the files of the authorities and of their revocation lists, None where there are none."""
    if spec.secret is None:
        return spec.ca_file, spec.crl_file
    folder = os.path.join(directory, spec.secret)
    path, lists = _named(folder + CA_FOLDER if os.path.isdir(folder + CA_FOLDER) else folder, AUTHORITIES)
    return path, lists if os.path.exists(lists) else None


def _named(folder: str, names: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    """Return the paths of the first two names that are there, of the first where none is."""
    found = next((row for row in names if os.path.exists(os.path.join(folder, row[0]))), names[0])
    return os.path.join(folder, found[0]), os.path.join(folder, found[1])


def read(path: str, attribute: str = "") -> bytes:
    """Return a file's bytes. Raises BadSecret."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadSecret(path, "expected a regular file", attribute)
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadSecret(path, (error.strerror or str(error)).lower(), attribute) from None
    if len(data) > MAX_BYTES:
        raise BadSecret(path, f"expected at most {MAX_BYTES} bytes", attribute)
    return data


def _at_once(path: str, flags: int) -> int:
    """Open a file without waiting for who might write into it, if it is a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def read_certificates(path: str, attribute: str) -> tuple[bytes, list[Certificate]]:
    """Return a PEM file and the certificates in it, at least one. Raises BadSecret."""
    data = read(path, attribute)
    try:
        found = certificates(data)
    except ValueError as error:
        raise BadSecret(path, f"not a certificate: {error}", attribute) from None
    if not found:
        raise BadSecret(path, "expected a certificate in PEM", attribute)
    return data, found


@contextlib.contextmanager
def memory_file(data: bytes) -> Iterator[str]:
    """Give the path of a file that holds ``data`` and that nobody else can open; it is gone afterwards."""
    number = os.memfd_create("meshd-tls", os.MFD_CLOEXEC)
    try:
        os.write(number, data)
        yield f"/proc/self/fd/{number}"
    finally:
        os.close(number)


def load_pair(context: ssl.SSLContext, path: str, chain: bytes, key_path: str, key: bytes) -> None:
    """Put a chain and its key into ``context``. Raises BadSecret where they do not belong together.

    Each file may hold more than is asked of it: both may be one.
    """
    if b"ENCRYPTED" in key:
        raise BadSecret(key_path, "the key is encrypted, expected one that is not", "key_file")
    try:
        with memory_file(only_certificates(chain) + no_certificates(key)) as joined:
            context.load_cert_chain(joined, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise BadSecret(key_path, _why(error, path), "key_file") from None


def _why(error: Exception, path: str) -> str:
    reason = getattr(error, "reason", "") or str(error)
    if reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):  # the last: of another kind
        return f"not the key of the certificate in {path}"
    if reason in ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"):
        return f"too weak ({reason.lower().replace('_', ' ')})"
    return "expected a key in PEM"


def load_authorities(context: ssl.SSLContext, path: str, data: bytes) -> None:
    """Trust the authorities in ``data``. Raises BadSecret."""
    try:
        with memory_file(data) as file:
            context.load_verify_locations(cafile=file)
    except (ssl.SSLError, OSError) as error:
        raise BadSecret(path, f"cannot be read as certificates ({error.reason or error})", "ca_file") from None


def read_lists(path: str) -> tuple[bytes, list[tuple[str, float]]]:
    """Return a PEM file of revocation lists and what ``revocations`` says of them. Raises BadSecret."""
    data = read(path, "crl_file")
    try:
        found = revocations(data)
    except ValueError as error:
        raise BadSecret(path, f"not a revocation list: {error}", "crl_file") from None
    if not found:
        raise BadSecret(path, "expected a revocation list in PEM", "crl_file")
    return data, found


def load_lists(context: ssl.SSLContext, path: str, only_leaf: bool) -> list[tuple[str, float]]:
    """Refuse what the revocation lists at ``path`` name; return what ``revocations`` says of them. Raises BadSecret."""
    data, found = read_lists(path)
    try:
        with memory_file(data) as file:
            context.load_verify_locations(cafile=file)
    except (ssl.SSLError, OSError) as error:
        raise BadSecret(path, f"cannot be read as a revocation list ({error.reason or error})", "crl_file") from None
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF if only_leaf else ssl.VERIFY_CRL_CHECK_CHAIN
    return found


def signature(paths: tuple[str, ...]) -> tuple:
    """Return what differs when one of the files has been written or replaced."""
    found = []
    for path in paths:
        try:
            row = os.stat(path)
        except OSError:
            found.append(None)
        else:
            found.append((row.st_ino, row.st_size, row.st_mtime_ns, row.st_ctime_ns))
    return tuple(found)
