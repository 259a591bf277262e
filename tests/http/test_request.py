"""The server side of HTTP/1.1, as conversations."""

import unittest

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.errors import ProtocolError
from meshd.http.chunk import MAX_LINE_BYTES
from meshd.http.framing import BODY, DONE, FAILED, HEAD, IDLE, TUNNEL
from meshd.http.request import MAX_KEPT_BYTES, RequestParser
from tests.conversation.cases import CASES, Request
from tests.http.conversation import Log, feed, single, split, whole

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def converse(pieces, **options):
    log = Log()
    log.parser = parser = RequestParser(log, **options)
    return log.events, feed(parser, pieces), parser


def told(events):
    return [Request(head.method, head.target, head.host, body, head.keep_alive) for _, head, body, _ in events]


class Waiting(Log):
    """A sink that does not ask for the next request."""

    def on_end(self, trailers):
        self.events[-1][3] = "ended"


class TestCases(unittest.TestCase):
    """Every row of the table, in one piece, byte by byte and in random pieces."""

    def check(self, case, pieces):
        events, error, parser = converse(pieces)
        if not case.status:
            self.assertIsNone(error, error)
            self.assertEqual(told(events), list(case.requests))
            self.assertTrue(all(event[3] != "open" for event in events))
            self.assertEqual(parser.state, IDLE)
            self.assertEqual(parser.buffered, 0)
        else:
            self.assertIsNotNone(error, events)
            self.assertEqual((error.status, error.detail), (case.status, case.detail), error)
            self.assertEqual([one[:2] for one in told(events)], [one[:2] for one in case.requests])
            self.assertEqual((parser.state, parser.buffered), (FAILED, 0))
        if case.names is not None:
            self.assertEqual(tuple(name for name, _ in events[-1][1].headers), case.names)

    def test_in_one_piece(self):
        for case in CASES:
            with self.subTest(case.name):
                self.check(case, whole(case.data))

    def test_byte_by_byte(self):
        for case in CASES:
            if len(case.data) < 20000:
                with self.subTest(case.name):
                    self.check(case, single(case.data))

    def test_in_random_pieces(self):
        for case in CASES:
            for seed in range(5):
                with self.subTest(case.name, seed=seed):
                    self.check(case, split(case.data, seed))

    def test_has_many_cases_with_names_of_their_own(self):
        self.assertGreaterEqual(len(CASES), 250)
        self.assertEqual(len({case.name for case in CASES}), len(CASES))


