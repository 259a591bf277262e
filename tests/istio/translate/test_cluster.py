"""Clusters: endpoints of subsets, and the settings of DestinationRules with Istio's defaults."""

from unittest import TestCase

from tests.istio.view import document, faults_of, gateway, rules, service, versions, view

UNLIMITED = 2**32 - 1
NAME = "outbound|80||a.test"


def cluster(*texts, subset="", **node):
    """Return (the cluster that a.test leads to, the view)."""
    to = f"- route: [{{destination: {{host: a.test{f', subset: {subset}' if subset else ''}}}}}]"
    seen = view(gateway(), rules("r", to), *texts, **node)
    return seen.cluster(f"outbound|80|{subset}|a.test"), seen


def rule(policy=None, subsets=(), **more):
    """Return a DestinationRule for a.test."""
    spec = {"host": "a.test", "trafficPolicy": policy, "subsets": list(subsets), **more}
    return document("DestinationRule", "d", {key: value for key, value in spec.items() if value})


def limits(found):
    """Return the four limits of a cluster."""
    config = found.circuit_breaker.config
    return config.max_connections, config.max_pending, config.max_requests, config.max_retries


def pool_rule(tcp):
    """Return a DestinationRule with these settings of connections."""
    return rule({"connectionPool": {"tcp": tcp}})


def lookup(found):
    """Return (mode, names) of the cluster's discovery by DNS."""
    return found.discovery.config.mode, [one.name for one in found.discovery.config.names]


class ProxyProtocolTest(TestCase):
    def test_the_version_goes_along_and_is_1_where_none_is_named(self):
        for block, expected in (({"version": "V2"}, "v2"), ({"version": "V1"}, "v1"), ({}, "v1")):
            found, seen = cluster(service("a.test"), rule({"proxyProtocol": block}))
            self.assertEqual((found.proxy_protocol, seen.unsupported), (expected, ()))
        self.assertIsNone(cluster(service("a.test"))[0].proxy_protocol)


