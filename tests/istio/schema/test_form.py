"""Names, hosts, addresses and labels are taken and refused as istiod takes and refuses them."""

import unittest

from meshd_plugins.istio.schema import form


class TestHosts(unittest.TestCase):
    def check(self, fault, good, bad):
        for text in good:
            with self.subTest(good=text):
                self.assertEqual(fault(text), "")
        for text in bad:
            with self.subTest(bad=text):
                self.assertIn("expected", fault(text))

    def test_a_full_name_has_no_wildcards_and_no_number_last(self):
        self.check(form.fqdn_fault, ("a", "a.b", "A-b.c", "a.b.", "1.b"),
                   ("", "*.b", "a_b", "-a", "a-", "a..b", "a.1", "10.0.0.1", "a" * 64, "a." * 128))

    def test_a_wildcard_stands_first(self):
        self.check(form.wildcard_fault, ("*", "*.a", "*-a.b", "*a.b", "a.b"), ("a.*", "a*.b", "**.a", "*.*", "*_a.b"))

    def test_names_of_istio_s_own_traffic_are_taken_for_server_names(self):
        self.check(form.sni_fault, ("outbound_.80_._.a.b", "*.a"), ("outbound_80", "outbound_.x_._.a", "a_b"))

    def test_a_gateway_s_hosts_may_be_without_a_namespace(self):
        self.check(lambda host: form.slashed_host_fault(host, True),
                   ("*", "a.b", "*.b", "ns/*", "./a.b", "*/a.b", "10.0.0.1"),
                   ("a", "*a.b", "/a.b", "ns/", "a_b/c.d", "a.*.b", "ns/a"))

    def test_a_sidecar_s_hosts_may_not(self):
        self.check(lambda host: form.slashed_host_fault(host, False),
                   ("*/*", "./a.b", "~/*", "~ns/*", "ns/*.b"), ("a.b", "ns/a", "a_b/*", "ns/10.0.0.1"))

    def test_gateways_are_named_in_three_ways(self):
        self.check(form.gateway_name_fault, ("mesh", "a", "ns/a", "a.ns.svc.local"), ("a/b/c", "/a", "a/", "a_b", ""))

    def test_two_wildcards_overlap_where_one_ends_as_the_other(self):
        for one, two, is_so in (("*.a.b", "*.b", True), ("*", "c", True), ("*.a", "a", False), ("a", "a", True),
                                ("a", "b", False), ("b.a", "*.a", True)):
            with self.subTest(one=one, two=two):
                self.assertEqual(form.overlaps(one, two), is_so)
                self.assertEqual(form.overlaps(two, one), is_so)

    def test_a_narrower_host_is_within_a_wider_one_only(self):
        self.assertTrue(form.is_within("a.b", "*.b"))
        self.assertTrue(form.is_within("*.a.b", "*.b"))
        self.assertFalse(form.is_within("*.b", "*.a.b"))
        self.assertFalse(form.is_within("*.b", "a.b"))


class TestAddresses(unittest.TestCase):
    def test_subnets_have_bits_that_their_family_has(self):
        for text in ("10.0.0.1", "10.0.0.0/8", "10.0.0.1/0", "2001:db8::/128", "::1"):
            self.assertEqual(form.subnet_fault(text), "", text)
        for text in ("10.0.0/8", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/255.0.0.0",
                     "::/129", "fe80::1%a/64", "a", "/8"):
            self.assertIn("expected", form.subnet_fault(text), text)

    def test_sockets_are_absolute_or_abstract(self):
        for text in ("unix:///a/b", "unix://@a", "10.0.0.1", "::"):
            self.assertEqual(form.bind_fault(text), "", text)
        for text in ("unix://a", "unix:///a/", "unix://", "localhost"):
            self.assertIn("expected", form.bind_fault(text), text)


class TestLabels(unittest.TestCase):
    def faults(self, key, value):
        return list(form.label_faults("labels", [(key, value)]))

    def test_keys_may_have_a_dns_name_before_a_slash(self):
        for key in ("a", "a.b_c-d", "example.com/a", "1"):
            self.assertEqual(self.faults(key, "v"), [], key)
        for key in ("", "-a", "a/b/c", "a b", "/a", "a" * 64, f"{'a.' * 127}aa/b"):
            self.assertEqual(len(self.faults(key, "v")), 1, key)

    def test_values_may_be_empty(self):
        self.assertEqual(self.faults("a", ""), [])
        self.assertEqual(self.faults("a", "b c")[0][0], ("labels", "a"))


class TestProtocols(unittest.TestCase):
    class Port:
        def __init__(self, protocol, name):
            self.protocol, self.name = protocol, name

    def test_a_protocol_that_is_given_counts(self):
        self.assertEqual(form.protocol_of(self.Port("HTTP2", "grpc-a")), "http2")

    def test_else_the_name_says_it(self):
        for name, protocol in (("http", "http"), ("https-web", "https"), ("grpc-web", "grpc-web"),
                               ("grpc-web-a", "grpc-web"),
                               ("grpc-a", "grpc"), ("front", ""), ("", "")):
            self.assertEqual(form.protocol_of(self.Port("", name)), protocol, name)


if __name__ == "__main__":
    unittest.main()
