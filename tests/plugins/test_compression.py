"""compression: what may be compressed is, for those who want it; everything else passes as it came."""

import gzip
import os
import unittest
import zlib

import brotli

from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.compression import Compression, CompressionFilter, negotiate
from tests.plugins.reading import read

TEXT = b"the quick brown fox jumps over the lazy dog. " * 200
HTML = (b"content-type", b"text/html; charset=utf-8")


def compression(**options):
    return CompressionFilter(Compression(**options), FakeSite())


def answered(accept, *headers, filter=None, status=200, length=len(TEXT), method=b"GET", request=()):
    exchange = FakeExchange(method, b"/", [*([(b"accept-encoding", accept)] if accept else []), *request])
    filter = filter or compression()
    if hasattr(filter, "on_request"):
        exchange.request_phase(filter)
    exchange.respond(status, headers or [HTML], length)
    exchange.response_phase(filter)
    return exchange


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Contract(HttpFilterContract, unittest.TestCase):
    def make(self):
        return compression(minimum_length_bytes=0)


class Negotiation(unittest.TestCase):
    def test_weights_are_heeded(self):
        rows = (
            (b"gzip", b"gzip"), (b"br, gzip", b"br"), (b"gzip, br", b"br"), (b"gzip;q=1.0, br;q=0.5", b"gzip"),
            (b"*", b"br"), (b"*;q=0.5, br;q=0", b"gzip"), (b"x-gzip", b"gzip"), (b"GZIP ; Q=0.3", b"gzip"),
            (b"identity, gzip;q=0.5", None), (b"identity;q=0.5, gzip;q=0.5", b"gzip"), (b"gzip;q=0", None),
            (b"identity;q=0, gzip;q=0.1", b"gzip"), (b"deflate, zstd", None), (b"", None), (b" , ,", None),
            (b"gzip;q=oops", None), (b"gzip;q=2", None), (b"gzip;q=", None),
            (b"gzip;level=9", None), (b"gzip;q=nan", None),
        )
        for accept, expected in rows:
            with self.subTest(accept):
                self.assertEqual(negotiate(accept, (b"br", b"gzip")), expected)


