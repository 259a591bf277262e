"""One request of a plugin to a cluster and its answer: the way out of ``site.call``; begun by the runtime's site.

It has the face that an attempt has towards pools and connections. What an exchange does over several attempts is not
done here: a call is tried once, and once more where an idle connection had been closed before it could be used (RFC
9112 9.3.1).
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from meshd.api import CallAnswer, CallError, CallRequest
from meshd.http import flag
from meshd.http.head import RequestHead
from meshd.http.headers import Headers
from meshd.wire.nobody import rest

AGENT = b"meshd"
REPEATABLE = (b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE")


class CallView:
    """What a balancer sees of a call, in the place of an exchange."""

    response = route = identity = endpoint = plan = None
    peer = client = local = listener = upstream_local = detail = failure = ""
    attempts = flags = connection_id = stream_id = request_bytes = response_bytes = 0
    started = request_ended = upstream_began = response_began = ended = 0.0
    is_local_reply = False

    def __init__(self, cluster: Any, request: RequestHead) -> None:
        self.cluster = cluster
        self.request = request
        self.tried: tuple = ()
        self.metadata: dict = {}


class Call:
    """``begin()`` returns the Deferred of its answer. ``connection`` is the lease, None before and after."""

    is_tunnel = is_high = False
    version = 11

    def __init__(self, cluster: Any, request: CallRequest) -> None:
        self.cluster = cluster
        self.request = request
        self.view = CallView(cluster, head_of(request))
        self.endpoint: Any = None
        self.pool: Any = None
        self.connection: Any = None
        self.response: Any = None
        self.body: list[bytes] = []
        self.size = 0
        self.is_ended = False
        self.timer = cluster.world.wheel.timer(self.on_timeout)
        self.done: Deferred = Deferred(self.on_cancel)

    def begin(self) -> Deferred:
        """Ask the circuit breaker and make the attempt."""
        cluster, done = self.cluster, self.done
        if not cluster.breaker.admit_request():
            cluster.cells.request_overflow.value += 1
            self.is_ended = True
            rest(self.timer)
            done.errback(self.error("too many requests in flight", flag.UO))
            return done
        cluster.cells.active_requests.value += 1
        self.timer.arm(cluster.world.poller.now + self.request.timeout_s)
        self.attempt()
        return done

    def attempt(self) -> None:
        """Pick an endpoint and take a lease: at once where there is one, else we are called back."""
        cluster = self.cluster
        try:
            endpoint = cluster.pick(self.view)
        except Exception:
            cluster.world.log.failure("bug: unexpected error in the balancer of {name}", name=cluster.name)
            endpoint = None
        if endpoint is None:
            self.fail("no endpoint can be used", flag.NC if cluster.spec.missing else flag.UH)
            return
        self.endpoint, self.pool = endpoint, endpoint.pool
        endpoint.active += 1
        cluster.cells.requests.value += 1
        if endpoint.pool.cluster is None:  # before the swap, and new with it
            endpoint.pool.bind(cluster)
        connection = endpoint.pool.take(self)
        if connection is not None:
            self.on_connection(connection)

    def server_name(self) -> str:
        """Return the host of the request, which TLS may ask for; "" where that is the endpoint's."""
        return self.request.host.decode("latin-1")

    def on_connection(self, connection: Any) -> None:
        """The lease is here: send the request, whole."""
        self.connection = connection
        head = self.view.request
        connection.lease(self, head.method, False)
        host = self.request.host or host_of(self.endpoint.address)
        connection.ask(with_host(head, host), self.request.body)

    def on_informational(self, head: Any) -> None:
        """A 1xx on the way says nothing."""

    def on_response(self, head: Any) -> None:
        """The final head."""
        self.response = head
        if self.streams():
            self.wait_for_data()
        elif head.content_length > self.request.limit_bytes:
            self.refuse_length()

    def streams(self) -> bool:
        """Say whether the body goes on piece by piece."""
        return self.request.on_data is not None and 200 <= self.response.status < 300

    def wait_for_data(self) -> None:
        """From the head on, only silence is bounded."""
        if self.request.idle_s:
            self.timer.arm(self.cluster.world.poller.now + self.request.idle_s)
        else:
            self.timer.cancel()

    def on_body(self, data: bytes) -> None:
        """Bytes of the answer."""
        if self.is_ended:
            return
        if self.streams():
            self.wait_for_data()
            self.pass_on(data)
            return
        self.size += len(data)
        if self.size > self.request.limit_bytes:
            self.refuse_length()
        else:
            self.body.append(data)

    def pass_on(self, data: bytes) -> None:
        """Give a piece to the plugin; what it raises ends the call."""
        try:
            self.request.on_data(data)
        except Exception:
            self.end(Failure(), False)

    def refuse_length(self) -> None:
        """The answer is longer than the plugin wants it."""
        self.fail(f"answer too long: expected at most {self.request.limit_bytes} bytes")

    def on_end(self, trailers: Any) -> None:
        """The answer is whole."""
        if not self.is_ended:
            head = self.response
            self.end(CallAnswer(head.status, head.headers, b"".join(self.body), trailers), head.keep_alive)

    def flush(self) -> None:
        """One read has been worked off."""

    drained = flush

    def on_failure(self, bit: int, reason: str, is_stale: bool) -> None:
        """No connection, or it broke. ``is_stale``: it had served before and died without a byte of this answer."""
        is_safe = is_stale and self.may_repeat() or self.connection is not None and self.connection.is_refused
        self.connection = None
        if self.is_ended:
            return
        if is_safe and not self.view.tried:
            endpoint, self.endpoint = self.endpoint, None
            endpoint.active -= 1
            self.view.tried = (endpoint,)
            self.cluster.cells.retries.value += 1
            self.attempt()
        else:
            self.fail(reason, bit)

    def may_repeat(self) -> bool:
        """Say whether the request may be sent twice."""
        said = self.request.is_repeatable
        return self.request.method in REPEATABLE if said is None else said

    def on_timeout(self, now: float) -> None:
        """The time is over."""
        self.cluster.cells.timeouts.value += 1
        if self.response is None or not self.streams():
            self.fail(f"no answer within {self.request.timeout_s:g} s", flag.UT)
        else:
            self.fail(f"silent for {self.request.idle_s:g} s", flag.UT)

    def on_cancel(self, done: Deferred) -> None:
        """The plugin does not want it any more."""
        self.end(None, False)

    def error(self, cause: str, bit: int = 0) -> CallError:
        """Return the failure for ``cause``."""
        return CallError(self.cluster.name, self.endpoint.address if self.endpoint is not None else "", cause, bit)

    def fail(self, cause: str, bit: int = 0) -> None:
        """Give up."""
        if not self.is_ended:
            self.end(Failure(self.error(cause, bit)), False)

    def end(self, result: Any, is_reusable: bool) -> None:
        """The last step: give everything back, then tell the plugin unless it has cancelled (None)."""
        if self.is_ended:
            return
        self.is_ended = True
        rest(self.timer)
        self.let_go(is_reusable)
        if self.endpoint is not None:
            self.endpoint.active -= 1
        self.cluster.cells.active_requests.value -= 1
        self.cluster.breaker.release_request()
        if result is not None:
            self.done.callback(result)

    def let_go(self, is_reusable: bool) -> None:
        """Give the lease back, or our place in the line for one."""
        connection, self.connection = self.connection, None
        if connection is None:
            if self.pool is not None:
                self.pool.give_up(self)
        elif is_reusable:
            connection.release(True)
        else:
            connection.abort()


def head_of(request: CallRequest) -> RequestHead:
    """Return the head of a request, without its Host."""
    headers = Headers.of(*request.headers)
    if b"user-agent" not in headers:
        headers.add(b"user-agent", AGENT)
    if request.body or request.method in (b"POST", b"PUT"):
        headers.add(b"content-length", b"%d" % len(request.body))
    head = RequestHead(request.method, request.target, request.host, 11, headers)
    head.content_length = len(request.body)
    return head


def with_host(head: RequestHead, host: bytes) -> RequestHead:
    """Return a copy of ``head`` with its Host, first as RFC 9112 3.2 wants it."""
    block = Headers.of((b"host", host))
    copy = RequestHead(head.method, head.target, host, 11, Headers(block.raw + head.headers.raw))
    copy.content_length = head.content_length
    return copy


def host_of(address: str) -> bytes:
    """Return the Host for an endpoint's address."""
    return b"localhost" if address.startswith("unix:") else address.encode("ascii", "replace")
