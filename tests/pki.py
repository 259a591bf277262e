"""Authorities and certificates for tests, made with ``cryptography`` (which meshd itself does not need)."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ALL_USES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


def now():
    """Return the time of day."""
    return datetime.datetime.now(datetime.timezone.utc)


def new_key(kind="ecdsa"):
    """Return a private key."""
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ecdsa" else rsa.generate_private_key(65537, 2048)


def general(name):
    """Return what a name is to be: ``uri:...``, ``ip:...``, ``email:...``, or DNS."""
    kind, _, value = name.partition(":")
    if kind == "uri":
        return x509.UniformResourceIdentifier(value)
    if kind == "ip":
        return x509.IPAddress(ipaddress.ip_address(value))
    return x509.RFC822Name(value) if kind == "email" else x509.DNSName(name)


class Leaf:
    """``pem`` is the certificate and those of the authorities between, ``key_pem`` its key."""

    def __init__(self, certificate, key, between=()):
        self.certificate = certificate
        self.key = key
        self.pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (certificate, *between))
        self.key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.der = certificate.public_bytes(serialization.Encoding.DER)

    def write(self, folder, name="tls"):
        """Write both files; return their paths as text."""
        paths = []
        for suffix, data in ((".crt", self.pem), (".key", self.key_pem)):
            path = folder / f"{name}{suffix}"
            path.write_bytes(data)
            path.chmod(0o600)
            paths.append(str(path))
        return paths


class Authority:
    """An authority that signs leaves, lists of the revoked, and authorities below it."""

    def __init__(self, name="test root", above=None):
        self.key = new_key()
        self.above = above
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self.name, self.key.public_key(), 3650, 60)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False), True)
        self.certificate = builder.sign((above or self).key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def _builder(self, subject, public_key, days, age_s):
        issuer = (self.above or self) if subject is self.name else self
        return x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.name).public_key(
            public_key).serial_number(x509.random_serial_number()).not_valid_before(
                now() - datetime.timedelta(seconds=age_s)).not_valid_after(now() + datetime.timedelta(days=days))

    def leaf(self, *names, kind="ecdsa", days=30, subject=None, uses=ALL_USES, extensions=()):
        """Return a Leaf for ``names``."""
        key = new_key(kind)
        first = names[0] if names else "nobody"
        subject = subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, first[:64])])
        builder = self._builder(subject, key.public_key(), days, 60 if days > 0 else 86400 * 3)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([general(name) for name in names]), False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(uses)), False)
        for extension in extensions:
            builder = builder.add_extension(extension, False)
        between = (self.certificate,) if self.above is not None else ()
        return Leaf(builder.sign(self.key, hashes.SHA256()), key, between)

    def revoke(self, *leaves, days=1):
        """Return a list of the revoked, as PEM."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(
            now() - datetime.timedelta(days=2)).next_update(now() + datetime.timedelta(days=days))
        for leaf in leaves:
            builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(
                leaf.certificate.serial_number).revocation_date(now()).build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def with_secrets(folder, text):
    """Write a configuration and return its path; one that names secrets gets those of the examples beside it."""
    if "secrets:" in text:
        root = Authority()
        for name in ("shop", "shop-rsa", "api", "mesh"):
            secret = Path(folder, "secrets", name)
            secret.mkdir(parents=True)
            root.leaf(f"{name}.example").write(secret)
            (secret / "ca.crt").write_bytes(root.pem)
    path = Path(folder, "meshd.yaml")
    path.write_text(text)
    return path
