"""Kubernetes' own documents that Gateway API refers to: Secret, ConfigMap."""

from meshd.api import Anything, Boolean, MapOf, Text, camel_config, option

SECRET = Text(maximum=2**20, secret=True)


@camel_config
class Secret:
    """A certificate and its key, or other secrets."""

    type: str = option(Text(maximum=253), default="Opaque", doc="kubernetes.io/tls: tls.crt and tls.key")
    data: tuple[tuple[str, str], ...] = option(MapOf(value=SECRET), default=(), doc="values in base64")
    string_data: tuple[tuple[str, str], ...] = option(MapOf(value=SECRET), default=(), doc="values as they are")
    immutable: bool = option(Boolean(), default=False, doc="Kubernetes' own")


@camel_config
class ConfigMap:
    """Values that are no secret."""

    data: tuple[tuple[str, str], ...] = option(MapOf(value=Text(maximum=2**20)), default=(), doc="values")
    binary_data: object = option(Anything(), default=None, doc="values in base64")
    immutable: bool = option(Boolean(), default=False, doc="Kubernetes' own")
