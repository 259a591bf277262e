"""What gRPC's fields say: content types, statuses, messages, timeouts, frames."""

import unittest

from meshd.http import grpc
from meshd.http.head import ResponseHead
from meshd.http.headers import Headers


def typed(value):
    return Headers.of((b"content-type", value))


def answer(status=200, *pairs, length=-1):
    head = ResponseHead(status, Headers.of(*pairs))
    head.content_length = length
    return head


class Kinds(unittest.TestCase):
    def test_what_is_a_call(self):
        for value in (b"application/grpc", b"application/grpc+proto", b"application/grpc+json"):
            self.assertTrue(grpc.is_grpc(typed(value)), value)

    def test_what_is_none(self):
        for value in (b"application/grpc-web", b"application/grpc-web+proto", b"application/grpcx", b"text/plain",
                      b"x application/grpc", b""):
            self.assertFalse(grpc.is_grpc(typed(value)), value)
        self.assertFalse(grpc.is_grpc(Headers()))

    def test_what_is_an_answer(self):
        kind = (b"content-type", b"application/grpc")
        self.assertTrue(grpc.is_grpc_answer(answer(200, kind)))
        self.assertFalse(grpc.is_grpc_answer(answer(503, kind)))
        self.assertFalse(grpc.is_grpc_answer(answer(200, (b"content-type", b"text/html"))))
        self.assertTrue(grpc.is_grpc_answer(answer(503, (b"grpc-status", b"14"), length=0)))
        self.assertFalse(grpc.is_grpc_answer(answer(200, kind, length=0)))
        trailed = answer(200, kind, (b"content-length", b"0"), length=0)
        self.assertFalse(grpc.is_grpc_answer(trailed))
        trailed.version = 20  # trailers may follow
        self.assertTrue(grpc.is_grpc_answer(trailed))


class Statuses(unittest.TestCase):
    def test_a_field(self):
        for value, expected in ((b"0", 0), (b"14", 14), (b"16", 16), (b"17", -1), (b"x", -1), (b"-1", -1),
                                (b"100", -1), (b"", None)):
            self.assertEqual(grpc.status_in(Headers.of((b"grpc-status", value))), expected, value)
        self.assertIsNone(grpc.status_in(Headers()))
        self.assertIsNone(grpc.status_in(None))

    def test_trailers_come_before_the_head_and_that_before_the_http_status(self):
        trailers = Headers.of((b"grpc-status", b"5"))
        head = answer(200, (b"grpc-status", b"0"))
        self.assertEqual(grpc.status_of(head, trailers), 5)
        self.assertEqual(grpc.status_of(head, None), 0)
        self.assertEqual(grpc.status_of(answer(503), Headers()), 14)
        self.assertIsNone(grpc.status_of(None, None))

    def test_what_a_caller_makes_of_http(self):
        expected = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14, 200: 2, 408: 2, 500: 2}
        for status, number in expected.items():
            self.assertEqual(grpc.status_of(answer(status), None), number, status)


class Replies(unittest.TestCase):
    def test_a_message_is_percent_encoded(self):
        self.assertEqual(grpc.encode_message(b"no 100%\r\n~\xff"), b"no 100%25%0D%0A%7E%FF")

    def test_a_reply(self):
        pairs = grpc.shape(503, b"no endpoint\n", ((b"x-a", b"1"), (b"content-type", b"text/html")))
        self.assertEqual(dict(pairs), {
            b"x-a": b"1", b"content-type": b"application/grpc", b"grpc-status": b"14", b"grpc-message": b"no endpoint"})

    def test_a_status_that_is_given_stands(self):
        self.assertEqual(dict(grpc.shape(429, b"", ((b"grpc-status", b"8"),)))[b"grpc-status"], b"8")

    def test_without_a_text_there_is_no_message(self):
        self.assertNotIn(b"grpc-message", dict(grpc.shape(429, b"", ())))


class Timeouts(unittest.TestCase):
    def test_units(self):
        for text, seconds in ((b"1H", 3600.0), (b"2M", 120.0), (b"3S", 3.0), (b"4m", 0.004), (b"5000u", 0.005),
                              (b"1u", 0.001), (b"1n", 0.001), (b"1000001n", 0.002), (b"0S", 0.0),
                              (b"99999999H", 359_999_996_400.0)):
            self.assertEqual(grpc.timeout_s(Headers.of((b"grpc-timeout", text))), seconds, text)

    def test_what_is_none(self):
        for text in (b"", b"S", b"1", b"1s", b"-1S", b"+1S", b"1.5S", b" 1 S", b"123456789S", b"1SS", b"0x1S"):
            self.assertIsNone(grpc.timeout_s(Headers.of((b"grpc-timeout", text))), text)

    def test_what_is_written(self):
        for seconds, text in ((0.0, b"0m"), (0.5, b"500m"), (99_999.999, b"99999999m"), (100_000.0, b"100000S"),
                              (99_999_999.0, b"99999999S"), (100_000_000.0, b"1666666M"), (6e9, b"1666666H"),
                              (1e18, b"99999999H")):
            self.assertEqual(grpc.timeout_text(seconds), text, seconds)


class Frames(unittest.TestCase):
    def test_there_and_back(self):
        data = grpc.frame(b"one") + grpc.frame(b"") + grpc.frame(b"x" * 300)
        self.assertEqual(grpc.messages_of(data), [b"one", b"", b"x" * 300])
        self.assertEqual(grpc.frame(b"abc"), b"\0\0\0\0\3abc")
        self.assertEqual(grpc.messages_of(b""), [])

    def test_what_is_cut_short_or_compressed(self):
        for data in (b"\0", b"\0\0\0\0", b"\0\0\0\0\2a", b"\1\0\0\0\0"):
            with self.assertRaises(ValueError):
                grpc.messages_of(data)
