"""Names for the DNS proxy."""

from ipaddress import ip_address, ip_network
from unittest import TestCase

from tests.istio.view import document, service, view

BOTH = ["ipv4", "ipv6"]


def names(*texts, **node):
    """Return {name: addresses} that a sidecar answers."""
    found = view(*texts, **{"role": "sidecar", "dns_capture": True, "ip_families": BOTH, **node})
    return {one.name: one.addresses for one in found.snapshot.dns_hosts}


def entry(host, **spec):
    """Return a ServiceEntry."""
    return document("ServiceEntry", host.replace("*", "w"), {
        "hosts": [host], "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}], "resolution": "STATIC", **spec})


class Names(TestCase):
    def test_without_dns_capture_there_are_none(self):
        self.assertEqual(names(entry("a.test"), dns_capture=False), {})

    def test_addresses_of_the_document_count(self):
        found = names(entry("a.test", addresses=["10.0.0.1", "10.1.0.0/16", "10.0.0.2/32"]))
        self.assertEqual(found, {"a.test": ("10.0.0.1", "10.0.0.2")})

    def test_others_get_one_of_istios_block_each(self):
        found = names(*(entry(f"n{number}.test") for number in range(300)))
        v4, v6 = zip(*found.values())
        self.assertEqual((len(set(v4)), len(set(v6))), (300, 300))
        for address in v4:
            self.assertIn(ip_address(address), ip_network("240.240.0.0/16"))
            self.assertNotIn(int(ip_address(address)) & 255, (0, 255))
        self.assertTrue(all(ip_address(one) in ip_network("2001:2::/48") for one in v6))

    def test_a_node_without_ipv6_has_no_address_of_it(self):
        ((address,),) = names(entry("a.test"), ip_families=["ipv4"]).values()
        self.assertTrue(address.startswith("240.240."))

    def test_an_address_does_not_change_when_others_come(self):
        before = names(entry("a.test"))["a.test"]
        self.assertEqual(names(entry("0.test"), entry("a.test"), entry("b.test"))["a.test"], before)

    def test_a_wildcard_and_resolution_none_have_none_of_their_own(self):
        self.assertEqual(names(entry("*.wild.test"), entry("b.test", resolution="NONE")), {})
        self.assertEqual(names(entry("*.wild.test", addresses=["10.0.0.9"])), {"*.wild.test": ("10.0.0.9",)})

    def test_what_is_not_exported_is_not_answered(self):
        self.assertEqual(names(entry("a.test", exportTo=["."]), namespace="far"), {})

    def test_a_service_has_its_aliases_and_without_a_cluster_ip_its_endpoints(self):
        ports = [{"port": 80, "name": "http"}]
        made = document("Service", "web", {"clusterIP": "10.9.0.1", "ports": ports})
        found = names(made)
        self.assertEqual(set(found), {"web.default.svc.cluster.local", "web.default.svc", "web.default", "web"})
        self.assertEqual(set(found.values()), {("10.9.0.1",)})
        self.assertNotIn("web", names(made, namespace="far"))
