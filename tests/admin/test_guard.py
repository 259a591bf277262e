"""Who may ask the admin API."""

from unittest import TestCase

from meshd.admin.guard import is_loopback_host, refusal


class Hosts(TestCase):
    def test_loopback_names(self):
        for host in ("localhost", "LOCALHOST:1", "localhost.", "a.localhost:80", "127.0.0.1", "127.1.2.3:9", "[::1]",
                     "[::1]:9", "::1"):
            self.assertTrue(is_loopback_host(host), host)

    def test_everything_else(self):
        for host in ("", "evil.example", "localhost.evil.example", "10.0.0.1:80", "0.0.0.0", "[::]:80", 
                     "127.0.0.1.evil.example", "2130706433", "[::ffff:10.0.0.1]"):
            self.assertFalse(is_loopback_host(host), host)


class Refusals(TestCase):
    def test_client_that_is_no_browser_is_let_in(self):
        self.assertEqual(refusal("127.0.0.1:15000", None, None, False), "")
        self.assertEqual(refusal(None, None, None, False), "")

    def test_same_origin_page_is_let_in(self):
        self.assertEqual(refusal("localhost:15000", "http://localhost:15000", "same-origin", False), "")

    def test_says_what_was_expected(self):
        self.assertIn("expected localhost or a loopback address", refusal("evil.example", None, None, False))
        self.assertIn("origin", refusal("localhost", "https://evil.example", None, True))
        self.assertIn("sec-fetch-site", refusal("localhost", None, "cross-site", True))
