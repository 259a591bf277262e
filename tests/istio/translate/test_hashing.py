"""Consistent hashing: what the key is, and which table."""

from unittest import TestCase

from tests.istio.translate.test_cluster import cluster, rule
from tests.istio.view import service


def balancer(settings):
    """Return (type, configuration) of the balancer under a consistentHash."""
    found, _ = cluster(service("a.test"), rule({"loadBalancer": {"consistentHash": settings}}))
    return found.load_balancer.type, found.load_balancer.config


class Keys(TestCase):
    def test_a_field_an_address_or_a_parameter(self):
        for settings, name, value in (({"httpHeaderName": "x-user"}, "header", "x-user"),
                                      ({"useSourceIp": True}, "source_address", True),
                                      ({"httpQueryParameterName": "user"}, "query", "user")):
            kind, config = balancer(settings)
            self.assertEqual((kind, getattr(config.hash[0], name)), ("ring_hash", value))

    def test_a_cookie_is_made_only_with_a_ttl(self):
        made = balancer({"httpCookie": {"name": "user", "path": "/", "ttl": "0s",
                                        "attributes": [{"name": "SameSite", "value": "Lax"}]}})[1].hash[0].cookie
        self.assertEqual((made.name, made.path, made.ttl_s, made.attributes),
                         ("user", "/", 0, (("SameSite", "Lax"),)))
        self.assertIsNone(balancer({"httpCookie": {"name": "user"}})[1].hash[0].cookie.ttl_s)

    def test_without_a_key_any_endpoint_is_as_good(self):
        self.assertEqual(balancer({"useSourceIp": False})[1].hash, ())


class Tables(TestCase):
    def test_sizes(self):
        self.assertEqual(balancer({"useSourceIp": True})[1].minimum_ring_size, 1024)
        self.assertEqual(balancer({"useSourceIp": True, "ringHash": {"minimumRingSize": 64}})[1].minimum_ring_size, 64)
        self.assertEqual(balancer({"useSourceIp": True, "minimumRingSize": 32})[1].minimum_ring_size, 32)
        kind, config = balancer({"useSourceIp": True, "maglev": {"tableSize": 251}})
        self.assertEqual((kind, config.table_size), ("maglev", 251))
