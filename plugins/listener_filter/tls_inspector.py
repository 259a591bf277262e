"""The listener filter ``tls_inspector``: whether a client speaks TLS, and what it asks for; nothing is terminated."""

from zope.interface import implementer

from meshd.api import CONTINUE, MORE, STOP, Boolean, Duration, IListenerFilter, Size, config, option
from meshd_plugins.listener_filter.client_hello import MAX_HELLO, NoHello, TooLarge, read_hello

OUTCOMES = ("tls_found", "tls_not_found", "client_hello_too_large", "sni_found", "sni_not_found", "alpn_found",
            "alpn_not_found")


@config
class TlsInspectorOptions:
    """How long and how much is looked at."""

    max_client_hello_bytes: int = option(
        Size(minimum=256, maximum=MAX_HELLO), default=MAX_HELLO,
        doc="a client with a larger one is refused (Envoy's default)")
    detection_timeout_s: float = option(
        Duration(), default=0.0,
        doc="a client that is silent for so long waits for the server: no TLS (0: as long as the listener waits)")
    when_needed: bool = option(
        Boolean(), default=False, doc="look only where the chain depends on what the client says, by its destination")


@implementer(IListenerFilter)
class TlsInspector:
    """Sets the transport protocol, the server name and the application protocols of a connection."""

    def __init__(self, config, site):
        options = config or TlsInspectorOptions()
        self.silence_s = options.detection_timeout_s
        self._is_needed_only = options.when_needed
        self._limit = options.max_client_hello_bytes
        self._count = {name: site.metrics.counter(
            f"envoy_tls_inspector_{name}", "connections looked at by tls_inspector, by what was found").cell()
            for name in OUTCOMES}

    def on_accept(self, arrival):
        """Look at what is there."""
        if self._is_needed_only and not arrival.depends_on_client:
            return CONTINUE
        return self.on_data(arrival) if arrival.data else MORE

    def on_data(self, arrival):
        """Look at what has come so far."""
        try:
            hello = read_hello(arrival.data, self._limit)
        except TooLarge:
            self._count["client_hello_too_large"].inc()
            return STOP
        except NoHello:
            self._count["tls_not_found"].inc()
            return CONTINUE
        if hello is None:
            return MORE
        arrival.transport_protocol = "tls"
        arrival.server_name = hello.server_name
        arrival.application_protocols = hello.protocols
        self._count["tls_found"].inc()
        self._count["sni_found" if hello.server_name else "sni_not_found"].inc()
        self._count["alpn_found" if hello.protocols else "alpn_not_found"].inc()
        return CONTINUE
