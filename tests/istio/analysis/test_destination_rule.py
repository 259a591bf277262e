"""DestinationRules: unknown hosts, empty subsets, CAs, rivals, policies that do less than they seem to."""

from tests.istio.analysis.case import AnalysisCase, doc, rule, service

LB = "loadBalancer: {simple: ROUND_ROBIN}"
SUBSET = "subsets: [{name: v1, labels: {version: v1}}]"
TEN = ", ".join(f"{{address: 10.0.0.{n}}}" for n in range(1, 11))


def policy(more, **meta):
    return rule(f"trafficPolicy: {{{more}}}", **meta)


class TestRule(AnalysisCase):
    def test_a_host_must_be_known(self):
        self.check("IST0174", "warning", "b.test", [service(), rule(SUBSET, "b.test")], [service(), rule(SUBSET)])

    def test_a_wildcard_is_known_where_it_covers_something(self):
        self.assertIn("IST0174", self.codes(service(), rule("exportTo: ['*']", "'*.b.test'")))
        self.assertNotIn("IST0174", self.codes(service(), rule("exportTo: ['*']", "'*.test'")))
        wild = doc("ServiceEntry", "w", "{hosts: ['*.b.test'], ports: [{number: 80, name: http}], resolution: NONE}")
        self.assertNotIn("IST0174", self.codes(wild, rule("exportTo: ['*']", "x.b.test")))

    def test_a_subset_must_have_endpoints(self):
        self.check("IST0173", "error", "v1", [service(), rule(SUBSET.replace("version: v1", "version: v9"))],
                   [service(), rule(SUBSET)])

    def test_endpoints_that_a_cluster_knows_are_not_missed(self):
        cluster = doc("Service", "web", "{ports: [{name: http, port: 80}], selector: {app: web}}")
        self.assertEqual(self.codes(cluster, rule(SUBSET, "web.default.svc.cluster.local")), [])

    def test_endpoints_of_workload_entries_count(self):
        entry = service(more="").replace("endpoints: [{address: 127.0.0.1, labels: {version: v1}}]",
                                         "workloadSelector: {labels: {app: a}}")
        one = doc("WorkloadEntry", "one", "{address: 10.0.0.1, labels: {app: a, version: v1}}")
        self.assertIn("IST0173", self.codes(entry, rule(SUBSET)))
        self.assertNotIn("IST0173", self.codes(entry, one, rule(SUBSET)))

    def test_tls_should_name_its_authority(self):
        good = policy("tls: {mode: SIMPLE, caCertificates: /ca.pem}")
        self.check("IST0128", "warning", "SIMPLE", [service(), policy("tls: {mode: SIMPLE}")], [service(), good])
        self.assertNotIn("IST0128", self.codes(service(), policy("tls: {mode: DISABLE}")))

    def test_tls_of_a_port_should_too(self):
        text = "portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE%s}}]"
        self.check("IST0129", "warning", "SIMPLE", [service(), policy(text % "")],
                   [service(), policy(text % ", caCertificates: /ca.pem")])


class TestRivals(AnalysisCase):
    def test_of_two_policies_for_a_host_the_first_holds(self):
        one, two = policy(LB, name="a"), policy(LB, name="b")
        self.check("MSH0409", "warning", "trafficPolicy", [service(), two, one],
                   [service(), one, rule(SUBSET, name="b")])
        self.assertEqual(self.only("MSH0409", service(), two, one).subject, "DestinationRule default/b")

    def test_a_subset_that_is_defined_twice(self):
        found = self.only("MSH0409", service(), rule(SUBSET), rule(SUBSET, name="b"))
        self.assertEqual(found.path, "spec.subsets[0]")

    def test_rules_for_different_workloads_are_no_rivals(self):
        more = f"workloadSelector: {{matchLabels: {{app: x}}}}, {SUBSET}"
        self.assertNotIn("MSH0409", self.codes(service(), rule(SUBSET), rule(more, name="b")))

    def test_a_rule_of_the_clients_namespace_hides_the_owners(self):
        mine, theirs = rule(SUBSET), rule(SUBSET, namespace="shop")
        self.check("MSH0408", "warning", "a.test", [service(), mine, theirs], [service(), mine])
        hidden = rule(f"{SUBSET}, exportTo: ['.']")
        self.assertNotIn("MSH0408", self.codes(service(), hidden, theirs))


