"""The HTTP/2 connections to one endpoint, and the attempts that wait for a stream.

Strategy: one connection as a rule. Another is dialed while more attempts wait than the connections on their way will
take; how many that is each, is known from the configuration and the last SETTINGS of the endpoint. The circuit breaker
counts connections and waiters as for HTTP/1.1.
"""

from typing import Any

from meshd.http import flag
from meshd.http.h2.session import AUTO
from meshd.http.h2.settings import Settings
from meshd.upstream.h2.connection import MAX_REQUESTS, StreamConnection
from meshd.upstream.pool import Pool

FRAME_BYTES = 16384
MAX_CONTINUATIONS = 8
"""CONTINUATION frames of one head, at least (nghttp2's limit); as many as make the largest head."""


class StreamPool(Pool):
    """``ready`` are the connections that take one more request now, ``max_streams`` the requests of one connection by
    the configuration, ``expected`` as the endpoint has said.
    """

    __slots__ = ("ready", "max_streams", "expected", "keepalive", "session_settings", "limit_requests", "engine")

    protocol = "http2"
    alpn = ("h2",)

    def __init__(self, world: Any, address: str) -> None:
        Pool.__init__(self, world, address)
        self.ready: list[StreamConnection] = []
        self.max_streams = self.expected = 1024
        self.keepalive: Any = None
        self.session_settings: Any = None
        self.limit_requests = MAX_REQUESTS
        self.engine = AUTO

    def bind(self, cluster: Any) -> None:
        """Take settings and counters from ``cluster`` from now on."""
        Pool.bind(self, cluster)
        http2 = cluster.spec.http2
        self.keepalive = http2.connection_keepalive
        self.session_settings = settings_of(cluster.spec)
        self.count(http2.max_concurrent_streams)

    def bind_as(self, other: Pool) -> None:
        """Take what ``other`` has from its cluster."""
        Pool.bind_as(self, other)
        self.keepalive = other.keepalive
        self.session_settings = other.session_settings
        self.count(other.max_streams)

    def count(self, max_streams: int) -> None:
        """Take the limits of one connection."""
        self.expected = max_streams if self.max_streams != max_streams else self.expected
        self.max_streams = max_streams
        self.limit_requests = self.max_requests or MAX_REQUESTS

    def take(self, attempt: Any) -> Any:
        """Return a lease on a stream, or None: then ``attempt.on_connection`` or ``attempt.on_failure`` follows."""
        if self.branches is not None:
            return self.branch(attempt).take(attempt)
        ready = self.ready
        while ready:
            connection = ready[-1]
            if connection.has_room():
                if connection.is_idle:
                    self.unidle(connection)
                return connection.take()
            ready.pop()
            connection.is_listed = False
        breaker = self.breaker_of(attempt)
        if not breaker.admit_pending():
            self.cluster.cells.pending_overflow.value += 1
            attempt.on_failure(flag.UO, "too many requests wait for a connection", False)
            return None
        self.waiters.append(attempt)
        self.reach(breaker)
        return None

    def make(self, breaker: Any) -> StreamConnection:
        """Return a connection that is to be dialed."""
        return StreamConnection(self, breaker)

    def reach(self, breaker: Any) -> None:
        """Dial another connection, if more attempts wait than those on their way will take."""
        if self.dialing * self.expected < len(self.waiters) and not self.is_unknown():
            self.open(breaker)

    def is_unknown(self) -> bool:
        """Say whether a connection may take more once the endpoint's SETTINGS are here."""
        for connection in self.connections:
            if connection.session is not None and not connection.has_settings and not connection.is_leaving:
                return connection.active < self.expected
        return False

    def on_dialed(self, connection: StreamConnection) -> None:
        """A connection is ready."""
        self.dialing -= 1
        connection.open()
        self.put(connection)

    def on_dial_failed(self, connection: StreamConnection, reason: str) -> None:
        """A dial failed: who waits is served by other connections, if there are any, and fails with this one if not."""
        self.dialing -= 1
        self.cluster.cells.connect_failures.value += 1
        self.forget(connection)
        if self.dialing or any(not one.is_leaving for one in self.connections):
            return
        for attempt in [self.next_waiter() for _ in self.waiters[:]]:  # who asks again waits for another dial
            attempt.on_failure(flag.UF, reason, False)

    def on_settings(self, connection: StreamConnection, max_streams: int) -> None:
        """The endpoint has said how many streams it takes."""
        self.expected = max(1, min(self.max_streams, max_streams))
        self.put(connection)

    def put(self, connection: StreamConnection) -> None:
        """A connection may have room: serve those who wait."""
        if connection.descriptor is None or not connection.descriptor.is_open:
            return
        if self.max_age_s and self.poller.now - connection.since >= self.max_age_s:
            connection.is_leaving = True
        while self.waiters and connection.has_room():
            if connection.is_idle:
                self.unidle(connection)
            self.next_waiter().on_connection(connection.take())
        if self.waiters:
            self.reach(self.breaker_of(self.waiters[0]))
        if connection.is_leaving or self.is_retired:
            self.see_off(connection)
        elif not connection.is_listed and connection.has_room():
            connection.is_listed = True
            self.ready.append(connection)
        if not connection.active and not connection.is_idle and connection.descriptor.is_open:
            self.rest(connection)

    def see_off(self, connection: StreamConnection) -> None:
        """A connection takes no more: it closes with its last stream."""
        connection.is_leaving = True
        if connection.is_listed:
            connection.is_listed = False
            self.ready.remove(connection)
        if not connection.active:
            connection.close()

    def rest(self, connection: StreamConnection) -> None:
        """A connection has no stream: keep it for a while, within the cluster's limit."""
        cluster = self.cluster
        if cluster.idle >= self.max_idle:
            connection.close()
            return
        cluster.idle += 1
        self.idle.append(connection)
        connection.is_idle = True
        now = connection.idle_since = self.poller.now
        if self.idle_timeout_s:
            connection.hurry(now + self.idle_timeout_s)
        if self.max_age_s:
            connection.hurry(connection.since + self.max_age_s)

    def unidle(self, connection: StreamConnection) -> None:
        """An idle connection is used again."""
        connection.is_idle = False
        self.idle.remove(connection)
        self.cluster.idle -= 1

    def on_closed(self, connection: StreamConnection) -> None:
        """A connection has closed."""
        if connection not in self.connections:
            return
        if connection.is_idle:
            self.unidle(connection)
        if connection.is_listed:
            connection.is_listed = False
            self.ready.remove(connection)
        self.forget(connection)
        if self.waiters:
            self.reach(self.breaker_of(self.waiters[0]))

    def retire(self) -> None:
        """Close what is idle now and the rest with its last stream."""
        self.is_retired = True
        for connection in list(self.connections):
            if connection.session is not None:
                self.see_off(connection)
        for branch in self.every()[1:]:
            branch.retire()


def settings_of(spec: Any) -> Settings:
    """Return what a session is told, from the model's cluster."""
    http2, pool = spec.http2, spec.pool
    return Settings(
        max_concurrent_streams=http2.max_concurrent_streams, header_table_size=http2.hpack_table_size,
        initial_stream_window_size=http2.initial_stream_window_size,
        initial_connection_window_size=http2.initial_connection_window_size,
        max_head_bytes=pool.max_head_bytes, max_fields=pool.max_fields,
        max_continuations=max(MAX_CONTINUATIONS, pool.max_head_bytes // FRAME_BYTES),
        write_high_bytes=pool.buffer_high_bytes, write_low_bytes=pool.buffer_low_bytes,
        max_outbound_frames=http2.max_outbound_frames,
        max_outbound_control_frames=http2.max_outbound_control_frames,
        max_empty_frames=http2.max_consecutive_inbound_frames_with_empty_payload,
        max_priority_frames=http2.max_inbound_priority_frames_per_stream,
        max_window_updates=http2.max_inbound_window_update_frames_per_data_frame_sent,
    )
