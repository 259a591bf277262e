"""What a route says of CONNECT that ends here; Envoy's ``connect_config``."""

from meshd.api import Boolean, Choice, Connect, Nested, config, option


@config
class ProxyProtocol:
    """The header that the bytes for the endpoint begin with."""

    version: str = option(Choice(("v1", "v2")), default="v1", doc="which (Envoy's default: v1)")


@config
class ConnectConfig:
    """CONNECT ends here: what follows it goes to an endpoint of TCP."""

    proxy_protocol_config: ProxyProtocol | None = option(
        Nested(ProxyProtocol), default=None, doc="tell the endpoint where the client is, by a PROXY protocol header"
    )
    allow_post: bool = option(
        Boolean(), default=False, doc="take a POST for CONNECT: its body goes to the endpoint"
    )


def connect_of(route):
    """Return the Connect of a route, None where CONNECT is passed on."""
    options = route.connect_config
    if options is None:
        return None
    proxied = options.proxy_protocol_config
    return Connect(proxy_protocol=None if proxied is None else proxied.version, allow_post=options.allow_post)
