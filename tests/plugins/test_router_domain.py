"""The virtual host of an authority."""

import unittest

from meshd_plugins.router.domain import KNOWN_LIMIT, Domains, domain_fault, without_port


def table(*domains):
    """Return a table that maps each domain to its own text."""
    found = Domains()
    for domain in domains:
        found.add(domain, domain)
    return found


class DomainOrder(unittest.TestCase):
    def test_exact_wins_over_every_wildcard(self):
        domains = table("*", "*.foo.com", "www.foo.*", "www.foo.com")
        self.assertEqual(domains.find(b"www.foo.com"), "www.foo.com")

    def test_longest_suffix_wins(self):
        domains = table("*.com", "*.foo.com", "*-a.foo.com")
        self.assertEqual(domains.find(b"x.bar.com"), "*.com")
        self.assertEqual(domains.find(b"x.foo.com"), "*.foo.com")
        self.assertEqual(domains.find(b"x-a.foo.com"), "*-a.foo.com")

    def test_suffix_wins_over_prefix(self):
        self.assertEqual(table("foo.*", "*.com").find(b"foo.com"), "*.com")

    def test_longest_prefix_wins_over_star(self):
        domains = table("*", "foo.*", "foo.bar.*")
        self.assertEqual(domains.find(b"foo.bar.org"), "foo.bar.*")
        self.assertEqual(domains.find(b"foo.org"), "foo.*")
        self.assertEqual(domains.find(b"bar.org"), "*")

    def test_a_wildcard_stands_for_at_least_one_character(self):
        self.assertIsNone(table("*.foo.com", "foo.*").find(b".foo.com"))
        self.assertIsNone(table("foo.*").find(b"foo."))

    def test_nothing_matches(self):
        self.assertIsNone(table("foo.com").find(b"bar.com"))

    def test_no_host_matches_only_star(self):
        self.assertIsNone(table("foo.com").find(b""))
        self.assertEqual(table("*").find(b""), "*")


class Ports(unittest.TestCase):
    def test_form_with_port_is_tried_first(self):
        domains = table("foo.com", "foo.com:8080")
        self.assertEqual(domains.find(b"foo.com:8080"), "foo.com:8080")
        self.assertEqual(domains.find(b"foo.com:9090"), "foo.com")

    def test_exact_without_port_wins_over_prefix_with_port(self):
        self.assertEqual(table("foo.*", "foo.com").find(b"foo.com:8080"), "foo.com")

    def test_suffix_with_port(self):
        domains = table("*.foo.com:81", "*.foo.com")
        self.assertEqual(domains.find(b"a.foo.com:81"), "*.foo.com:81")
        self.assertEqual(domains.find(b"a.foo.com:82"), "*.foo.com")

    def test_port_of_an_ip_literal(self):
        self.assertEqual(without_port(b"[::1]:80"), b"[::1]")
        self.assertEqual(without_port(b"[::1]"), b"[::1]")
        self.assertEqual(without_port(b"a"), b"a")


class Memory(unittest.TestCase):
    def test_domains_are_entered_without_case(self):
        self.assertEqual(table("FOO.com").find(b"foo.com"), "FOO.com")

    def test_what_is_remembered_is_bounded(self):
        domains = table("*")
        for number in range(KNOWN_LIMIT + 100):
            self.assertEqual(domains.find(b"h%d" % number), "*")
        self.assertEqual(len(domains.known), KNOWN_LIMIT)

    def test_monstrous_hosts_are_not_remembered(self):
        domains = table("*")
        self.assertEqual(domains.find(b"h" * 60_000), "*")
        self.assertEqual(domains.known, {})


class DomainFaults(unittest.TestCase):
    def test_accepts_the_four_forms(self):
        for domain in ("*", "foo.com", "*.foo.com", "*-x.foo.com", "foo.*", "foo-*", "foo.com:80", "[::1]:80", "a_b.c"):
            self.assertEqual(domain_fault(domain), "", domain)

    def test_refuses_others(self):
        for domain in ("", "*.*", "a.*.com", "foo.*:80", "http://foo", "foo com", "*foo.com", "foo.com:x", "foo/"):
            self.assertIn("expected", domain_fault(domain), domain)