class Endpoints(TestCase):
    def test_a_subset_has_the_endpoints_with_its_labels(self):
        texts = [versions("a.test", "v1", "v2")]
        self.assertEqual([one.address for one in cluster(*texts, subset="v2")[0].endpoints], ["10.0.0.2:80"])
        self.assertEqual(len(cluster(*texts)[0].endpoints), 2)

    def test_a_subset_that_selects_nothing_has_no_endpoints_and_is_not_missing(self):
        found, _ = cluster(service("a.test"), rule(subsets=[{"name": "v9", "labels": {"version": "v9"}}]), subset="v9")
        self.assertEqual((found.endpoints, found.missing), ((), False))

    def test_an_unknown_subset_is_missing(self):
        found, _ = cluster(service("a.test"), subset="v1")
        self.assertTrue(found.missing)

    def test_weight_labels_and_locality_go_along(self):
        found, _ = cluster(service("a.test", endpoints=[
            {"address": "10.0.0.1", "weight": 3, "labels": {"x": "y"}, "locality": "r/z"}]))
        point = found.endpoints[0]
        self.assertEqual((point.weight, point.labels, point.locality), (3, (("x", "y"),), "r/z"))

    def test_round_robin_dns_has_one_name(self):
        workloads = [document("WorkloadEntry", one, {"address": f"{one}.test", "labels": {"app": "a"}}) for one in "xy"]
        found, _ = cluster(service("a.test", endpoints=(), resolution="DNS_ROUND_ROBIN",
                                   workloadSelector={"labels": {"app": "a"}}), *workloads)
        self.assertEqual(lookup(found), ("logical", ["x.test:80"]))

    def test_names_are_looked_up_and_keep_what_their_entries_say(self):
        found, _ = cluster(service("a.test", resolution="DNS", endpoints=[
            {"address": "x.test", "weight": 3, "locality": "r/z"}, {"address": "10.0.0.9"}]))
        self.assertEqual(lookup(found), ("strict", ["x.test:80", "10.0.0.9:80"]))
        self.assertEqual(found.discovery.config.names[0].weight, 3)
        self.assertEqual(found.discovery.config.names[0].locality, "r/z")

    def test_hosts_that_requests_name_are_looked_up_for_each(self):
        wild = document("ServiceEntry", "wild", {"hosts": ["*.a.test"], "resolution": "DYNAMIC_DNS", "ports": [
            {"number": 80, "name": "http", "protocol": "HTTP"}]})
        seen = view(wild, document("MeshConfig", "mesh", {"proxyHttpPort": 15007}), role="sidecar")
        found = seen.cluster("outbound|80||*.a.test")
        balancer = found.load_balancer
        self.assertEqual((balancer.type, balancer.config.hosts), ("dynamic_host", ("*.a.test",)))
        self.assertEqual((found.endpoints, seen.unsupported), ((), ()))

    def test_addresses_alone_need_no_look_up(self):
        found, _ = cluster(service("a.test", resolution="DNS", endpoints=[{"address": "10.0.0.9"}]))
        self.assertEqual(([one.address for one in found.endpoints], found.discovery), (["10.0.0.9:80"], None))

    def test_without_resolution_there_is_nowhere_to_go_and_that_is_said(self):
        found, seen = cluster(service("a.test", endpoints=(), resolution="NONE"))
        self.assertEqual(found.endpoints, ())
        self.assertEqual([(one.code, one.path) for one in seen.unsupported], [("MSH0118", "spec.resolution")])

    def test_one_address_stands_once(self):
        self.assertEqual(len(cluster(service("a.test", endpoints=("10.0.0.1", "10.0.0.1")))[0].endpoints), 1)

    def test_only_endpoints_that_have_the_port_serve_it(self):
        texts = [gateway(), document("Service", "web", {"ports": [
            {"port": 80, "name": "http"}, {"port": 90, "name": "http-admin"}]}),
            document("EndpointSlice", "web", None, labels={"kubernetes.io/service-name": "web"}, addressType="IPv4",
                     endpoints=[{"addresses": ["10.0.0.1"]}], ports=[{"name": "http", "port": 8080}]),
            rules("r", """
                - match: [{uri: {prefix: /admin}}]
                  route: [{destination: {host: web, port: {number: 90}}}]
                - route: [{destination: {host: web, port: {number: 80}}}]
                """)]
        seen = view(*texts)
        self.assertEqual([seen.addresses(seen.goes(one)) for one in ("/", "/admin")], [["10.0.0.1:8080"], []])


class Defaults(TestCase):
    def test_there_are_no_limits_and_ten_seconds_to_connect(self):
        found, _ = cluster(service("a.test"))
        self.assertEqual((limits(found), found.connect_timeout_s), ((UNLIMITED,) * 4, 10.0))

    def test_the_balancer_is_the_one_with_the_fewest_requests(self):
        self.assertEqual(cluster(service("a.test"))[0].load_balancer.type, "least_request")

    def test_the_mesh_config_gives_the_time_to_connect(self):
        config = document("MeshConfig", "mesh", {"connectTimeout": "3s"})
        self.assertEqual(cluster(service("a.test"), config)[0].connect_timeout_s, 3.0)

    def test_the_mesh_s_baseline_holds_where_a_rule_has_no_such_block(self):
        config = document("MeshConfig", "mesh", {"defaultTrafficPolicy": {
            "connectionPool": {"tcp": {"maxConnections": 7}}}})
        self.assertEqual(limits(cluster(service("a.test"), config)[0])[0], 7)
        own = rule({"connectionPool": {"http": {"maxRetries": 1}}})
        self.assertEqual(limits(cluster(service("a.test"), config, own)[0]), (UNLIMITED, UNLIMITED, UNLIMITED, 1))


