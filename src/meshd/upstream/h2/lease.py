"""One stream of an HTTP/2 connection with the face of a whole HTTP/1.1 connection, for one attempt.

Strategy: two small objects, since the face has two: ``Lease`` stands for the connection, ``Outlet`` for its descriptor.
What they are asked goes to the session at once; the connection writes it at the end of the batch.
"""

from base64 import b64encode
from hashlib import sha1
from typing import Any

from meshd.http import flag
from meshd.http.h2.code import CANCEL, NO_ERROR
from meshd.upstream.connection import UpstreamConnection
from meshd.wire.descriptor import Descriptor
from meshd.wire.poller import READ

WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
BODILESS = (204, 304)


class Lease(UpstreamConnection):
    """``line`` is the connection, ``stream_id`` 0 until the request begins. ``held``: bytes of the answer whose credit
    is kept while the client does not take them. ``heard`` is how many reads the connection had when it began.

    ``is_touched``: the running read has brought something. ``is_sent``: the request has been given to the session,
    whole. ``upgrade``: the head of a request for an upgrade that waits for the peer's SETTINGS.
    """

    __slots__ = ("line", "stream_id", "held", "heard", "is_touched", "is_sent", "upgrade", "key", "method")

    def __init__(self, line: Any) -> None:
        self.line = line
        self.pool = line.pool
        self.local = line.local
        self.attempt = self.upgrade = self.key = None
        self.stream_id = self.held = 0
        self.heard = line.heard
        self.requests = line.requests
        self.is_multiplexed = True
        self.method = b"GET"
        self.is_refused = self.is_touched = self.is_sent = self.answered = False
        self.descriptor = Outlet(self)

    # What the attempt asks

    def lease(self, attempt: Any, method: bytes, is_upgrade: bool) -> None:
        """Serve ``attempt`` from now on."""
        self.attempt = attempt
        self.method = method

    def begin(self, head: Any, is_last: bool) -> None:
        """Send the head of a request; ``is_last``: it has no body."""
        line = self.line
        self.is_sent = is_last
        if head.upgrade is not None and head.method != b"CONNECT":
            self.key = head.headers.get(b"sec-websocket-key")
            if not line.has_settings:
                self.upgrade = head
                line.upgrades.append(self)
                return
            if not line.session.allows_connect:
                self.fail(flag.UR, "extended CONNECT is not taken by the upstream", False)
                return
        line.begin(self, head, is_last)

    def complete(self, trailers: Any) -> None:
        """The request is whole."""
        if self.is_sent:
            return
        self.is_sent = True
        line = self.line
        if trailers is None:
            line.session.send(self.stream_id, b"", True)
        else:
            line.session.trailers(self.stream_id, trailers)
        line.wake()

    def ask(self, head: Any, body: bytes) -> None:
        """Send a whole request."""
        self.begin(head, not body)
        if body and self.stream_id:
            self.is_sent = True
            self.line.session.send(self.stream_id, body, True)

    def release(self, is_reusable: bool) -> None:
        """The attempt has its answer; of a request that was not taken whole no more is sent (RFC 9113 8.1)."""
        self.attempt = None
        session, stream_id = self.line.session, self.stream_id
        if stream_id and (not self.is_sent or session.queued(stream_id)):
            session.reset(stream_id, NO_ERROR)
        self.line.leave(self)

    def abort(self) -> None:
        """The attempt gives up."""
        self.attempt = None
        if self.stream_id:
            self.line.reset(self, CANCEL)
        self.line.leave(self)

    def close(self) -> None:
        """The attempt gives up."""
        self.abort()

    # What the connection tells

    def fail(self, bit: int, reason: str, is_stale: bool) -> None:
        """The stream is gone: leave the connection and tell the attempt."""
        attempt, self.attempt = self.attempt, None
        self.line.leave(self)
        if attempt is not None:
            attempt.on_failure(bit, reason, is_stale)

    def on_response(self, head: Any, is_last: bool) -> None:
        """The final head of the answer."""
        attempt = self.attempt
        if head.status == 101:
            self.accept(head)
        elif is_last and attempt.version < 20 and self.method not in (b"HEAD", b"CONNECT") and (
                head.status not in BODILESS):
            if b"content-length" not in head.headers:
                head.headers.add(b"content-length", b"0")  # the end of the stream says it in HTTP/2
        attempt.on_response(head)
        if is_last and self.attempt is attempt:
            self.on_end(None)

    def accept(self, head: Any) -> None:
        """Say of an upgrade that was granted what a client of HTTP/1.1 expects (RFC 6455 4.2.2)."""
        if self.key is not None and b"sec-websocket-accept" not in head.headers:
            head.headers.add(b"sec-websocket-accept", b64encode(sha1(self.key + WEBSOCKET).digest()))

    def on_body(self, data: bytes) -> None:
        """Bytes of the answer: what is passed on makes room for more, unless the client does not keep up."""
        self.attempt.on_body(data)
        if not self.descriptor.mask & READ:
            self.held += len(data)
        elif self.attempt is not None:
            self.line.session.consume(self.stream_id, len(data))

    def on_end(self, trailers: Any) -> None:
        """The answer is whole, or the upstream's half of a tunnel."""
        attempt = self.attempt
        if attempt.is_tunnel:
            attempt.on_tunnel_eof()
        else:
            attempt.on_end(trailers)


