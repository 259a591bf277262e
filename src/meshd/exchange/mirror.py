"""Mirroring: a copy of a request goes to a second cluster, whose answer is thrown away. ``recovery`` begins it.

Strategy: nothing of it can be felt by the client. The copy is sent when the request is whole, in one write, on a lease
of the mirror cluster's own pool, past that cluster's own circuit breaker. Bodies are collected within a bound each and
a bound for all in flight; beyond either the mirror is dropped and counted, never waited for. It is not retried.
"""

from typing import Any

from meshd.api.exchange import Mirror
from meshd.http import compose
from meshd.http import flag as flags
from meshd.http.head import RequestHead
from meshd.http.headers import Headers
from meshd.upstream.outcome import Outcome

SUFFIX = b"-shadow"
CONTROL = b"x-envoy-"


def begin(exchange: Any) -> None:
    """Draw which mirrors get a copy; one without a body is sent at once."""
    random = exchange.downstream.world.random
    for mirror in exchange.more.extra.mirrors:
        if mirror.percent < 100.0 and random.random() * 100.0 >= mirror.percent:
            continue
        try:
            exchange.more.shadows.append(Shadow(exchange, mirror))
        except Exception:
            failed(exchange, mirror)
    if not exchange.more.shadows:
        return
    feed_held(exchange)
    if exchange.body is None or exchange.body.is_complete:
        complete(exchange)


def failed(exchange: Any, mirror: Mirror) -> None:
    """A mirror must not raise; where it does it is a bug, and the client's request goes on."""
    exchange.downstream.world.log.failure("bug: unexpected error in a mirror to {name}", name=mirror.cluster.name)
    mirror.dropped("error")


def feed_held(exchange: Any) -> None:
    """Copy what has been held of the body before the route was found."""
    if exchange.body is not None:
        for data in exchange.body.held:
            feed(exchange, data)


def feed(exchange: Any, data: bytes) -> None:
    """Body bytes have come; a mirror that they are too many for is dropped."""
    shadows = exchange.more.shadows
    if not shadows or exchange.is_tunnel or exchange.plan is None:
        return
    for shadow in list(shadows):
        if not shadow.keep(data):
            shadows.remove(shadow)


def complete(exchange: Any) -> None:
    """The request is whole: send the copies."""
    shadows, exchange.more.shadows = exchange.more.shadows, []
    for shadow in shadows:
        try:
            shadow.run()
        except Exception:
            failed(exchange, shadow.mirror)
            shadow.end()


def abandon(exchange: Any) -> None:
    """The exchange ended before its request was whole: there is nothing to send."""
    shadows, exchange.more.shadows = exchange.more.shadows, []
    for shadow in shadows:
        shadow.forget()


def shadow_host(host: bytes) -> bytes:
    """Return ``host`` with ``-shadow`` behind its name, before its port (Envoy's rule)."""
    name, colon, port = host.rpartition(b":")
    return name + SUFFIX + colon + port if colon and port.isdigit() and not name.endswith(b":") else host + SUFFIX


