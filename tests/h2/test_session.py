"""Messages through both engines, in every pairing."""

from itertools import product
from unittest import TestCase

from meshd.http.h2.session import start
from meshd.http.h2.settings import Settings
from meshd.http.head import RequestHead, ResponseHead
from meshd.http.headers import Headers
from tests.h2.pair import Log, Pair
from tests.h2.runner import MemoryTalk
from tests.h2.wire import GET, START, block, data, frame, headers, literal, settings

ENGINES = tuple(product(("fast", "pure"), repeat=2))


def get(path=b"/", method=b"GET", **fields):
    """Return a request's head."""
    pairs = [(name.replace("_", "-").encode(), value) for name, value in fields.items()]
    return RequestHead(method, path, b"a.example", 11, Headers.of((b"host", b"a.example"), *pairs))


def paired(**options):
    """Run a test with a ``Pair`` of each combination of engines."""
    def wrap(test):
        def run(self):
            for engines in ENGINES:
                with self.subTest(engines=engines):
                    test(self, Pair(*engines, **options))
        run.__name__ = test.__name__
        return run
    return wrap


NARROW = Settings(initial_stream_window_size=65535, initial_connection_window_size=65535)
LOW = Settings(write_high_bytes=50000, write_low_bytes=10000)


class SecretTest(TestCase):
    """What came never indexed leaves never indexed (RFC 7541 7.1.3), whatever else is done to its message."""

    @paired()
    def test_marks_pass(self, pair):
        head = get(b"/key", x_open=b"1", x_key=b"secret")
        head.headers.secret = frozenset((b"x-key", b":path"))
        pair.client.request(head, True)
        pair.pump()
        found = pair.here.heads[1].headers
        self.assertEqual(found.secret, frozenset((b"x-key", b":path")))
        found.add(b"x-more", b"2")
        self.assertEqual(found.copy().secret, found.secret)
        answer = ResponseHead(200, Headers.of((b"set-cookie", b"a=b"), (b"x-open", b"1")))
        answer.headers.secret = frozenset((b"set-cookie",))
        pair.server.respond(1, answer, False)
        trailers = Headers.of((b"x-sum", b"1"))
        trailers.secret = frozenset((b"x-sum",))
        pair.server.trailers(1, trailers)
        pair.pump()
        self.assertEqual(pair.there.heads[1].headers.secret, frozenset((b"set-cookie",)))

    def test_nothing_is_marked_that_was_not(self):
        for engine in ("fast", "pure"):
            talk = MemoryTalk(engine)
            talk.send(START + headers(1, block(GET) + literal(b"x-key", b"a", 0x10)) + headers(3))
            self.assertEqual(talk.app.heads[1].headers.secret, frozenset((b"x-key",)))
            self.assertIsNone(talk.app.heads[3].headers.secret)


