"""What is asked: URLs and fields become a head, anything else is refused with what was expected."""

import unittest

from meshd.explain.asked import BadQuestion, asked


class Asking(unittest.TestCase):
    def test_a_url_becomes_a_head(self):
        one = asked("GET", "http://Shop.example:81/a/../b?x=1#there", ["X-A: 1", "x-b:2"])
        self.assertEqual(one.head(), b"GET /a/../b?x=1 HTTP/1.1\r\nhost: Shop.example:81\r\nX-A: 1\r\nx-b: 2\r\n\r\n")
        self.assertEqual((one.wanted_port, one.host), (81, "shop.example"))

    def test_ports_of_schemes(self):
        self.assertEqual(asked("GET", "http://a").wanted_port, 80)
        self.assertEqual(asked("GET", "https://a").wanted_port, 443)

    def test_a_url_without_a_path_asks_for_the_root(self):
        self.assertEqual(asked("GET", "http://a").target, "/")
        self.assertEqual(asked("GET", "http://a?x").target, "/?x")

    def test_a_host_field_takes_the_place_of_the_urls(self):
        self.assertEqual(asked("GET", "http://127.0.0.1:8080/", ["Host: a.com"]).head().count(b"ost:"), 1)

    def test_the_host_may_stand_in_the_path_too(self):
        self.assertEqual(asked("GET", "http://a/a/b").target, "/a/b")

    def test_refusals_say_what_was_expected(self):
        for arguments, said in (
                (("G T", "http://a/"), "expected a word"), (("", "http://a/"), "expected a word"),
                (("GET", "/path"), "expected http://HOST"), (("GET", "ftp://a/"), "expected http://HOST"),
                (("GET", "http://a:99999/"), "port out of range"), (("GET", "http://u:p@a/"), "expected no user"),
                (("GET", "http://[::1/"), "url:"), (("GET", "http://a/", ["x"]), "expected NAME:VALUE"),
                (("GET", "http://a/", ["x: a\r\nb: c"]), "expected NAME:VALUE"),
                (("GET", "http://a/", ["x:1"] * 101), "expected at most 100")):
            with self.assertRaises(BadQuestion) as caught:
                asked(*arguments)
            self.assertIn(said, str(caught.exception))
        with self.assertRaisesRegex(BadQuestion, "expected an IP address"):
            asked("GET", "http://a/", client="web-1")