class Settings(TestCase):
    POOL = {"tcp": {"maxConnections": 1, "connectTimeout": "2s"},
            "http": {"http1MaxPendingRequests": 2, "http2MaxRequests": 3, "maxRetries": 4, "idleTimeout": "5s",
                     "maxRequestsPerConnection": 6}}

    def test_a_pool_s_settings_are_the_breaker_s_and_the_pool_s(self):
        found, _ = cluster(service("a.test"), rule({"connectionPool": self.POOL}))
        self.assertEqual(limits(found), (1, 2, 3, 4))
        self.assertEqual((found.connect_timeout_s, found.pool.idle_timeout_s, found.pool.max_requests_per_connection),
                         (2.0, 5.0, 6))

    def test_0_is_as_if_it_were_not_given(self):
        found, _ = cluster(service("a.test"), rule({"connectionPool": {"tcp": {"maxConnections": 0}}}))
        self.assertEqual(limits(found)[0], UNLIMITED)

    def test_balancers(self):
        for word, native in (("ROUND_ROBIN", "round_robin"), ("LEAST_CONN", "least_request"),
                             ("LEAST_REQUEST", "least_request"), ("UNSPECIFIED", "least_request")):
            found, seen = cluster(service("a.test"), rule({"loadBalancer": {"simple": word}}))
            self.assertEqual((found.load_balancer.type, seen.unsupported), (native, ()))

    def test_a_balancer_that_is_not_there_yet_is_warned_of(self):
        found, seen = cluster(service("a.test"), rule({"loadBalancer": {"simple": "PASSTHROUGH"}}))
        self.assertEqual((found.load_balancer.type, [one.code for one in seen.unsupported]),
                         ("round_robin", ["MSH0118"]))

    def test_the_mesh_s_own_tls_is_refused_not_left_out(self):
        texts = [gateway(), service("a.test"), rule({"tls": {"mode": "ISTIO_MUTUAL"}}),
                 rules("r", "- route: [{destination: {host: a.test}}]")]
        self.assertIn("MSH0320", [one.code for one in faults_of(*texts)])

    def test_rules_for_some_workloads_are_for_these(self):
        texts = [service("a.test"), rule({"connectionPool": {"tcp": {"maxConnections": 1}}},
                                         workloadSelector={"matchLabels": {"app": "web"}})]
        self.assertEqual(limits(cluster(*texts, labels={"app": "web"})[0])[0], 1)
        self.assertEqual(limits(cluster(*texts, labels={"app": "db"})[0])[0], UNLIMITED)

    def test_two_subsets_have_their_own_settings(self):
        pool = {"connectionPool": {"tcp": {"maxConnections": 1}}}
        texts = [service("a.test"), rule(subsets=[{"name": "v1", "trafficPolicy": pool}, {"name": "v2"}])]
        self.assertEqual([limits(cluster(*texts, subset=one)[0])[0] for one in ("v1", "v2")], [1, UNLIMITED])


class Connections(TestCase):
    def test_probes_and_age(self):
        found, _ = cluster(service("a.test"), pool_rule({
            "tcpKeepalive": {"time": "60s", "interval": "5s", "probes": 3}, "maxConnectionDuration": "1h"}))
        probing = found.pool.tcp_keepalive
        self.assertEqual((probing.time_s, probing.interval_s, probing.probes, found.pool.max_connection_duration_s),
                         (60, 5, 3, 3600))

    def test_the_mesh_s_probes_where_a_host_has_none(self):
        mesh = document("MeshConfig", "mesh", {"tcpKeepalive": {"time": "30s"}})
        self.assertEqual(cluster(service("a.test"), mesh)[0].pool.tcp_keepalive.time_s, 30)

    def test_a_retry_budget_takes_the_place_of_the_number(self):
        found, _ = cluster(service("a.test"), rule({"retryBudget": {"percent": 25, "minRetryConcurrency": 2}}))
        budget = found.circuit_breaker.config.budget
        self.assertEqual((budget.percent, budget.min_retry_concurrency), (25, 2))
        found, _ = cluster(service("a.test"), rule({"retryBudget": {}}))
        self.assertEqual(found.circuit_breaker.config.budget.percent, 20)
