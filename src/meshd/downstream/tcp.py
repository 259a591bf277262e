"""One downstream TCP connection: asks the network filters, connects to an endpoint, and relays.

Strategy: until the upstream is there only a little is read of what the client says, which shows whether it is still
there; those bytes go first, behind what the listener filters have seen. Its one timer looks at idleness, age, and what
sinks are to be told.
It outlives reloads: what it still asks is its live chain's, whatever that is by then.
"""

from typing import Any

from twisted.internet.defer import Deferred

from meshd.api.exchange import STOP
from meshd.downstream.served import Served
from meshd.downstream.tunnel import Tunnel
from meshd.exchange.session import Session
from meshd.http import flag as flags
from meshd.upstream.stream import Stream
from meshd.upstream.tunnel import TunnelStream, is_pooled
from meshd.wire.nobody import NOBODY, rest
from meshd.wire.relay import Relay

EARLY_BYTES = 65536
"""How much is read before there is an upstream."""
REPORT_S = 15.0
"""How often sinks hear of the bytes of a connection that goes on (Istio's tcpReportingDuration)."""


class Outgoing:
    """Hears of the connect to an endpoint, in place of the client's connection, whose socket may break meanwhile."""

    __slots__ = ("connection",)

    def __init__(self, connection: "TcpConnection") -> None:
        self.connection = connection

    def opened(self) -> None:
        """The upstream is there."""
        self.connection.opened()

    def lost(self, reason: str) -> None:
        """It is not."""
        self.connection.on_connect_failed(reason)


