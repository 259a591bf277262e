"""One HTTP/2 connection to an endpoint, from its dial to its close: the owner of a client session, and its sink.

Strategy: whatever attempts ask in one batch of events goes out in one write at the batch's end. A connection that
takes no more requests (GOAWAY, age, number, retired) is ``is_leaving`` and closes with its last stream.
"""

from typing import Any

from meshd.http import flag
from meshd.http.h2.code import NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM
from meshd.http.h2.session import CLIENT, start
from meshd.upstream.connection import UpstreamConnection
from meshd.upstream.h2.lease import Lease

MAX_REQUESTS = 2**30 - 1  # stream numbers of a client
CODES = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
)


class StreamConnection(UpstreamConnection):
    """``leases`` are the open streams by number, ``active`` counts them and leases that have not begun, ``begun`` all
    that there were. ``heard`` counts reads.

    ``writing`` are leases to look after when something has been written, ``upgrades`` those that wait for the peer's
    SETTINGS, ``touched`` those that the running read has brought something for.
    """

    __slots__ = (
        "session", "leases", "active", "heard", "has_settings", "upgrades", "writing", "touched", "is_dirty",
        "is_leaving", "is_listed", "is_idle", "idle_since", "ping_at", "ping_deadline", "high_bytes", "low_bytes",
        "stream_cells", "begun",
    )

    def __init__(self, pool: Any, counted_by: Any) -> None:
        UpstreamConnection.__init__(self, pool, counted_by)
        self.stream_cells = pool.cluster.stream_cells
        self.high_bytes = pool.settings.buffer_high_bytes
        self.low_bytes = pool.settings.buffer_low_bytes
        self.leases: dict[int, Lease] = {}
        self.upgrades: list[Lease] = []
        self.writing: list[Lease] = []
        self.touched: list[Lease] = []
        self.active = self.heard = self.begun = 0
        self.has_settings = self.is_dirty = self.is_leaving = self.is_listed = self.is_idle = False
        self.idle_since = self.ping_at = self.ping_deadline = 0.0
        self.session: Any = None

    def open(self) -> None:
        """The descriptor is here: begin the session."""
        pool = self.pool
        self.session = start(CLIENT, pool.session_settings, self, pool.engine, pool.world.clock.now)
        self.stream_cells.connections.value += 1
        keepalive = pool.keepalive
        if keepalive is not None and keepalive.interval_s:
            self.plan_ping(self.since)
        self.wake()

    # Leases

    def has_room(self) -> bool:
        """Say whether one more request may begin now; before the endpoint's SETTINGS, by those of its last connection
        (Envoy's cache of concurrent streams), since what is too much is refused.
        """
        pool = self.pool
        return (not self.is_leaving and self.active < pool.max_streams
                and self.session.can_request and self.active < self.session.max_streams
                and (self.has_settings or self.active < pool.expected))

    def take(self) -> Lease:
        """Return a lease on a new stream; ``has_room`` has said yes."""
        pool = self.pool
        self.active += 1
        self.begun += 1
        self.stream_cells.streams.value += 1
        if pool.keepalive is not None:
            self.probe(pool.keepalive)
        if self.begun >= pool.limit_requests:
            self.stream_cells.max_requests.value += 1
            self.is_leaving = True
        return Lease(self)

    def begin(self, lease: Lease, head: Any, is_last: bool) -> None:
        """Begin the stream of a lease."""
        stream_id = self.session.request(head, is_last)
        if not stream_id:
            lease.fail(flag.UC, "the connection takes no more requests", True)
            return
        lease.stream_id = stream_id
        self.leases[stream_id] = lease
        self.wake()

    def reset(self, lease: Lease, code: int) -> None:
        """End a stream that is not whole."""
        if self.leases.get(lease.stream_id) is lease:
            self.stream_cells.tx_reset.value += 1
            self.session.reset(lease.stream_id, code)

    def leave(self, lease: Lease) -> None:
        """A lease has ended."""
        outlet = lease.descriptor
        if not outlet.is_open:
            return
        outlet.is_open = False
        outlet.of = None
        self.active -= 1
        self.requests += 1
        self.stream_cells.streams.value -= 1
        stream_id = lease.stream_id
        if stream_id:
            self.leases.pop(stream_id, None)
            if lease.held:
                self.session.consume(stream_id, lease.held)
        elif lease.upgrade is not None and lease in self.upgrades:
            self.upgrades.remove(lease)
        if self.descriptor.is_open:
            self.wake()
            self.pool.put(self)

    # Bytes

    def wake(self) -> None:
        """Have what the session wants to say written at the end of the batch."""
        if not self.is_dirty:
            self.is_dirty = True
            poller = self.pool.poller
            if poller.beat:
                poller.unsent.append(self)
            else:
                self.write_queued()

    def write_queued(self) -> None:
        """Write what the session has, unless the kernel does not keep up: ``drained`` comes back here then."""
        self.is_dirty = False
        descriptor = self.descriptor
        if descriptor is None or not descriptor.is_open or descriptor.pending_bytes > self.high_bytes:
            return
        data = self.session.take()
        if data:
            descriptor.send(data)
            descriptor.write_queued()
        if self.writing:
            self.look_at_queues()

    def look_at_queues(self) -> None:
        """Tell the attempts that waited for it that their bytes have been written."""
        writing, self.writing = self.writing, []
        queued = self.session.queued
        for lease in writing:
            if lease.attempt is not None and lease.descriptor.written(queued(lease.stream_id)):
                self.writing.append(lease)

    def received(self, data: bytes) -> None:
        """Bytes from the endpoint."""
        self.heard += 1
        self.session.receive(data)
        touched, self.touched = self.touched, []
        for lease in touched:
            lease.is_touched = False
            if lease.attempt is not None:
                lease.attempt.flush()
        if self.descriptor.is_open:
            self.wake()

    def drained(self) -> None:
        """The kernel takes bytes again."""
        if self.descriptor.is_open:
            self.wake()

    def received_eof(self) -> None:
        """The endpoint will send nothing more: that ends every stream."""
        self.end(flag.UC, "connection closed by upstream")

    # What the session tells

    def touch(self, lease: Lease) -> None:
        """Flush its attempt when the read has been worked off."""
        if not lease.is_touched:
            lease.is_touched = True
            lease.answered = True
            self.touched.append(lease)

    def on_response(self, stream_id: int, head: Any, is_last: bool) -> None:
        """A final head."""
        lease = self.leases.get(stream_id)
        if lease is not None:
            self.touch(lease)
            lease.on_response(head, is_last)

    def on_informational(self, stream_id: int, head: Any) -> None:
        """A 1xx."""
        lease = self.leases.get(stream_id)
        if lease is not None:
            self.touch(lease)
            lease.attempt.on_informational(head)

    def on_body(self, stream_id: int, data: bytes) -> None:
        """Bytes of an answer."""
        lease = self.leases.get(stream_id)
        if lease is None:
            self.session.consume(stream_id, len(data))
        else:
            self.touch(lease)
            lease.on_body(data)

    def on_end(self, stream_id: int, trailers: Any) -> None:
        """The end of an answer."""
        lease = self.leases.get(stream_id)
        if lease is not None:
            self.touch(lease)
            lease.on_end(trailers)

    def on_reset(self, stream_id: int, code: int, is_local: bool) -> None:
        """A stream is gone: by the endpoint's RST_STREAM or GOAWAY, or because it broke the rules."""
        lease = self.leases.get(stream_id)
        if lease is None:
            return
        self.touch(lease)
        if is_local:
            lease.fail(flag.UPE, f"protocol error: HTTP/2: {name_of(code)}", False)
            return
        self.stream_cells.rx_reset.value += 1
        lease.is_refused = code == REFUSED_STREAM
        lease.fail(flag.UPE if code == PROTOCOL_ERROR else flag.UR, f"reset by upstream: {name_of(code)}", False)

    def on_closed(self, stream_id: int) -> None:
        """Both sides have ended a stream: there may be room for another."""
        if self.pool.waiters or not self.is_listed:
            self.pool.put(self)

    def on_writable(self, stream_id: int) -> None:
        """``look_at_queues`` sees it."""

    def on_settings(self, max_concurrent_streams: int, allows_connect: bool) -> None:
        """The endpoint says what it takes."""
        self.has_settings = True
        upgrades, self.upgrades = self.upgrades, []
        for lease in upgrades:
            head, lease.upgrade = lease.upgrade, None
            lease.begin(head, False)
        self.pool.on_settings(self, max_concurrent_streams)

    def on_goaway(self, last_stream_id: int, code: int, debug: bytes) -> None:
        """The endpoint takes no more requests here."""
        self.stream_cells.close_notify.value += 1
        self.is_leaving = True
        if not self.active:
            self.pool.put(self)

    def on_ping_ack(self, payload: bytes) -> None:
        """The endpoint lives."""
        self.ping_deadline = 0.0

    def on_error(self, code: int, detail: str, message: str) -> None:
        """The endpoint broke HTTP/2: nothing on this connection can be trusted."""
        self.stream_cells.protocol_errors.value += 1
        self.say_last()
        self.end(flag.UPE, f"protocol error: HTTP/2: {message}")

    def on_count(self, name: str) -> None:
        """Something that has a counter happened."""
        cell = self.stream_cells.events.get(name)
        if cell is not None:
            cell.value += 1

    # Time

    def plan_ping(self, now: float) -> None:
        """Send the next PING in an interval's time."""
        keepalive = self.pool.keepalive
        share = keepalive.interval_jitter_percent / 100.0
        self.ping_at = now + keepalive.interval_s * (1.0 + share * self.pool.world.random.random())
        self.hurry(self.ping_at)

    def hurry(self, deadline: float) -> None:
        """Look at the deadlines at ``deadline``, or earlier if that was said before."""
        timer = self.timer
        if not timer.deadline or deadline < timer.deadline:
            timer.arm(deadline)

    def probe(self, keepalive: Any) -> None:
        """Send a PING with a request after a long silence."""
        silent_s = keepalive.connection_idle_interval_s
        if silent_s and self.pool.poller.now - self.descriptor.last >= silent_s:
            self.ping(keepalive)

    def ping(self, keepalive: Any) -> None:
        """Send a PING; its answer must come in time."""
        if not self.ping_deadline:
            self.session.ping()
            self.ping_deadline = self.pool.poller.now + keepalive.timeout_s
            self.hurry(self.ping_deadline)
            self.wake()

    def on_idle_timeout(self, now: float) -> None:
        """A deadline may have passed."""
        pool = self.pool
        if self.ping_deadline and now >= self.ping_deadline:
            self.stream_cells.keepalive_timeout.value += 1
            self.end(flag.UC, "PING was not answered in time")
            return
        late = self.since + pool.max_age_s if pool.max_age_s and not self.is_leaving else 0.0
        if late and now >= late:
            self.is_leaving = True
            late = 0.0
        idle = self.idle_since + pool.idle_timeout_s if self.is_idle and pool.idle_timeout_s else 0.0
        if not self.active and (self.is_leaving or idle and now >= idle):
            self.close()
            return
        if self.ping_at and now >= self.ping_at:
            self.plan_ping(now)
            self.ping(pool.keepalive)
        for deadline in (late, idle, self.ping_at, self.ping_deadline):
            if deadline:
                self.hurry(deadline)

    # Ends

    def say_last(self) -> None:
        """Write what the session has to say before the connection closes."""
        descriptor = self.descriptor
        if descriptor.is_open and not descriptor.pending:
            if not (self.session.is_closed or self.session.is_finishing):
                self.session.finish(NO_ERROR)
                self.stream_cells.goaway_sent.value += 1
            data = self.session.take()
            if data:
                descriptor.send(data)
                descriptor.write_queued()

    def end(self, bit: int, reason: str) -> None:
        """Close, and tell every attempt."""
        leases = [*self.leases.values(), *self.upgrades]
        heard = self.heard
        self.cut()
        for lease in leases:
            lease.fail(bit, reason, lease.requests > 0 and lease.heard == heard)

    def close(self) -> None:
        """Say goodbye and close; there is no stream any more."""
        if self.session is not None:
            self.say_last()
        self.cut()

    def cut(self) -> None:
        """Close and leave the pool."""
        if self.session is not None:
            self.session.is_closed = True
        UpstreamConnection.close(self)

    def abort(self) -> None:
        """Close with all streams: the pool is told that nothing of it is wanted."""
        self.end(flag.LR, "closed")

    def on_bug(self) -> None:
        """Something that the poller ran raised."""
        self.end(flag.UC, "internal error")


def name_of(code: int) -> str:
    """Return an error code's name (RFC 9113 7)."""
    return CODES[code] if code < len(CODES) else str(code)
