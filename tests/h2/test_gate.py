"""The gate of a client's connection: a server may update windows for each stream that was opened (Envoy's formula)."""

import unittest

from meshd.http.h2.gate import Gate
from meshd.http.h2.settings import Settings

SETTINGS = b"\0\0\0\4\0\0\0\0\0"


def headers(stream_id):
    return b"\0\0\1\1\4" + stream_id.to_bytes(4, "big") + b"\x82"


def update(stream_id=0):
    return b"\0\0\4\x08\0" + stream_id.to_bytes(4, "big") + b"\0\0\0\1"


class Updates(unittest.TestCase):
    def allowed(self, *sent):
        """Return how many updates pass after these frames were sent."""
        gate = Gate(False, Settings())
        gate.check(SETTINGS)
        for data in sent:
            gate.sent(data)
        count = 0
        while gate.flood is None:
            gate.check(update())
            count += 1
        return count - 1

    def test_each_stream_of_ours_allows_two(self):
        self.assertEqual((self.allowed(), self.allowed(headers(1)), self.allowed(headers(1) + headers(3))), (5, 7, 9))

    def test_trailers_are_no_stream(self):
        self.assertEqual(self.allowed(headers(1), headers(1)), 7)
