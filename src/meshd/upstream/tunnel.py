"""A connection of TCP that goes through a proxy, as a request of HTTP on a lease of the endpoint's pool (RFC 9113 8.5):
CONNECT on a stream of HTTP/2, or a POST over either version (Envoy's ``use_post``). CONNECT over HTTP/1.1 needs no
pool: see ``downstream/tunnel.py``.

Strategy: ``TunnelStream`` has two faces, that of a ``Stream`` towards the client's connection and that of an attempt
towards the pool. Once the proxy has agreed, its ``descriptor`` is a ``TunnelEnd``, which a relay takes for a socket.
"""

from typing import Any

from meshd.errors import ProtocolError
from meshd.http import authority, compose
from meshd.http import flag as flags
from meshd.http.head import RequestHead
from meshd.http.headers import Headers
from meshd.upstream.stream import Stream
from meshd.wire.descriptor import Descriptor
from meshd.wire.nobody import rest
from meshd.wire.poller import READ

HEADERS_NOTE = "envoy.tcp_proxy.propagate_response_headers"
"""``session.metadata`` has under this the fields of the proxy's answer, where that is asked for (Envoy's key)."""


def head_of(tunnel: Any, session: Any, scheme: bytes) -> RequestHead:
    """Return the head that asks a proxy for a tunnel; raises ProtocolError where the host or a field cannot be."""
    host = tunnel.host(session)
    authority.split(host)
    target = tunnel.post_path if tunnel.use_post else host
    head = RequestHead(b"POST" if tunnel.use_post else b"CONNECT", target, host, 11, Headers.of((b"host", host)))
    head.scheme = scheme
    if tunnel.use_post:
        head.content_length = -1
    for name, render in tunnel.fields:
        value = render(session).strip()
        if value:
            try:
                head.headers.add(name, value)
            except ValueError as error:  # what a client can put into a certificate, say
                raise ProtocolError(f"{name.decode()}: {error}") from None
    return head


def note_fields(tunnel: Any, session: Any, headers: Headers) -> None:
    """Keep the fields of the proxy's answer for access logs."""
    if tunnel.keeps_fields:
        session.metadata[HEADERS_NOTE] = {name.decode("latin-1").lower(): value.decode("latin-1")
                                          for name, value in headers}


def is_pooled(tunnel: Any, cluster: Any) -> bool:
    """Say whether a tunnel needs a lease."""
    protocol = cluster.spec.protocol
    return tunnel.use_post or protocol == "http2" or protocol == "auto" and cluster.tls is not None


class TunnelStream(Stream):
    """``exchange`` is the client's session, ``connection`` the lease."""

    __slots__ = ("exchange", "tunnel", "pool", "connection", "head", "timer", "is_tunnel")

    is_high = False
    version = 11

    def __init__(self, world: Any, cluster: Any, receiver: Any, session: Any) -> None:
        Stream.__init__(self, world, cluster, receiver)
        self.exchange = session
        self.tunnel = session.plan.tunnel
        self.pool = self.connection = self.head = None
        self.is_tunnel = False
        self.timer = world.wheel.timer(self.on_timer)

    # In the place of a socket's

    def admit(self) -> bool:
        """Ask the circuit breaker for a request."""
        cluster = self.cluster
        if not cluster.breaker.admit_request():
            cluster.cells.request_overflow.value += 1
            self.flag = flags.UO
            self.later("too many requests in flight")
            return False
        self.is_counted = True
        cluster.cells.requests.value += 1
        cluster.cells.active_requests.value += 1
        cluster.streams.add(self)
        return True

    def uncount(self) -> None:
        """It is the cluster's no more."""
        if self.is_counted:
            self.is_counted = False
            self.cluster.cells.active_requests.value -= 1
            self.cluster.breaker.release_request()
            self.cluster.streams.discard(self)
            if self.endpoint is not None:
                self.endpoint.active -= 1

    def dial_to(self, endpoint: Any) -> None:
        """Take a lease, once admitted."""
        self.endpoint = endpoint
        self.address = endpoint.address
        self.since = self.world.poller.now
        endpoint.active += 1
        try:
            self.head = head_of(self.tunnel, self.exchange, b"http" if self.cluster.tls is None else b"https")
        except ProtocolError as error:
            self.refuse(flags.UF, f"tunnel: {error}")
            return
        self.pool = endpoint.pool
        connection = self.pool.take(self)
        if connection is not None:
            self.on_connection(connection)

    def refuse(self, flag: int, reason: str) -> None:
        """There is no tunnel."""
        self.flag = flag
        if self.endpoint is not None:
            self.observe(0, flag, reason)
        self.later(reason)

    def release(self) -> None:
        """Undo what there is of it, and uncount it."""
        rest(self.timer)
        descriptor, pool = self.descriptor, self.pool
        self.pool = None
        if descriptor is not None:
            descriptor.release()
        elif self.connection is not None:
            connection, self.connection = self.connection, None
            connection.abort()
        elif pool is not None:
            pool.give_up(self)
        self.uncount()

    # What the pool and the lease tell

    def server_name(self) -> str:
        """Return the host that TLS to the proxy may ask for: the endpoint's own."""
        return ""

    def on_connection(self, connection: Any) -> None:
        """The lease is here: ask."""
        self.connection = connection
        head = self.head
        connection.lease(self, head.method, False)
        self.local = connection.local
        timeout_s = self.cluster.spec.connect_timeout_s
        self.timer.arm(self.world.poller.now + timeout_s)
        if connection.is_multiplexed:
            self.is_tunnel = True
            connection.begin(head, False)
        else:
            connection.descriptor.send(compose.request_head(head))

    def on_timer(self, now: float) -> None:
        """No answer."""
        if self.descriptor is None:
            self.refuse(flags.UF, f"tunnel: the proxy did not answer within {self.cluster.spec.connect_timeout_s:g} s")

    def on_informational(self, head: Any) -> None:
        """A 1xx says nothing."""

    def on_response(self, head: Any) -> None:
        """The proxy agrees, or it does not."""
        if not 200 <= head.status < 300:
            self.cluster.cells.connect_failures.value += 1
            self.refuse(flags.UF, f"tunnel: the proxy answered {head.status}")
            return
        rest(self.timer)
        note_fields(self.tunnel, self.exchange, head.headers)
        self.descriptor = TunnelEnd(self, self.connection)
        self.is_ready = True
        self.observe(200, 0, "")
        self.receiver.opened()

    def on_body(self, data: bytes) -> None:
        """Bytes from the other side."""
        descriptor = self.descriptor
        if descriptor is not None and descriptor.is_open:
            descriptor.last = self.world.poller.now
            descriptor.owner.received(data)

    def on_tunnel_eof(self) -> None:
        """The other side will send nothing more."""
        descriptor = self.descriptor
        if descriptor is not None and descriptor.is_open and not descriptor.is_eof:
            descriptor.is_eof = True
            descriptor.owner.received_eof()

    def on_end(self, trailers: Any) -> None:
        """The body of the answer to a POST is over."""
        self.on_tunnel_eof()

    def flush(self) -> None:
        """A relay writes at once."""

    def drained(self) -> None:
        """The proxy takes bytes again."""
        if self.descriptor is not None:
            self.descriptor.drained()

    def on_failure(self, flag: int, reason: str, is_stale: bool) -> None:
        """No lease, or it broke."""
        self.connection = None
        descriptor = self.descriptor
        if descriptor is None:
            self.pool = None
            if not self.is_over:
                self.refuse(flags.UF if flag == flags.UC else flag, reason)
        elif descriptor.is_open:
            descriptor.is_open = False
            descriptor.owner.lost(reason)


