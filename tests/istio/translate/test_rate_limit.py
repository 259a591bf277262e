"""RateLimitPolicy documents: which routes each limit is in force on, and what it is."""

from unittest import TestCase

from tests.istio.view import VERSIONS, document, gateway, rules, service, sidecar, view

VERSIONS["RateLimitPolicy"] = "meshd.io/v1alpha1"
LIMIT = {"requests": 10, "per": "1s", "burst": 20}
HTTP = """
- name: slow
  match: [{uri: {prefix: /slow}}]
  route: [{destination: {host: other.test}}]
- name: rest
  route: [{destination: {host: a.test}}]
"""


def policy(name="limit", *limits, namespace="", **spec):
    return document("RateLimitPolicy", name, {"limits": list(limits) or [LIMIT], **spec}, namespace)


def edge(*texts, **node):
    return view(gateway(), rules("a", HTTP), service("a.test"), service("other.test"), *texts, **node)


def limited(seen, listener=None):
    """Return {route: names of the limits that are in force on it}."""
    names = [one.name for one in seen.listener(listener).filters if one.type == "rate_limit"]
    return {route.name: [one for one in names if one not in route.disabled_filters] for route in seen.routes(listener)}


class TargetTest(TestCase):
    NAME = "rate_limit|default/limit|0"

    def test_a_gateways_is_for_all_its_routes(self):
        seen = edge(policy(targetRef={"kind": "Gateway", "name": "edge"}))
        self.assertEqual(limited(seen), {"slow": [self.NAME], "rest": [self.NAME]})

    def test_another_gateways_is_not_there_at_all(self):
        for namespace, name in (("", "other"), ("shop", "edge")):
            seen = edge(policy(namespace=namespace, targetRef={"kind": "Gateway", "name": name}))
            self.assertEqual(limited(seen), {"slow": [], "rest": []})

    def test_a_virtual_services_is_for_its_rules_or_the_one_it_names(self):
        other = rules("b", [{"name": "b", "route": [{"destination": {"host": "a.test"}}]}], hosts=["b.test"])
        target = {"kind": "VirtualService", "name": "a"}
        self.assertEqual(limited(edge(other, policy(targetRef=target))),
                         {"slow": [self.NAME], "rest": [self.NAME], "b": []})
        self.assertEqual(limited(edge(other, policy(targetRef=target, route="slow"))),
                         {"slow": [self.NAME], "rest": [], "b": []})

    def test_a_services_is_for_routes_that_may_lead_to_it(self):
        seen = edge(policy(targetRef={"kind": "ServiceEntry", "name": "other.test"}))
        self.assertEqual(limited(seen), {"slow": [self.NAME], "rest": []})

    def test_a_workloads_is_for_what_comes_in_there(self):
        side = sidecar(80, ingress=[{"port": {"number": 8080, "protocol": "HTTP", "name": "http"},
                                     "defaultEndpoint": "127.0.0.1:9000"}])
        selects = policy(selector={"matchLabels": {"app": "web"}})
        seen = view(side, service("a.test"), selects, role="sidecar", labels={"app": "web"})
        self.assertEqual(limited(seen, "0.0.0.0_8080"), {"default": [self.NAME]})
        self.assertEqual(limited(seen, "127.0.0.1_80"), {"default": []})
        seen = view(side, service("a.test"), selects, role="sidecar", labels={"app": "db"})
        self.assertEqual(limited(seen, "0.0.0.0_8080"), {"default": []})


class LimitTest(TestCase):
    TARGET = {"kind": "Gateway", "name": "edge"}

    def settings(self, limit, **spec):
        seen = edge(policy("limit", limit, targetRef=self.TARGET, **spec))
        return next(one.config for one in seen.listener().filters if one.type == "rate_limit")

    def test_rate_and_burst(self):
        found = self.settings(LIMIT)
        self.assertEqual((found.rate, found.per_s, found.burst, found.key, found.status), (10.0, 1.0, 20, "none", 429))

    def test_without_a_burst_it_is_the_rate_and_at_least_one(self):
        self.assertEqual(self.settings({"requests": 7.2}).burst, 8)
        self.assertEqual(self.settings({"requests": 0.5, "per": "1m"}).burst, 1)

    def test_keys(self):
        for key, expected in (({"header": "x-Tenant"}, ("header", "x-tenant", 1)),
                              ({"clientAddress": {}}, ("client_address", None, 1)),
                              ({"path": {"segments": 2}}, ("path_prefix", None, 2))):
            found = self.settings({**LIMIT, "key": key})
            self.assertEqual((found.key, found.header, found.path_segments), expected)

    def test_identity_and_claim_are_counted_together_until_there_is_authentication(self):
        seen = edge(policy("limit", {**LIMIT, "key": {"identity": {}}}, targetRef=self.TARGET))
        self.assertEqual([one.path for one in seen.unsupported], ["spec.limits[0].key.identity"])

    def test_shadow_status_and_headers(self):
        found = self.settings(LIMIT, mode="SHADOW", status=503, headers=False)
        self.assertEqual((found.enforce, found.status, found.headers), (False, 503, False))

    def test_every_limit_has_a_bucket_of_its_own(self):
        seen = edge(policy("limit", LIMIT, {"requests": 100, "per": "1m"}, targetRef=self.TARGET))
        self.assertEqual([one.config.bucket for one in seen.listener().filters if one.type == "rate_limit"],
                         ["rate_limit|default/limit|0", "rate_limit|default/limit|1"])


class StoreTest(TestCase):
    TARGET = {"kind": "Gateway", "name": "edge"}
    REDIS = service("redis.test", ports=((6379, "redis"),), endpoints=("10.0.0.9",))

    def seen(self, redis, *texts, **node):
        return edge(policy("limit", LIMIT, targetRef=self.TARGET, store={"redis": redis}), *texts, **node)

    def store(self, seen):
        return next(one.config.store for one in seen.listener().filters if one.type == "rate_limit").redis

    def test_names_the_cluster_of_the_service_which_is_there_then(self):
        seen = self.seen({"host": "redis.test"}, self.REDIS)
        self.assertEqual(self.store(seen).cluster, "outbound|6379||redis.test")
        self.assertEqual(seen.addresses("outbound|6379||redis.test"), ["10.0.0.9:6379"])

    def test_options(self):
        found = self.store(self.seen({"host": "redis.test", "prefix": "p:", "timeout": "50ms", "onError": "CLOSED",
                                      "database": 3}, self.REDIS))
        self.assertEqual((found.prefix, found.timeout_s, found.on_error, found.database), ("p:", 0.05, "closed", 3))

    def test_a_policy_for_others_needs_no_cluster(self):
        limit = policy("limit", LIMIT, targetRef={"kind": "Gateway", "name": "other"},
                       store={"redis": {"host": "redis.test"}})
        self.assertNotIn("outbound|6379||redis.test", [one.name for one in edge(limit, self.REDIS).snapshot.clusters])

    def test_a_host_or_port_that_is_not_there_is_found(self):
        for redis, texts, path in (({"host": "redis.tset"}, [self.REDIS], "host"),
                                   ({"host": "redis.test", "port": 6380}, [self.REDIS], "port")):
            found = [one for one in self.seen(redis, *texts).warnings if one.code == "IST0101"]
            self.assertEqual([one.path for one in found], [f"spec.store.redis.{path}"])