class MessagesTest(TestCase):
    """What is said on one side is heard on the other."""

    @paired()
    def test_a_request_and_its_answer(self, pair):
        stream_id = pair.client.request(get(x_a=b"1"), True)
        pair.pump()
        self.assertEqual(pair.here.take(), [("request", 1, b"GET", b"/", b"a.example", True)])
        head = pair.here.heads[1]
        self.assertEqual(list(head.headers), [(b"host", b"a.example"), (b"x-a", b"1")])
        self.assertEqual((head.version, head.content_length, head.scheme), (20, 0, b"http"))
        pair.server.respond(stream_id, ResponseHead(200, Headers.of((b"x-b", b"2"))), False)
        self.assertEqual(pair.server.send(stream_id, b"hello"), 5)
        pair.server.send(stream_id, b" world", True)
        pair.pump()
        self.assertEqual(pair.there.take(), [("response", 1, 200, False), ("end", 1, None), ("closed", 1)])
        self.assertEqual(pair.there.bodies[1], b"hello world")
        self.assertEqual(list(pair.there.heads[1].headers), [(b"x-b", b"2")])
        self.assertEqual(pair.here.take(), [("closed", 1)])
        self.assertEqual((pair.client.open_streams, pair.server.open_streams), (0, 0))

    @paired()
    def test_bodies_and_trailers_both_ways(self, pair):
        pair.client.request(get(method=b"POST"), False)
        pair.client.send(1, b"q" * 100000)
        pair.client.trailers(1, Headers.of((b"x-sum", b"1")))
        pair.pump()
        self.assertEqual(pair.here.heads[1].content_length, -1)
        self.assertEqual(pair.here.take()[1:], [("end", 1, [(b"x-sum", b"1")])])
        self.assertEqual(pair.here.bodies[1], b"q" * 100000)
        pair.server.respond(1, ResponseHead(200, Headers()), False)
        pair.server.send(1, b"a" * 100000)
        pair.server.trailers(1, Headers.of((b"grpc-status", b"0")))
        pair.pump(piece=1000)
        self.assertEqual(pair.there.take(), [("response", 1, 200, False), ("end", 1, [(b"grpc-status", b"0")]),
                                             ("closed", 1)])
        self.assertEqual(pair.there.bodies[1], b"a" * 100000)

    @paired()
    def test_trailers_without_a_body(self, pair):
        pair.client.request(get(), True)
        pair.pump()
        pair.server.respond(1, ResponseHead(200, Headers()), False)
        pair.server.trailers(1, Headers.of((b"grpc-status", b"0")))
        pair.pump()
        self.assertEqual(pair.there.take()[1:], [("end", 1, [(b"grpc-status", b"0")]), ("closed", 1)])

    @paired(server=NARROW, client=LOW, consumes=False)
    def test_a_stopped_reader_holds_what_its_window_lets_in(self, pair):
        pair.client.request(get(method=b"POST"), False)
        self.assertGreater(pair.client.send(1, b"q" * 200000, True), 50000)
        pair.pump()
        self.assertEqual(len(pair.here.bodies[1]), 65535)
        self.assertEqual(pair.client.queued(1), 200000 - 65535)
        self.assertNotIn(("writable", 1), pair.there.take())
        while len(pair.here.bodies[1]) < 200000:
            pair.server.consume(1, 60000)
            pair.pump()
        self.assertIn(("writable", 1), pair.there.take())

    @paired()
    def test_a_reset_is_told_once(self, pair):
        pair.client.request(get(method=b"POST"), False)
        pair.client.send(1, b"x")
        pair.pump()
        pair.client.reset(1)
        pair.client.reset(1)
        pair.pump()
        self.assertEqual(pair.here.take()[1:], [("reset", 1, 8, False)])
        self.assertEqual(pair.there.take(), [])
        self.assertEqual((pair.client.open_streams, pair.server.open_streams), (0, 0))

    @paired()
    def test_ping_goaway_and_interim_answers(self, pair):
        pair.client.ping(b"12345678")
        pair.client.request(get(method=b"POST", expect=b"100-continue"), False)
        pair.pump()
        self.assertEqual(pair.there.take(), [("ping_ack", b"12345678")])
        self.assertTrue(pair.here.heads[1].expect_continue)
        pair.server.respond(1, ResponseHead(100, Headers()), False)
        pair.server.shut_down()
        pair.pump()
        self.assertEqual(pair.there.take(), [("informational", 1, 100), ("goaway", 2**31 - 1, 0)])
        pair.client.send(1, b"x", True)
        pair.server.finish()
        pair.pump()
        self.assertEqual(pair.there.take(), [("goaway", 1, 0)])
        pair.server.respond(1, ResponseHead(204, Headers()), True)
        pair.pump()
        self.assertEqual(pair.there.take(), [("response", 1, 204, True), ("closed", 1)])
        self.assertTrue(pair.server.is_done and pair.client.is_done)

    @paired()
    def test_who_hears_of_a_goaway_may_end_the_other_streams_that_it_ends(self, pair):
        for _ in range(3):
            pair.client.request(get(), True)
        pair.pump()
        tell = pair.there.on_reset

        def on_reset(stream_id, code, is_local):
            tell(stream_id, code, is_local)
            pair.client.reset(3)

        pair.there.on_reset = on_reset
        pair.client.receive(frame(7, 0, 0, bytes(8)))
        self.assertEqual(pair.there.take(), [("reset", 1, 7, False), ("reset", 5, 7, False), ("goaway", 0, 0)])

    @paired(server=Settings(allow_connect=True))
    def test_an_upgrade_is_an_extended_connect(self, pair):
        head = get(b"/chat", sec_websocket_version=b"13", sec_websocket_key=b"x")
        head.upgrade = b"websocket"
        self.assertTrue(pair.client.allows_connect)
        pair.client.request(head, False)
        pair.pump()
        taken = pair.here.heads[1]
        self.assertEqual((taken.method, taken.upgrade, taken.content_length, taken.target),
                         (b"GET", b"websocket", 0, b"/chat"))
        self.assertEqual([name for name, _ in taken.headers], [b"host", b"sec-websocket-version"])
        pair.server.respond(1, ResponseHead(101, Headers()), False)
        pair.server.send(1, b"to")
        pair.client.send(1, b"fro")
        pair.pump()
        self.assertIn(("response", 1, 101, False), pair.there.take())
        self.assertEqual((pair.there.bodies[1], pair.here.bodies[1]), (b"to", b"fro"))

    @paired()
    def test_fields_of_one_connection_stay_behind(self, pair):
        head = get(connection=b"x", keep_alive=b"5", te=b"gzip, trailers", upgrade=b"h2c", proxy_connection=b"close",
                   transfer_encoding=b"chunked", Accept=b"*/*", http2_settings=b"AA")
        pair.client.request(head, True)
        pair.pump()
        self.assertEqual(list(pair.here.heads[1].headers),
                         [(b"host", b"a.example"), (b"te", b"trailers"), (b"accept", b"*/*")])
        pair.server.respond(1, ResponseHead(200, Headers.of((b"Connection", b"close"), (b"Server", b"s"))), True)
        pair.pump()
        self.assertEqual(list(pair.there.heads[1].headers), [(b"server", b"s")])

    @paired(server=Settings(max_head_bytes=1000, max_fields=10))
    def test_a_head_that_is_too_large_is_answered(self, pair):
        pair.client.request(get(x_a=b"a" * 1000), True)
        pair.client.request(get(**{f"x_{number}": b"" for number in range(10)}), True)
        pair.client.request(get(x_a=b"a" * 100), True)
        pair.pump()
        self.assertEqual([event for event in pair.there.take() if event[0] == "response"],
                         [("response", 1, 431, True), ("response", 3, 431, True)])
        self.assertEqual([event[1] for event in pair.here.take()], [5])
        self.assertEqual(pair.here.counts, ["header_overflow"] * 2)


