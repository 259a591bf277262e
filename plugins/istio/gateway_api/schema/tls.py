"""Client certificates of a Gateway: those that its listeners ask for, and its own towards backends (not in force)."""

from meshd.api import Choice, ListOf, Nested, camel_config, option
from meshd_plugins.istio.gateway_api.schema.reference import PORT, ObjectReference, SecretObjectReference


@camel_config
class FrontendTLSValidation:
    """Whose client certificates are trusted."""

    ca_certificate_refs: tuple[ObjectReference, ...] = option(
        ListOf(item=Nested(ObjectReference), minimum=1, maximum=16), doc="ConfigMaps with ca.crt",
        key="caCertificateRefs"
    )
    mode: str = option(
        Choice(("AllowValidOnly", "AllowInsecureFallback")), default="AllowValidOnly",
        doc="who is let in (with AllowInsecureFallback the listener is not bound)"
    )


@camel_config
class TLSConfig:
    """TLS towards clients."""

    validation: FrontendTLSValidation | None = option(Nested(FrontendTLSValidation), default=None, doc="ask for it")


@camel_config
class TLSPortConfig:
    """TLS towards clients of one port."""

    port: int = option(PORT, doc="the port")
    tls: TLSConfig = option(Nested(TLSConfig), doc="in place of the default")


@camel_config
class FrontendTLSConfig:
    """TLS towards clients."""

    default: TLSConfig = option(Nested(TLSConfig), doc="of all ports")
    per_port: tuple[TLSPortConfig, ...] = option(
        ListOf(item=Nested(TLSPortConfig), maximum=64, unique="port"), default=(), doc="of one port"
    )


@camel_config
class GatewayBackendTLS:
    """TLS towards backends."""

    client_certificate_ref: SecretObjectReference | None = option(
        Nested(SecretObjectReference), default=None, doc="the Gateway's own certificate"
    )


@camel_config
class GatewayTLSConfig:
    """TLS of a Gateway."""

    backend: GatewayBackendTLS | None = option(
        Nested(GatewayBackendTLS), default=None, doc="towards backends",
        unsupported="no certificate is shown to backends: Gateways of a node share their clusters")
    frontend: FrontendTLSConfig | None = option(Nested(FrontendTLSConfig), default=None, doc="towards clients")
