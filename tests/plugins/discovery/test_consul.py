"""Consul: which queries follow which answers, what an instance becomes, and what is not believed."""

import unittest
from urllib.parse import parse_qs, urlsplit

from meshd.testing.contract.cluster import DiscoveryContract
from meshd.testing.site import FakeSite
from meshd_plugins.discovery import consul
from meshd_plugins.discovery.consul import ConsulOptions
from tests.plugins.discovery.remote_case import RemoteCase


def entry(address="10.0.0.1", port=80, *, node=None, checks=("passing",), **service):
    """Return an entry of the health endpoint, with keys that are not used as well."""
    return {
        "Node": {"ID": "n-1", "Node": "n1", "Address": "10.9.0.1", "Datacenter": "dc1", "Meta": None,
                 "TaggedAddresses": {"lan": "10.9.0.1"}, **(node or {})},
        "Service": {"ID": f"web-{port}", "Service": "web", "Address": address, "Port": port, "Tags": [], "Meta": {},
                    "Weights": {"Passing": 1, "Warning": 1}, "CreateIndex": 7, **service},
        "Checks": [{"CheckID": "c", "Status": status, "Output": "..."} for status in checks],
    }


class ConsulCase(RemoteCase):
    module = consul
    options = ConsulOptions

    def watch(self, **options):
        """Begin with a service."""
        return super().watch(**{"service": "web", **options})

    def say(self, *entries, index=1, **more):
        """Answer the last query."""
        self.answer(list(entries), x_consul_index=index, x_consul_knownleader="true", **more)

    @property
    def query(self):
        """The last query as a dict of its first values."""
        found = parse_qs(urlsplit(self.call.request.target.decode()).query, keep_blank_values=True)
        return {key: values[0] for key, values in found.items()}


class ContractTest(DiscoveryContract, unittest.TestCase):
    def make(self):
        self.site = FakeSite("users")
        return self.site.make("discovery", "consul", ConsulOptions(cluster="servers", service="web"))

    def find(self, discovery):
        case = ConsulCase()
        case.site = self.site
        if not case.call.is_over:
            case.say(entry(), entry())
        self.site.advance(1)


