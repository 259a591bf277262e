"""The gate of a client's connection: a server may update windows for each stream that was opened (Envoy's formula)."""

import unittest

from meshd.http.h2.code import MAX_STREAM_ID, PREFACE, PROTOCOL_ERROR
from meshd.http.h2.gate import Gate
from meshd.http.h2.settings import Settings
from tests.h2.wire import goaway

SETTINGS = b"\0\0\0\4\0\0\0\0\0"


def headers(stream_id):
    return b"\0\0\1\1\4" + stream_id.to_bytes(4, "big") + b"\x82"


def update(stream_id=0):
    return b"\0\0\4\x08\0" + stream_id.to_bytes(4, "big") + b"\0\0\0\1"


class Updates(unittest.TestCase):
    def allowed(self, *sent, is_one=False):
        """Return how many updates pass after these frames were sent."""
        gate = Gate(False, Settings())
        gate.check(SETTINGS)
        for data in (PREFACE + SETTINGS, *sent) if not is_one else (PREFACE + SETTINGS + b"".join(sent),):
            gate.sent(data)
        count = 0
        while gate.flood is None:
            gate.check(update())
            count += 1
        return count - 1

    def test_each_stream_of_ours_allows_two(self):
        self.assertEqual((self.allowed(), self.allowed(headers(1)), self.allowed(headers(1) + headers(3))), (5, 7, 9))

    def test_data_allows_as_many_as_it_may_have_messages(self):
        for size, count in ((1, 20), (99, 20), (100, 40), (16384, 20 * 164)):
            data = size.to_bytes(3, "big") + b"\0\0\0\0\0\1" + b"x" * size
            self.assertEqual(self.allowed(data), 5 + count, size)

    def test_what_leaves_with_the_preface_counts(self):
        self.assertEqual(self.allowed(headers(1), b"\0\0\1\0\0\0\0\0\1x", is_one=True), 27)

    def test_trailers_are_no_stream(self):
        self.assertEqual(self.allowed(headers(1), headers(1)), 7)


class GoawayTest(unittest.TestCase):
    """What a server may say to a client (RFC 9113 6.8), byte by byte and at once."""

    def code(self, is_server, *last_streams):
        """Return the connection error that GOAWAYs with these last streams bring."""
        codes = set()
        for size in (1, 1000):
            gate = Gate(is_server, Settings())
            data = (PREFACE if is_server else b"") + SETTINGS + b"".join([goaway(last) for last in last_streams])
            for at in range(0, len(data), size):
                gate.check(data[at:at + size])
            codes.add(gate.code)
        self.assertEqual(len(codes), 1)
        return codes.pop()

    def test_the_last_stream_does_not_rise(self):
        for last_streams in ((MAX_STREAM_ID,), (MAX_STREAM_ID, 5, 5, 0), (0, 0)):
            self.assertEqual(self.code(False, *last_streams), 0, last_streams)
        self.assertEqual(self.code(False, 1, 3), PROTOCOL_ERROR)
        self.assertEqual(self.code(True, 1, 3), 0)

    def test_the_last_stream_is_the_client_s(self):
        self.assertEqual(self.code(False, 2), PROTOCOL_ERROR)


class HeadTest(unittest.TestCase):
    """A preface or a field section whose end has not come is waited for; nothing else is."""

    def test_is_within(self):
        gate = Gate(True, Settings())
        for data, is_within in (
                (PREFACE[:3], True), (PREFACE[3:20], True), (PREFACE[20:], False), (SETTINGS[:3], False),
                (SETTINGS[3:], False),
                (b"\0\0\2\1\0\0\0\0\1", True), (b"\x82", True), (b"\x86", True), (b"\0\0\1\x09\4", True),
                (b"\0\0\0\1", True), (b"\x84", False), (update(1)[:5], False), (update(1)[5:], False)):
            gate.check(data)
            self.assertEqual((gate.is_within, gate.code), (is_within, 0), data)


class PrefixTest(unittest.TestCase):
    """What comes before the frame that ends the connection is passed on."""

    def test_what_is_fed(self):
        gate = Gate(False, Settings())
        gate.sent(PREFACE + SETTINGS + headers(1))
        self.assertEqual(gate.check(SETTINGS + headers(1) + update(3) + headers(1)), SETTINGS + headers(1))
        self.assertEqual(gate.code, PROTOCOL_ERROR)
