"""The client side of HTTP/1.1, as conversations."""

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.errors import ProtocolError
from meshd.http.framing import BODY, FAILED, HEAD, IDLE, TUNNEL
from meshd.http.response import ResponseParser, Truncated
from tests.conversation.answers import ANSWERS, Answer
from tests.http.conversation import Log, feed, single, split, whole

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def converse(pieces, method=b"GET", is_closed=False, **options):
    log = Log()
    parser = ResponseParser(log, **options)
    parser.expect(method)
    error = feed(parser, pieces)
    if error is None and is_closed:
        try:
            parser.eof()
        except ProtocolError as late:
            error = late
    return log.events, error, parser


def told(events, state=IDLE):
    endings = {"open": "tunnel" if state == TUNNEL else "open"}
    return [Answer(head.status, body, head.keep_alive, endings.get(str(end), "end")) for _, head, body, end in events]


class TestAnswers(unittest.TestCase):
    """Every row of the table, in one piece, byte by byte and in random pieces."""

    def check(self, reply, pieces):
        events, error, parser = converse(pieces, reply.method, reply.is_closed)
        if not reply.refusal:
            self.assertIsNone(error, error)
            self.assertEqual(told(events, parser.state), list(reply.answers))
        else:
            self.assertIsNotNone(error, events)
            self.assertEqual((error.status, parser.state, parser.buffered), (502, FAILED, 0))
            if reply.refusal == "truncated":
                self.assertIsInstance(error, Truncated)
                self.assertEqual(told(events), list(reply.answers))
            else:
                self.assertEqual((type(error), error.detail), (ProtocolError, reply.refusal), error)
                self.assertEqual([(one.status, one.ending) for one in told(events)],
                                 [(one.status, one.ending) for one in reply.answers])
        if reply.names is not None:
            self.assertEqual(tuple(name for name, _ in events[-1][1].headers), reply.names)

    def test_in_one_piece(self):
        for reply in ANSWERS:
            with self.subTest(reply.name):
                self.check(reply, whole(reply.data))

    def test_byte_by_byte(self):
        for reply in ANSWERS:
            if len(reply.data) < 20000:
                with self.subTest(reply.name):
                    self.check(reply, single(reply.data))

    def test_in_random_pieces(self):
        for reply in ANSWERS:
            for seed in range(5):
                with self.subTest(reply.name, seed=seed):
                    self.check(reply, split(reply.data, seed))

    def test_has_many_rows_with_names_of_their_own(self):
        self.assertGreaterEqual(len(ANSWERS), 150)
        self.assertEqual(len({reply.name for reply in ANSWERS}), len(ANSWERS))


