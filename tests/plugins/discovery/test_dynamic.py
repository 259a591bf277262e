"""The endpoint is the host that a request names."""

import socket
import unittest

from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from twisted.internet.defer import Deferred

from meshd_plugins.discovery.dynamic import DynamicHost, DynamicOptions
from meshd_plugins.discovery.resolver import Records
from meshd_plugins.discovery.source import SourceError
from tests.plugins.discovery.test_dns import ScriptedResolver


class Made:
    def __init__(self, spec, name):
        self.address, self.name, self.active, self.is_retired = spec.address, name, 0, False


class Site(FakeSite):
    def cluster(self, name):
        return name

    def endpoint(self, cluster, spec, name):
        assert cluster == "egress"
        return Made(spec, name)

    def retire(self, endpoint):
        endpoint.is_retired = True


class Picking(unittest.TestCase):
    def setUp(self):
        self.site = Site("egress")
        self.resolver = ScriptedResolver()
        self.resolver.answers["a.test", "A"] = ["10.0.0.1", "10.0.0.2"]
        self.balancer = self.make()

    def make(self, **options):
        made = DynamicHost(DynamicOptions(**options), self.site, self.resolver)
        made.start()
        self.addCleanup(made.stop)
        return made

    def pick(self, host, balancer=None):
        exchange = FakeExchange()
        exchange.request.host = host
        return (balancer or self.balancer).pick(exchange)

    def ways(self, endpoint, count=4):
        """Return where connections would go, None where ``ask`` still waits."""
        told = []
        endpoint.name.ask(lambda: told.append(True))
        return {endpoint.name.next_target() for _ in range(count)} if told else None

    def test_one_endpoint_for_each_host_and_port(self):
        one, other = self.pick(b"a.test"), self.pick(b"a.test:8080")
        self.assertEqual((one.address, other.address), ("a.test:80", "a.test:8080"))
        self.assertIs(self.pick(b"a.test"), one)
        self.assertEqual(self.resolver.asked, [])

    def test_connections_go_to_the_addresses_in_turn(self):
        found = self.ways(self.pick(b"a.test:81"))
        self.assertEqual(found, {(socket.AF_INET, ("10.0.0.1", 81)), (socket.AF_INET, ("10.0.0.2", 81))})

    def test_addresses_are_used_for_their_time_to_live(self):
        endpoint = self.pick(b"a.test")
        self.ways(endpoint)
        self.site.advance(29)
        self.ways(endpoint)
        self.assertEqual(len(self.resolver.asked), 1)
        self.site.advance(2)
        self.ways(endpoint)
        self.assertEqual(len(self.resolver.asked), 2)

    def test_a_failed_look_up_keeps_the_last_addresses(self):
        endpoint = self.pick(b"a.test")
        self.ways(endpoint)
        self.resolver.answers["a.test", "A"] = SourceError("SERVFAIL")
        self.site.advance(31)
        self.assertEqual(len(self.ways(endpoint)), 2)

    def test_who_asks_first_waits_for_the_answer(self):
        waiting = Deferred()
        self.resolver.query = lambda name, kind: waiting
        endpoint, told = self.pick(b"a.test"), []
        for _ in range(3):
            endpoint.name.ask(lambda: told.append(endpoint.name.next_target()))
        self.assertEqual(told, [])
        waiting.callback(Records(("10.0.0.1",), 30.0))
        self.assertEqual(told, [(socket.AF_INET, ("10.0.0.1", 80))] * 3)

    def test_a_name_without_an_address_has_a_reason(self):
        endpoint = self.pick(b"b.test")
        self.assertEqual(self.ways(endpoint), {None})
        self.assertIn("'b.test' cannot be resolved: b.test: no such name", endpoint.name.reason)

    def test_addresses_that_are_not_allowed_are_left_out(self):
        self.resolver.answers["a.test", "A"] = ["169.254.169.254", "10.0.0.1", "127.0.0.1"]
        self.assertEqual(self.ways(self.pick(b"a.test")), {(socket.AF_INET, ("10.0.0.1", 80))})

    def test_a_host_that_leads_only_where_it_may_not_is_refused(self):
        for host, reason in ((b"127.0.0.1", "address 127.0.0.1"), (b"[::1]:80", "address ::1"),
                             (b"169.254.169.254", "address 169.254.169.254"), (b"[::ffff:7f00:1]", "address ::ffff")):
            endpoint = self.pick(host)
            self.assertEqual(self.ways(endpoint), {None}, host)
            self.assertIn(reason, endpoint.name.reason)
            self.assertIn("is not allowed", endpoint.name.reason)

    def test_an_address_that_moves_to_a_place_that_is_not_allowed_is_not_followed(self):
        endpoint = self.pick(b"a.test")
        self.ways(endpoint)
        self.resolver.answers["a.test", "A"] = ["127.0.0.1"]
        self.site.advance(31)
        self.assertEqual(self.ways(endpoint), {None})

    def test_odd_spellings_of_an_address_are_names(self):
        for host in (b"2130706433", b"0x7f.1", b"127.1"):
            self.assertEqual(self.ways(self.pick(host)), {None})
            self.assertIn("no such name", self.pick(host).name.reason)

    def test_only_wanted_hosts_are_picked(self):
        balancer = self.make(hosts=("*.a.test", "b.test"))
        self.assertEqual([self.pick(host, balancer) is not None for host in (
            b"x.a.test", b"b.test:81", b"b.test.", b"a.test", b"xa.test", b"c.test", b"10.0.0.1")],
            [True, True, True, False, False, False, False])

    def test_no_host_and_odd_hosts_get_none(self):
        for host in (b"", b":80", b"a b", b"a:0", b"a:70000", b"a/b", b"u@a", b"[::1", b"a" * 300, b"\xff"):
            self.assertIsNone(self.pick(host), host)

    def test_the_table_is_bounded_and_the_least_lately_used_goes(self):
        balancer = self.make(max_hosts=2)
        first, second = self.pick(b"a", balancer), self.pick(b"b", balancer)
        self.pick(b"a", balancer)
        self.pick(b"c", balancer)
        self.assertEqual((first.is_retired, second.is_retired), (False, True))

    def test_a_host_with_requests_is_not_thrown_out(self):
        balancer = self.make(max_hosts=1)
        self.pick(b"a", balancer).active = 1
        self.assertIsNone(self.pick(b"b", balancer))

    def test_hosts_that_nobody_wants_are_let_go(self):
        endpoint = self.pick(b"a.test")
        for _ in range(8):
            self.site.advance(75)
        self.assertTrue(endpoint.is_retired)

    def test_stop_lets_go_of_all(self):
        endpoint = self.pick(b"a.test")
        self.balancer.stop()
        self.assertTrue(endpoint.is_retired and self.resolver.is_stopped)
        self.assertEqual(self.site.world.reactor.getDelayedCalls(), [])

    def test_faults_of_the_options(self):
        for options, words in (
            (dict(allow=("10.0.0.1/8",)), "a network such as"), (dict(resolvers=("a:53",)), "IP:PORT"),
        ):
            self.assertIn(words, " ".join(text for _, text in DynamicOptions(**options).check()))
