"""One listener, its chain, one cluster and scripted peers on both sides: everything real but time and the daemon."""

import os
import shutil
import socket
import struct
import tempfile
import unittest

from meshd.api import Plan, Plugin, Timeouts
from meshd.api.exchange import STOP
from meshd.downstream.listener import LiveListener
from meshd.exchange.chain import Chain, Use
from meshd.model.cluster import Cluster as ClusterSpec
from meshd.model.cluster import EndpointSpec
from meshd.model.cluster import Pool as PoolSpec
from meshd.model.listener import HttpOptions, Listener, ListenerLimits, ListenerTimeouts
from meshd.model.plugin import FAIL_CLOSED
from meshd.telemetry.plugin import PluginRecord
from meshd.upstream.cluster import Cluster
from meshd_plugins.limits import Breaker, Limits
from meshd_plugins.retry import Retry, RetryPolicy
from tests.upstream.counts import Counts
from tests.wire.world import StillWorld, end_of, pair, take

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class InTurn:
    """A balancer without chance: always the first endpoint that was not tried."""

    def __init__(self):
        self.endpoints = ()

    def update(self, endpoints):
        """Take the endpoints."""
        self.endpoints = endpoints

    def pick(self, exchange):
        """Return the first that was not tried, or the first."""
        for endpoint in self.endpoints:
            if endpoint not in exchange.tried:
                return endpoint
        return self.endpoints[0] if self.endpoints else None


class Forward:
    """The terminal filter: everything goes by ``plan``; ``route`` is what every request matches."""

    def __init__(self):
        self.plan = None
        self.route = None

    def match(self, exchange):
        """Return the route."""
        return self.route

    def on_request(self, exchange):
        """Send it upstream."""
        exchange.forward(self.plan)
        return STOP


class Sink:
    """Keeps every exchange that ended."""

    def __init__(self):
        self.ended = []

    def on_complete(self, exchange):
        """Record it."""
        self.ended.append(exchange)


class Upstream:
    """A scripted server on a unix socket; the mesh connects to ``address``."""

    def __init__(self, mesh):
        self.mesh = mesh
        self.path = os.path.join(mesh.folder, str(len(os.listdir(mesh.folder))))
        self.address = f"unix:{self.path}"
        self.socket = None
        self.peers = []
        self.listen()

    def listen(self):
        """Take connections."""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.setblocking(False)
        self.socket.bind(self.path)
        self.socket.listen(64)

    def stop(self):
        """Refuse connections from now on."""
        self.socket.close()
        os.unlink(self.path)

    def accept(self):
        """Return the Peer of the next connection, after everything has been worked off."""
        self.mesh.turn()
        sock = self.socket.accept()[0]
        sock.setblocking(False)
        peer = Peer(self.mesh, sock)
        self.peers.append(peer)
        return peer

    def is_wanted(self):
        """Say whether a connection waits."""
        self.mesh.turn()
        try:
            sock = self.socket.accept()[0]
        except BlockingIOError:
            return False
        sock.close()
        return True

    def serve(self, answer=OK):
        """Accept, read what there is, answer; return (peer, what was read)."""
        peer = self.accept()
        data = peer.read()
        peer.send(answer)
        return peer, data

    def close(self):
        """Close everything."""
        for peer in self.peers:
            peer.close()
        self.socket.close()