class QueryTest(ConsulCase):
    def test_asks_the_health_endpoint(self):
        self.watch()
        request = self.call.request
        self.assertEqual((self.call.cluster, request.target), ("servers", b"/v1/health/service/web?passing=1&stale=1"))
        self.assertEqual(request.timeout_s, 5.0)

    def test_asks_for_what_was_configured(self):
        self.watch(
            service="a/b c", passing_only=False, stale=False, datacenter="dc2", namespace="team", partition="p",
            tags=("v1", "eu"), node_meta=(("rack", "7"),), filter='Service.Meta.x == "y"')
        self.assertEqual(
            self.call.request.target,
            b"/v1/health/service/a%2Fb%20c?dc=dc2&ns=team&partition=p&tag=v1&tag=eu&node-meta=rack%3A7"
            b"&filter=Service.Meta.x%20%3D%3D%20%22y%22")

    def test_then_waits_for_a_change_of_the_index(self):
        self.watch(wait_s=300.0)
        self.say(entry(), index=42)
        self.assertEqual((self.query["index"], self.query["wait"]), ("42", "300s"))
        self.assertEqual(self.call.request.timeout_s, 300 + 300 / 16 + 5)
        self.say(entry(), entry(port=81), index=43)
        self.assertEqual(self.addresses, ["10.0.0.1:80", "10.0.0.1:81"])
        self.assertEqual(self.query["index"], "43")
        self.assertEqual(len(self.open), 1)

    def test_a_wait_without_a_change_is_news_of_its_age_only(self):
        self.watch()
        self.say(entry(), index=42)
        self.site.advance(300)
        self.say(entry(), index=42)
        self.assertEqual((len(self.reports), self.query["index"]), (1, "42"))
        self.assertLess(self.discovery.known.age_s(), 1)

    def test_an_index_that_goes_backwards_begins_anew(self):
        self.watch()
        self.say(entry(), index=42)
        self.say(entry(), index=7)
        self.assertNotIn("index", self.query)
        self.say(entry(), entry(port=81), index=7)
        self.site.advance(1)
        self.assertEqual((self.query["index"], len(self.addresses)), ("7", 2))

    def test_an_index_that_is_none_never_makes_a_query_that_does_not_wait(self):
        for index in (0, "", "x", -3):
            with self.subTest(index):
                self.setUp()
                self.watch()
                self.say(entry(), index=index)
                self.assertEqual(self.query["index"], "1")

    def test_answers_without_a_pause_do_not_make_queries_without_one(self):
        self.watch()
        self.say(entry(), index=1)
        before, index = len(self.site.calls), 1
        for _ in range(100):
            self.site.advance(0.05)
            if not self.call.is_over:
                index += 1
                self.call.answer(200, b"[]", [(b"x-consul-index", b"%d" % index)])
        self.assertLess(len(self.site.calls) - before, 5 / 0.2 + 2)

    def test_a_server_that_does_not_wait_is_asked_ever_less(self):
        self.watch()
        self.say(entry(), index=5)
        before = len(self.site.calls)
        for _ in range(1200):
            self.site.advance(0.05)
            if not self.call.is_over:
                self.call.answer(200, b"[]", [(b"x-consul-index", b"5")])
        self.assertLess(len(self.site.calls) - before, 25)

    def test_sends_the_token_in_consuls_field(self):
        self.watch(token_env="TOKEN")
        self.assertEqual(self.call.header(b"x-consul-token"), b"s3cret")
        self.call.answer(403, b"Permission denied: token s3 lacks it")
        self.assertIn("status 403: Permission denied", self.error)
        self.assertNotIn("s3cret", self.log())

    def test_a_look_of_meshctl_is_answered_at_once(self):
        self.watch()
        self.say(entry(), index=42)
        rows = []
        self.discovery.find().addCallback(lambda found: rows.extend(found[0]))
        self.assertEqual((rows[0].endpoint.address, len(self.open)), ("10.0.0.1:80", 1))


class EntryTest(ConsulCase):
    def found(self, *entries, **options):
        """Return the endpoints of these entries."""
        self.watch(**options)
        self.say(*entries)
        return self.reports[-1]

    def test_the_nodes_address_stands_in_for_one_that_is_empty(self):
        self.assertEqual(self.found(entry(""))[0].address, "10.9.0.1:80")

    def test_ipv6(self):
        self.assertEqual(self.found(entry("fd00::1"))[0].address, "[fd00::1]:80")

    def test_tags_and_metadata_are_labels(self):
        one, = self.found(entry(Tags=["canary", "version=v1"], Meta={"version": "v2", "__x": "y"}))
        self.assertEqual(one.labels, (("canary", "true"), ("version", "v2")))

    def test_weights_go_by_health(self):
        weights = {"Passing": 10, "Warning": 2}
        found = self.found(
            entry(port=1, Weights=weights), entry(port=2, Weights=weights, checks=("passing", "warning")),
            entry(port=3, Weights=None), passing_only=False)
        self.assertEqual([one.weight for one in found], [10, 2, 1])

    def test_what_may_have_no_load_is_left_out(self):
        weights = {"Passing": 1, "Warning": 0}
        self.assertEqual(self.found(entry(Weights=weights, checks=("warning",)), passing_only=False), ())

    def test_only_what_is_well_enough(self):
        entries = [entry(port=port, checks=checks) for port, checks in enumerate(
            (("passing",), ("warning",), ("passing", "critical"), (), ("odd",)), 1)]
        self.assertEqual([one.address[-1] for one in self.found(*entries)], ["1", "4"])
        self.setUp()
        self.assertEqual([one.address[-1] for one in self.found(*entries, passing_only=False)], ["1", "2", "4"])

    def test_locality(self):
        rows = (
            ({}, {}, "dc1"),
            ({"Meta": {"zone": "a"}}, {}, "dc1/a"),
            ({"Meta": {"region": "eu", "zone": "a", "subzone": "r1"}}, {}, "eu/a/r1"),
            ({"Meta": {"region": "eu", "subzone": "r1"}}, {}, "eu"),
            ({"Locality": {"Region": "us", "Zone": "b"}}, {}, "us/b"),
            ({"Locality": {"Region": "us"}}, {"Locality": {"Region": "ca", "Zone": "c"}}, "ca/c"),
        )
        found = self.found(*[entry(port=port, node=node, **more) for port, (node, more, _) in enumerate(rows, 1)])
        self.assertEqual([one.locality for one in found], [row[2] for row in rows])

    def test_other_keys_hold_the_locality_where_that_is_said(self):
        found = self.found(entry(node={"Meta": {"dcr": "eu", "az": "1"}}), locality_meta=("dcr", "az"))
        self.assertEqual(found[0].locality, "eu/1")

    def test_prometheus_labels_are_there_for_relabelling(self):
        self.watch()
        rows = []
        self.say(entry(Tags=["a", "b"], Meta={"x-y": "1"}, node={"Meta": {"rack": "7"}}))
        self.discovery.find().addCallback(lambda found: rows.extend(found[0]))
        labels = {key[14:]: value for key, value in rows[0].labels.items() if key.startswith("__meta_consul_")}
        self.assertEqual(labels, {
            "address": "10.9.0.1", "dc": "dc1", "health": "passing", "namespace": "", "node": "n1", "partition": "",
            "service": "web", "service_address": "10.0.0.1", "service_id": "web-80", "service_port": "80",
            "tags": ",a,b,", "metadata_rack": "7", "service_metadata_x_y": "1"})

    def test_one_that_has_no_port_costs_only_itself(self):
        self.assertEqual([one.address for one in self.found(entry(port=0), entry(port=80))], ["10.0.0.1:80"])
        self.assertIn("expected HOST:PORT", self.error)