class TcpConnection:
    """``listener`` is the live chain that it belongs to; ``chain`` has the filters that it began with."""

    __slots__ = ("listener", "world", "poller", "descriptor", "peer", "host", "local", "id", "chain", "session",
                 "early", "place", "stream", "relay", "timer", "reported", "is_over", "waiting", "tunnel", "make",
                 "__weakref__")

    def __init__(self, listener: Any, descriptor: Any, peer: str, host: str, local: str) -> None:
        world = listener.world
        self.listener = listener
        self.world = world
        self.poller = world.poller
        self.descriptor = descriptor
        self.peer, self.host, self.local = peer, host, local
        self.id = world.unique()
        self.chain = chain = listener.chain
        self.session = Session(self, chain, self.poller.now)
        self.session.security = descriptor.security
        self.early = b""
        self.place = 0
        self.stream: Stream | None = None
        self.relay: Relay | Served | None = None
        self.tunnel: Tunnel | None = None
        self.make: Any = None
        self.waiting: Deferred | None = None
        self.is_over = False
        self.reported = self.poller.now
        self.timer = world.wheel.timer(self.on_timer)
        chain.active += 1
        chain.cells.total.value += 1
        descriptor.owner = self

    def serve(self, early: bytes, arrival: Any) -> None:
        """Ask the filters, in order; ``early`` are bytes that have come already, in ``arrival`` if there was one."""
        self.early = early
        if arrival is not None:
            self.session.server_name = arrival.server_name
            self.session.notes = arrival.metadata or None
        self.walk()

    def walk(self) -> None:
        """Ask the filter whose turn it is, and the others, until one stops or waits."""
        while self.place < len(self.chain.open_steps) and not self.is_over:
            use = self.chain.open_steps[self.place][1]
            verdict = self.chain.ask(self.place, self.session)
            if isinstance(verdict, Deferred):
                self.waiting = verdict
                verdict.addCallbacks(self.on_verdict, self.on_failure, errbackArgs=(use,))
                verdict.addErrback(
                    lambda why: self.world.log.failure("bug: unexpected error in a connection", failure=why))
                return
            if not self.heed(verdict):
                return

    def heed(self, verdict: Any) -> bool:
        """Do what a filter says; say whether it is the next one's turn. One that stops has forwarded or refused."""
        if verdict is STOP:
            if not self.is_over:
                if self.session.plan is None:
                    self.refuse()
                elif self.make is not None:
                    self.hand_over(self.make)
                else:
                    self.connect(self.session.plan)
            return False
        self.place += 1
        return True

    def on_verdict(self, verdict: Any) -> None:
        """The answer of a filter that made us wait."""
        if self.waiting is not None:
            self.waiting = None
            if self.heed(verdict):
                self.walk()

    def on_failure(self, why: Any, use: Any) -> None:
        """A filter that made us wait has failed, or was cancelled."""
        if self.waiting is not None:
            self.on_verdict(self.chain.failed(use, "on_open", why.value))

    # To an endpoint

    def connect(self, plan: Any) -> None:
        """Go to one of the plan's clusters."""
        if plan.cluster_name:
            cluster = self.world.clusters.get(plan.cluster_name)
        else:
            cluster = chosen(plan.clusters, self.world.random)
        self.session.cluster = cluster
        if cluster is None and not plan.cluster_name:
            self.chain.cells.no_route.value += 1
            self.session.refuse(flags.NR, "no_route")
        elif cluster is None or cluster.spec.missing:
            self.chain.cells.no_route.value += 1
            self.session.refuse(flags.NC, "cluster_not_found")
        else:
            self.attempt()

    def attempt(self) -> None:
        """Try an endpoint that was not tried yet, if there is one."""
        session = self.session
        cluster = session.cluster = self.world.clusters.get(session.cluster.name, session.cluster)
        stream = self.stream = self.way(cluster)
        if session.attempts >= session.plan.max_connect_attempts:
            cluster.cells.attempts_exceeded.value += 1
            session.refuse(flags.URX, "upstream_connect_attempts_exceeded")
        elif stream.admit():
            endpoint = cluster.pick(session)
            if endpoint is None:
                cluster.cells.none_healthy.value += 1
                session.refuse(flags.UH, "no_healthy_upstream")
                return
            session.attempts += 1
            session.endpoint = endpoint
            session.upstream_began = self.poller.now
            stream.ends = session.peer, session.local
            stream.dial_to(endpoint)

    def way(self, cluster: Any) -> Stream:
        """Return what is to lead to an endpoint of a cluster."""
        tunnel = self.session.plan.tunnel
        if tunnel is not None and is_pooled(tunnel, cluster):
            return TunnelStream(self.world, cluster, Outgoing(self), self.session)
        return Stream(self.world, cluster, Outgoing(self))

    def on_connect_failed(self, reason: str) -> None:
        """There is no connection: try another endpoint, if that may help."""
        session, stream = self.session, self.stream
        if self.is_over:
            return
        session.flags |= stream.flag
        session.failure = reason
        if stream.endpoint is None:
            session.refuse(detail="upstream_overflow")
        else:
            session.tried += (stream.endpoint,)
            self.attempt()

    def opened(self) -> None:
        """The upstream is there, or the proxy that leads to it."""
        if self.session.plan.tunnel is None or isinstance(self.stream, TunnelStream):
            self.begin_relay()
        else:
            self.tunnel = Tunnel(self, self.stream)
            self.tunnel.begin()

    def tunnelled(self, rest_of_answer: bytes) -> None:
        """The proxy leads to the upstream from now on."""
        self.tunnel = None
        self.begin_relay()
        if rest_of_answer and self.relay is not None:
            self.relay.up.received(rest_of_answer)

    def tunnel_failed(self, reason: str) -> None:
        """The proxy does not lead there."""
        stream, self.tunnel = self.stream, None
        stream.flag = flags.UF
        stream.cluster.cells.connect_failures.value += 1
        stream.close()
        self.on_connect_failed(reason)

    def begin_relay(self) -> None:
        """Relay from now on."""
        session, stream, descriptor, chain = self.session, self.stream, self.descriptor, self.chain
        limits = self.listener.spec.limits
        session.upstream_local = stream.local
        session.upstream_security = stream.descriptor.security
        relay = self.relay = Relay(self, descriptor, stream.descriptor, self.world.pipes, limits)
        relay.look(chain.changer(chain.data_steps, "on_data", session),
                   chain.changer(chain.write_steps, "on_write", session))
        relay.down.paused, relay.down.resumed = chain.cells.paused, chain.cells.resumed
        serving = self.listener.chain
        serving.tell(serving.begin_steps, "on_connection", session)
        if self.is_over:
            return
        self.reported = self.poller.now
        early, self.early = self.early, b""
        if early:
            relay.down.received(early)
        if descriptor.is_eof and not self.is_over:
            relay.down.received_eof()
        if not self.is_over and descriptor.is_open:
            if stream.descriptor.pending_bytes <= relay.high_bytes:
                descriptor.resume()
            self.arm()

    # Served by a filter itself

    def hand_over(self, make: Any) -> None:
        """Let what ``make(link)`` returns serve the client."""
        session, chain = self.session, self.chain
        self.make = None
        relay = self.relay = Served(
            self, self.descriptor, chain.changer(chain.data_steps, "on_data", session),
            chain.changer(chain.write_steps, "on_write", session))
        serving = self.listener.chain
        serving.tell(serving.begin_steps, "on_connection", session)
        if self.is_over:
            return
        self.reported = self.poller.now
        self.descriptor.resume()
        early, self.early = self.early, b""
        relay.begin(make, early)
        if self.descriptor.is_eof and not self.is_over:
            relay.received_eof()
        if not self.is_over:
            self.arm()

    # What the stream and the client say before the relay begins

    def received(self, data: bytes) -> None:
        """Bytes before there is an upstream; few of them are taken."""
        self.early += data
        if len(self.early) >= EARLY_BYTES:
            self.descriptor.pause()

    def received_eof(self) -> None:
        """The client has nothing more to say, which the upstream will hear when it is there."""

    def drained(self) -> None:
        """Nothing was sent yet, or what was has been."""

    def lost(self, reason: str) -> None:
        """The client's socket broke, or the drain's deadline has passed."""
        if self.relay is not None:
            self.relay.cut(reason)
        elif not self.is_over:
            self.session.flags |= flags.DC
            self.session.detail = "downstream_remote_disconnect"
            self.end()

    def refuse(self) -> None:
        """Close the client's connection."""
        if self.relay is not None:
            self.relay.cut("refused")
        elif not self.is_over:
            self.descriptor.close()
            if self.descriptor.is_open:
                self.descriptor.abort()
            self.end()

    def abort(self) -> None:
        """Close at once."""
        self.refuse()

    def on_bug(self) -> None:
        """Something raised while it was told."""
        self.refuse()

    def drain(self) -> None:
        """A connection of TCP cannot be asked to close: it lives until the deadline, unless a filter serves it."""
        if isinstance(self.relay, Served):
            self.relay.drain()

    # The end

    def relay_ended(self, reason: str) -> None:
        """Both sides are closed."""
        if not self.is_over:
            self.session.failure = self.session.failure or reason
        self.end()

    def end(self) -> None:
        """Tell everybody, once."""
        if self.is_over:
            return
        self.is_over = True
        session, chain = self.session, self.chain
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.cancel()
        rest(self.timer)
        self.count()
        session.ended = self.poller.now
        session.is_ended = True
        if self.tunnel is not None:
            self.tunnel.cancel()
        if self.stream is not None:
            self.stream.close()
        if self.descriptor.owner is self:
            self.descriptor.owner = NOBODY
        serving = self.listener.chain
        serving.tell(serving.complete_steps, "on_complete", session)
        chain.leave(session)
        self.relay = self.stream = self.tunnel = self.session = None  # see wire/nobody.py
        self.listener.closed(self)

    def count(self) -> bool:
        """Add up what has been moved; say whether it is more than sinks know."""
        relay, session = self.relay, self.session
        is_more = relay is not None and session.count(relay.down.count, relay.up.count)
        if is_more:
            cells = self.chain.cells
            cells.received.value += session.fresh_received
            cells.sent.value += session.fresh_sent
        else:
            session.fresh_received = session.fresh_sent = 0
        return is_more

    # Time

    def on_timer(self, now: float) -> None:
        """Something may be due: find out what, and when the next is."""
        relay, session, cells = self.relay, self.session, self.chain.cells
        if relay is None:
            return
        plan = session.plan
        if now - self.reported >= REPORT_S:
            self.reported = now
            serving = self.listener.chain
            if self.count():
                serving.tell(serving.progress_steps, "on_progress", session)
            if self.is_over:
                return
        if plan.max_duration_s and now >= session.started + plan.max_duration_s:
            cells.duration_timeouts.value += 1
            session.flags |= flags.DT
            session.detail = "max_downstream_connection_duration"
            relay.cut("")
        elif plan.idle_timeout_s and now >= relay.last + plan.idle_timeout_s:
            cells.idle_timeouts.value += 1
            session.detail = "tcp_session_idle_timeout"
            relay.cut("")
        else:
            self.arm()

    def arm(self) -> None:
        """Look again when the next thing may be due; a connection in which nothing moves has nothing to report."""
        plan, relay = self.session.plan, self.relay
        times = []
        if plan.idle_timeout_s:
            times.append(relay.last + plan.idle_timeout_s)
        if plan.max_duration_s:
            times.append(self.session.started + plan.max_duration_s)
        times.append(max(self.reported + REPORT_S, self.poller.now))
        self.timer.arm(min(times))


def chosen(clusters: tuple[tuple[float, Any], ...], random: Any) -> Any:
    """Return a cluster by its share, None where there is none."""
    if len(clusters) == 1:
        return clusters[0][1]
    if not clusters:
        return None
    point = random.random() * clusters[-1][0]
    return next((cluster for bound, cluster in clusters if point < bound), clusters[-1][1])
