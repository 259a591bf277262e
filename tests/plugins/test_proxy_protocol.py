"""The listener filter proxy_protocol: whom it believes, what it takes off, what it refuses, and what it counts."""

from unittest import TestCase

from meshd.api import CONTINUE, STOP
from meshd.testing.contract.connection import Arrival, ListenerFilterContract
from meshd.testing.site import FakeSite
from meshd.wire.proxy_protocol import AUTHORITY, write
from meshd_plugins.proxy_protocol import ProxyProtocol, ProxyProtocolFilter

V1 = write(1, "203.0.113.9:5555", "198.51.100.1:443")
V2 = write(2, "[2001:db8::9]:5555", "[2001:db8::1]:443", ((AUTHORITY, b"a.example"),))
REAL = ("192.0.2.1:40000", "192.0.2.2:80")


class Case:
    def setUp(self):
        self.site = FakeSite(owner="listener public")

    def make(self, *trusted, **options):
        return ProxyProtocolFilter(ProxyProtocol(trusted=trusted or ("192.0.2.0/24",), **options), self.site)

    def count(self, name, **labels):
        return self.site.metrics.counter(name, "", ("listener", *labels)).cell("public", *labels.values()).value


class Contract(Case, ListenerFilterContract, TestCase):
    data = (V1 + b"GET /", V2 + b"GET /", write(2, "", ""), b"PROXY UNKNOWN\r\n", b"PROXY TCP4 x\r\n")


class ContractOpen(Case, ListenerFilterContract, TestCase):
    data = Contract.data

    def make(self):
        return super().make(allow_requests_without_proxy_protocol=True)


class Believed(Case, TestCase):
    walk = ListenerFilterContract.walk

    def test_addresses_are_the_headers_and_the_rest_is_the_clients(self):
        for header, found, version in ((V1, ("203.0.113.9:5555", "198.51.100.1:443"), "1"),
                                       (V2, ("[2001:db8::9]:5555", "[2001:db8::1]:443"), "2")):
            arrival, verdict = self.walk(self.make(), [header + b"GET / HTTP/1.1\r\n"])
            self.assertEqual((verdict, arrival.data), (CONTINUE, b"GET / HTTP/1.1\r\n"))
            self.assertEqual((arrival.peer, arrival.local), found)
            self.assertEqual(arrival.direct_peer, REAL[0])
            self.assertEqual(self.count("envoy_proxy_proto_found", proxy_protocol_version=version), 1)
        self.assertEqual(arrival.metadata["proxy_protocol"], ((AUTHORITY, b"a.example"),))

    def test_the_proxys_own_connections_keep_their_addresses(self):
        for header in (b"PROXY UNKNOWN\r\n", write(2, "", "")):
            arrival, verdict = self.walk(self.make(), [header])
            self.assertEqual((verdict, arrival.peer, arrival.local, arrival.data), (CONTINUE, *REAL, b""))

    def test_a_client_on_a_unix_socket(self):
        arrival, _ = self.walk(self.make(), [write(2, "unix:/run/a", "unix:/run/b")])
        self.assertEqual((arrival.peer, arrival.local), ("unix:", "unix:/run/b"))


class Refused(Case, TestCase):
    walk = ListenerFilterContract.walk

    def test_broken_headers_and_their_versions(self):
        for header, version in ((b"PROXY TCP4 1.2.3.4\r\n", "1"), (V2[:12] + b"\x25" + V2[13:], "2")):
            self.assertIs(self.walk(self.make(), [header])[1], STOP)
            self.assertEqual(self.count("envoy_proxy_proto_error", proxy_protocol_version=version), 1)

    def test_no_header_unless_allowed(self):
        self.assertIs(self.walk(self.make(), [b"GET /"])[1], STOP)
        self.assertEqual(self.count("envoy_proxy_proto_not_found_disallowed"), 1)
        arrival, verdict = self.walk(self.make(allow_requests_without_proxy_protocol=True), [b"GET /"])
        self.assertEqual((verdict, arrival.data, arrival.peer), (CONTINUE, b"GET /", REAL[0]))
        self.assertEqual(self.count("envoy_proxy_proto_not_found_allowed"), 1)

    def test_versions_that_are_not_wanted(self):
        plugin = self.make(disallowed_versions=("v1",))
        self.assertIs(self.walk(plugin, [V1])[1], STOP)
        self.assertIs(self.walk(plugin, [V2])[1], CONTINUE)
        self.assertEqual(self.count("envoy_proxy_proto_disallowed", proxy_protocol_version="1"), 1)


class Strangers(Case, TestCase):
    walk = ListenerFilterContract.walk

    def test_are_refused_before_a_byte_is_read(self):
        self.assertIs(self.make("10.0.0.0/8").on_accept(Arrival()), STOP)
        self.assertEqual(self.count("meshd_proxy_protocol_untrusted_total"), 1)

    def test_or_served_with_their_header_as_data(self):
        plugin = self.make("10.0.0.0/8", allow_requests_without_proxy_protocol=True)
        arrival, verdict = self.walk(plugin, [])
        arrival.data = V1
        self.assertEqual((verdict, arrival.peer, arrival.data), (CONTINUE, REAL[0], V1))

    def test_networks_of_both_families_and_unix(self):
        for trusted, peer, is_trusted in (
            ("2001:db8::/32", "[2001:db8::7]:1", True), ("2001:db8::/32", "[2001:db9::7]:1", False),
            ("192.0.2.1", "192.0.2.1:1", True), ("192.0.2.1", "192.0.2.2:1", False), ("unix", "unix:", True),
            ("0.0.0.0/0", "unix:", False), ("fe80::/10", "[fe80::1%eth0]:1", True),
        ):
            arrival = Arrival()
            arrival.direct_peer = arrival.peer = peer
            self.assertIs(self.make(trusted).on_accept(arrival) is not STOP, is_trusted, (trusted, peer))


class Configuration(TestCase):
    def test_faults_name_their_place(self):
        faults = list(ProxyProtocol(trusted=("10.0.0.0/8", "10.0.0.1/8")).check())
        self.assertEqual([place for place, _ in faults], [("trusted", 1)])
        both = ProxyProtocol(trusted=("unix",), disallowed_versions=("v1", "v2"))
        self.assertEqual([place for place, _ in both.check()], ["disallowed_versions"])
