"""Settings, clocks, fallback and odd calls of a session."""

import subprocess
import sys
from unittest import TestCase

from hpack import Decoder

from meshd.http.h2.code import COMPRESSION_ERROR, HEADERS
from meshd.http.h2.session import start
from meshd.http.h2.settings import Settings
from meshd.http.h2.sink import Sink
from meshd.http.head import RequestHead, ResponseHead
from meshd.http.headers import Headers
from tests.h2.pair import Log, Pair
from tests.h2.test_session import get, paired
from tests.h2.wire import GET, POST, START, Reader, block, continuation, headers, rst, settings
from tests.tree import ROOT

WITHOUT = """
import sys
sys.modules["ngh2"] = None
from meshd.http.h2.session import start
from meshd.http.h2.settings import Settings
from meshd.http.h2.sink import Sink
print(start("server", Settings(), Sink()).engine)
try:
    start("server", Settings(), Sink(), "fast")
except ImportError as error:
    print("no fast")
"""


def pieces(section, stream_id=1, is_last=True):
    """Return a head in frames of 16 KiB."""
    parts = [section[at:at + 16384] for at in range(0, len(section), 16384)]
    rest = [continuation(stream_id, part, part is parts[-1]) for part in parts[1:]]
    return b"".join((headers(stream_id, parts[0], is_last, 0), *rest))


class LargeHeadsTest(TestCase):
    """One that is too large costs its stream, and a field that libnghttp2 does not take the connection."""

    def told(self, role, engine, said, more=Settings()):
        """Return (what a session tells, its log, the frames that it sends) of ``said``."""
        log = Log()
        session = log.session = start(role, more, log, engine)
        if role == "client":
            session.request(get(), True)
            session.request(get(), True)
            session.take()
        session.receive(said)
        sent = Reader().read(session.take())
        return [event for event in log.events if event[0] != "settings"], log, sent

    def test_in_continuation_frames(self):
        section = block((*GET, *[(b"x-%d" % at, b"x" * 1000) for at in range(90)]))
        for engine in ("fast", "pure"):
            events, log, sent = self.told("server", engine, START + pieces(section) + headers(3))
            self.assertEqual([event[:2] for event in events], [("request", 3)], engine)
            self.assertEqual(log.counts, ["header_overflow"])
            answers = [(one.stream_id, one.fields[0]) for one in sent if one.kind == HEADERS]
            self.assertEqual(answers, [(1, (b":status", b"431"))], engine)

    def test_of_an_answer(self):
        section = block(((b":status", b"200"), *[(b"x-%d" % at, b"x" * 1000) for at in range(90)]))
        said = settings() + pieces(section) + headers(3, ((b":status", b"200"),))
        for engine in ("fast", "pure"):
            events, log, _ = self.told("client", engine, said)
            self.assertEqual([event[:2] for event in events], [("reset", 1), ("response", 3), ("closed", 3)], engine)
            self.assertEqual(log.counts[:1], ["header_overflow"])

    def test_a_field_above_64_kib(self):
        said = START + headers(1, POST, False) + pieces(block((*GET, (b"x", b"x" * 65537))), 3)
        events, log, sent = self.told("server", "fast", said)
        self.assertEqual(events[1:], [("error", COMPRESSION_ERROR, "http2.protocol_error")])
        self.assertEqual((log.counts, sent[-1].code), ([], COMPRESSION_ERROR))
        events, log, sent = self.told("server", "pure", said)
        self.assertEqual([event[0] for event in events], ["request"])
        self.assertEqual(log.counts, ["header_overflow"])


