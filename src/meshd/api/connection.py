"""The plugin kinds that see connections: listener filters and network filters, and what they are shown."""

from typing import Any

import attrs
from zope.interface import Attribute, Interface


class IArrival(Interface):
    """A connection that has been accepted and whose filter chain is not chosen yet. The attributes may be set."""

    data = Attribute("bytes: what has come so far; whoever serves the connection gets all of it")
    peer = Attribute("str: the client's address, HOST:PORT or 'unix:'")
    direct_peer = Attribute("str: the address at the other end of the socket, whatever peer says")
    local = Attribute("str: where the client meant to go, HOST:PORT or unix:PATH")
    server_name = Attribute("str: what it asks for in TLS, in lower case")
    transport_protocol = Attribute("str: 'tls', or '' for what no filter knows")
    application_protocols = Attribute("tuple of str: what it offers (ALPN), or what was detected")
    metadata = Attribute("dict of str -> value: what filters tell those behind them")
    depends_on_client = Attribute("bool: the chain is chosen by what the client says, its destination being known")

    def consume(count):
        """Take so many bytes off the front of ``data``: they are no part of what the client says to its server."""

    def ask_socket(question):
        """Return ``question(socket)``, which must neither keep the socket nor read from it."""


class IListenerFilter(Interface):
    """Looks at a new connection before its filter chain is chosen. One object serves all connections of a listener.

    May also have ``on_data(arrival)``, called in the place of ``on_accept`` each time that more bytes have come, after
    it has answered MORE; and ``silence_s`` (number): so long is waited for the first byte, then it is the next filter's
    turn (0: as long as the listener's ``listener_filters_timeout``).
    """

    def on_accept(arrival):
        """Return CONTINUE, STOP (the connection is refused), MORE (bytes are to be seen), or a Deferred of one."""


class ISession(Interface):
    """A connection of TCP, as network filters, balancers and sinks see it. Balancers and sinks may take it for an
    exchange (``IExchange``) whose request has version 0, no method and no fields, and which never has a response.
    """

    peer = Attribute("str: the client's address, HOST:PORT or 'unix:'")
    client = Attribute("str: the client's address without port")
    local = Attribute("str: where the client meant to go")
    server_name = Attribute("str: what it asked for in TLS, where tls_inspector has looked; else ''")
    listener = Attribute("str: the listener's name")
    metadata = Attribute("dict of str -> value: what filters tell those behind them, and access logs")
    request_bytes = Attribute("int: bytes that came from the client, as far as they were counted")
    response_bytes = Attribute("int: bytes that came from the upstream")
    fresh_received = Attribute("int: bytes from the client since sinks were last told")
    fresh_sent = Attribute("int: bytes from the upstream since sinks were last told")

    def refuse(flag=0, detail=""):
        """Close the connection; ``flag`` is a response flag (``meshd.api.flag``), both are for logs and metrics."""

    def forward(plan):
        """Connect to one of the clusters of a ``TcpPlan``; for terminal filters."""

    def serve(make, idle_timeout_s=3600.0):
        """Serve the client oneself; for terminal filters, which then answer STOP. ``make(link)`` returns who does;
        it has ``received(data)``, ``received_eof()``, ``drained()``, ``drain()`` (come to an end) and, once and last,
        ``lost(reason)``. ``link`` is an ``ILink``. A connection that is silent for ``idle_timeout_s`` ends (0: never).
        """

    def tell(exchange):
        """Tell the telemetry sinks of a request that the connection has carried (with the face of IExchange)."""

    def at_end(callback):
        """Call ``callback()`` once the connection has ended, however it did."""


class ILink(Interface):
    """A client's connection, for the filter that serves it."""

    pending_bytes = Attribute("int: bytes that wait for the client to take them; whoever sends much stops here")

    def send(data):
        """Write bytes; of no effect after the end."""

    def pause():
        """Read no more for now."""

    def resume():
        """Read again."""

    def close():
        """Close, once the client has taken what was sent; ``lost`` follows."""


class INetworkFilter(Interface):
    """A filter of connections of TCP. One object serves all connections of a chain; they are told apart by
    ``session``. All methods are optional but one of them. A terminal filter has ``on_open``, which calls
    ``session.forward``, or ``session.serve``, and answers STOP.

    A connection that goes on when a reload has replaced the object keeps it; ``stop`` comes after its last one.
    """

    def on_open(session):
        """A connection begins. Return CONTINUE, STOP (after ``session.refuse``), or a Deferred of either. The client is
        not read before all filters have answered and the upstream is there.
        """

    def on_data(session, data):
        """Return the bytes that are passed on in the place of ``data``, which came from the client."""

    def on_write(session, data):
        """The same for bytes from the upstream."""


@attrs.frozen(kw_only=True, eq=False)
class Tunnel:
    """What the proxy at an endpoint is asked for, before a connection's bytes (Envoy's tunneling_config).

    ``host(session)`` returns HOST:PORT as bytes, ``fields`` are (name, callable(session) -> value) of the request.
    ``use_post``: by POST to ``post_path`` in the place of CONNECT. ``keeps_fields``: those of the answer are noted in
    ``session.metadata`` as ``envoy.tcp_proxy.propagate_response_headers``.
    """

    host: Any
    fields: tuple[tuple[bytes, Any], ...] = ()
    use_post: bool = False
    post_path: bytes = b"/"
    keeps_fields: bool = False


@attrs.frozen(kw_only=True, eq=False)
class TcpPlan:
    """Where a connection goes. ``clusters`` are (upper bound of the share, live cluster), the last bound is the sum;
    ``cluster_name``, where it is not empty, names the one in their place.

    ``tunnel`` is a Tunnel where the endpoint is a proxy, else None. ``hash_key(session)``, where it is not None,
    returns the 64 bits (or None) that consistent hashes go by in the place of their own rules.
    Times are in seconds, 0 for no limit. ``max_connect_attempts`` counts the first one too.
    """

    clusters: tuple[tuple[float, Any], ...] = ()
    cluster_name: str = ""
    idle_timeout_s: float = 3600.0
    max_duration_s: float = 0.0
    max_connect_attempts: int = 1
    tunnel: Tunnel | None = None
    hash_key: Any = None
