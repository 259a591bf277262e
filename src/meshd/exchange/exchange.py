"""One request and its response, from the head's arrival to the last telemetry; steps 3 to 8 of the way of a request.

Strategy: everything is called synchronously from the read that brought the bytes. Output of one read is gathered in
``out`` and leaves in one write when the read has been worked off (``flush``). The downstream is any object with
``begin(exchange, head)``, ``write(data)``, ``complete(exchange, is_whole)``, ``pause``, ``resume``, ``is_full`` and
``arm``; the upstream is an Attempt.
"""

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import classImplements

from meshd.api.exchange import IExchange
from meshd.exchange import connect, forward, hedge, mirror, recovery
from meshd.exchange.body import RequestBody, compose, read
from meshd.exchange.held import Held, gather, release
from meshd.exchange.reply import DETAILS, REPLY_HEADERS, answer_of, detail_of, explain, refuse
from meshd.http import flag as flags


class Exchange:
    """See ``IExchange``. ``is_ended`` is set once, by ``end``; nothing of the exchange runs after it."""

    __slots__ = (
        "downstream", "listener", "chain", "poller", "request", "response", "route_found", "plan", "cluster",
        "endpoint", "tried", "attempts", "attempt", "identity", "notes", "flags", "detail", "failure", "client",
        "started", "request_ended", "upstream_began", "response_began", "ended", "request_bytes", "response_bytes",
        "is_local_reply", "is_ended", "is_tunnel", "is_sampled", "durations", "waiting", "body", "request_transform",
        "response_transform", "deadline", "try_deadline", "out", "has_body", "is_chunked", "is_chunked_up",
        "upstream_head", "is_admitted", "retry_call", "is_retry_admitted", "reader", "stream_id", "upstream_local",
        "last_body", "half_ended", "held", "choices", "wanted", "added", "more", "breaker", "trailers",
        "folds_trailers", "security", "upstream_security",
    )

    def __init__(self, downstream: Any, chain: Any, request: Any, now: float) -> None:
        self.downstream = downstream
        self.chain = chain
        self.poller = downstream.poller
        self.request = request
        self.started = now
        self.last_body = now
        self.client = downstream.host
        self.listener = downstream.listener.name
        self.stream_id = downstream.world.unique()
        self.response = self.plan = self.cluster = self.endpoint = self.attempt = self.identity = None
        self.notes = self.durations = self.waiting = self.request_transform = self.response_transform = None
        self.upstream_head = self.retry_call = self.reader = self.held = self.choices = None
        self.wanted = self.added = self.more = self.breaker = self.trailers = None
        self.security = self.upstream_security = None
        self.route_found = False
        self.tried = ()
        self.attempts = self.flags = self.request_bytes = self.response_bytes = self.half_ended = 0
        self.detail = self.failure = self.upstream_local = ""
        self.upstream_began = self.response_began = self.ended = 0.0
        self.deadline = self.try_deadline = 0.0
        self.is_local_reply = self.is_ended = self.is_tunnel = self.is_sampled = self.folds_trailers = False
        self.half_ended = 0
        self.is_admitted = self.is_retry_admitted = self.is_chunked = self.is_chunked_up = self.has_body = False
        self.out = []
        if request.content_length:
            self.body = RequestBody()
            self.request_ended = 0.0
        else:
            self.body = None
            self.request_ended = now

    # What plugins see

    @property
    def route(self) -> Any:
        """The route, matched when first read."""
        if self.route_found is False:
            self.route_found = self.chain.match(self)
        return self.route_found

    def clear_route(self) -> None:
        """Match again when the route is next read."""
        self.route_found = False

    @property
    def metadata(self) -> dict:
        """Notes of plugins."""
        if self.notes is None:
            self.notes = {}
        return self.notes

    @property
    def peer(self) -> str:
        """The downstream socket's address."""
        return self.downstream.peer

    @property
    def local(self) -> str:
        """Our address on the downstream connection."""
        return self.downstream.local

    @property
    def connection_id(self) -> int:
        """The downstream connection's number."""
        return self.downstream.id

    def transform_request(self, transform: Any) -> None:
        """Pass request body chunks through ``transform`` (after those asked for earlier)."""
        first = self.request_transform
        self.request_transform = transform if first is None else compose(first, transform)

    def transform_response(self, transform: Any) -> None:
        """Pass response body chunks through ``transform``."""
        first = self.response_transform
        self.response_transform = transform if first is None else compose(first, transform)

    def add_response_header(self, name: bytes, value: bytes) -> None:
        """Add a field to the answer of the upstream, whichever endpoint gives it."""
        if self.added is None:
            self.added = []
        self.added.append((name, value))

    def spent(self, name: str, seconds: float) -> None:
        """Note the time of a plugin on a sampled exchange."""
        if self.durations is None:
            self.durations = {}
        self.durations[name] = self.durations.get(name, 0.0) + seconds

    def read_body(self, limit: int) -> Deferred:
        """Return a Deferred of the whole body, or of None when it is longer than ``limit`` bytes."""
        return read(self, limit)

    def gather_response(self, limit: int) -> Deferred:
        """Return a Deferred of the answer's body, in whose place nothing is sent; its head waits."""
        return gather(self, limit)

    def transformed(self, transform: Any, data: bytes, is_end: bool) -> bytes:
        """Return what ``transform`` makes of ``data``; nothing where it raises, which ends the exchange."""
        try:
            return transform(data, is_end)
        except Exception as error:
            self.chain.transform_fault(self, error)
            return b""

    # The request's body, from the downstream

    def on_body(self, data: bytes) -> None:
        """Body bytes have come."""
        self.request_bytes += len(data)
        self.last_body = self.poller.now
        if self.request_transform is not None and not self.is_tunnel:
            data = self.transformed(self.request_transform, data, False)
        if data and not self.is_ended:
            if self.more is not None:
                mirror.feed(self, data)
            forward.pass_body(self, data)

    def on_request_end(self, trailers: Any) -> None:
        """The request is whole."""
        self.request_ended = self.poller.now
        if self.is_ended or self.body is None:
            return
        if self.request_transform is not None:
            tail = self.transformed(self.request_transform, b"", True)
            if tail and not self.is_ended:
                forward.pass_body(self, tail)
        if not self.is_ended:
            if self.more is not None:
                mirror.complete(self)
            forward.end_body(self, trailers)

    # Upstream

    def forward(self, plan: Any) -> None:
        """Send the request upstream (step 5 on), unless it has been answered."""
        if not self.is_ended:
            forward.begin(self, plan)

    def on_lease(self, attempt: Any) -> None:
        """The attempt can send."""
        forward.send_request(self, attempt)

    def on_informational(self, head: Any) -> None:
        """Relay a 1xx."""
        if self.response is None and self.request.version > 10:
            self.downstream.inform(head)

    def on_upstream_head(self, attempt: Any, head: Any) -> None:
        """The upstream's head has come."""
        self.response_began = self.poller.now
        self.try_deadline = 0.0
        if self.cluster.observe is not None:
            forward.observe(self, attempt, head.status, head.headers, 0, "")
        if self.more is not None and self.more.others and hedge.absorbs_head(self, attempt, head):
            return
        if head.status == 101 and not (self.request.upgrade and attempt.is_tunnel is False):
            attempt.cancel()
            self.fail(flags.UPE, "101 that was not asked for")
            return
        retry = self.plan.retry
        if retry is not None and retry.judges_responses and forward.retry_response(self, attempt, head):
            return
        if self.attempts > 1:
            attempt.pay_back()  # a retry is in flight until its answer begins (Envoy): a WebSocket may live for days
            self.cluster.cells.retry_success.value += not self.flags
        self.detail = "via_upstream"
        if head.status == 101 or self.request.upgrade is not None and connect.opens(self.request, head):
            attempt.is_tunnel = self.is_tunnel = True
            self.deadline = 0.0
        self.answer(head)

    def answer(self, head: Any) -> None:
        """Send a head on its way back (step 8)."""
        self.response = head
        plan = self.plan
        if not self.is_local_reply:
            if self.added is not None:
                forward.add_headers(self)
            if plan is not None and plan.on_response is not None:
                plan.on_response(self)
        if self.more is not None:
            recovery.answer(self)
        if self.chain.response_steps:
            self.chain.response(self)
            if self.is_ended or self.held is not None:
                return
            if self.is_tunnel:
                self.response_transform = None
        self.downstream.begin(self, self.response)

    def hold_answer(self, waiting: Deferred) -> None:
        """A filter waits with the head: what follows is held until ``release_answer``."""
        if self.held is None:
            self.held = Held()
        self.held.waiting = waiting

    def release_answer(self) -> None:
        """The filters are done with the head that was held."""
        release(self)

    def finish_answer(self, trailers: Any) -> None:
        """The answer's body has ended."""
        if self.held is not None:
            self.held.end(trailers)
            return
        self.trailers = trailers
        if self.response_transform is not None and self.has_body and not self.is_ended:
            self.end_transform()
        if not self.is_ended:
            self.downstream.finish(self, None if self.folds_trailers else trailers)
        self.end(True)

    def refuse_response(self, name: str) -> None:
        """A fail-closed plugin failed on the way back: answer 500 in place of what came."""
        refuse(self, name)

    def on_upstream_body(self, data: bytes) -> None:
        """Body bytes of the answer."""
        if self.held is not None:
            self.hold(data)
            return
        if self.response_transform is not None:
            data = self.transformed(self.response_transform, data, False)
        if data and self.has_body and not self.is_ended:
            self.response_bytes += len(data)
            self.downstream.write(self, data)

    def hold(self, data: bytes) -> None:
        """Keep what came before the head may go, and read no more of it."""
        attempt = self.attempt
        if self.held.keep(data) and attempt is not None and attempt.connection is not None:
            attempt.connection.descriptor.pause()

    def end_transform(self) -> None:
        """Write what the response's transform has kept back."""
        tail = self.transformed(self.response_transform, b"", True)
        if tail and not self.is_ended:
            self.response_bytes += len(tail)
            self.downstream.write(self, tail)

    def on_upstream_end(self, attempt: Any, trailers: Any) -> None:
        """The answer is whole."""
        body = self.body
        if self.held is not None:
            self.drained()  # the next request on that connection needs its reader
        self.attempt = None
        attempt.finish((body is None or body.is_complete) and self.response.keep_alive)
        self.finish_answer(trailers)

    def on_attempt_failed(self, attempt: Any, bit: int, reason: str, is_stale: bool) -> None:
        """The attempt got no connection, or lost it."""
        if self.cluster.observe is not None:
            forward.observe(self, attempt, 0, None, bit, reason)
        if self.more is not None and self.more.others and hedge.absorbs_failure(self, attempt, bit, is_stale):
            return
        self.attempt = None
        if self.response is not None:
            self.flags |= bit
            self.failure = reason
            self.detail = detail_of(bit, reason, True)
            self.end(False)
        else:
            forward.retry_failure(self, attempt, bit, reason, is_stale)

    def on_upstream_drained(self, attempt: Any) -> None:
        """The upstream takes bytes again."""
        pending_bytes = attempt.connection.descriptor.pending_bytes
        if self.half_ended > 1 and not pending_bytes:
            self.end(True)
        elif pending_bytes <= attempt.pool.settings.buffer_low_bytes:
            self.downstream.resume()

    def on_upstream_tunnel_eof(self, attempt: Any) -> None:
        """The upstream's half of a tunnel is over."""
        if self.held is not None:
            self.held.is_tunnel_over = True
            return
        self.flush()
        self.downstream.end_tunnel(self)

    def drained(self) -> None:
        """The downstream takes bytes again."""
        attempt = self.attempt
        if attempt is not None and attempt.connection is not None:
            attempt.connection.descriptor.resume()

    # Ends

    def reply(self, status: int, body: bytes = b"", headers: Any = (), flag: int = 0, detail: str = "",
              content_type: bytes = b"text/plain") -> None:
        """Answer here and now; where an answer has begun already, cut it."""
        if self.is_ended:
            return
        self.flags |= flag
        self.detail = detail
        self.drop_attempt()
        if self.response is not None:
            self.end(False)
            return
        self.is_local_reply = True
        head, body = answer_of(self, status, body, headers, content_type)
        self.answer(head)
        if not self.is_ended:
            if body:
                self.on_upstream_body(body)
            self.finish_answer(None)

    def fail(self, bit: int, reason: str) -> None:
        """Answer for the failure that ``bit`` names."""
        self.failure = reason
        detail = detail_of(bit, reason)
        self.reply(DETAILS[bit][0], explain(self.flags | bit), REPLY_HEADERS.get(bit, ()), bit, detail)

    def drop_attempt(self) -> None:
        """Nothing more is wanted of the upstream."""
        attempt, self.attempt = self.attempt, None
        if attempt is not None:
            attempt.cancel()
        if self.more is not None:
            hedge.drop(self)
        if self.retry_call is not None:
            self.retry_call.cancel()
            self.retry_call = None

    def abandon(self, bit: int, detail: str) -> None:
        """The downstream has gone."""
        if not self.is_ended:
            self.flags |= bit
            self.detail = detail
            self.end(False)

    def end(self, is_whole: bool) -> None:
        """The last step: give everything back, tell the downstream and telemetry."""
        if self.is_ended:
            return
        self.is_ended = True
        self.drop_attempt()
        forward.release(self)
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.cancel()
        held, self.held = self.held, None
        if held is not None:
            held.cancel()
        downstream = self.downstream
        downstream.flush(self)
        self.ended = self.poller.now
        self.chain.complete(self)
        downstream.complete(self, is_whole)

    def flush(self) -> None:
        """One read has been worked off: write what it made."""
        if self.out:
            self.downstream.flush(self)

    def on_timer(self, now: float) -> None:
        """A deadline may have passed."""
        forward.on_timer(self, now)


classImplements(Exchange, IExchange)
