"""Whatever clients, upstreams and the clock do in whatever order: no bug is logged and everything is given back."""

import contextlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from meshd.api import Timeouts
from tests.exchange.mesh import GET, OK, Mesh, MeshCase

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc"
CHUNKED = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
EXPECT = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n"
WS = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
REQUESTS = (
    GET, GET * 3, GET + GET[:9], POST, POST + b"def", CHUNKED, CHUNKED + b"0\r\n\r\n", EXPECT, WS,
    b"GET / HTTP/1.0\r\n\r\n", b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", b"def", b"x" * 200_000, b"GET /\r\n\r\n",
    b"0\r\n\r\n", GET[9:],
)
ANSWERS = (
    OK, OK[:-1], OK[:20], OK * 2, b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nuntil close",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
    b"HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhi", b"junk\r\n\r\n", b"k", b"0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 500000\r\n\r\n" + b"x" * 500_000, b"HTTP/1.1 204 No\r\n\r\n",
)
STEPS = (
    "connect", "send", "send", "send", "answer", "answer", "answer", "read", "leave", "end", "break", "finish", "age",
    "refuse", "drain",
)


class Anything(MeshCase):
    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(some.lists(some.tuples(some.sampled_from(STEPS), some.integers(0, 63), some.integers(0, 3)), max_size=25),
           some.booleans())
    def test_everything_is_given_back(self, steps, is_retrying):
        retry = {"retry_on": ("5xx", "connect-failure", "reset-before-request"), "attempts": 2} if is_retrying else None
        mesh = Mesh(upstreams=2, retry=retry, timeouts=Timeouts(request_s=8.0, per_try_s=3.0),
                    breaker={"max_connections": 3, "max_pending": 2, "max_requests": 4, "max_retries": 1},
                    times={"headers_s": 4.0, "body_gap_s": 5.0, "idle_s": 6.0, "stream_idle_s": 7.0, "send_s": 3.0})
        mesh.client()
        for step, number, which in steps:
            with contextlib.suppress(OSError):
                self.step(mesh, step, number, which)
        for upstream in mesh.upstreams:
            for peer in upstream.peers:
                peer.close()
        mesh.advance(20)
        for _ in range(60):  # each of the requests that wait in line may take the route's timeout
            if mesh.listener.connections:
                mesh.advance(10)
        self.assertEqual(mesh.listener.connections, set())
        self.check(mesh)

    def step(self, mesh, step, number, which):
        """Do one step."""
        client = mesh.clients[which % len(mesh.clients)]
        peers = [peer for upstream in mesh.upstreams for peer in upstream.peers]
        if step == "connect":
            mesh.client(REQUESTS[number % len(REQUESTS)], small=bool(number & 32))
        elif step == "send":
            client.send(REQUESTS[number % len(REQUESTS)])
        elif step == "read":
            client.read()
        elif step == "leave":
            client.close()
        elif step == "end":
            client.half_close()
        elif step == "age":
            mesh.advance((0.1, 1.0, 3.5, 7.5)[which])
        elif step == "refuse":
            mesh.upstreams[number % 2].stop()
        elif step == "drain" and number == 0:
            mesh.world.run(mesh.listener.drain, 5.0)
        elif step == "answer":
            self.answer(mesh, number, which)
        elif peers and step in ("break", "finish"):
            peer = peers[number % len(peers)]
            peer.close() if step == "break" else peer.half_close()

    def answer(self, mesh, number, which):
        """Let an upstream take what waits and answer on one of its connections."""
        for upstream in mesh.upstreams:
            with contextlib.suppress(OSError):
                upstream.accept()
        peers = [peer for upstream in mesh.upstreams for peer in upstream.peers]
        if peers:
            peer = peers[-1 - which % len(peers)]
            peer.read()
            peer.send(ANSWERS[number % len(ANSWERS)])
