"""The text of the rules, where nft is not needed to judge it; tests/integration/test_capture.py asks the kernel."""

from unittest import TestCase

from meshd.capture.ruleset import routing, script
from meshd.capture.settings import MARK, TPROXY, Settings, check
from meshd.wire.dialer import CLIENT_MARK


def text(**options):
    """Return the script of settings."""
    return script(check(Settings(**{"proxy_uids": (998,), **options})))


class TestRuleset(TestCase):
    def test_it_is_one_transaction_that_replaces_our_table_alone(self):
        lines = text().splitlines()
        self.assertEqual(lines[:3], ["add table inet meshd_capture", "delete table inet meshd_capture",
                                     "table inet meshd_capture {"])
        self.assertEqual(sum("table" in line for line in lines), 3)

    def test_ssh_goes_before_what_is_included(self):
        found = text(ssh_ports=("22",), include_inbound_ports=("22", "80"))
        included = found.index("@include_inbound_ports counter redirect")
        self.assertLess(found.index("@ssh_ports counter return"), included)

    def test_meshds_own_traffic_goes_before_dns_and_dns_before_loopback(self):
        found = text(dns_port=15053, dns_servers=("127.0.0.53",))
        order = [found.index(one) for one in ("@proxy_uids goto from_proxy", "@dns_servers_v4", 'oifname "lo" counter')]
        self.assertEqual(order, sorted(order))

    def test_no_inbound_chain_where_nothing_comes_in(self):
        found = text(include_inbound_ports=())
        self.assertNotIn("chain inbound", found)
        self.assertNotIn("15006", found.replace("15001, 15006", ""))

    def test_answers_to_connections_in_a_clients_name_come_back_with_tproxy_alone(self):
        found = text(mode=TPROXY)
        self.assertIn("chain answers", found)
        self.assertLess(found.index('oifname "lo" meta mark 1337 counter return'), found.index("@proxy_uids goto"))
        self.assertNotIn("answers", text())
        self.assertEqual(CLIENT_MARK, MARK)

    def test_routing_is_for_tproxy_alone_and_ipv6_needs_an_address(self):
        self.assertEqual(routing(Settings(has_ipv6=False)), [])
        self.assertEqual([one[:3] for one in routing(Settings())], [["-6", "addr", "add"]])
        self.assertEqual(len(routing(Settings(mode=TPROXY))), 5)
        self.assertEqual({one[0] for one in routing(Settings(mode=TPROXY, has_ipv6=False))}, {"-4"})
        self.assertEqual(routing(Settings(mode=TPROXY, include_inbound_ports=())), [])
