"""Authorities: what is taken and how it is split."""

import unittest

from meshd.errors import ProtocolError
from meshd.http import authority


class TestSplit(unittest.TestCase):
    def test_splits_host_and_port(self):
        for value, expected in (
            (b"a", (b"a", None)), (b"a:80", (b"a", 80)), (b"a:", (b"a", None)), (b"a.b-c_d:65535", (b"a.b-c_d", 65535)),
            (b"127.0.0.1:1", (b"127.0.0.1", 1)), (b"[::1]", (b"[::1]", None)), (b"[::ffff:1.2.3.4]:8080",
                                                                                (b"[::ffff:1.2.3.4]", 8080)),
        ):
            for _ in range(2):  # the second time from what is known
                self.assertEqual(authority.split(value), expected)

    def test_refuses_the_rest(self):
        for value in (b"", b":80", b"a:b", b"a:65536", b"a:123456", b"a b", b"a/b", b"u@a", b"::1", b"[::1", b"[]",
                      b"[::1]x", b"[1.2.3.4]",
                      b"a\r", b"a\n", b"a%41", b"\xff", b"a" * 264, b"[::1%eth0]"):
            with self.subTest(value), self.assertRaises(ProtocolError) as caught:
                authority.split(value)
            self.assertEqual(caught.exception.status, 400)

    def test_what_is_known_stays_bounded(self):
        for number in range(5000):
            authority.split(b"host-%d" % number)
        self.assertLessEqual(len(authority._known), 4096)
