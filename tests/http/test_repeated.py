"""Heads that are the same as the last one on their connection are not read again; what differs always is."""

import unittest

from meshd.errors import ProtocolError
from meshd.http.request import RequestParser
from meshd.http.response import ResponseParser

GET = b"GET /a HTTP/1.1\r\nHost: a\r\nX-One: 1\r\n\r\n"


class Requests(unittest.TestCase):
    def setUp(self):
        self.heads = []
        self.parser = RequestParser(self)

    def on_request(self, head):
        self.heads.append(head)

    def on_body(self, data):
        self.body = data

    def on_end(self, trailers):
        self.parser.next()

    def play(self, *texts):
        for text in texts:
            self.parser.receive(text)
        return [(head.method, head.target, head.host, list(head.headers), head.content_length) for head in self.heads]

    def test_the_same_fields_give_the_same_head(self):
        one, two = self.play(GET, GET.replace(b"/a", b"/b?c"))
        self.assertEqual((one[1], two[1]), (b"/a", b"/b?c"))
        self.assertEqual(one[2:], two[2:])

    def test_what_a_filter_did_to_the_last_head_does_not_show(self):
        self.play(GET)
        self.heads[0].headers.set(b"x-one", b"2")
        self.assertEqual(self.play(GET)[1][3], [(b"host", b"a"), (b"x-one", b"1")])

    def test_other_fields_are_read(self):
        rows = self.play(GET, GET.replace(b"Host: a", b"Host: b"), GET)
        self.assertEqual([row[2] for row in rows], [b"a", b"b", b"a"])

    def test_a_body_after_the_same_client_had_none(self):
        post = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
        self.assertEqual([row[4] for row in self.play(GET, post, GET, post)], [0, 2, 0, 2])

    def test_an_old_version_with_the_same_fields_is_read(self):
        self.play(GET, GET.replace(b"HTTP/1.1", b"HTTP/1.0"))
        self.assertEqual([head.keep_alive for head in self.heads], [True, False])

    def test_no_fields_at_all_are_refused_first_and_later(self):
        for before in ((), (GET,)):
            self.setUp()
            self.play(*before)
            with self.assertRaises(ProtocolError):
                self.play(b"GET / HTTP/1.1\r\n\r\n")

    def test_connect_and_absolute_targets_are_read(self):
        self.play(GET, GET.replace(b"GET /a", b"GET http://b/c"), GET.replace(b"GET /a", b"CONNECT a:1"))
        self.assertEqual([head.host for head in self.heads[:2]], [b"a", b"b"])
        self.assertEqual(self.heads[2].target, b"a:1")


class Responses(unittest.TestCase):
    OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\nX-One: 1\r\n\r\n"

    def setUp(self):
        self.events = []
        self.heads = []
        self.parser = ResponseParser(self)

    def on_response(self, head):
        self.heads.append(head)
        self.events.append((head.status, list(head.headers), head.content_length, head.keep_alive))

    def on_body(self, data):
        self.events.append(data)

    def on_end(self, trailers):
        self.events.append("end")

    def play(self, data, method=b"GET"):
        self.events = []
        self.parser.expect(method)
        self.parser.receive(data)
        return self.events

    def test_the_same_head_gives_the_same_events(self):
        first = self.play(self.OK + b"hi")
        self.assertEqual(self.play(self.OK + b"hi"), first)
        self.assertEqual(first, [(200, [(b"content-length", b"2"), (b"x-one", b"1")], 2, True), b"hi", "end"])

    def test_what_a_filter_did_to_the_last_head_does_not_show(self):
        first = self.play(self.OK + b"hi")
        self.heads[0].headers.remove(b"x-one")
        self.assertEqual(self.play(self.OK + b"hi"), first)

    def test_the_same_head_after_head_has_no_body(self):
        self.play(self.OK + b"hi")
        self.assertEqual(self.play(self.OK, b"HEAD")[-1], "end")
        self.assertEqual(self.play(self.OK + b"hi")[1:], [b"hi", "end"])

    def test_a_head_first_seen_after_head_is_read_for_get(self):
        self.play(self.OK, b"HEAD")
        self.assertEqual(self.play(self.OK + b"hi")[1:], [b"hi", "end"])

    def test_the_same_head_in_pieces(self):
        self.play(self.OK + b"hi")
        self.events = []
        self.parser.expect(b"GET")
        for byte in self.OK + b"hi":
            self.parser.receive(bytes((byte,)))
        self.assertEqual(self.events[1:], [b"h", b"i", "end"])

    def test_chunked_and_unframed_answers_are_read_each_time(self):
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for _ in range(2):
            self.assertEqual(self.play(chunked + b"2\r\nhi\r\n0\r\n\r\n")[1:], [b"hi", "end"])

    def test_more_than_the_declared_length_is_still_refused(self):
        self.play(self.OK + b"hi")
        with self.assertRaises(ProtocolError):
            self.play(self.OK + b"hi!")