class Outlet(Descriptor):
    """The descriptor of a lease, ``of`` None once that has ended.

    ``pending_bytes`` waits for the connection or for the peer's credit.
    """

    __slots__ = ("of", "was_high")

    def __init__(self, of: Lease) -> None:
        self.of = of
        self.owner = None
        self.mask = READ
        self.pending = self.queued = None
        self.pending_bytes = 0
        self.is_open = True
        self.security = of.line.descriptor.security
        self.is_cut = self.is_held = self.was_high = self.is_eof = self.is_closing = self.is_half_closing = False
        self.last = of.line.descriptor.poller.now

    def send(self, data: bytes) -> None:
        """Send body bytes."""
        lease = self.of
        if lease is not None and lease.stream_id:
            line = lease.line
            self.pending_bytes = line.session.send(lease.stream_id, data)
            self.watch_queue(lease, line)
            line.wake()

    def watch_queue(self, lease: Lease, line: Any) -> None:
        """Have the attempt told when what waits has been written, where that matters to it."""
        attempt = lease.attempt
        if self.pending_bytes > line.high_bytes or attempt is not None and attempt.is_tunnel:
            self.was_high = True
            if self.pending is None:
                self.pending = True
                line.writing.append(lease)

    def written(self, queued_bytes: int) -> bool:
        """So much waits still; return whether to look again."""
        lease = self.of
        line = lease.line
        self.pending_bytes = queued_bytes
        if not queued_bytes:
            self.pending = None
        if self.was_high and queued_bytes <= line.low_bytes:
            self.was_high = queued_bytes > 0
            if lease.attempt is not None:
                lease.attempt.drained()
        return self.pending is not None and lease.attempt is not None

    def half_close(self) -> None:
        """End our half of a tunnel."""
        lease = self.of
        if lease is not None and not lease.is_sent and lease.stream_id:
            lease.complete(None)
            self.pending_bytes = lease.line.session.queued(lease.stream_id)
            self.watch_queue(lease, lease.line)

    def pause(self) -> None:
        """Give no more credit to the answer."""
        self.mask = 0

    def resume(self) -> None:
        """Give the credit back that was kept."""
        if self.mask & READ or self.is_held:
            return
        self.mask = READ
        lease = self.of
        if lease is not None and lease.held:
            held, lease.held = lease.held, 0
            lease.line.session.consume(lease.stream_id, held)
            lease.line.wake()

    def release(self) -> None:
        """Nobody writes here any more."""
        self.is_open = False
