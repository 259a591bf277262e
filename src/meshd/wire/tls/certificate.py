"""What a certificate says (RFC 5280): read by ourselves, so that verification, logs and dumps all go by the same names.

The chain of trust is OpenSSL's business; this is asked afterwards.
"""

import base64
import binascii
import hashlib
import ipaddress
import re
from functools import cached_property

from meshd.wire.tls import der
from meshd.wire.tls.der import Reader

DNS, URI, EMAIL, IP = "dns", "uri", "email", "ip_address"
_KINDS = {0x81: EMAIL, 0x82: DNS, 0x86: URI, 0x87: IP}
_SHORT = {
    "2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
    "2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.42": "GN",
    "1.2.840.113549.1.9.1": "emailAddress", "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
    "2.5.4.13": "description", "2.5.4.14": "searchGuide", "2.5.4.15": "businessCategory", "2.5.4.16": "postalAddress",
    "2.5.4.17": "postalCode", "2.5.4.18": "postOfficeBox", "2.5.4.19": "physicalDeliveryOfficeName",
    "2.5.4.20": "telephoneNumber", "2.5.4.21": "telexNumber", "2.5.4.26": "registeredAddress", "2.5.4.41": "name",
    "2.5.4.43": "initials", "2.5.4.44": "generationQualifier", "2.5.4.45": "x500UniqueIdentifier",
    "2.5.4.46": "dnQualifier", "2.5.4.51": "houseIdentifier", "2.5.4.54": "dmdName", "2.5.4.65": "pseudonym",
    "2.5.4.72": "role", "1.2.840.113549.1.9.2": "unstructuredName", "1.2.840.113549.1.9.8": "unstructuredAddress",
    "0.9.2342.19200300.100.1.3": "mail", "0.9.2342.19200300.100.1.41": "mobileTelephoneNumber",
}
"""BoringSSL's names, as Envoy writes them; what has none is written by its number, the value as DER."""
_KEYS = {
    "1.2.840.113549.1.1.1": "RSA", "1.2.840.113549.1.1.10": "RSA-PSS", "1.2.840.10045.2.1": "ECDSA",
    "1.3.101.112": "Ed25519", "1.3.101.113": "Ed448",
}
_ENCODINGS = {0x0C: "utf-8", 0x13: "ascii", 0x16: "ascii", 0x14: "latin-1", 0x1E: "utf-16-be", 0x1C: "utf-32-be"}
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_LIST = re.compile(rb"-----BEGIN X509 CRL-----(.*?)-----END X509 CRL-----", re.DOTALL)
_BLOCK = re.compile(rb"-----BEGIN ([ -,.-~]+)-----.*?-----END \1-----", re.DOTALL)
MAX_NAMES = 1000
"""Names that are read of one certificate."""