class TestStates(unittest.TestCase):
    def setUp(self):
        self.log = Log()
        self.parser = ResponseParser(self.log)

    def test_tells_how_far_it_is(self):
        self.parser.expect(b"GET")
        self.assertEqual(self.parser.state, IDLE)
        self.parser.receive(OK[:10])
        self.assertEqual((self.parser.state, self.parser.buffered), (HEAD, 10))
        self.parser.receive(OK[10:-1])
        self.assertEqual((self.parser.state, self.parser.buffered), (BODY, 0))
        self.parser.receive(OK[-1:])
        self.assertEqual(self.parser.state, IDLE)

    def test_serves_one_request_after_the_other(self):
        for _ in range(3):
            self.parser.expect(b"GET")
            self.parser.receive(OK)
        self.assertEqual([event[2:] for event in self.log.events], [[b"hello", "ended"]] * 3)

    def test_a_sink_may_send_the_next_request_from_within_the_end(self):
        self.log.on_end = lambda trailers: self.parser.expect(b"HEAD")
        self.parser.expect(b"GET")
        self.parser.receive(OK)
        self.parser.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        self.assertEqual([event[2] for event in self.log.events], [b"hello", b""])

    def test_is_failed_before_the_end_is_told_when_more_follows(self):
        states = []
        self.log.on_end = lambda trailers: states.append(self.parser.state)
        self.parser.expect(b"GET")
        with self.assertRaises(ProtocolError):
            self.parser.receive(OK + OK)
        self.assertEqual(states, [FAILED])
        with self.assertRaises(ProtocolError):
            self.parser.expect(b"GET")

    def test_refuses_bytes_that_nobody_waits_for(self):
        with self.assertRaises(ProtocolError) as caught:
            self.parser.receive(OK)
        self.assertEqual((caught.exception.status, self.log.events), (502, []))

    def test_refuses_a_second_answer_that_comes_late(self):
        self.parser.expect(b"GET")
        self.parser.receive(OK)
        with self.assertRaises(ProtocolError):
            self.parser.receive(b"H")

    def test_refuses_two_requests_at_a_time(self):
        self.parser.expect(b"GET")
        with self.assertRaises(ProtocolError):
            self.parser.expect(b"GET")

    def test_refuses_a_switch_that_nobody_asked_for(self):
        self.parser.expect(b"GET", is_upgrade=False)
        with self.assertRaises(ProtocolError):
            self.parser.receive(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        self.assertEqual(self.log.events, [])

    def test_the_end_of_an_idle_connection_is_nothing(self):
        self.parser.eof()
        self.parser.expect(b"GET")
        self.parser.eof()
        self.assertEqual(self.log.events, [])

    def test_tells_the_protocol_of_a_switch(self):
        self.parser.expect(b"GET")
        self.parser.receive(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n")
        self.assertEqual(self.log.events[0][1].upgrade, b"websocket")

    def test_a_stopped_connection_hears_nothing_more(self):
        self.log.on_body = lambda data: self.parser.stop()
        self.parser.expect(b"GET")
        self.parser.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
        self.parser.receive(OK)
        self.assertEqual((len(self.log.events), self.log.events[0][3]), (1, "open"))


class TestHead(unittest.TestCase):
    def test_tells_version_reason_and_length(self):
        events, _, _ = converse([b"HTTP/1.0 404 Not  Here\r\nContent-Length: 5\r\n\r\n"])
        head = events[0][1]
        self.assertEqual((head.version, head.status, head.reason, head.content_length), (10, 404, b"Not  Here", 5))

    def test_a_length_that_is_not_known_is_minus_one(self):
        for data in (b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
            self.assertEqual(converse([data])[0][0][1].content_length, -1)

    def test_gives_trailers_with_the_end(self):
        data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\nSet-Cookie: c\r\n\r\n"
        for pieces in (whole(data), single(data)):
            self.assertEqual(converse(pieces)[0][0][3], [(b"a", b"b")])


class TestLimits(unittest.TestCase):
    def verdicts(self, data, **options):
        found = set()
        for pieces in (whole(data), single(data), split(data, 1)):
            error = converse(pieces, **options)[1]
            found.add(error and error.detail)
        return found

    def test_head(self):
        self.assertEqual(self.verdicts(OK, max_head_bytes=len(OK) - 5), {None})
        self.assertEqual(self.verdicts(OK, max_head_bytes=len(OK) - 6), {"http1.headers_too_large"})

    def test_fields(self):
        data = OK.replace(b"Content", b"A:\r\nB:\r\nContent")
        self.assertEqual(self.verdicts(data, max_fields=3), {None})
        self.assertEqual(self.verdicts(data, max_fields=2), {"http1.too_many_headers"})


PIECES = st.sampled_from([
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 \r\n\r\n", b"HTTP/1.0 ", b"200", b" ",
    b"\r\n", b"\n", b"\r",
    b"\r\n\r\n", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: close", b"0", b"5", b"hello", b":",
    b";", b"a",
    b"\0", b"\xff", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
])


class TestAnything(unittest.TestCase):
    @settings(max_examples=300, deadline=None)
    @given(st.lists(PIECES, max_size=25).map(b"".join), st.integers(0, 99), st.booleans())
    def test_splits_never_change_the_conversation(self, data, seed, is_closed):
        first, first_error, _ = converse(whole(data), is_closed=is_closed)
        for pieces in (single(data), split(data, seed)):
            events, error, _ = converse(pieces, is_closed=is_closed)
            self.assertEqual(bool(first_error), bool(error), (first_error, error))
            self.assertEqual([one.status for one in told(first)], [one.status for one in told(events)])
            if not error:
                self.assertEqual(told(first), told(events))

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=200), st.sampled_from([b"GET", b"HEAD", b"CONNECT"]))
    def test_raises_nothing_but_protocol_errors(self, data, method):
        converse([data], method, True)
        converse([b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n"], method, True)
        converse([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data], method, True)
