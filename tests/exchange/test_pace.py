"""A response that leaves at a rate: how much by when, that nothing is lost, and that the upstream waits."""

from meshd.exchange.pace import SLICE_S, pace_response
from tests.exchange.mesh import GET, OK, MeshCase

RATE = 100_000
BODY = bytes(range(256)) * 200
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(BODY)


class Slow:
    """Paces every answer, as the fault filter does."""

    def __init__(self, rate=RATE):
        self.rate = rate
        self.pace = None

    def on_response(self, exchange):
        self.pace = pace_response(exchange, self.rate)

    def on_complete(self, exchange):
        if self.pace is not None:
            self.pace.cancel()
            self.pace = None


class Double:
    """Says each chunk twice: what is transformed twice would show."""

    def on_response(self, exchange):
        exchange.response.headers.remove(b"content-length")
        exchange.response.content_length = -1
        exchange.transform_response(lambda data, is_end: b"<" + data + b">" if data else (b"end" if is_end else b""))


class PaceTest(MeshCase):
    def test_in_t_seconds_at_most_the_rate_times_t_and_one_slice(self):
        mesh = self.mesh(Slow())
        client = mesh.client(GET)
        peer = mesh.upstream.accept()
        peer.read()
        began = mesh.world.clock.now()
        peer.send(HEAD + BODY)
        data = client.read()
        while len(data) < len(HEAD) + len(BODY):
            passed_s = mesh.world.clock.now() - began
            self.assertLessEqual(len(data), len(HEAD) + RATE * (passed_s + SLICE_S) + 1)
            mesh.advance(0.02)
            data += client.read()
        self.assertEqual(data, HEAD + BODY)
        self.assertAlmostEqual(mesh.world.clock.now() - began, len(BODY) / RATE, delta=0.1)

    def test_what_fits_into_a_slice_leaves_at_once_and_the_connection_serves_on(self):
        mesh = self.mesh(Slow())
        client = mesh.client(GET)
        peer, _ = mesh.upstream.serve()
        self.assertEqual(client.read(), OK)
        client.send(GET)
        self.assertTrue(peer.read())
        peer.send(OK)
        self.assertEqual(client.read(), OK)

    def test_the_upstream_connection_serves_others_while_the_rest_still_leaves(self):
        mesh = self.mesh(Slow())
        first = mesh.client(GET)
        peer = mesh.upstream.accept()
        peer.read()
        peer.send(HEAD + BODY)
        self.assertEqual(mesh.cluster.idle, 1)
        second = mesh.client(GET)
        self.assertTrue(peer.read())
        peer.send(OK)
        self.assertEqual(second.read(), OK)
        mesh.advance(1)
        self.assertEqual(first.read(), HEAD + BODY)

    def test_the_upstream_is_read_no_faster(self):
        mesh = self.mesh(Slow())
        client = mesh.client(GET)
        peer = mesh.upstream.accept()
        peer.read()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
        sent = peer.send(b"x" * 20_000_000)
        mesh.advance(1)
        more = peer.send(b"x" * 20_000_000)
        self.assertLess(sent, 2_000_000)
        self.assertLess(more, 600_000)
        self.assertLessEqual(len(client.read()), 60 + RATE * 1.1)
        client.close()

    def test_every_transform_sees_each_byte_once(self):
        for filters in ((Slow(), Double()), (Double(), Slow())):
            mesh = self.mesh(*filters)
            client = mesh.client(GET)
            peer = mesh.upstream.accept()
            peer.read()
            peer.send(HEAD + BODY)
            mesh.advance(1)
            data = client.read()
            body = data.partition(b"\r\n\r\n")[2]
            chunks = []
            while body:
                size, _, body = body.partition(b"\r\n")
                chunks.append(body[:int(size, 16)])
                body = body[int(size, 16) + 2:]
            self.assertEqual(chunks.pop(), b"")
            self.assertEqual(chunks.pop(), b"end")
            self.assertTrue(all(one[:1] == b"<" and one[-1:] == b">" for one in chunks))
            self.assertEqual(b"".join(one[1:-1] for one in chunks), BODY)

    def test_a_client_that_goes_ends_it(self):
        mesh = self.mesh(Slow())
        client = mesh.client(GET)
        peer = mesh.upstream.accept()
        peer.read()
        peer.send(HEAD + BODY[:30_000])
        client.close()
        mesh.advance(1)
        self.assertEqual((len(mesh.sink.ended), peer.end()), (1, "fin"))

    def test_an_upstream_that_cuts_its_answer_cuts_it_here_too(self):
        mesh = self.mesh(Slow())
        client = mesh.client(GET)
        peer = mesh.upstream.accept()
        peer.read()
        peer.send(HEAD + BODY[:30_000])
        mesh.advance(0.1)
        peer.close()
        mesh.advance(1)
        self.assertLess(len(client.read()), len(HEAD) + 30_001)
        self.assertEqual(mesh.last.detail, "upstream_reset_after_response_started{connection_termination}")