class BodilessTest(TestCase):
    """204 and 304 have no body, whatever their content-length says (RFC 9110 8.6)."""

    def told(self, engine, *frames):
        """Return what a client is told of an answer, and its fields."""
        log = Log()
        log.session = session = start("client", Settings(), log, engine)
        session.request(get(), True)
        session.take()
        session.receive(settings() + b"".join(frames))
        session.take()
        return [event[0] for event in log.events if event[0] != "settings"], log.heads.get(1)

    def test_whatever_their_length_says(self):
        for engine in ("fast", "pure"):
            for status, length, is_good in ((b"304", b"100", True), (b"204", b"0", True), (b"204", b"5", False)):
                with self.subTest(engine=engine, status=status, length=length):
                    fields = (b":status", status), (b"content-length", length)
                    told, head = self.told(engine, headers(1, fields, False), data(1, b""))
                    self.assertEqual(told, ["response", "end", "closed"] if is_good else ["reset"])
                    if is_good:
                        self.assertEqual(head.content_length, 0)
                        self.assertEqual(b"content-length" in head.headers, status == b"304")

    def test_a_body_of_theirs_is_refused(self):
        for engine in ("fast", "pure"):
            for status in (b"204", b"304"):
                with self.subTest(engine=engine, status=status):
                    told, _ = self.told(engine, headers(1, ((b":status", status),), False), data(1, b"x"))
                    self.assertEqual(told, ["response", "reset"])


class InterimTest(TestCase):
    """A server may send 1xx, a few of them (as with HTTP/1.1: what is passed on is held by no window)."""

    @paired()
    def test_eight_pass(self, pair):
        pair.client.request(get(), True)
        pair.pump()
        for _ in range(9):
            pair.server.respond(1, ResponseHead(103, Headers()), False)
        pair.pump()
        self.assertEqual(pair.there.take(), [("informational", 1, 103)] * 8 + [("reset", 1, 1, True)])
        self.assertEqual(pair.here.take()[1:], [("reset", 1, 1, False)])
