"""What surrounds the balancer: localities, panic and warm-up, with Istio's rules of what needs what."""

from unittest import TestCase

from tests.istio.translate.test_cluster import cluster, rule
from tests.istio.view import document, service

EJECTING = {"outlierDetection": {"maxEjectionPercent": 100}}


def balancing(policy, *texts, **node):
    """Return the native balancing under a traffic policy of a.test."""
    return cluster(service("a.test"), rule(policy), *texts, **node)[0].balancing


def locality(setting, more=(), **node):
    """Return the native locality policy under a localityLbSetting."""
    policy = {"loadBalancer": {"localityLbSetting": setting}, **dict(more)}
    return balancing(policy, **node).locality


class Failovers(TestCase):
    def test_needs_outlier_detection(self):
        setting = {"failover": [{"from": "r", "to": "s"}]}
        self.assertEqual(locality(setting, locality="r/z").mode, "off")
        found = locality(setting, EJECTING, locality="r/z")
        self.assertEqual((found.mode, [(one.source, one.target) for one in found.failover]), ("failover", [("r", "s")]))

    def test_is_the_default_with_outlier_detection_where_the_proxy_has_a_locality(self):
        self.assertEqual(balancing(EJECTING, locality="r/z").locality.mode, "failover")
        self.assertEqual(balancing(EJECTING).locality.mode, "off")

    def test_can_be_switched_off_for_a_host_or_the_mesh(self):
        self.assertEqual(locality({"enabled": False}, EJECTING, locality="r").mode, "off")
        mesh = document("MeshConfig", "mesh", {"localityLbSetting": {"enabled": False}})
        self.assertEqual(balancing(EJECTING, mesh, locality="r").locality.mode, "off")

    def test_priorities_by_label_need_no_locality(self):
        found = locality({"failoverPriority": ["rack", "version=v1"]}, EJECTING)
        self.assertEqual((found.mode, found.failover_priority), ("failover", ("rack", "version=v1")))

    def test_a_hash_looks_at_no_localities(self):
        policy = {"loadBalancer": {"consistentHash": {"useSourceIp": True}}, **EJECTING}
        self.assertEqual(balancing(policy, locality="r").locality.mode, "off")


class Distributions(TestCase):
    def test_needs_no_outlier_detection(self):
        found = locality({"distribute": [{"from": "r/*", "to": {"r/a": 80, "r/b": 20}}]}, locality="r/a")
        self.assertEqual((found.mode, found.distribute[0].source, dict(found.distribute[0].targets)),
                         ("distribute", "r/*", {"r/a": 80, "r/b": 20}))


class Panic(TestCase):
    def test_is_off_with_outlier_detection_unless_a_percentage_is_given(self):
        self.assertEqual(balancing(EJECTING).panic_threshold, 0)
        self.assertEqual(balancing({"outlierDetection": {"minHealthPercent": 30}}).panic_threshold, 30)
        self.assertEqual(balancing({"loadBalancer": {"simple": "ROUND_ROBIN"}}).panic_threshold, 50)


class WarmUp(TestCase):
    def test_both_spellings(self):
        new = balancing({"loadBalancer": {"warmup": {"duration": "60s", "minimumPercent": 20, "aggression": 2}}})
        self.assertEqual((new.slow_start.window_s, new.slow_start.min_weight_percent, new.slow_start.aggression),
                         (60, 20, 2))
        old = balancing({"loadBalancer": {"simple": "ROUND_ROBIN", "warmupDurationSecs": "30s"}})
        self.assertEqual((old.slow_start.window_s, old.slow_start.min_weight_percent), (30, 10))

    def test_is_for_policies_that_weigh(self):
        self.assertIsNone(balancing({"loadBalancer": {"simple": "RANDOM", "warmupDurationSecs": "30s"}}).slow_start)
