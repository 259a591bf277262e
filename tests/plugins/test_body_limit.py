"""body_limit: large request bodies are refused, small ones pass untouched."""

import unittest

from meshd.api import CONTINUE, STOP
from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.body_limit import BodyLimit, BodyLimitFilter
from tests.plugins.reading import read


def limit(max_bytes=10):
    return BodyLimitFilter(BodyLimit(max_bytes=max_bytes), FakeSite())


def upload(*headers):
    return FakeExchange(b"POST", b"/", headers)


CHUNKED = (b"transfer-encoding", b"chunked")


class Contract(HttpFilterContract, unittest.TestCase):
    def make(self):
        return limit()


class KnownLength(unittest.TestCase):
    def test_more_than_the_limit_is_413_before_the_upstream_is_contacted(self):
        exchange = upload((b"content-length", b"11"))
        self.assertIs(exchange.request_phase(limit()), STOP)
        self.assertEqual(exchange.replies[0].status, 413)
        self.assertEqual(exchange.detail, "request_payload_too_large")

    def test_the_limit_itself_passes_uncounted(self):
        exchange = upload((b"content-length", b"10"))
        self.assertIs(exchange.request_phase(limit()), CONTINUE)
        self.assertFalse(exchange.request_transforms)

    def test_a_client_that_expects_100_gets_413_instead(self):
        exchange = upload((b"content-length", b"11"), (b"expect", b"100-continue"))
        self.assertIs(exchange.request_phase(limit()), STOP)
        self.assertEqual([reply.status for reply in exchange.replies], [413])

    def test_no_body_costs_no_transform(self):
        exchange = FakeExchange()
        self.assertIs(exchange.request_phase(limit(0)), CONTINUE)
        self.assertFalse(exchange.request_transforms)


class Chunked(unittest.TestCase):
    def body(self, *chunks):
        exchange = upload(CHUNKED)
        self.assertIs(exchange.request_phase(limit()), CONTINUE)
        return exchange, exchange.request_body(*chunks)

    def test_passes_unchanged_up_to_the_limit(self):
        exchange, out = self.body(b"12345", b"", b"67890")
        self.assertEqual(out, [b"12345", b"", b"67890"])
        self.assertFalse(exchange.replies)

    def test_the_first_byte_too_many_is_413_and_goes_no_further(self):
        exchange, out = self.body(b"12345", b"678901", b"more")
        self.assertEqual(out, [b"12345", b""])
        self.assertEqual([reply.status for reply in exchange.replies], [413])

    def test_replies_once_however_much_still_comes(self):
        exchange = upload(CHUNKED)
        exchange.request_phase(limit())
        transform = exchange.request_transforms[0]
        self.assertEqual([transform(b"x" * 11, False) for _ in range(3)], [b"", b"", b""])
        self.assertEqual(len(exchange.replies), 1)

    def test_an_upgrade_with_a_chunked_body_is_counted_too(self):
        exchange = upload(CHUNKED, (b"upgrade", b"websocket"), (b"connection", b"upgrade"))
        exchange.request_phase(limit())
        exchange.request_body(b"x" * 11)
        self.assertEqual(exchange.replies[0].status, 413)


class Configuration(unittest.TestCase):
    def test_the_limit_is_written_with_a_unit(self):
        self.assertEqual(read(BodyLimit, "max: 64KiB"), (BodyLimit(max_bytes=65536), []))

    def test_a_limit_that_is_no_size_is_a_fault(self):
        found, faults = read(BodyLimit, "max: big")
        self.assertIsNone(found)
        self.assertEqual(len(faults), 1)


class Explained(unittest.TestCase):
    def test_it_says_what_becomes_of_a_length(self):
        limit = BodyLimitFilter(BodyLimit(max_bytes=10), FakeSite())
        for fields, said, replies in (
                ([(b"content-length", b"10")], "passes a body of 10 bytes, at most 10", 0),
                ([(b"content-length", b"11")], "refuses a body of 11 bytes, at most 10", 1),
                ([(b"transfer-encoding", b"chunked")], "counts the chunks, at most 10 bytes", 0)):
            exchange = FakeExchange(headers=fields)
            self.assertEqual(limit.explain(exchange), said)
            self.assertEqual(len(exchange.replies), replies)