class TunnelEnd(Descriptor):
    """The face of a socket for a lease; ``is_ended``: our half is over. Bytes of a POST over HTTP/1.1 go in chunks."""

    __slots__ = ("of", "inner", "is_chunked", "is_ended")

    def __init__(self, of: TunnelStream, connection: Any) -> None:
        self.of = of
        self.inner = inner = connection.descriptor
        self.is_chunked = not connection.is_multiplexed
        self.owner = self.pump = None
        self.mask = READ
        self.pending = self.queued = None
        self.pending_bytes = 0
        self.security = inner.security
        self.is_open = True
        self.is_cut = self.is_held = self.is_eof = self.is_closing = self.is_half_closing = self.is_ended = False
        self.last = of.world.poller.now

    def send(self, data: bytes) -> None:
        """Send bytes on."""
        if self.is_open and not self.is_ended:
            self.inner.send(compose.chunk(data) if self.is_chunked else data)
            self.look()

    def write_queued(self) -> None:
        """Nothing is put off here."""

    def look(self) -> None:
        """See how much waits."""
        inner = self.inner
        self.last = self.of.world.poller.now
        self.pending_bytes = inner.pending_bytes
        self.pending = inner.pending

    def drained(self) -> None:
        """Some of what waited has gone."""
        if not self.is_open:
            return
        self.look()
        if self.is_closing and not self.pending_bytes:
            self.release()
        self.owner.drained()

    def pause(self) -> None:
        """Read no more for now."""
        self.mask = 0
        self.inner.pause()

    def resume(self) -> None:
        """Read again."""
        if not self.is_eof and not self.is_held and self.is_open:
            self.mask = READ
            self.inner.resume()

    def half_close(self) -> None:
        """Our half is over."""
        if self.is_open and not self.is_ended:
            self.is_ended = True
            if self.is_chunked:
                self.inner.send(compose.last_chunk())
            else:
                self.inner.half_close()
            self.look()

    def close(self) -> None:
        """Close once all is written; ``is_open`` until then."""
        self.half_close()
        if self.is_open and self.pending_bytes:
            self.is_closing = True
        else:
            self.release()

    def abort(self) -> None:
        """End it at once; the proxy sees that it is not whole."""
        self.is_ended = False
        self.release()

    def release(self) -> None:
        """Give the lease back."""
        if self.is_open:
            self.is_open = False
            self.pending_bytes = 0
            stream = self.of
            connection, stream.connection = stream.connection, None
            if connection is None:
                return
            if self.is_ended and self.is_eof:
                connection.release(self.is_chunked)
            else:
                connection.abort()