class Asked:
    """The mirrored request as header edits and balancers see it: the client's exchange but for the head."""

    tried = ()
    wanted = None

    def __init__(self, exchange: Any, request: RequestHead) -> None:
        self._exchange = exchange
        self.request = request

    def add_response_header(self, name: bytes, value: bytes) -> None:
        """Nobody gets the answer."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exchange, name)


class Shadow:
    """One mirrored request; for its pool and connection, an attempt. It holds the client's exchange until it runs."""

    is_tunnel = is_high = False

    def __init__(self, exchange: Any, mirror: Mirror) -> None:
        request = exchange.request
        self.mirror = mirror
        self.world = exchange.downstream.world
        self.cluster = mirror.cluster
        self.head = copy_of(request)
        self.asked: Any = Asked(exchange, self.head)
        self.parts: list[bytes] = []
        self.size = 0
        self.connection: Any = None
        self.endpoint: Any = None
        self.timer: Any = None
        self.is_admitted = self.began = self.keeps = False
        self.has_body = request.content_length != 0
        self.since = 0.0
        if mirror.edit is not None:
            mirror.edit(self.asked)
        if not mirror.keeps_host:
            self.head.host = shadow_host(self.head.host)
            self.head.headers.set(b"host", self.head.host)

    def keep(self, data: bytes) -> bool:
        """Keep body bytes; say whether the mirror is still wanted."""
        size, held = len(data), self.mirror.held
        if self.size + size > self.mirror.body_limit_bytes:
            return self.drop("body_limit")
        if held[0] + size > self.mirror.memory_bytes:
            return self.drop("memory")
        self.parts.append(data)
        self.size += size
        held[0] += size
        return True

    def drop(self, reason: str) -> bool:
        """Give up before anything was sent."""
        self.forget()
        self.mirror.dropped(reason)
        return False

    def forget(self) -> None:
        """Give the memory back."""
        self.mirror.held[0] -= self.size
        self.size = 0
        self.parts.clear()
        self.asked = None

    def run(self) -> None:
        """Admit, choose an endpoint, take a lease."""
        cluster, asked = self.cluster, self.asked
        self.asked = None
        if not cluster.breaker.admit_request():
            cluster.cells.request_overflow.value += 1
            self.drop("overflow")
            return
        self.is_admitted = True
        cluster.cells.active_requests.value += 1
        endpoint = cluster.pick(asked)
        if endpoint is None:
            self.drop("no_endpoint")
            self.end()
            return
        self.endpoint = endpoint
        endpoint.active += 1
        cluster.cells.requests.value += 1
        self.timer = self.world.call_later(self.mirror.timeout_s, self.on_timeout)
        connection = endpoint.pool.take(self)
        if connection is not None:
            self.on_connection(connection)

    # What a pool and a connection ask of an attempt

    def server_name(self) -> str:
        """Return the host of the copy, which TLS may ask for."""
        return self.head.host.decode("latin-1")

    def on_connection(self, connection: Any) -> None:
        """The lease is here: send the whole request."""
        self.connection = connection
        connection.lease(self, self.head.method, False)
        self.began = True
        self.since = self.world.clock.now()
        if self.size or self.has_body:
            self.head.headers.set(b"content-length", b"%d" % self.size)
        data = b"".join((compose.request_head(self.head), *self.parts))
        self.parts.clear()
        connection.descriptor.send(data)

    def on_informational(self, head: Any) -> None:
        """Nobody waits for it."""

    on_body = on_informational

    def on_response(self, head: Any) -> None:
        """The answer's head: the cluster may learn from it."""
        self.keeps = head.keep_alive
        self.observe(head.status, head.headers, 0, "")
        if head.status == 101:
            self.cancel()

    def on_end(self, trailers: Any) -> None:
        """The answer is whole."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.release(self.keeps)
        self.end()

    def flush(self) -> None:
        """There is nothing to write."""

    drained = flush

    def on_failure(self, flag: int, reason: str, is_stale: bool) -> None:
        """No connection, or it broke."""
        if flag == flags.UO:
            self.mirror.dropped("overflow")
        self.connection = None
        self.observe(0, None, flag, reason)
        self.end()

    def on_timeout(self) -> None:
        """It took too long."""
        self.timer = None
        self.cluster.cells.timeouts.value += 1
        self.observe(0, None, flags.UT, "timeout")
        self.cancel()

    def cancel(self) -> None:
        """Nothing more is wanted of it."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.abort()
        elif self.endpoint is not None:
            self.endpoint.pool.give_up(self)
        self.end()

    def observe(self, status: int, headers: Any, bit: int, reason: str) -> None:
        """Tell the cluster's outlier detector and balancer."""
        if self.cluster.observe is None:
            return
        seconds = self.world.clock.now() - self.since if self.began else 0.0
        try:
            self.cluster.observe(self.endpoint, Outcome(status, headers, bit, self.began, reason, seconds))
        except Exception:
            self.world.log.failure("bug: unexpected error in what observes {name}", name=self.cluster.name)

    def end(self) -> None:
        """Give everything back, once."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.forget()
        endpoint, self.endpoint = self.endpoint, None
        if endpoint is not None:
            endpoint.active -= 1
        if self.is_admitted:
            self.is_admitted = False
            self.cluster.cells.active_requests.value -= 1
            self.cluster.breaker.release_request()


def copy_of(request: RequestHead) -> RequestHead:
    """Return a copy of a head as it goes upstream, without control fields; its body will have a length."""
    pairs = [pair for pair in request.headers
             if not pair[0].startswith(CONTROL) and pair[0] not in (b"content-length", b"expect", b"trailer")]
    head = RequestHead(request.method, request.original_target, request.host, request.version, Headers.of(*pairs))
    head.set_target(request.target)
    head.scheme = request.scheme
    return head