class TestStates(unittest.TestCase):
    def setUp(self):
        self.log = Waiting()
        self.parser = RequestParser(self.log)

    def test_tells_how_far_it_is(self):
        self.assertEqual(self.parser.state, IDLE)
        self.parser.receive(b"\r\n")
        self.assertEqual(self.parser.state, IDLE)
        self.parser.receive(b"POST / HT")
        self.assertEqual((self.parser.state, self.parser.buffered), (HEAD, 9))
        self.parser.receive(b"TP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
        self.assertEqual((self.parser.state, self.parser.buffered), (BODY, 0))
        self.parser.receive(b"hiGET")
        self.assertEqual((self.parser.state, self.parser.buffered), (DONE, 3))

    def test_keeps_the_next_request_until_asked(self):
        self.parser.receive(GET + GET)
        self.assertEqual((len(self.log.events), self.parser.buffered), (1, len(GET)))
        self.parser.receive(GET)
        self.assertEqual((len(self.log.events), self.parser.buffered), (1, 2 * len(GET)))
        self.parser.next()
        self.assertEqual((len(self.log.events), self.parser.buffered), (2, len(GET)))
        self.parser.next()
        self.parser.next()
        self.assertEqual((len(self.log.events), self.parser.state, self.parser.buffered), (3, IDLE, 0))

    def test_refuses_an_endless_pipeline_that_nobody_stops(self):
        with self.assertRaises(ProtocolError):
            for _ in range(20):
                self.parser.receive(GET + b"x" * (MAX_KEPT_BYTES // 8))
        self.assertEqual((self.parser.state, self.parser.buffered), (FAILED, 0))

    def test_a_refused_connection_hears_nothing_more(self):
        with self.assertRaises(ProtocolError):
            self.parser.receive(b"BAD\r\n\r\n")
        self.parser.receive(GET)
        self.parser.next()
        self.assertEqual((self.log.events, self.parser.state, self.parser.buffered), ([], FAILED, 0))

    def test_a_stopped_connection_hears_nothing_more(self):
        self.log.on_body = lambda data: self.parser.stop()
        self.parser.receive(CHUNKED + b"1\r\nx\r\n0\r\n\r\n" + GET)
        self.assertEqual((len(self.log.events), self.log.events[0][3], self.parser.state), (1, "open", FAILED))

    def test_a_hundred_thousand_requests_in_one_piece_do_not_recurse(self):
        events, error, _ = converse([GET * 100_000])
        self.assertIsNone(error)
        self.assertEqual(len(events), 100_000)


class TestTunnel(unittest.TestCase):
    UPGRADE = b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"

    def test_hands_over_what_came_behind_the_head_and_passes_the_rest_on(self):
        log = Waiting()
        parser = RequestParser(log)
        parser.receive(self.UPGRADE + b"early")
        self.assertEqual(log.events[0][1].upgrade, b"websocket")
        self.assertEqual(parser.start_tunnel(), b"early")
        parser.receive(b"GET / ")
        parser.receive(b"\0\r\n\r\n")
        self.assertEqual((log.events[0][2], parser.state), (b"GET / \0\r\n\r\n", TUNNEL))

    def test_a_body_makes_an_upgrade_an_ordinary_request(self):
        events, error, _ = converse([self.UPGRADE.replace(b"Host", b"Content-Length: 2\r\nHost") + b"hi" + GET])
        self.assertIsNone(error)
        self.assertEqual([(event[1].upgrade, event[2]) for event in events], [(None, b"hi"), (None, b"")])


class TestHead(unittest.TestCase):
    def head(self, data, **options):
        events, error, _ = converse([data], **options)
        if error:
            raise error
        return events[0][1]

    def test_keeps_lines_as_they_came(self):
        head = self.head(b"GET / HTTP/1.1\r\nhOsT:  A\r\nx-Y:z\t\r\n\r\n")
        self.assertEqual((head.headers.raw, head.host), (b"\r\nhOsT:  A\r\nx-Y:z\t", b"a"))

    def test_tells_the_length(self):
        self.assertEqual(self.head(GET).content_length, 0)
        self.assertEqual(self.head(GET[:-2] + b"Content-Length: 7\r\n\r\n").content_length, 7)
        self.assertEqual(self.head(GET[:-2] + b"Transfer-Encoding: chunked\r\n\r\n").content_length, -1)

    def test_replaces_host_by_the_target_of_a_proxy_request(self):
        head = self.head(b"GET http://B:1/c HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual((head.headers.get_all(b"host"), head.path, head.original_target), ([b"b:1"], b"/c",
                                                                                            b"http://B:1/c"))

    def test_waits_for_100_only_where_a_body_comes_in_http_11(self):
        lines = b"Host: a\r\nExpect: 100-continue\r\n"
        for version, more, is_waiting in ((b"1.1", b"Content-Length: 1\r\n", True), (b"1.1", b"Content-Length: 0\r\n",
                                                                                     False),
                                          (b"1.1", b"Transfer-Encoding: chunked\r\n", True), (b"1.1", b"", False),
                                          (b"1.0", b"Content-Length: 1\r\n", False)):
            head = self.head(b"POST / HTTP/" + version + b"\r\n" + lines + more + b"\r\n")
            self.assertEqual(head.expect_continue, is_waiting, (version, more))

    def test_can_refuse_http_10(self):
        with self.assertRaises(ProtocolError) as caught:
            self.head(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", allow_http_10=False)
        self.assertEqual((caught.exception.status, caught.exception.detail), (505, "low_version"))

    def test_can_refuse_or_drop_underscores(self):
        data = GET[:-2] + b"A_b: c_d\r\nE: f_g\r\n_h: i\r\n\r\n"
        with self.assertRaises(ProtocolError) as caught:
            self.head(data, underscores="reject")
        self.assertEqual(caught.exception.detail, "http1.unexpected_underscore")
        self.assertEqual([name for name, _ in self.head(data, underscores="drop").headers], [b"host", b"e"])
        self.assertIn(b"a_b", self.head(data).headers)
        self.assertEqual(self.head(GET[:-2] + b"E: f_g\r\n\r\n", underscores="reject").headers.get(b"e"), b"f_g")


class TestSlowClients(unittest.TestCase):
    def test_a_bare_lf_is_refused_before_the_head_ends(self):
        for start in (b"GET / HTTP/1.1\n", GET[:-2] + b"A: b\n", b"GET /" + b"a" * 5000 + b"\n",
                      CHUNKED + b"0\r\nA: b\n", CHUNKED + b"0\r\nA: " + b"b" * 5000 + b"\n", CHUNKED + b"5\n", b"\n"):
            with self.subTest(start[-20:]):
                self.assertEqual(converse(single(start))[1].status, 400)

    def test_what_is_no_http_is_refused_at_its_first_bytes(self):
        for start in (b"\x16\x03\x01", b" ", b"\0", b"{", b"GET\t", b"GET / HTTP\n", b"GET / HTTP/1.1x\r\n", b"\rG"):
            with self.subTest(start):
                self.assertEqual(converse(single(start))[1].status, 400)


class TestTrailers(unittest.TestCase):
    def test_gives_trailers_with_the_end(self):
        data = CHUNKED + b"0\r\nA: b\r\nCookie: c\r\nX-Forwarded-For: d\r\n\r\n"
        for pieces in (whole(data), single(data)):
            events, error, _ = converse(pieces)
            self.assertIsNone(error)
            self.assertEqual(events[0][3], [(b"a", b"b")])


class TestLimits(unittest.TestCase):
    """Exactly the limit is taken, one more is refused, however it is cut."""

    def verdicts(self, data, **options):
        found = set()
        for pieces in (whole(data), single(data), split(data, 1)):
            error = converse(pieces, **options)[1]
            found.add(error and (error.status, error.detail))
        return found

    def test_head(self):
        data = GET[:-2] + b"A: " + b"b" * 100 + b"\r\n\r\n"
        self.assertEqual(self.verdicts(data, max_head_bytes=len(data)), {None})
        self.assertEqual(self.verdicts(data, max_head_bytes=len(data) - 1), {(431, "http1.headers_too_large")})

    def test_request_line(self):
        line = b"GET /aaaaaaaaaaaaaaa HTTP/1.1\r\n"
        data = line + b"Host: a\r\n\r\n"
        self.assertEqual(self.verdicts(data, max_head_bytes=len(line)), {(431, "http1.headers_too_large")})
        self.assertEqual(self.verdicts(data, max_head_bytes=len(line) - 1), {(414, "http1.headers_too_large")})

    def test_fields(self):
        for count in (2, 5, 200):
            data = GET[:-2] + b"A:\r\n" * (count - 1) + b"\r\n"
            self.assertEqual(self.verdicts(data, max_fields=count), {None})
            self.assertEqual(self.verdicts(data, max_fields=count - 1), {(431, "http1.too_many_headers")})

    def test_size_line_of_a_chunk(self):
        for extra, verdict in ((0, None), (1, (400, "http1.codec_error"))):
            line = b"5;" + b"a" * (MAX_LINE_BYTES - 2 + extra)
            self.assertEqual(self.verdicts(CHUNKED + line + b"\r\nhello\r\n0\r\n\r\n"), {verdict})

    def test_trailers(self):
        section = b"A: " + b"b" * 100 + b"\r\n\r\n"
        data = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + section
        self.assertEqual(self.verdicts(data, max_head_bytes=len(section)), {None})
        self.assertEqual(self.verdicts(data, max_head_bytes=len(section) - 1), {(431, "http1.headers_too_large")})


PIECES = st.sampled_from([
    b"GET", b" ", b"/", b"HTTP/1.1", b"\r\n", b"\n", b"\r", b"Host: a", b"Host:", b"Content-Length: 5",
    b"Transfer-Encoding: chunked",
    b"Connection: ", b"close", b"upgrade", b"0", b"5", b"hello", b":", b";", b"a", b"=", b"\0", b"\t", b"\xff",
    b"Expect: 100-continue",
    b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"\r\n\r\n",
    b"0\r\n\r\n",
])


class TestAnything(unittest.TestCase):
    @settings(max_examples=300, deadline=None)
    @given(st.lists(PIECES, max_size=25).map(b"".join), st.integers(0, 99))
    def test_splits_never_change_the_conversation(self, data, seed):
        first, first_error, _ = converse(whole(data))
        for pieces in (single(data), split(data, seed)):
            events, error, _ = converse(pieces)
            self.assertEqual(bool(first_error), bool(error), (first_error, error))
            self.assertEqual([one[:2] for one in told(first)], [one[:2] for one in told(events)])
            if not error:
                self.assertEqual(told(first), told(events))

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=200))
    def test_raises_nothing_but_protocol_errors(self, data):
        converse([data])
        converse([b"GET / HTTP/1.1\r\nHost: a\r\n" + data + b"\r\n\r\n"])
        converse([b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + data])


class TestAgainstH11(unittest.TestCase):
    """What we take, h11 reads in the same way; h11 is laxer about some of what we refuse."""

    def read(self, data):
        server, requests = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20), []
        server.receive_data(data)
        while True:
            event = server.next_event()
            if isinstance(event, h11.Request):
                requests.append([event.method, b""])
            elif isinstance(event, h11.Data):
                requests[-1][1] += bytes(event.data)
            elif event is h11.PAUSED:
                server.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                server.send(h11.EndOfMessage())
                if server.our_state is h11.MUST_CLOSE:
                    return requests
                server.start_next_cycle()
            elif not isinstance(event, h11.EndOfMessage):
                return requests

    def test_reads_the_same_messages(self):
        compared = 0
        for case in CASES:
            if case.status or case.requests[0].method == b"CONNECT":
                continue
            with self.subTest(case.name):
                try:
                    requests = self.read(case.data)
                except h11.RemoteProtocolError:
                    continue
                compared += 1
                self.assertEqual(requests, [[one.method, one.body] for one in case.requests])
        self.assertGreater(compared, 50)