class DoubtTest(ConsulCase):
    """A good answer, then something else: the endpoints stay."""

    def check(self, text, status=200, body=b"[]", **headers):
        """Answer the blocking query like this."""
        self.watch()
        self.say(entry(), index=42)
        fields = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
        self.call.answer(status, body, fields)
        self.settle()
        self.assertRegex(self.error, text)
        self.assertEqual((len(self.reports), self.discovery.known.state), (1, "stale"))

    def test_an_error(self):
        self.check("status 500: No cluster leader: expected 200", 500, b"No cluster leader")

    def test_an_error_with_an_index_that_is_none(self):
        self.check("status 500", 500, b"x", x_consul_index=b"0")

    def test_no_leader(self):
        self.check("no leader is known", x_consul_index=b"43", x_consul_knownleader=b"false")

    def test_a_token_that_lost_its_rights(self):
        self.check("the token may see nothing", x_consul_index=b"43", x_consul_results_filtered_by_acls=b"true")

    def test_no_list(self):
        self.check("Expected `array`, got `object`", body=b"{}", x_consul_index=b"43")

    def test_after_an_error_all_is_asked_anew(self):
        self.check("status 500", 500, b"x")
        self.site.advance(1.1)
        self.assertNotIn("index", self.query)
        self.say(entry(), entry(port=81), index=50)
        self.assertEqual((self.error, len(self.addresses)), ("", 2))

    def test_a_registry_that_begins_empty_does_not_empty_the_cluster(self):
        self.watch()
        self.say(entry(), entry(port=81), index=4242)
        self.call.fail("connection closed by upstream")
        self.settle()
        self.site.advance(1.1)
        self.say(index=5)
        self.assertEqual((len(self.addresses), self.discovery.known.state), (2, "held"))
        self.site.advance(10)
        self.say(entry(), entry(port=81), index=9)
        self.site.advance(60)
        self.assertEqual((len(self.addresses), self.discovery.known.state, len(self.reports)), (2, "ok", 1))

    def test_nothing_is_left_after_the_end(self):
        self.watch()
        self.say(entry(), index=42)
        self.discovery.stop()
        self.assertEqual((self.open, self.site.world.clock.timers), ([], []))
