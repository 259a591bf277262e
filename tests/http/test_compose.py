"""Heads and chunks as they leave."""

import unittest

from meshd.http import compose
from meshd.http.head import RequestHead, ResponseHead
from meshd.http.headers import Headers
from meshd.http.request import RequestParser
from meshd.http.response import ResponseParser
from tests.http.conversation import Log


def request(*pairs, length=0, upgrade=None):
    head = RequestHead(b"GET", b"/a?b", b"h", 11, Headers.of((b"Host", b"h"), *pairs))
    head.content_length = length
    head.upgrade = upgrade
    return head


def response(status=200, *pairs, length=-1, reason=b"", upgrade=None):
    head = ResponseHead(status, Headers.of(*pairs), reason)
    head.content_length = length
    head.upgrade = upgrade
    return head


class TestRequestHead(unittest.TestCase):
    def test_sends_lines_as_they_are_kept(self):
        self.assertEqual(compose.request_head(request((b"X-A", b"b"))),
                         b"GET /a?b HTTP/1.1\r\nHost: h\r\nX-A: b\r\n\r\n")

    def test_names_chunks_for_a_length_that_is_not_known(self):
        self.assertTrue(compose.request_head(request(length=-1)).endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n"))

    def test_passes_an_upgrade_on_only_when_asked(self):
        head = request(upgrade=b"websocket")
        self.assertNotIn(b"upgrade", compose.request_head(head))
        self.assertTrue(compose.request_head(head,
                                             True).endswith(b"\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"))

    def test_names_te_in_connection(self):
        self.assertIn(b"\r\nconnection: te\r\n", compose.request_head(request((b"te", b"trailers"))))

    def test_what_it_writes_is_what_our_parser_reads(self):
        for head in (request(), request(length=-1), request((b"te", b"trailers")), request(upgrade=b"x")):
            log = Log()
            RequestParser(log).receive(compose.request_head(head, True))
            read = log.events[0][1]
            self.assertEqual((read.method, read.target, read.host, read.content_length, read.upgrade),
                             (head.method, head.target, head.host, head.content_length, head.upgrade))


class TestResponseHead(unittest.TestCase):
    def test_sends_known_lengths_as_they_are(self):
        head = response(200, (b"Content-Length", b"5"), length=5)
        self.assertEqual(compose.response_head(head), (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", False, False))

    def test_keeps_the_reason_that_came_and_knows_the_others(self):
        for status, reason, line in ((404, b"Gone Fishing", b"HTTP/1.1 404 Gone Fishing\r\n"),
                                     (431, b"", b"HTTP/1.1 431 Request Header Fields Too Large\r\n"),
                                     (499, b"", b"HTTP/1.1 499 Unknown\r\n")):
            self.assertTrue(compose.response_head(response(status, reason=reason))[0].startswith(line))

    def test_an_unknown_length_becomes_chunks_or_the_end_of_the_connection(self):
        data, is_chunked, must_close = compose.response_head(response())
        self.assertEqual((data[-30:], is_chunked, must_close), (b"\ntransfer-encoding: chunked\r\n\r\n"[-30:], True,
                                                                False))
        data, is_chunked, must_close = compose.response_head(response(), version=10)
        self.assertEqual((data, is_chunked, must_close), (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", False, True))

    def test_tells_the_client_what_becomes_of_the_connection(self):
        head = response(length=0)
        rows = ((11, True, None), (11, False, b"close"), (10, True, b"keep-alive"), (10, False, b"close"))
        for version, keep_alive, line in rows:
            data, _, must_close = compose.response_head(head, version=version, keep_alive=keep_alive)
            self.assertEqual(must_close, not keep_alive)
            self.assertEqual(b"\r\nconnection: " + (line or b"") in data, line is not None)

    def test_names_no_chunks_where_no_body_can_be(self):
        for status, method in ((200, b"HEAD"), (204, b"GET"), (304, b"GET"), (100, b"GET"), (103, b"GET"), (101,
                                                                                                            b"GET")):
            data, is_chunked, must_close = compose.response_head(response(status), method=method)
            self.assertNotIn(b"chunked", data)
            self.assertEqual((is_chunked, must_close), (False, False))

    def test_an_interim_answer_says_nothing_of_the_connection(self):
        self.assertEqual(compose.response_head(response(100), keep_alive=False)[0], b"HTTP/1.1 100 Continue\r\n\r\n")

    def test_a_switch_names_its_protocol(self):
        data, _, _ = compose.response_head(response(101, upgrade=b"x"))
        self.assertTrue(data.endswith(b"\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"))

    def test_what_it_writes_is_what_our_parser_reads(self):
        for head in (response(length=0), response(), response(404, reason=b"X"), response(101, upgrade=b"x"),
                     response(204)):
            log = Log()
            parser = ResponseParser(log)
            parser.expect(b"GET")
            parser.receive(compose.response_head(head)[0])
            self.assertEqual((log.events[0][1].status, log.events[0][1].upgrade), (head.status, head.upgrade))


class TestChunks(unittest.TestCase):
    def test_writes_what_the_parser_reads(self):
        log = Log()
        parser = RequestParser(log)
        parser.receive(compose.request_head(request(length=-1)))
        parser.receive(compose.chunk(b"x" * 1000) + compose.chunk(b"y") + compose.last_chunk(Headers.of((b"a", b"b"))))
        self.assertEqual(log.events[0][2:], [b"x" * 1000 + b"y", [(b"a", b"b")]])

    def test_ends_without_trailers(self):
        self.assertEqual((compose.chunk(b"z" * 16), compose.last_chunk()), (b"10\r\n" + b"z" * 16 + b"\r\n",
                                                                            b"0\r\n\r\n"))
