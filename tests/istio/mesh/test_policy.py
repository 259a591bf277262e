"""Traffic policies put together."""

from unittest import TestCase

from meshd_plugins.istio.mesh.policy import policy
from tests.istio.view import document, mesh


def in_force(*specs, subset="", port=80):
    """Return (Policy, subset record) of DestinationRules of one host."""
    texts = [document("DestinationRule", f"r{place}", {"host": "a.test", **spec}) for place, spec in enumerate(specs)]
    return policy(mesh(*texts).destination_rule("a.test", "default", "default"), subset, port)


def pool(number):
    """Return a policy with this many connections."""
    return {"connectionPool": {"tcp": {"maxConnections": number}}}


def size(found):
    """Return the connections of a policy."""
    return found.connection_pool.tcp.max_connections if found.connection_pool else None


ROUND = {"loadBalancer": {"simple": "ROUND_ROBIN"}}


class Subsets(TestCase):
    def test_a_subset_replaces_block_by_block(self):
        found, record = in_force({"trafficPolicy": {**pool(1), **ROUND},
                                  "subsets": [{"name": "v1", "trafficPolicy": pool(2)}]}, subset="v1")
        self.assertEqual((size(found), found.load_balancer.simple, record.name), (2, "ROUND_ROBIN", "v1"))

    def test_a_subset_s_policy_is_not_the_host_s(self):
        found, record = in_force({"subsets": [{"name": "v1", "trafficPolicy": pool(2)}]})
        self.assertEqual((size(found), record), (None, None))

    def test_an_unknown_subset_has_no_record(self):
        self.assertIsNone(in_force({"subsets": [{"name": "v1"}]}, subset="v2")[1])


class Ports(TestCase):
    def test_a_port_s_settings_replace_the_host_s_whole(self):
        spec = {"trafficPolicy": {**ROUND, **pool(1), "portLevelSettings": [{"port": {"number": 80}, **pool(9)}]}}
        found, _ = in_force(spec)
        self.assertEqual((size(found), found.load_balancer), (9, None))
        other, _ = in_force(spec, port=81)
        self.assertEqual((size(other), other.load_balancer.simple), (1, "ROUND_ROBIN"))

    def test_a_subset_s_port_replaces_whole_too(self):
        spec = {"trafficPolicy": {**ROUND, **pool(1)}, "subsets": [
            {"name": "v1", "trafficPolicy": {"portLevelSettings": [{"port": {"number": 80}, **pool(3)}]}}]}
        found, _ = in_force(spec, subset="v1")
        self.assertEqual((size(found), found.load_balancer), (3, None))

    def test_a_subset_replaces_blocks_of_the_port(self):
        spec = {"trafficPolicy": {"portLevelSettings": [{"port": {"number": 80}, **pool(9), **ROUND}]},
                "subsets": [{"name": "v1", "trafficPolicy": pool(3)}]}
        found, _ = in_force(spec, subset="v1")
        self.assertEqual((size(found), found.load_balancer.simple), (3, "ROUND_ROBIN"))


class Merging(TestCase):
    def test_the_first_traffic_policy_holds(self):
        self.assertEqual(size(in_force({}, {"trafficPolicy": pool(2)}, {"trafficPolicy": pool(3)})[0]), 2)

    def test_subsets_are_added_up_and_the_first_of_a_name_holds(self):
        specs = ({"subsets": [{"name": "v1", "labels": {"n": "one"}}]},
                 {"subsets": [{"name": "v1", "labels": {"n": "two"}}, {"name": "v2", "labels": {"n": "three"}}]})
        self.assertEqual([in_force(*specs, subset=name)[1].labels for name in ("v1", "v2")],
                         [(("n", "one"),), (("n", "three"),)])
