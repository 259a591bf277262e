"""What filters and routes do for requests works on streams as it does on connections of HTTP/1.1."""

from twisted.internet.defer import Deferred

from meshd.api import Timeouts
from meshd.api.exchange import CONTINUE, Extra
from meshd.http import flag
from tests.downstream.h2.client import H2Case, request
from tests.exchange.mesh import OK

BAD = b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"


class Waits:
    """A filter that waits on both ways, and changes bodies."""

    def __init__(self):
        self.waiting = []

    def on_request(self, exchange):
        """Wait."""
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def on_response(self, exchange):
        """Wait, and shout."""
        exchange.response.headers.remove(b"content-length")
        exchange.response.content_length = -1
        exchange.transform_response(lambda data, is_end: data.upper() + (b"!" if is_end else b""))
        self.waiting.append(Deferred())
        return self.waiting[-1]


class Reads:
    """A filter that wants the whole body."""

    def __init__(self):
        self.body = None

    async def on_request(self, exchange):
        """Read it."""
        self.body = await exchange.read_body(1 << 20)
        return CONTINUE


class Raises:
    """A filter with a bug in its body transform."""

    def on_request(self, exchange):
        """Ask for bodies."""
        def transform(data, is_end):
            raise LookupError("bug")
        exchange.transform_request(transform)
        return CONTINUE


class Fast(H2Case):
    engine = "fast"

    def test_a_body_is_sent_again(self):
        mesh = self.mesh(upstreams=2, retry={"retry_on": ("5xx",), "attempts": 1, "methods": ("*",)})
        client = self.client(mesh)
        stream = client.begin(request(method=b"POST", length=3), False)
        client.send(stream, b"abc", True)
        _, first = mesh.upstreams[0].serve(BAD)
        mesh.advance(1)
        _, second = mesh.upstreams[1].serve()
        self.assertTrue(first.endswith(b"abc") and second.endswith(b"abc"))
        self.assertEqual((client.status(stream), mesh.last.attempts), (200, 2))

    def test_a_slow_attempt_is_hedged(self):
        mesh = self.mesh(upstreams=2, retry={"retry_on": ("5xx",), "attempts": 1},
                         timeouts=Timeouts(per_try_s=1.0), plan={"extra": Extra(hedges=True)})
        client = self.client(mesh)
        stream = client.begin()
        slow = mesh.upstreams[0].accept()
        mesh.advance(2)
        mesh.upstreams[1].serve()
        self.assertEqual(client.status(stream), 200)
        self.assertNotEqual(slow.end(), "open")

    def test_filters_may_wait_and_change_bodies(self):
        waits = Waits()
        mesh = self.mesh(waits)
        client = self.client(mesh)
        stream = client.begin()
        mesh.world.run(waits.waiting[0].callback, CONTINUE)
        mesh.upstream.serve()
        self.assertEqual(client.status(stream), 0)
        mesh.world.run(waits.waiting[1].callback, None)
        self.assertEqual((client.status(stream), client.body(stream)), (200, b"OK!"))

    def test_a_filter_reads_the_whole_body(self):
        reads = Reads()
        mesh = self.mesh(reads)
        client = self.client(mesh)
        stream = client.begin(request(method=b"POST", length=-1), False)
        client.send(stream, b"x" * 300000)
        client.send(stream, b"y", True)
        self.assertEqual(len(reads.body), 300001)
        peer = mesh.upstream.accept()
        self.assertGreater(len(peer.read()), 300001)
        peer.send(OK)
        self.assertEqual(client.status(stream), 200)

    def test_a_bug_costs_its_own_stream(self):
        mesh = self.mesh(Raises())
        client = self.client(mesh)
        other = client.begin()
        stream = client.begin(request(method=b"POST", length=-1), False)
        client.send(stream, b"abc", True)
        self.assertEqual(client.status(stream), 500)
        mesh.upstream.serve()
        self.assertEqual(client.status(other), 200)

    def test_requests_above_the_breaker_are_refused(self):
        mesh = self.mesh(breaker={"max_requests": 1})
        client = self.client(mesh)
        first, second = client.begin(), client.begin()
        self.assertEqual((client.status(first), client.status(second)), (0, 503))
        self.assertEqual(mesh.last.flags, flag.UO)
        mesh.upstream.serve()

    def test_a_new_chain_takes_the_next_stream(self):
        mesh = self.mesh()
        other = self.mesh(upstreams=1)
        client = self.client(mesh)
        first = client.begin()
        live = mesh.listener.whole
        mesh.chain, before = mesh.chain, mesh.chain
        live.replace(live.spec, other.chain)
        second = client.begin()
        mesh.upstream.serve()
        self.assertEqual((client.status(first), before.active), (200, 0))
        self.assertEqual(other.chain.active, 1)
        client.session.reset(second)
        client.turn()
        other.turn()


class Pure(Fast):
    engine = "pure"
