"""Gateway (networking.istio.io), also written VirtualGateway: the ports, hosts and certificates of a gateway."""

from meshd.api import Boolean, Choice, ListOf, Nested, Text, camel_config, option
from meshd_plugins.istio.schema.common import HOST, LABELS, NO_TLS, WORDS, Port

VERSIONS = Choice(("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"))


@camel_config
class TLSCertificate:
    """One of several certificates of a server."""

    server_certificate: str = option(Text(), default="", doc="file of the certificate")
    private_key: str = option(Text(), default="", doc="file of its key")
    ca_certificates: str = option(Text(), default="", doc="file of the CAs of clients")


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
    insecure_skip_verify: bool | None = option(Boolean(), default=None, doc="take any client's certificate")


@camel_config
class Server:
    """One port of the gateway."""

    port: Port = option(Nested(Port), doc="the port")
    bind: str = option(Text(), default="", doc="address or unix:// path to listen on (all)")
    hosts: tuple[str, ...] = option(ListOf(item=HOST, minimum=1), doc="hosts that are served, as [namespace/]host")
    tls: ServerTLSSettings | None = option(Nested(ServerTLSSettings), default=None, doc="TLS", unsupported=NO_TLS)
    default_endpoint: str = option(
        Text(), default="", doc="endpoint for all that has no route", unsupported="Istio does not use it either"
    )
    name: str = option(Text(), default="", doc="name, unique in the gateway")


@camel_config
class Gateway:
    """The servers of the proxies that the selector picks."""

    servers: tuple[Server, ...] = option(ListOf(item=Nested(Server), minimum=1), doc="its servers")
    selector: tuple[tuple[str, str], ...] = option(LABELS, default=(), doc="labels of the proxies (all)")