class TestPolicy(AnalysisCase):
    def test_outlier_detection_must_be_able_to_eject(self):
        text = "outlierDetection: {consecutive5xxErrors: 3%s}"
        self.check("MSH0401", "warning", "outlierDetection", [service(), policy(text % "")],
                   [service(), policy(text % ", maxEjectionPercent: 100")])
        found = self.only("MSH0401", service(), policy(text % ", maxEjectionPercent: 20"))
        self.assertEqual(found.path, "spec.trafficPolicy.outlierDetection.maxEjectionPercent")

    def test_of_ten_endpoints_one_can_be_ejected(self):
        many = service().replace("{address: 127.0.0.1, labels: {version: v1}}", TEN)
        self.assertNotIn("MSH0401", self.codes(many, policy("outlierDetection: {interval: 5s}")))

    def test_names_whose_addresses_are_not_known_are_not_counted(self):
        named = service().replace("STATIC", "DNS")
        self.assertNotIn("MSH0401", self.codes(named, policy("outlierDetection: {interval: 5s}")))

    def test_failover_needs_outlier_detection(self):
        text = "loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}]}}"
        self.check("MSH0402", "warning", "failover", [service(), policy(text)],
                   [service(), policy(f"{text}, outlierDetection: {{maxEjectionPercent: 100}}")])

    def test_a_subset_has_the_hosts_outlier_detection(self):
        inner = "{name: v1, labels: {version: v1}, trafficPolicy: {loadBalancer: {localityLbSetting: " \
                "{failoverPriority: [version]}}}}"
        self.assertIn("MSH0402", self.codes(service(), rule(f"subsets: [{inner}]")))
        outer = f"trafficPolicy: {{outlierDetection: {{maxEjectionPercent: 100}}}}, subsets: [{inner}]"
        self.assertNotIn("MSH0402", self.codes(service(), rule(outer)))

    def test_the_mesh_s_outlier_detection_counts(self):
        mesh = doc("MeshConfig", "mesh", "{defaultTrafficPolicy: {outlierDetection: {maxEjectionPercent: 100}}}")
        text = "loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}]}}"
        self.assertNotIn("MSH0402", self.codes(service(), policy(text), mesh))

    def test_the_mesh_s_failover_needs_outlier_detection_somewhere(self):
        mesh = doc("MeshConfig", "mesh", "{localityLbSetting: {failover: [{from: a, to: b}]}}")
        ejects = policy("outlierDetection: {maxEjectionPercent: 100}")
        self.check("MSH0402", "warning", "failover", [service(), mesh], [service(), mesh, ejects])

    def test_a_least_share_of_healthy_endpoints_must_be_possible(self):
        text = "outlierDetection: {minHealthPercent: 50%s}"
        self.check("MSH0414", "info", "minHealthPercent", [service(), policy(text % "")],
                   [service(), policy(text % ", maxEjectionPercent: 100")])
        self.assertIn("MSH0414", self.codes(service(), policy(text % ", maxEjectionPercent: 50")))

    def test_warm_up_needs_a_balancer_that_knows_it(self):
        text = "loadBalancer: {%s, warmup: {duration: 5s}}"
        self.check("MSH0415", "warning", "warmup", [service(), policy(text % "simple: RANDOM")],
                   [service(), policy(text % "simple: ROUND_ROBIN")])
        self.assertIn("MSH0415", self.codes(service(), policy(text % "consistentHash: {useSourceIp: true}")))
        self.assertNotIn("MSH0415", self.codes(service(), policy("loadBalancer: {warmup: {duration: 5s}}")))

    def test_localities_do_not_count_beside_a_hash(self):
        setting = "localityLbSetting: {failoverPriority: [version]}"
        ejects = "outlierDetection: {maxEjectionPercent: 100}"
        bad = f"loadBalancer: {{consistentHash: {{useSourceIp: true}}, {setting}}}, {ejects}"
        self.check("MSH0416", "warning", "localityLbSetting", [service(), policy(bad)],
                   [service(), policy(f"loadBalancer: {{simple: RANDOM, {setting}}}, {ejects}")])

    def test_a_port_puts_aside_the_level_above(self):
        text = LB + ", portLevelSettings: [{port: {number: 80}, %s}]"
        bad = policy(text % "connectionPool: {tcp: {maxConnections: 1}}")
        self.check("MSH0407", "warning", "port", [service(), bad], [service(), policy(text % LB)])

    def test_deprecated_fields_are_named_with_their_heirs(self):
        self.check("IST0002", "warning", "simple", [service(), policy("loadBalancer: {simple: LEAST_CONN}")],
                   [service(), policy(LB)])
        for text in ("outlierDetection: {consecutiveErrors: 5, maxEjectionPercent: 100}",
                     "loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 5}}",
                     "loadBalancer: {simple: ROUND_ROBIN, warmupDurationSecs: 5s}"):
            self.assertIn("IST0002", self.codes(service(), policy(text)))
