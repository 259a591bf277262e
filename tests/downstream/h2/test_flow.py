"""Back-pressure by flow control, both ways: what nobody takes is not read on, and memory stays within the windows."""

from meshd.http.h2.settings import Settings
from tests.downstream.echo import Echo
from tests.downstream.h2.client import H2Case, request

NARROW = Settings(initial_stream_window_size=65535, initial_connection_window_size=65535)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
SIZE = 4 << 20


class Fast(H2Case):
    engine = "fast"

    def test_an_answer_that_nobody_takes_is_not_read_on(self):
        mesh = self.mesh()
        client = self.client(mesh, settings=NARROW, consumes=False)
        stream = client.begin()
        peer = mesh.upstream.accept()
        peer.read()
        sent = peer.send(HEAD % SIZE + b"x" * SIZE)
        self.assertLess(sent, 1 << 20)
        self.assertEqual(len(client.body(stream)), 65535)
        client.log.consumes = True
        client.session.consume(stream, 65535)
        for _ in range(400):
            client.turn()
            if sent < SIZE:
                sent += peer.send(b"x" * min(65536, SIZE - sent))
        sent += peer.send(b"x" * (SIZE + len(HEAD % SIZE) - sent))
        self.assertEqual(len(client.body(stream)), SIZE)
        self.assertEqual(mesh.last.response_bytes, SIZE)

    def test_one_slow_stream_does_not_hold_another(self):
        mesh = self.mesh()
        settings = Settings(initial_stream_window_size=65535, initial_connection_window_size=1 << 20)
        client = self.client(mesh, settings=settings, consumes=False)
        slow = client.begin()
        peer = mesh.upstream.accept()
        peer.read()
        peer.send(HEAD % SIZE + b"x" * SIZE)
        other = client.begin()
        mesh.upstream.serve()
        self.assertEqual((client.body(other), len(client.body(slow))), (b"ok", 65535))

    def test_a_request_that_nobody_takes_has_no_credit(self):
        window = 1 << 20
        mesh = self.mesh(http2={"initial_stream_window_size": window, "initial_connection_window_size": 2 * window})
        client = self.client(mesh)
        stream = client.begin(request(method=b"POST", length=SIZE), False)
        peer = mesh.upstream.accept()
        client.send(stream, b"x" * SIZE, True)
        held = client.session.queued(stream)
        self.assertGreaterEqual(held, SIZE - 2 * window - (1 << 20))
        self.assertLess(held, SIZE)
        size = 0
        while size < SIZE:
            data = peer.read(1 << 20)
            size += len(data)
            client.turn()
            if not data:
                break
        self.assertGreaterEqual(size, SIZE)
        self.assertEqual(client.session.queued(stream), 0)

    def test_a_client_that_does_not_read_at_all_holds_a_bounded_amount(self):
        mesh = self.mesh(Echo(size=1 << 20))
        client = self.client(mesh, small=True)
        for _ in range(8):
            client.session.request(request(), True)
        client.peer.send(client.session.take())
        mesh.turn()
        descriptor = mesh.connection().descriptor
        self.assertGreater(descriptor.pending_bytes, 0)
        client.turn()
        self.assertEqual([len(client.body(1 + 2 * number)) for number in range(8)], [(1 << 20) + 1] * 8)
        self.assertEqual(descriptor.pending_bytes, 0)

    def test_an_answered_body_gets_its_credit_back(self):
        mesh = self.mesh(Echo(), http2={
            "initial_stream_window_size": 65535, "initial_connection_window_size": 65535})
        client = self.client(mesh)
        for _ in range(5):
            stream = client.session.request(request(method=b"POST", length=-1), False)
            client.session.send(stream, b"x" * 40000)
            client.turn()
            self.assertEqual(client.status(stream), 200)


class Pure(Fast):
    engine = "pure"
