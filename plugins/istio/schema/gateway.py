"""Gateway (networking.istio.io), also written VirtualGateway: the ports, hosts and certificates of a gateway."""

from meshd.api import Boolean, Choice, ListOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import HOST, LABELS, WORDS, Port
from meshd_plugins.istio.schema.form import (
    HTTP_PROTOCOLS, TLS_PROTOCOLS, UNIX, bind_fault, each, protocol_of, slashed_host_fault,
)

ENDS_TLS = ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL")
PASSES = ("PASSTHROUGH", "AUTO_PASSTHROUGH")
VERSIONS = Choice(("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"))


@camel_config
class TLSCertificate:
    """One of several certificates of a server."""

    server_certificate: str = option(Text(), default="", doc="file of the certificate")
    private_key: str = option(Text(), default="", doc="file of its key")
    ca_certificates: str = option(
        Text(), default="", doc="file of the CAs of clients",
        unsupported="clients are asked for certificates of the server's own caCertificates"
    )


@camel_config
class ServerTLSSettings:
    """TLS of a server."""

    https_redirect: bool = option(Boolean(), default=False, doc="answer plain HTTP with 301 to https")
    mode: str = option(
        Choice(("PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL")),
        default="PASSTHROUGH", doc="who ends TLS, and whether clients show a certificate"
    )
    server_certificate: str = option(Text(), default="", doc="file of the certificate")
    private_key: str = option(Text(), default="", doc="file of its key")
    ca_certificates: str = option(Text(), default="", doc="file of the CAs of clients")
    ca_crl: str = option(Text(), default="", doc="file of revoked certificates")
    credential_name: str = option(Text(), default="", doc="secret in place of the files")
    credential_names: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1), minimum=1, maximum=2), default=(), doc="secrets, for two kinds of keys"
    )
    ca_cert_credential_name: str = option(Text(), default="", doc="secret of the CAs of clients")
    tls_certificates: tuple[TLSCertificate, ...] = option(
        ListOf(item=Nested(TLSCertificate), minimum=1, maximum=2), default=(), doc="files, for two kinds of keys"
    )
    subject_alt_names: tuple[str, ...] = option(WORDS, default=(), doc="names of which a client must have one")
    verify_certificate_spki: tuple[str, ...] = option(WORDS, default=(), doc="hashes of clients' keys (base64)")
    verify_certificate_hash: tuple[str, ...] = option(WORDS, default=(), doc="hashes of clients' certificates (hex)")
    min_protocol_version: str = option(VERSIONS, default="TLS_AUTO", doc="oldest version (TLSV1_2)")
    max_protocol_version: str = option(VERSIONS, default="TLS_AUTO", doc="newest version (TLSV1_3)")
    cipher_suites: tuple[str, ...] = option(WORDS, default=(), doc="suites of TLS 1.2 and older, by OpenSSL's names")
    ecdh_curves: tuple[str, ...] = option(WORDS, default=(), doc="curves")
    insecure_skip_verify: bool | None = option(Boolean(), default=None, doc="take any client's certificate")

    def check(self):
        """Yield faults between fields."""
        yield from self._source_faults()
        if self.mode == "ISTIO_MUTUAL":
            for name in ("server_certificate", "private_key", "ca_certificates", "tls_certificates", "credential_name",
                         "credential_names"):
                if getattr(self, name):
                    yield name, "expected none with mode ISTIO_MUTUAL, which has the mesh's own"
        elif self.mode in ENDS_TLS and not self.credential_name and not self.credential_names:
            yield from self._certificate_faults()
        if self.ca_crl and self.mode != "ISTIO_MUTUAL" and not (self.mode in ENDS_TLS and self.has_credential):
            if self.credential_name or self.mode == "SIMPLE":
                yield "ca_crl", "expected none: it has a meaning with mode MUTUAL and files only"

    @property
    def has_credential(self):
        """Say whether certificates are named as secrets."""
        return bool(self.credential_name or self.credential_names)

    def _source_faults(self):
        has_files = bool(self.server_certificate and self.private_key)
        sources = {"server_certificate": has_files, "credential_name": self.credential_name,
                   "credential_names": self.credential_names, "tls_certificates": self.tls_certificates}
        found = [name for name, value in sources.items() if value]
        if len(found) > 1 and self.mode != "ISTIO_MUTUAL":
            yield found[1], ("expected at most one of serverCertificate with privateKey, credentialName, "
                             "credentialNames, tlsCertificates")

    def _certificate_faults(self):
        if self.mode != "SIMPLE" and not self.ca_certificates:
            yield None, f"expected caCertificates or a credential with mode {self.mode}"
        if not self.tls_certificates:
            yield from _pair_faults((), self, self.mode)
        for place, one in enumerate(self.tls_certificates):
            yield from _pair_faults(("tls_certificates", place), one, self.mode)


def _pair_faults(place, one, mode):
    for name, key in (("server_certificate", "serverCertificate"), ("private_key", "privateKey")):
        if not getattr(one, name):
            yield place or None, f"expected {key} or a credential with mode {mode}"


@camel_config
class Server:
    """One port of the gateway."""

    port: Port = option(Nested(Port), doc="the port")
    bind: str = option(Text(), default="", doc="address or unix:// path to listen on (all)")
    hosts: tuple[str, ...] = option(ListOf(item=HOST, minimum=1), doc="hosts that are served, as [namespace/]host")
    tls: ServerTLSSettings | None = option(Nested(ServerTLSSettings), default=None, doc="TLS")
    default_endpoint: str = option(
        Text(), default="", doc="endpoint for all that has no route", unsupported="Istio does not use it either"
    )
    name: str = option(Text(), default="", doc="name, unique in the gateway")

    def check(self):
        """Yield faults between fields."""
        yield from each("hosts", self.hosts, lambda host: slashed_host_fault(host, True))
        yield from bind_faults(self.port.number, self.bind)
        protocol = protocol_of(self.port)
        if protocol in TLS_PROTOCOLS and self.tls is None:
            yield None, f"expected tls with protocol {protocol.upper()}"
        elif protocol not in TLS_PROTOCOLS and self.tls is not None:
            yield from self._plain_faults(protocol)

    def _plain_faults(self, protocol):
        files = ("ca_certificates", "private_key", "server_certificate")
        has_files = any(getattr(self.tls, name) for name in files)
        if protocol not in HTTP_PROTOCOLS or self.tls.mode not in PASSES or has_files:
            yield "tls", "expected tls only with protocol HTTPS or TLS (with HTTP, httpsRedirect alone)"


def bind_faults(number, bind):
    """Yield the faults of a port and the address that it is bound to."""
    is_unix = bind.startswith(UNIX)
    if number == 0 and not is_unix:
        yield ("port", "number"), "expected a port from 1 to 65535, or 0 with bind: unix://PATH"
    elif number != 0 and is_unix:
        yield ("port", "number"), "expected 0 with a unix socket"
    fault = bind_fault(bind)
    if fault:
        yield "bind", fault


@camel_config
class Gateway:
    """The servers of the proxies that the selector picks."""

    servers: tuple[Server, ...] = option(ListOf(item=Nested(Server), minimum=1), doc="its servers")
    selector: tuple[tuple[str, str], ...] = option(LABELS, default=(), doc="labels of the proxies (all)")

    def check(self):
        """Yield faults of ports that cannot be told apart."""
        seen = set()
        for place, server in enumerate(self.servers):
            if server.port.name in seen:
                yield ("servers", place, "port", "name"), f"expected another name, {server.port.name!r} is taken"
            seen.add(server.port.name)