class LimitsTest(TestCase):
    """What the owner may ask for, and what it may do wrong."""

    def test_without_ngh2_the_pure_engine_serves(self):
        done = subprocess.run([sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.split("\n"), ["pure", "no fast", ""])
        self.assertEqual(start("client", Settings(), Sink()).engine, "fast")

    def test_a_reset_late_in_life_is_not_premature(self):
        for engine in ("fast", "pure"):
            now = [0.0]
            log = Log()
            session = log.session = start("server", Settings(max_premature_resets=4), log, engine, lambda: now[0])
            session.receive(START)
            for at in range(20):
                session.receive(headers(1 + 2 * at, POST, False))
                now[0] += 2
                session.receive(rst(1 + 2 * at))
            self.assertFalse(session.is_closed, engine)
            for at in range(20, 60):
                session.receive(headers(1 + 2 * at, POST, False) + rst(1 + 2 * at))
            self.assertTrue(session.is_closed, engine)

    def test_names_with_underscores(self):
        fields = (*GET, (b"x_y", b"1"), (b"a", b"b"))
        for engine in ("fast", "pure"):
            for what, told, kinds in (("allow", [b"host", b"x_y", b"a"], []), ("drop", [b"host", b"a"], []),
                                      ("reject", None, [3])):
                log = Log()
                session = log.session = start("server", Settings(underscores=what), log, engine)
                session.receive(START + headers(1, fields))
                names = [name for name, _ in log.heads[1].headers] if 1 in log.heads else None
                self.assertEqual(names, told, (engine, what))
                sent = [one.kind for one in Reader().read(session.take()) if one.stream_id == 1]
                self.assertEqual(sent, kinds, (engine, what))
            self.assertIn("requests_rejected_with_underscores_in_headers", log.counts)

    def test_a_client_begins_no_more_than_the_server_takes(self):
        for engine in ("fast", "pure"):
            pair = Pair(engine, engine, server=Settings(max_concurrent_streams=2))
            self.assertEqual([pair.client.request(get(), False) for _ in range(3)], [1, 3, 0])
            self.assertFalse(pair.client.can_request)
            pair.client.reset(1)
            self.assertTrue(pair.client.can_request)

    @paired()
    def test_calls_for_streams_that_are_gone_do_nothing(self, pair):
        pair.client.request(get(), True)
        pair.pump()
        pair.client.reset(1)
        pair.pump()
        pair.here.take()
        server = pair.server
        for stream_id in (1, 3, 0, 2**31 - 1):
            server.respond(stream_id, ResponseHead(200, Headers()), False)
            self.assertEqual((server.send(stream_id, b"x", True), server.queued(stream_id)), (0, 0))
            server.trailers(stream_id, Headers())
            server.consume(stream_id, 5)
            server.reset(stream_id)
        self.assertEqual((server.take(), pair.here.take()), (b"", []))
        server.abort(2, "why")
        for call in (server.shut_down, server.finish, server.ping, server.take, server.take):
            call()
        server.receive(b"x")
        self.assertTrue(server.is_closed)

    @paired()
    def test_trailers_that_are_empty_end_a_message(self, pair):
        pair.client.request(get(), False)
        pair.client.trailers(1, Headers.of((b"connection", b"x")))
        pair.pump()
        self.assertEqual(pair.here.take()[1:], [("end", 1, None)])

    @paired(client=Settings(write_high_bytes=10, write_low_bytes=5))
    def test_what_a_sink_sends_when_it_may_goes_out_at_once(self, pair):
        pair.client.request(get(method=b"POST"), False)
        pair.there.on_writable = lambda stream_id: pair.client.send(stream_id, b"more", True)
        self.assertEqual(pair.client.send(1, b"x" * 20), 20)
        pair.server.receive(pair.client.take())
        self.assertEqual(pair.here.bodies[1], b"x" * 20 + b"more")

    @paired()
    def test_cookies_are_joined_and_the_host_is_put_in(self, pair):
        fields = (*GET, (b"cookie", b"a=1"), (b"accept", b"*/*"), (b"cookie", b"b=2"))
        for name in ("fast", "pure"):
            log = Log()
            log.session = start("server", Settings(), log, name)
            log.session.receive(START + headers(1, fields))
            self.assertEqual(log.heads[1].headers.raw, b"\r\nhost: a.example\r\naccept: */*\r\ncookie: a=1; b=2")

    @paired()
    def test_connect_and_its_authority(self, pair):
        head = RequestHead(b"CONNECT", b"a.example:443", b"a.example:443", 11, Headers.of((b"host", b"a.example:443")))
        pair.client.request(head, False)
        pair.pump()
        taken = pair.here.heads[1]
        self.assertEqual((taken.method, taken.target, taken.host), (b"CONNECT", b"a.example:443", b"a.example:443"))
        pair.server.respond(1, ResponseHead(200, Headers()), False)
        pair.server.send(1, b"to")
        pair.client.send(1, b"fro", True)
        pair.pump()
        self.assertEqual((pair.there.bodies[1], pair.here.bodies[1]), (b"to", b"fro"))
        self.assertIn(("end", 1, None), pair.here.take())

    @paired()
    def test_memory_of_a_long_connection_stays_flat(self, pair):
        for _ in range(300):
            stream_id = pair.client.request(get(), True)
            pair.pump()
            pair.server.respond(stream_id, ResponseHead(200, Headers()), True)
            pair.pump()
            other = pair.client.request(get(method=b"POST"), False)
            pair.pump()
            pair.server.reset(other)
            pair.pump()
        for session in (pair.client, pair.server):
            self.assertEqual(len(session.streams), 0)
            self.assertLessEqual(len(session.gate.known), 1001)

    def test_secrets_are_kept_out_of_tables(self):
        for engine in ("fast", "pure"):
            log = Log()
            session = log.session = start("client", Settings(), log, engine)
            session.take()
            session.request(get(authorization=b"Bearer x", cookie=b"a=1", x_a=b"1"), True)
            fields = {bytes(field[0]): type(field) for field in Decoder().decode(session.take()[9:], raw=True)}
            self.assertEqual([fields[name].indexable for name in (b"authorization", b"cookie", b"x-a")],
                             [False, False, True], engine)

    def test_an_expectation_that_nobody_knows(self):
        for engine in ("fast", "pure"):
            log = Log()
            session = log.session = start("server", Settings(), log, engine)
            session.receive(START + headers(1, (*POST, (b"expect", b"coffee")), False) + headers(3))
            self.assertEqual([event[1] for event in log.take() if event[0] == "request"], [3])
            said = [(one.kind, one.status or one.code) for one in Reader().read(session.take()) if one.stream_id == 1]
            self.assertEqual(said, [(1, 417), (3, 0)], engine)

    @paired(client=Settings(initial_stream_window_size=65535, initial_connection_window_size=65535))
    def test_an_answer_before_the_end_of_a_request(self, pair):
        pair.client.request(get(method=b"POST"), False)
        pair.client.send(1, b"x" * 1000)
        pair.pump()
        pair.server.respond(1, ResponseHead(413, Headers()), False)
        pair.server.send(1, b"n" * 200000, True)
        pair.server.reset(1, 0)
        pair.pump()
        self.assertEqual(len(pair.there.bodies[1]), 200000)
        self.assertEqual(pair.client.send(1, b"more", True), 0)
        self.assertEqual(pair.there.take(), [("response", 1, 413, False), ("end", 1, None), ("reset", 1, 0, False)])
        self.assertEqual((pair.client.open_streams, pair.server.open_streams), (0, 0))

    def test_streams_beyond_the_limit_are_refused_and_make_room_again(self):
        for engine in ("fast", "pure"):
            log = Log(consumes=False)
            session = log.session = start("server", Settings(max_concurrent_streams=2), log, engine)
            session.receive(START + b"".join(headers(stream_id, POST, False) for stream_id in (1, 3, 5, 7)))
            said = Reader().read(session.take())
            self.assertIn(b"\0\3\0\0\0\2", said[0].payload)
            self.assertEqual([(one.stream_id, one.code) for one in said if one.kind == 3], [(5, 7), (7, 7)], engine)
            session.receive(rst(1) + headers(9, POST, False) + headers(11, POST, False))
            said = Reader().read(session.take())
            self.assertEqual([(one.stream_id, one.code) for one in said if one.kind == 3], [(11, 7)], engine)
            self.assertEqual([event[1] for event in log.take() if event[0] == "request"], [1, 3, 9])
            self.assertFalse(session.is_closed)