class Body(unittest.TestCase):
    def test_a_whole_body_comes_back(self):
        for accept, decode in ((b"gzip", gzip.decompress), (b"br", brotli.decompress)):
            with self.subTest(accept):
                body = b"".join(answered(accept).response_body(TEXT))
                self.assertEqual(decode(body), TEXT)
                self.assertLess(len(body), len(TEXT) // 10)

    def test_a_body_that_comes_whole_leaves_whole(self):
        for accept, decode in ((b"gzip", gzip.decompress), (b"br", brotli.decompress)):
            with self.subTest(accept):
                first, last = answered(accept).response_body(TEXT, b"")
                self.assertEqual((decode(first), last), (TEXT, b""))

    def test_a_streamed_body_comes_back(self):
        chunks = [TEXT[start:start + 1000] for start in range(0, len(TEXT), 1000)] + [b""]
        for accept, decode in ((b"gzip", gzip.decompress), (b"br", brotli.decompress)):
            with self.subTest(accept):
                self.assertEqual(decode(b"".join(answered(accept, length=None).response_body(*chunks))), TEXT)

    def test_an_empty_streamed_body_is_a_valid_empty_one(self):
        self.assertEqual(gzip.decompress(b"".join(answered(b"gzip", length=None).response_body(b""))), b"")
        self.assertEqual(brotli.decompress(b"".join(answered(b"br", length=None).response_body(b""))), b"")

    def test_each_event_of_a_stream_can_be_read_at_once(self):
        events = (b"data: one\n\n", b"data: two\n\n", b"data: three\n\n")
        out = answered(b"gzip", (b"content-type", b"text/event-stream"), length=None).response_body(*events, b"")
        reader = zlib.decompressobj(31)
        self.assertEqual([reader.decompress(data) for data in out], [*events, b""])
        out = answered(b"br", (b"content-type", b"text/event-stream"), length=None).response_body(*events, b"")
        reader = brotli.Decompressor()
        self.assertEqual([reader.process(data) for data in out[:3]], list(events))

    def test_other_types_are_not_flushed_by_the_chunk(self):
        self.assertLessEqual(len(answered(b"br", length=None).response_body(b"tiny", b"")[0]), 1)

    def test_memory_does_not_grow_with_the_body(self):
        noise = os.urandom(65536)
        for accept in (b"gzip", b"br"):
            transform = answered(accept, length=None).response_transforms[0]
            transform(noise, False)
            before = resident_bytes()
            for _ in range(400):
                transform(noise, False)
            with self.subTest(accept):
                self.assertLess(resident_bytes() - before, 8 * 2**20)


class Head(unittest.TestCase):
    def test_says_what_the_body_has_become(self):
        stale = [(b"content-md5", b"x"), (b"digest", b"x"), (b"repr-digest", b"x"), (b"accept-ranges", b"bytes")]
        exchange = answered(b"gzip", HTML, (b"etag", b'"abc"'), *stale)
        self.assertEqual(list(exchange.response.headers), [
            HTML, (b"vary", b"accept-encoding"), (b"content-encoding", b"gzip"), (b"etag", b'W/"abc"'),
        ])
        self.assertEqual(exchange.response.content_length, -1)

    def test_a_weak_tag_stays_as_it_is(self):
        self.assertEqual(answered(b"gzip", HTML, (b"etag", b'W/"a"')).response.headers.get(b"etag"), b'W/"a"')

    def test_vary_is_added_also_where_the_client_does_not_want_it(self):
        exchange = answered(None, HTML, (b"vary", b"origin"))
        self.assertEqual(exchange.response.headers.get_all(b"vary"), [b"origin, accept-encoding"])
        self.assertFalse(exchange.response_transforms)

    def test_a_vary_of_everything_is_enough(self):
        self.assertEqual(answered(b"gzip", HTML, (b"vary", b"*")).response.headers.get_all(b"vary"), [b"*"])


class Untouched(unittest.TestCase):
    def assert_untouched(self, exchange):
        self.assertFalse(exchange.response_transforms)
        self.assertNotIn(b"vary", exchange.response.headers)

    def test_what_is_encoded_or_partial_or_not_to_be_transformed(self):
        for field in (
            (b"content-encoding", b"br"), (b"content-range", b"bytes 0-9/10"),
            (b"cache-control", b"public, No-Transform"),
        ):
            with self.subTest(field):
                self.assert_untouched(answered(b"gzip", HTML, field))

    def test_what_the_client_wants_untransformed(self):
        self.assert_untouched(answered(b"gzip", request=[(b"cache-control", b"no-transform")]))

    def test_answers_without_a_body(self):
        for status in (101, 204, 205, 206, 304):
            with self.subTest(status):
                self.assert_untouched(answered(b"gzip", status=status))
        self.assert_untouched(answered(b"gzip", method=b"HEAD"))
        self.assert_untouched(answered(b"gzip", length=0))

    def test_short_bodies_and_other_types(self):
        self.assert_untouched(answered(b"gzip", length=1023))
        for kind in (b"image/png", b"text/htmlx", b"", b"application/grpc"):
            with self.subTest(kind):
                self.assert_untouched(answered(b"gzip", (b"content-type", kind)))

    def test_a_monstrous_accept_encoding_is_read_as_absent(self):
        self.assertFalse(answered(b"gzip, " * 1000).response_transforms)


class Bounds(unittest.TestCase):
    def test_only_so_many_at_once_and_the_place_comes_back(self):
        filter = compression(max_active=1)
        first, second = answered(b"gzip", filter=filter), answered(b"gzip", filter=filter)
        self.assertTrue(first.response_transforms)
        self.assertFalse(second.response_transforms)
        self.assertIn(b"content-length", second.response.headers)
        first.complete(filter)
        self.assertTrue(answered(b"gzip", filter=filter).response_transforms)


class Hidden(unittest.TestCase):
    def test_the_upstream_does_not_see_the_wish_and_it_is_still_met(self):
        exchange = answered(b"gzip", filter=compression(remove_accept_encoding=True))
        self.assertNotIn(b"accept-encoding", exchange.request.headers)
        self.assertEqual(exchange.response.headers.get(b"content-encoding"), b"gzip")


class Configuration(unittest.TestCase):
    def test_the_defaults_are_valid(self):
        self.assertEqual(read(Compression, "{}"), (Compression(), []))

    def test_faults_are_named(self):
        lists = ("encodings: []", "encodings: [gzip, gzip]", "encodings: [zstd]", "content_types: [html]")
        for text in ("gzip_level: 4", *lists):
            with self.subTest(text):
                self.assertEqual(len(read(Compression, text)[1]), 1)
