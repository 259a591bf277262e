"""Quantities, addresses, regular expressions, nearest words."""

import time
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from meshd.document.address import BadAddress, check_address, is_local
from meshd.document.nearest import distance, nearest
from meshd.document.quantity import (
    format_duration, format_size, parse_duration, parse_go_duration, parse_size,
)
from meshd.document.regex import BadRegex, compile_regex


class TestQuantity(TestCase):
    def test_durations_are_read_in_seconds(self):
        good = {"250ms": 0.25, "5s": 5.0, "1m30s": 90.0, "1h": 3600.0, "1.5s": 1.5, "0": 0.0, "1d": 86400.0,
                "10us": 1e-5}
        for text, seconds in good.items():
            self.assertAlmostEqual(parse_duration(text), seconds, places=12, msg=text)

    def test_kubernetes_durations_are_read_as_go_reads_them(self):
        for text, seconds in (("1h", 3600.0), ("1.5s", 1.5), (".5s", 0.5), ("1s1m", 61.0), ("5ns", 5e-9), ("-1s", -1.0),
                              ("2us3µs", 5e-6), ("0", 0.0), ("+1.m", 60.0)):
            self.assertAlmostEqual(parse_go_duration(text), seconds, places=12, msg=text)
        for text in ("", "1", "1d", "s", "1 s", "1S", ".s", "--1s", "1s" * 30):
            self.assertIsNone(parse_go_duration(text), text)

    def test_refuses_what_is_no_duration(self):
        for text in ("", "5", "s", "1s1m", "1s1s", "-5s", "5 s", "1e3s", "5S", ".5s", "٣s", "1" * 50 + "s"):
            self.assertIsNone(parse_duration(text), text)

    def test_sizes_are_read_in_bytes(self):
        for text, size in {"64KiB": 65536, "1MiB": 2**20, "1MB": 10**6, "0": 0, "12": 12, "1B": 1}.items():
            self.assertEqual(parse_size(text), size, text)
        for text in ("", "KiB", "1.5MiB", "-1", "010", "1 KiB", "1kib", "٣"):
            self.assertIsNone(parse_size(text), text)

    @given(st.integers(0, 2**40))
    def test_what_is_written_is_read_again(self, value):
        self.assertEqual(parse_size(format_size(value)), value)
        self.assertAlmostEqual(parse_duration(format_duration(value / 1e6)), value / 1e6, places=6)


class TestAddress(TestCase):
    def test_accepts_addresses(self):
        for text in ("127.0.0.1:80", "0.0.0.0:65535", "[::1]:80", "[fe80::1%eth0]:80", "unix:/run/x.sock"):
            check_address(text, False)
        for text in ("users:80", "users.svc.local:80", "a_b:1", "10.0.0.1:80"):
            check_address(text, True)

    def test_refuses_what_is_none(self):
        for text in ("", ":80", "*:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:8o",
                     "::1:80", "[::1]", "[::1", "[127.0.0.1]:80",
                     "unix:", "unix:" + "a" * 108, "256.0.0.1:80", "10.0.0:80",
                     "a b:80",
                     "-a:80", "a..b:80", "127.0.0.1:٣", "127.0.0.1:+80"):
            with self.subTest(text), self.assertRaises(BadAddress):
                check_address(text, True)

    def test_takes_a_name_only_where_it_can_be_resolved(self):
        with self.assertRaises(BadAddress) as caught:
            check_address("localhost:80", False)
        self.assertEqual(caught.exception.hint, "write 127.0.0.1")

    def test_says_how_to_write_an_ipv6_address(self):
        with self.assertRaises(BadAddress) as caught:
            check_address("::1:80", False)
        self.assertEqual(caught.exception.hint, "write [::1]:80")

    def test_knows_which_addresses_are_local(self):
        self.assertTrue(all(is_local(text) for text in ("127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "unix:/x")))
        self.assertFalse(any(is_local(text) for text in ("0.0.0.0:1", "10.0.0.1:1", "[::]:1")))


class TestRegex(TestCase):
    def test_a_good_one_matches_the_whole(self):
        self.assertIsNotNone(compile_regex(b"/a/[0-9]+").fullmatch(b"/a/12"))
        self.assertIsNone(compile_regex("/a/[0-9]+").fullmatch("/a/12/b"))

    def test_refuses_unparsable_and_monstrous_ones_quickly(self):
        began = time.process_time()
        for pattern in (
            "(", "[a", "a{2000}", "((a{100}){100}){100}", "(?=x)", r"(a)\1", "(.{30}){30}", "a" * 5000, "\ud800",
        ):
            with self.subTest(ascii(pattern[:20])), self.assertRaises(BadRegex):
                compile_regex(pattern)
        self.assertLess(time.process_time() - began, 0.5)

    def test_the_bound_is_the_callers(self):
        with self.assertRaisesRegex(BadRegex, "expected at most 10"):
            compile_regex("abcdefghijklmnop", 10)


class TestNearest(TestCase):
    def test_counts_a_swap_as_one(self):
        self.assertEqual(distance("timeuot", "timeout", 2), 1)
        self.assertEqual(distance("abc", "xyz", 2), 3)

    def test_finds_what_was_meant(self):
        known = ("timeout", "connect_timeout", "address", "load_balancer", "max_head")
        meant = {"timeouts": "timeout", "adress": "address", "connectTimeout": "connect_timeout",
                 "max_head_bytes": "max_head",
                 "connect-timeout": "connect_timeout", "lb_policy": "load_balancer", "bind": "address"}
        for word, key in meant.items():
            self.assertEqual(nearest(word, known), key, word)

    def test_does_not_guess_wildly(self):
        self.assertIsNone(nearest("xy", ("ab", "timeout")))
        self.assertIsNone(nearest("zzzzzzz", ("timeout",)))
