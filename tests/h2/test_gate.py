"""The gate of a client's connection: a server may update windows for each stream that was opened (Envoy's formula)."""

import unittest

from meshd.http.h2.code import PREFACE
from meshd.http.h2.gate import Gate
from meshd.http.h2.settings import Settings

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
