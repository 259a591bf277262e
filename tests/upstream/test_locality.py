"""Localities: priorities by nearness and labels, shares under ``distribute``."""

import unittest

from meshd.model.balancing import Distribution, Failover, Locality
from meshd.model.cluster import EndpointSpec
from meshd.model.snapshot import Node
from meshd.upstream.locality import common_labels, distribution, matches, nearness, parts, priorities

HERE = "eu/a/rack1"


def specs(*localities, **more):
    """Return an endpoint in each locality."""
    return [EndpointSpec(address=f"10.0.0.{place}:80", locality=name, **more) for place, name in enumerate(localities)]


def labelled(*labels):
    """Return an endpoint with each set of labels (mappings)."""
    return [EndpointSpec(address=f"10.0.0.{place}:80", labels=tuple(one.items())) for place, one in enumerate(labels)]


class Nearness(unittest.TestCase):
    def test_is_counted_in_steps(self):
        rows = {"eu/a/rack1": 0, "eu/a/rack2": 1, "eu/a": 1, "eu/b/rack1": 2, "eu": 2, "us/a/rack1": 3, "": 3}
        for other, expected in rows.items():
            self.assertEqual(nearness(HERE, other, None), expected, other)

    def test_a_failover_region_comes_before_the_others(self):
        self.assertEqual((nearness(HERE, "us/a", "us"), nearness(HERE, "asia/a", "us")), (3, 4))
        self.assertEqual(nearness(HERE, "eu/b", "us"), 2)

    def test_missing_parts_are_empty(self):
        self.assertEqual((parts("eu"), parts(""), parts("a/b/c/d")), (("eu", "", ""), ("", "", ""), ("a", "b", "c/d")))


class Priorities(unittest.TestCase):
    def of(self, endpoints, node=Node(locality=HERE), **options):
        return priorities(endpoints, node, Locality(mode="failover", **options))

    def test_nearest_first_without_gaps(self):
        self.assertEqual(self.of(specs("us/x", HERE, "eu/a/rack2", "eu/b", HERE)), [3, 0, 1, 2, 0])
        self.assertEqual(self.of(specs("us/x", HERE)), [1, 0])
        self.assertEqual(self.of(specs("us/x", "asia/x")), [0, 0])

    def test_a_failover_rule_for_this_region(self):
        rules = (Failover(source="us", target="asia"), Failover(source="eu", target="us"))
        self.assertEqual(self.of(specs(HERE, "us/x", "asia/x"), failover=rules), [0, 1, 2])

    def test_the_endpoints_own_priorities_come_first(self):
        near, far = specs(HERE, priority=1)[0], specs("us/x")[0]
        self.assertEqual(self.of([near, far]), [1, 0])

    def test_labels_count_up_to_the_first_that_differs(self):
        node = Node(locality=HERE, labels=(("network", "n1"), ("rack", "r1")))
        endpoints = labelled({"network": "n1", "rack": "r1"}, {"network": "n1", "rack": "r2"},
                             {"network": "n2", "rack": "r1"}, {})
        self.assertEqual(self.of(endpoints, node, failover_priority=("network", "rack")), [0, 1, 2, 2])

    def test_a_label_may_have_a_value_of_its_own(self):
        own = {"v": "1"}
        self.assertEqual(common_labels(["v=2"], own, {"v": "2"}), 1)
        self.assertEqual(common_labels(["v=2"], own, {"v": "1"}), 0)
        self.assertEqual(common_labels(["missing"], own, {}), 0)

    def test_labels_come_before_nearness_where_both_are_set(self):
        node = Node(locality=HERE, labels=(("network", "n1"),))
        endpoints = [
            EndpointSpec(address="10.0.0.1:80", locality="us/x", labels=(("network", "n1"),)),
            EndpointSpec(address="10.0.0.2:80", locality=HERE),
            EndpointSpec(address="10.0.0.3:80", locality=HERE, labels=(("network", "n1"),)),
        ]
        rules = (Failover(source="eu", target="us"),)
        self.assertEqual(self.of(endpoints, node, failover_priority=("network",), failover=rules), [1, 2, 0])


class Distribute(unittest.TestCase):
    WEIGHTS = {"eu/a/r1": 1, "eu/a/r2": 2, "eu/b/r1": 4, "us/a/r1": 1}

    def of(self, *rules, own=HERE):
        found = tuple(Distribution(source=source, targets=tuple(targets.items())) for source, targets in rules)
        return distribution(self.WEIGHTS, own, Locality(mode="distribute", distribute=found))

    def test_localities_that_are_not_named_get_nothing(self):
        self.assertEqual(self.of(("eu/a/*", {"eu/b/*": 80, "us/a/*": 20})),
                         {"eu/a/r1": 0.0, "eu/a/r2": 0.0, "eu/b/r1": 80.0, "us/a/r1": 20.0})

    def test_a_target_of_several_is_split_by_weight_and_rounded_up(self):
        found = self.of(("eu/*", {"eu/a/*": 80, "us/*": 20}))
        self.assertEqual((found["eu/a/r1"], found["eu/a/r2"]), (27.0, 54.0))

    def test_the_first_rule_for_this_proxy_counts(self):
        found = self.of(("us/*", {"us/*": 100}), ("eu/*", {"eu/b/*": 100}), ("*", {"us/*": 100}))
        self.assertEqual(found["eu/b/r1"], 100.0)
        self.assertIsNone(self.of(("us/*", {"us/*": 100})))

    def test_an_earlier_target_takes_a_locality_from_a_later_one(self):
        found = self.of(("*", {"eu/a/r1": 50, "eu/a/*": 50}))
        self.assertEqual((found["eu/a/r1"], found["eu/a/r2"]), (50.0, 50.0))

    def test_patterns(self):
        rows = (("*", "", True), ("eu/*", "eu/a", True), ("eu", "eu/a/b", True), ("eu/a/r1", "eu/a", False),
                ("us/*", "eu/a", False))
        for pattern, name, expected in rows:
            self.assertIs(matches(pattern, name), expected, (pattern, name))