class Certificate:
    """``subject`` and ``issuer`` are RFC 2253 text; ``serial`` is hexadecimal; times are epoch seconds.

    ``names`` are the (kind, value) of the subject alternative names, those with a control or a byte beyond ASCII left
    out: they match nothing. Raises ValueError where ``data`` is no certificate.
    """

    def __init__(self, data: bytes) -> None:
        self.der = data
        try:
            self._read(Reader(data).open(der.SEQUENCE).open(der.SEQUENCE))
        except (IndexError, OverflowError, UnicodeError) as error:
            raise ValueError(f"not a certificate: {error}") from None

    def _read(self, body: Reader) -> None:
        if body.peek() == 0xA0:
            body.next()
        number = int.from_bytes(body.take(der.INTEGER), "big", signed=True)
        self.serial = f"{abs(number):x}"
        body.take(der.SEQUENCE)
        self.issuer = _name(body.open(der.SEQUENCE))
        validity = body.open(der.SEQUENCE)
        self.not_before_s, self.not_after_s = der.seconds(validity), der.seconds(validity)
        subject = body.open(der.SEQUENCE)
        self.common_name = ""
        self.subject = _name(subject, self)
        _, begin, content, end = body.next()
        self.spki = self.der[begin:end]
        algorithm = Reader(self.der, content, end).open(der.SEQUENCE)
        self.key_type = _KEYS.get(der.oid(algorithm.take(der.OID)), "unknown")
        self.names: tuple[tuple[str, str], ...] = ()
        self.is_ca = False
        while body:
            if body.peek() == 0xA3:
                self._extensions(body.open(0xA3).open(der.SEQUENCE))
            else:
                body.next()

    def _extensions(self, rows: Reader) -> None:
        while rows:
            row = rows.open(der.SEQUENCE)
            name = der.oid(row.take(der.OID))
            if row.peek() == der.BOOLEAN:
                row.next()
            value = row.take(der.OCTETS)
            if name == "2.5.29.17":
                self.names = _alternative_names(Reader(value).open(der.SEQUENCE))
            elif name == "2.5.29.19":
                inside = Reader(value).open(der.SEQUENCE)
                self.is_ca = inside.peek() == der.BOOLEAN and inside.take(der.BOOLEAN) != b"\0"

    def values(self, kind: str) -> list[str]:
        """Return the names of one kind."""
        return [value for one, value in self.names if one == kind]

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of it, hexadecimal."""
        return hashlib.sha256(self.der).hexdigest()

    @cached_property
    def spki_hash(self) -> str:
        """The SHA-256 of its public key, in base64 (RFC 7469's pin)."""
        return base64.b64encode(hashlib.sha256(self.spki).digest()).decode()

    @property
    def spiffe_id(self) -> str:
        """Its SPIFFE id, or "" where it has none or more than one URI (X.509-SVID 2)."""
        uris = self.values(URI)
        return uris[0] if len(uris) == 1 and uris[0].startswith("spiffe://") else ""

    @property
    def pem(self) -> str:
        """It as PEM."""
        text = base64.b64encode(self.der).decode()
        lines = "\n".join(text[at:at + 64] for at in range(0, len(text), 64))
        return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"


def certificates(pem: bytes) -> list[Certificate]:
    """Return those in ``pem``, in its order. Raises ValueError where one cannot be read."""
    return [Certificate(data) for data in _decoded(pem, _PEM)]


def revocations(pem: bytes) -> list[tuple[str, float]]:
    """Return (issuer, when the next one is due in epoch seconds, 0.0 where that is not said) of the revocation lists in
    ``pem`` (RFC 5280 5.1). Raises ValueError where one cannot be read.
    """
    found = []
    for data in _decoded(pem, _LIST):
        try:
            body = Reader(data).open(der.SEQUENCE).open(der.SEQUENCE)
            if body.peek() == der.INTEGER:
                body.next()
            body.take(der.SEQUENCE)
            issuer = _name(body.open(der.SEQUENCE))
            der.seconds(body)
            found.append((issuer, der.seconds(body) if body.peek() in (der.UTC, der.GENERAL) else 0.0))
        except (IndexError, OverflowError, UnicodeError) as error:
            raise ValueError(f"not a revocation list: {error}") from None
    return found


def _decoded(pem: bytes, block: re.Pattern[bytes]) -> list[bytes]:
    if pem.count(b"-----BEGIN ") != len(_BLOCK.findall(pem)):
        raise ValueError("the file is cut off")
    try:
        return [base64.b64decode(b"".join(match[1].split()), validate=True) for match in block.finditer(pem)]
    except binascii.Error:
        raise ValueError("it is not base64") from None


def only_certificates(pem: bytes) -> bytes:
    """Return ``pem`` less all that is no certificate."""
    return b"\n".join(match[0] for match in _PEM.finditer(pem)) + b"\n"


def no_certificates(pem: bytes) -> bytes:
    """Return ``pem`` less its certificates."""
    return _PEM.sub(b"", pem)


def _alternative_names(rows: Reader) -> tuple[tuple[str, str], ...]:
    found = []
    while rows and len(found) < MAX_NAMES:
        tag, _, content, end = rows.next()
        kind = _KINDS.get(tag)
        data = rows.data[content:end]
        if kind == IP and len(data) in (4, 16):
            found.append((IP, str(ipaddress.ip_address(data))))
        elif kind in (DNS, URI, EMAIL) and all(0x20 < byte < 0x7F for byte in data):
            found.append((kind, data.decode("ascii")))
    return tuple(found)


def _name(rows: Reader, into: Certificate | None = None) -> str:
    """Return a distinguished name as RFC 2253 has it, and put the last common name into ``into``."""
    parts = []
    while rows:
        pairs = []
        row = rows.open(der.SET)
        while row:
            pair = row.open(der.SEQUENCE)
            dotted = der.oid(pair.take(der.OID))
            tag, begin, content, end = pair.next()
            encoding = _ENCODINGS.get(tag)
            if dotted not in _SHORT or encoding is None:
                pairs.append(f"{_SHORT.get(dotted, dotted)}=#{pair.data[begin:end].hex().upper()}")
                continue
            text = pair.data[content:end].decode(encoding, "replace")
            if into is not None and dotted == "2.5.4.3":
                into.common_name = text
            pairs.append(f"{_SHORT[dotted]}={_escaped(text)}")
        parts.append("+".join(reversed(pairs)))
    return ",".join(reversed(parts))


def _escaped(text: str) -> str:
    data = text.encode("utf-8")
    made = []
    for place, byte in enumerate(data):
        character = chr(byte)
        is_edge = character == "#" and place == 0 or character == " " and place in (0, len(data) - 1)
        if character in ',+"\\<>;' or is_edge:
            made.append("\\" + character)
        elif 0x20 <= byte < 0x7F:
            made.append(character)
        else:
            made.append(f"\\{byte:02X}")
    return "".join(made)
