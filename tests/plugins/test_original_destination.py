"""original_destination: who may name a destination, which are refused, how many are kept."""

import unittest
from types import SimpleNamespace

from meshd.api import Plugin
from meshd.model.cluster import Pool as PoolSpec
from meshd.testing.exchange import FakeExchange
from meshd.testing.mesh import Mesh
from meshd.testing.site import FakeSite
from meshd.testing.upstream import Upstream
from meshd_plugins.original_destination import OriginalDestinationOptions, parsed

FIELD = "x-envoy-original-dst-host"
CAPTURED = {"local": "10.9.9.9:443", "downstream": SimpleNamespace(listener=SimpleNamespace(is_capturing=True))}
CONFIG = """
listeners:
  - name: public
    address: 127.0.0.1:0
    http: {use_remote_address: %s}
    filters:
      - router: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, cluster: anywhere}]}]}
clusters:
  - name: anywhere
    endpoints: []
    load_balancer: {original_destination: {header: x-envoy-original-dst-host, allow: %s}}
"""


class Case(unittest.TestCase):
    def make(self, **options):
        """Return a started balancer."""
        cluster = SimpleNamespace(
            spec=SimpleNamespace(pool=PoolSpec(), protocol="http1", proxy_protocol=None, connect_timeout_s=1.0,
                                 use_original_src=False),
            name="up", breaker=None, tls=None)
        self.site = FakeSite("up", clusters={"up": cluster})
        cluster.world = self.site.world
        config = OriginalDestinationOptions(**{"header": FIELD, **options})
        made = self.site.build(Plugin(kind="load_balancer", type="original_destination", config=config, name="up"))
        made._site = self.site  # named as its cluster
        made.start()
        self.addCleanup(made.stop)
        return made

    def pick(self, made, text, peer="127.0.0.1:40000", **more):
        """Return the address that a caller of ``peer`` gets, None where it is refused."""
        fields = [(FIELD.encode(), text.encode())] if text is not None else []
        found = made.pick(FakeExchange(headers=fields, peer=peer, **more))
        return None if found is None else found.address


class Naming(Case):
    def test_a_trusted_caller_names_it(self):
        made = self.make()
        self.assertEqual(self.pick(made, "10.1.2.3:80"), "10.1.2.3:80")
        self.assertEqual(self.pick(made, "[2001:db8::1]:80"), "[2001:db8::1]:80")
        self.assertEqual(self.pick(made, "10.1.2.3:80", peer="unix:"), "10.1.2.3:80")

    def test_others_do_not(self):
        made = self.make()
        self.assertIsNone(self.pick(made, "10.1.2.3:80", peer="192.0.2.1:40000"))
        self.assertEqual(self.pick(self.make(trusted_callers=("192.0.2.0/24",)), "10.1.2.3:80", peer="192.0.2.1:1"),
                         "10.1.2.3:80")

    def test_the_field_counts_only_where_it_is_configured(self):
        self.assertIsNone(self.pick(self.make(header=None), "10.1.2.3:80"))

    def test_the_captured_destination_is_used_without_one(self):
        made = self.make()
        self.assertEqual(self.pick(made, None, **CAPTURED), "10.9.9.9:443")
        self.assertEqual(self.pick(made, "10.1.1.1:1", peer="192.0.2.1:1", **CAPTURED), "10.9.9.9:443")
        self.assertIsNone(self.pick(made, None))
        self.assertIsNone(self.pick(made, None, local="10.9.9.9:443"), "our own address is no destination")

    def test_a_port_may_be_fixed(self):
        self.assertEqual(self.pick(self.make(port=8080), "10.1.2.3:80"), "10.1.2.3:8080")

    def test_what_is_no_address(self):
        for text in ("", "10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:70000", "web:80", "10.0.0.1:8x", "[::1:80"):
            self.assertIsNone(parsed(text), text)


class Guarding(Case):
    def test_loopback_link_and_metadata_are_refused(self):
        made = self.make()
        for host in ("127.0.0.1", "127.9.9.9", "[::1]", "169.254.169.254", "[fe80::1]", "0.0.0.0", "[::]", "224.0.0.1",
                     "100.100.100.200", "[fd00:ec2::254]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "0.1.2.3"):
            self.assertIsNone(self.pick(made, f"{host}:80"), host)

    def test_networks_may_be_allowed_or_refused(self):
        made = self.make(allow=("127.0.0.1/32",), deny=("10.0.0.0/8",))
        self.assertEqual(self.pick(made, "127.0.0.1:80"), "127.0.0.1:80")
        self.assertIsNone(self.pick(made, "10.0.0.1:80"))

    def test_what_is_no_network_is_a_fault(self):
        self.assertEqual(len(list(OriginalDestinationOptions(allow=("10.0.0.0/8", "x")).check())), 1)


class Keeping(Case):
    def test_an_address_has_one_endpoint(self):
        made = self.make()
        exchange = FakeExchange(headers=[(FIELD.encode(), b"10.1.2.3:80")], peer="127.0.0.1:1")
        self.assertIs(made.pick(exchange), made.pick(exchange))

    def test_a_full_table_gives_up_the_longest_unused_without_requests(self):
        made = self.make(max_endpoints=2)

        def request(text):
            return FakeExchange(headers=[(FIELD.encode(), text)], peer="127.0.0.1:1")

        first, second = made.pick(request(b"10.0.0.1:80")), made.pick(request(b"10.0.0.2:80"))
        first.active = 1
        self.assertIsNotNone(made.pick(request(b"10.0.0.3:80")))
        self.assertTrue(second.pool.is_retired)
        self.assertIs(made.pick(request(b"10.0.0.1:80")), first)
        made.pick(request(b"10.0.0.3:80")).active = 1
        self.assertIsNone(made.pick(request(b"10.0.0.4:80")))

    def test_what_nobody_asks_for_is_let_go(self):
        made = self.make(endpoint_ttl_s=10.0)
        exchange = FakeExchange(headers=[(FIELD.encode(), b"10.1.2.3:80")], peer="127.0.0.1:1")
        first = made.pick(exchange)
        for _ in range(8):
            self.site.advance(2.0)
        self.assertTrue(first.pool.is_retired)
        self.assertIsNot(made.pick(exchange), first)


class RealSockets(unittest.TestCase):
    def test_requests_come_to_where_the_field_says(self):
        with Upstream(200, body=b"one") as one, Upstream(200, body=b"two") as two:
            with Mesh(CONFIG % ("false", '["127.0.0.1/32"]')) as proxy:
                for upstream, body in ((one, "one"), (two, "two"), (one, "one")):
                    self.assertEqual(proxy.get("/", headers={FIELD: upstream.address}).text, body)
                self.assertEqual(proxy.get("/").status, 503)
            for settings in (("false", "[]"), ("true", '["127.0.0.1/32"]')):  # not allowed; named from outside
                with Mesh(CONFIG % settings) as proxy:
                    self.assertEqual(proxy.get("/", headers={FIELD: one.address}).status, 503)
