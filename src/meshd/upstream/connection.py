"""One HTTP/1.1 connection to an endpoint, from its dial to its close.

It serves one attempt at a time. An attempt has ``on_connection(connection)``, ``on_failure(flag, reason, began)``,
``on_response(head)``, ``on_body(data)``, ``on_end(trailers)``, ``on_informational(head)``, ``flush()`` and
``drained()``.
"""

import socket
from typing import Any

from meshd.errors import ProtocolError
from meshd.http import compose, flag
from meshd.http.framing import HEAD as HEAD_STATE
from meshd.http.framing import IDLE as IDLE_STATE
from meshd.http.head import RequestHead
from meshd.http.response import ResponseParser
from meshd.wire.address import render
from meshd.wire.descriptor import Descriptor
from meshd.wire.dialer import Dial, begin_with
from meshd.wire.nobody import part


class NoAttempt:
    """Stands for the attempt of an idle connection: whatever an upstream says now is unasked."""

    def on_response(self, head: Any) -> None:
        """Refuse."""
        raise ProtocolError("unasked response", 502)

    on_body = on_end = on_informational = on_response


IDLE = NoAttempt()


class UpstreamConnection:
    """``requests`` counts those served; ``attempt`` is the one that has the lease, or None.

    ``counted_by`` is the circuit breaker that admitted it, or None (the first connection of a pool is always made).
    ``since`` is when it was ready, which with TLS is after the handshake. ``is_multiplexed``: it is one stream of an
    HTTP/2 connection (``h2/``), which has ``begin`` and ``complete`` in the place of composed bytes. ``is_refused``:
    the upstream says that it has not processed the request.
    """

    __slots__ = (
        "pool", "attempt", "descriptor", "parser", "timer", "requests", "dial", "local", "counted_by", "answered",
        "since", "is_ready", "is_multiplexed", "is_refused",
    )

    def __init__(self, pool: Any, counted_by: Any) -> None:
        self.pool = pool
        self.counted_by = counted_by
        self.attempt = None
        self.descriptor = None
        self.requests = 0
        self.local = ""
        self.since = 0.0
        self.answered = self.is_ready = self.is_multiplexed = self.is_refused = False
        settings = pool.settings
        self.parser = ResponseParser(IDLE, settings.max_head_bytes, settings.max_fields)
        world = pool.world
        self.timer = world.wheel.timer(self.on_idle_timeout)
        self.dial = Dial(world.poller, world.wheel, pool.connect_timeout_s, self.on_dialed,
                         pool.cluster.spec.source_addresses, pool.client)

    def on_dialed(self, fd: int | None, reason: str) -> None:
        """The dial has ended."""
        dial, self.dial = self.dial, None
        if fd is None:
            self.refuse(reason)
            return
        borrowed = socket.socket(fileno=fd)
        self.local = render(borrowed.getsockname())
        pool = self.pool
        keepalive = pool.settings.tcp_keepalive
        if keepalive is not None and borrowed.family != socket.AF_UNIX:
            keep_alive(borrowed, keepalive)
        borrowed.detach()
        if pool.preface:
            begin_with(fd, pool.preface)
        if pool.tls is None:
            self.descriptor = Descriptor(fd, pool.poller, self)
            self.secured()
        else:
            rest_s = max(0.0, dial.began + dial.timeout_s - pool.poller.now)
            pool.tls.connect(fd, self, pool.server_name, pool.address, rest_s, pool.alpn)

    def secured(self, protocol: str = "") -> None:
        """It can be used: there is nothing to agree on, or TLS has done so."""
        self.is_ready = True
        self.since = self.pool.poller.now
        self.pool.on_dialed(self)

    def refuse(self, reason: str) -> None:
        """It has come to nothing."""
        part(self)
        self.pool.on_dial_failed(self, reason)

    def lease(self, attempt: Any, method: bytes, is_upgrade: bool) -> None:
        """Serve ``attempt`` from now on."""
        self.attempt = attempt
        self.answered = False
        self.timer.deadline = 0.0
        parser = self.parser
        parser.sink = attempt
        parser.expect(method, is_upgrade)

    def ask(self, head: RequestHead, body: bytes) -> None:
        """Send a whole request."""
        self.descriptor.send(compose.request_head(head) + body)

    def release(self, is_reusable: bool) -> None:
        """The attempt has ended; ``is_reusable`` says whether both messages were whole."""
        self.attempt = None
        self.parser.sink = IDLE
        self.requests += 1
        if is_reusable and self.parser.state == IDLE_STATE and self.descriptor.is_open and not self.descriptor.pending:
            self.pool.put(self)
        else:
            self.close()

    def received(self, data: bytes) -> None:
        """Bytes from upstream."""
        attempt = self.attempt
        if attempt is None:
            self.close()
            return
        self.answered = True
        try:
            self.parser.receive(data)
        except ProtocolError as error:
            self.end(flag.UPE, f"protocol error: {error}")
            return
        if self.attempt is attempt:
            attempt.flush()

    def received_eof(self) -> None:
        """The upstream will send nothing more."""
        attempt = self.attempt
        if attempt is None:
            self.close()
        elif attempt.is_tunnel:
            attempt.on_tunnel_eof()
        else:
            self.end_of_stream(attempt)

    def end_of_stream(self, attempt: Any) -> None:
        """End a body that lasts until the close, or cut what is not whole. Part of a head is no HTTP: 502."""
        is_head = self.parser.state == HEAD_STATE
        if self.descriptor.is_cut and not is_head:
            self.end(flag.UC, "connection closed by upstream without TLS's close_notify")
            return
        try:
            self.parser.eof()
        except ProtocolError as error:
            if is_head:
                self.end(flag.UPE, f"protocol error: {error}")
            else:
                self.end(flag.UC, "connection closed by upstream")
            return
        if self.attempt is attempt:
            self.end(flag.UC, "connection closed by upstream")

    def lost(self, reason: str) -> None:
        """The socket broke, or the handshake has failed."""
        if self.is_ready:
            self.end(flag.UC, reason)
        else:
            self.refuse(reason)

    def end(self, bit: int, reason: str) -> None:
        """Close, and tell the attempt that had the lease."""
        attempt, self.attempt = self.attempt, None
        is_stale = self.requests > 0 and not self.answered
        self.close()
        if attempt is not None:
            attempt.on_failure(bit, reason, is_stale)

    def drained(self) -> None:
        """What was kept for the upstream has been written, or some of it."""
        if self.attempt is not None:
            self.attempt.drained()

    def on_idle_timeout(self, now: float) -> None:
        """Nobody has used it for long enough."""
        if self.attempt is None:
            self.close()

    def abort(self) -> None:
        """The attempt gives up: the connection cannot be used again."""
        self.attempt = None
        self.close()

    def close(self) -> None:
        """Close and leave the pool."""
        if self.dial is not None:
            self.dial.cancel()
            self.dial = None
        if self.descriptor is not None:
            self.descriptor.release()
        part(self)
        self.parser.sink = IDLE
        self.pool.on_closed(self)


def keep_alive(sock: socket.socket, settings: Any) -> None:
    """Have the kernel probe a silent connection; what is 0 stays the system's."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, round(settings.time_s)), (socket.TCP_KEEPCNT, settings.probes),
                          (socket.TCP_KEEPINTVL, round(settings.interval_s))):
        if value:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