class Peer:
    """The test's end of a connection; everything is worked off before a read and after a write."""

    def __init__(self, mesh, sock):
        self.mesh = mesh
        self.socket = sock

    def send(self, data):
        """Send all of ``data``, working off what comes meanwhile; stops where nothing is taken any more."""
        at = 0
        while at < len(data):
            try:
                at += self.socket.send(data[at:])
            except BlockingIOError:
                if not self.mesh.turn():
                    break
        self.mesh.turn()
        return at

    def read(self, limit=1 << 30):
        """Return what has come."""
        self.mesh.turn()
        parts = []
        while limit > 0:
            data = take(self.socket, limit)
            if not data:
                break
            parts.append(data)
            limit -= len(data)
            self.mesh.turn()
        return b"".join(parts)

    def end(self):
        """Return ``open``, ``fin`` or ``reset``; drops what could be read."""
        self.mesh.turn()
        return end_of(self.socket)

    def half_close(self):
        """Send FIN."""
        self.socket.shutdown(socket.SHUT_WR)
        self.mesh.turn()

    def close(self):
        """Close."""
        self.socket.close()
        self.mesh.turn()

    def reset(self):
        """Close with a reset (TCP)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


class Mesh:
    """``filters`` are objects or (object, on_error) pairs. ``world`` may be shared with another Mesh."""

    def __init__(self, *filters, upstreams=1, retry=None, timeouts=None, plan=(), listener=(), http=(), limits=(),
                 times=(), cluster=(), pool=(), breaker=(), sample_every=0, max_errors=0, arena=None):
        self.world = StillWorld()
        self.world.arena = arena
        self.folder = tempfile.mkdtemp(dir="/tmp")
        self.sink = Sink()
        self.forward = Forward()
        self.max_errors = max_errors
        self.upstreams = [Upstream(self) for _ in range(upstreams)]
        self.breaker = Breaker(Limits(**dict(breaker)), Counts.made(), self.world.metrics, "up")
        self.spec = ClusterSpec(
            name="up", endpoints=tuple(EndpointSpec(address=one.address) for one in self.upstreams),
            pool=PoolSpec(**dict(pool)), **dict(cluster))
        self.cluster = Cluster(self.spec, InTurn(), self.breaker, self.world)
        self.cluster.set_endpoints(self.spec.endpoints)
        self.cluster.start()
        policy = None if retry is None else RetryPolicy(Retry(**retry), self.world.random)
        self.forward.plan = Plan(
            clusters=((1, self.cluster, None, None),), retry=policy, timeouts=timeouts or Timeouts(), **dict(plan))
        self.uses = tuple(self.use(one) for one in filters) + (self.use(self.forward),)
        self.chain = Chain(self.uses, (self.use(self.sink),), sample_every=sample_every)
        spec = Listener(
            name="public", address="127.0.0.1:0",
            filters=(Plugin(kind="http_filter", type="x", config=None, name="x"),), http=HttpOptions(**dict(http)),
            limits=ListenerLimits(**dict(limits)), timeouts=ListenerTimeouts(**dict(times)), **dict(listener))
        self.listener = LiveListener(spec, {"": self.chain}, self.world)
        self.clients = []

    def use(self, one):
        """Return the Use of a filter."""
        target, on_error = one if isinstance(one, tuple) else (one, FAIL_CLOSED)
        name = type(target).__name__.lower()
        plugin = Plugin(kind="http_filter", type=name, config=None, name=name, on_error=on_error)
        record = PluginRecord(plugin, "test", "1", self.world.metrics, self.world.log, self.max_errors,
                              clock=self.world.clock)
        return Use(plugin, target, record)

    @property
    def upstream(self):
        """Return the first upstream."""
        return self.upstreams[0]

    @property
    def last(self):
        """Return the exchange that ended last."""
        return self.sink.ended[-1]

    def turn(self):
        """Work everything off; fails where that never ends."""
        count = self.world.turn()
        assert count < 5000, "a busy loop"
        return count

    def advance(self, seconds):
        """Let time pass."""
        self.turn()
        self.world.advance(seconds)

    def client(self, data=b"", small=False):
        """Return a new client, having sent ``data``; ``small`` gives small socket buffers."""
        ours, theirs = pair(small)
        peer = Peer(self, theirs)
        self.clients.append(peer)
        self.world.run(self.listener.admit, ours.detach(), "unix:", "unix")
        if data:
            peer.send(data)
        return peer

    def connection(self):
        """Return the one connection that is open."""
        connection, = self.listener.connections
        return connection

    def ask(self, data=GET):
        """Send ``data`` on a connection of its own and return the whole answer."""
        client = self.client(data)
        answer = client.read()
        client.close()
        return answer

    def close(self):
        """Close everything."""
        for peer in self.clients + self.upstreams:
            peer.close()
        self.turn()
        self.cluster.retire()
        self.turn()
        self.world.close()
        shutil.rmtree(self.folder)


class MeshCase(unittest.TestCase):
    """After each test every count is back at zero and no bug was logged."""

    def mesh(self, *filters, **options):
        """Return a Mesh that is checked and closed after the test."""
        mesh = Mesh(*filters, **options)
        self.addCleanup(self.check, mesh)
        return mesh

    def check(self, mesh):
        """Assert that everything was given back."""
        try:
            for peer in mesh.clients:
                peer.close()
            mesh.turn()
            self.assert_at_rest(mesh)
            mesh.cluster.retire()
            mesh.turn()
            self.assertEqual(vars_of(mesh.breaker.ledger), (0, 0, 0, 0))
            self.assertEqual(mesh.cluster.cells.active_connections.value, 0)
        finally:
            mesh.close()

    def assert_at_rest(self, mesh):
        """No exchange is in flight and nothing says otherwise."""
        counts = mesh.breaker.ledger
        self.assertEqual((counts.pending, counts.requests, counts.retries), (0, 0, 0))
        self.assertEqual([endpoint.active for endpoint in mesh.cluster.endpoints], [0] * len(mesh.cluster.endpoints))
        self.assertEqual(mesh.cluster.cells.active_requests.value, 0)
        self.assertEqual(mesh.listener.cells.active_requests.value, 0)
        self.assertEqual(mesh.chain.active, 0)
        self.assertEqual(mesh.world.bugs, [])
        pools = [endpoint.pool for endpoint in mesh.cluster.endpoints]
        self.assertEqual(mesh.cluster.idle, sum(len(pool.idle) for pool in pools))
        self.assertEqual([len(pool.waiters) for pool in pools], [0] * len(pools))
        self.assertTrue(all(exchange.is_ended for exchange in mesh.sink.ended))


def vars_of(counts):
    """Return (connections, pending, requests, retries)."""
    return counts.connections, counts.pending, counts.requests, counts.retries


def head_of(answer):
    """Return (status line, dict of fields, body) of one answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    return line, {name.lower(): value for name, _, value in (field.partition(b": ") for field in fields)}, body


def status_of(answer):
    """Return the status of an answer, 0 where there is none."""
    return int(answer[9:12]) if answer else 0
