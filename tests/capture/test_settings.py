"""What of settings is refused, and their canonical form."""

from unittest import TestCase

from meshd.capture.settings import EVERYTHING, Settings, check
from meshd.errors import MeshdError

PROXY = {"proxy_uids": (998,)}


class TestSettings(TestCase):
    def refused(self, text, **options):
        with self.assertRaisesRegex(MeshdError, text):
            check(Settings(**{**PROXY, **options}))

    def test_somebody_must_be_exempt(self):
        self.refused("nobody is exempt", proxy_uids=())

    def test_something_must_be_captured(self):
        self.refused("nothing would be captured", include_outbound_cidrs=(), include_inbound_ports=())

    def test_bad_texts_are_named(self):
        self.refused("'10.0.0.0/40': expected a network", exclude_outbound_cidrs=("10.0.0.0/40",))
        self.refused("'http': expected a port", exclude_inbound_ports=("http",))
        self.refused("'90-80': expected a port", exclude_inbound_ports=("90-80",))
        self.refused("'70000': expected a port", exclude_inbound_ports=("70000",))
        self.refused("'a/b': expected the name of a network interface", exclude_interfaces=("a/b",))
        self.refused("expected the name of a network interface", exclude_interfaces=("eth*",))
        self.refused("'x': expected the IP address", dns_servers=("x",), dns_port=1)

    def test_nobody_leaves_a_set_in_the_rules_by_a_name(self):
        self.refused("expected the name of a network interface", exclude_interfaces=('x" } drop',))

    def test_loopback_cannot_be_included(self):
        self.refused("127.1.0.0/16: loopback is never captured", include_outbound_cidrs=("127.1.0.0/16",))

    def test_all_networks_cannot_be_excluded(self):
        self.refused("expected networks, got", exclude_outbound_cidrs=EVERYTHING)
        self.refused("expected ports, got '\\*': an empty include list", exclude_inbound_ports=EVERYTHING)
        self.refused("expected ports, got", exclude_outbound_ports=EVERYTHING)

    def test_networks_that_overlap_are_put_together(self):
        found = check(Settings(
            **PROXY, include_outbound_cidrs=("0.0.0.0/0", "::/0", "fd00::/8"),
            exclude_outbound_cidrs=("10.0.0.0/8", "10.1.0.0/16", "9.0.0.0/9", "9.128.0.0/9")))
        self.assertEqual(found.include_outbound_cidrs, ("0.0.0.0/0", "::/0"))
        self.assertEqual(found.exclude_outbound_cidrs, ("9.0.0.0/8", "10.0.0.0/8"))

    def test_ports_are_apart(self):
        self.refused("expected different ports", inbound_port=15001)

    def test_the_form_is_canonical(self):
        found = check(Settings(
            proxy_uids=(2, 1, 2), include_outbound_cidrs=("10.0.0.1/8", "9.0.0.0/8", "fd00::/8"),
            exclude_inbound_ports=("81", "80", "90-95", "96", "93-94")))
        self.assertEqual(found.proxy_uids, (1, 2))
        self.assertEqual(found.include_outbound_cidrs, ("9.0.0.0/8", "10.0.0.0/8", "fd00::/8"))
        self.assertEqual(found.exclude_inbound_ports, ("80-81", "90-96"))

    def test_all_ports_are_all_networks(self):
        found = check(Settings(**PROXY, include_outbound_cidrs=("10.0.0.0/8",), include_outbound_ports=EVERYTHING))
        self.assertEqual((found.include_outbound_cidrs, found.include_outbound_ports), (EVERYTHING, ()))
