"""Gateways, services, selectors, security, telemetry."""

import base64

from meshd.model.snapshot import Node
from tests.istio.analysis.case import TO_A, AnalysisCase, doc, routes, service

WORKLOAD = doc("WorkloadEntry", "one", "{address: 10.0.0.1, labels: {app: web}}")
EDGE = Node(role="ingress", labels=(("app", "edge"),))


def gateway(name="edge", hosts="[a.test]", more="", selector="{istio: ingressgateway}", protocol="HTTP", **meta):
    port = f"{{number: 80, name: p, protocol: {protocol}}}"
    return doc("Gateway", name, f"{{selector: {selector}, servers: [{{port: {port}, hosts: {hosts}{more}}}]}}", **meta)


def tls(credential):
    return f", tls: {{mode: SIMPLE, credentialName: {credential}}}"


class TestGateway(AnalysisCase):
    def test_a_selector_that_picks_no_known_proxy_is_information(self):
        found = self.only("IST0101", gateway(selector="{app: edge}"))
        self.assertEqual((found.severity, found.notes), ("info", ("this proxy has: istio=ingressgateway",)))
        self.assertEqual(self.codes(gateway(selector="{app: edge}"), node=EDGE), [])

    def test_the_same_port_and_host_twice(self):
        self.check("IST0145", "warning", "a.test", [gateway(), gateway("b")], [gateway(), gateway("b", "[b.test]")])

    def test_with_tls_it_is_an_error(self):
        pair = gateway(more=tls("cert"), protocol="HTTPS"), gateway("b", more=tls("z"), protocol="HTTPS")
        self.assertEqual(self.only("IST0145", *pair).severity, "error")

    def test_other_selectors_and_namespaces_of_hosts_are_apart(self):
        self.assertNotIn("IST0145", self.codes(gateway(), gateway("b", selector="{app: b}")))
        self.assertIn("IST0145", self.codes(gateway(), gateway("b", selector="{istio: ingressgateway, app: b}")))
        self.assertNotIn("IST0145", self.codes(gateway(hosts="[./a.test]"), gateway(hosts="[./a.test]", namespace="b")))

    def test_one_certificate_at_two_gateways(self):
        two = gateway(more=tls("cert"), protocol="HTTPS"), gateway("b", "[b.test]", tls("cert"), protocol="HTTPS")
        other = gateway("b", "[b.test]", tls("z"), protocol="HTTPS")
        self.check("IST0138", "warning", "cert", two, [two[0], other])


class TestCredential(AnalysisCase):
    def secret(self, name="cert", data="tls.crt: CERTIFICATE, tls.key: KEY"):
        words = {"CERTIFICATE": "-----BEGIN CERTIFICATE-----", "KEY": "-----BEGIN PRIVATE KEY-----"}
        for word, text in words.items():
            data = data.replace(word, base64.b64encode(text.encode()).decode())
        return doc("Secret", name, "").replace("spec: ", f"data: {{{data}}}")

    def test_a_secret_must_exist_where_secrets_are_there(self):
        one = gateway(more=tls("cert"), protocol="HTTPS")
        self.check("IST0101", "error", "cert", [one, self.secret("other")], [one, self.secret()])
        self.assertEqual(self.codes(one), [])

    def test_it_holds_a_certificate_and_its_key(self):
        one = gateway(more=tls("cert"), protocol="HTTPS")
        self.check("IST0161", "error", "cert", [one, self.secret(data="tls.crt: CERTIFICATE")], [one, self.secret()])
        self.assertEqual(self.codes(one, self.secret(data="cert: CERTIFICATE, key: KEY")), [])


class TestService(AnalysisCase):
    def test_a_tcp_port_needs_an_address(self):
        bad = service().replace("name: http, protocol: HTTP", "name: db, protocol: TCP")
        good = bad.replace("resolution", "addresses: [240.0.0.1], resolution")
        self.check("IST0134", "warning", "TCP", [bad], [good])

    def test_one_port_has_one_protocol(self):
        other = doc("ServiceEntry", "b", "{hosts: [a.test], resolution: DNS, ports: "
                    "[{number: 80, name: x, protocol: GRPC}]}")
        self.check("IST0177", "warning", "number", [service(), other], [service(), other.replace("GRPC", "http")])

    def test_namespaces_that_do_not_see_one_another_may_differ(self):
        other = doc("ServiceEntry", "b", "{hosts: [a.test], resolution: DNS, exportTo: ['.'], ports: "
                    "[{number: 80, name: x, protocol: GRPC}]}", namespace="b")
        self.assertNotIn("IST0177", self.codes(service(more=", exportTo: ['.']"), other))

    def test_a_ports_name_says_its_protocol(self):
        text = "{ports: [{name: %s, port: 80}]}"
        good = doc("Service", "a", text % "http-web")
        self.check("IST0118", "info", "web", [doc("Service", "a", text % "web")], [good])

    def test_a_port_of_an_external_name_is_not_just_tcp(self):
        text = "{type: ExternalName, externalName: a.test, ports: [{name: %s, port: 80}]}"
        good = doc("Service", "a", text % "tcp-db")
        self.check("IST0150", "warning", "tcp", [doc("Service", "a", text % "tcp")], [good])


class TestSelector(AnalysisCase):
    def sidecar(self, name="a", labels="app: web", **meta):
        selector = f"workloadSelector: {{labels: {{{labels}}}}}"
        return doc("Sidecar", name, f"{{{selector}, egress: [{{hosts: ['./*']}}]}}", **meta)

    def test_two_sidecars_for_one_workload(self):
        self.check("IST0110", "error", "labels", [WORKLOAD, self.sidecar(), self.sidecar("b")],
                   [WORKLOAD, self.sidecar(), self.sidecar("b", "app: other")])

    def test_two_sidecars_for_a_whole_namespace(self):
        text = "{egress: [{hosts: ['./*']}]}"
        pair = doc("Sidecar", "a", text), doc("Sidecar", "b", text)
        self.check("IST0111", "error", "b", pair, [pair[0], doc("Sidecar", "b", text, namespace="shop")])

    def test_a_selector_that_picks_none(self):
        self.check("IST0101", "error", "labels", [WORKLOAD, self.sidecar(labels="app: none")],
                   [WORKLOAD, self.sidecar()])

    def test_where_no_workload_is_described_it_is_information(self):
        self.assertEqual(self.only("IST0101", self.sidecar()).severity, "info")

    def test_a_policy_for_no_workload(self):
        text = "{selector: {matchLabels: {app: %s}}}"
        for kind in ("AuthorizationPolicy", "RequestAuthentication", "PeerAuthentication"):
            self.check("IST0127", "warning", "matchLabels", [WORKLOAD, doc(kind, "a", text % "none")],
                       [WORKLOAD, doc(kind, "a", text % "web")])

    def test_a_policy_of_the_root_namespace_is_for_all(self):
        policy = doc("PeerAuthentication", "a", "{selector: {matchLabels: {app: web}}}", namespace="istio-system")
        self.assertNotIn("IST0127", self.codes(WORKLOAD, policy))

    def test_a_selector_does_not_pick_a_gateway_of_the_gateway_api(self):
        text = "{selector: {matchLabels: {%s: edge}}}"
        bad = doc("AuthorizationPolicy", "a", text % "gateway.networking.k8s.io/gateway-name")
        self.check("IST0166", "warning", "matchLabels", [bad], [doc("AuthorizationPolicy", "a", text % "app")])

    def test_two_telemetries(self):
        text = "{selector: {matchLabels: {app: web}}}"
        pair = [doc("Telemetry", name, text) for name in "ab"]
        self.check("IST0159", "error", "matchLabels", [WORKLOAD, *pair], [WORKLOAD, pair[0]])
        whole = [doc("Telemetry", name, "{metrics: []}") for name in "ab"]
        self.check("IST0160", "error", "b", whole, whole[:1])


class TestTarget(AnalysisCase):
    def limit(self, target, more=""):
        return doc("RateLimitPolicy", "a", f"{{targetRef: {target}{more}, limits: [{{requests: 5}}]}}")

    def test_a_limit_is_for_something_that_exists(self):
        self.check("IST0101", "error", "edgy", [gateway(), self.limit("{kind: Gateway, name: edgy}")],
                   [gateway(), self.limit("{kind: Gateway, name: edge}")])

    def test_in_the_namespace_that_is_named(self):
        there = gateway(namespace="shop")
        self.assertIn("IST0101", self.codes(there, self.limit("{kind: Gateway, name: edge}")))
        self.assertNotIn("IST0101", self.codes(there, self.limit("{kind: Gateway, name: edge, namespace: shop}")))

    def test_a_route_must_have_the_name(self):
        rules = [service(), routes("{name: api, " + TO_A[1:])]
        target = "{kind: VirtualService, name: web}"
        self.check("IST0101", "error", "apis", [*rules, self.limit(target, ", route: apis")],
                   [*rules, self.limit(target, ", route: api")])

    def test_a_policy_of_istio_is_attached_to_something_that_exists(self):
        text = "{targetRefs: [{kind: ServiceEntry, group: networking.istio.io, name: %s}]}"
        for kind in ("AuthorizationPolicy", "RequestAuthentication", "Telemetry"):
            self.check("IST0101", "error", "b-test", [service(), doc(kind, "a", text % "b-test")],
                       [service(), doc(kind, "a", text % "a-test")])


class TestSecurity(AnalysisCase):
    def test_a_namespace_that_nobody_is_in(self):
        text = "{rules: [{from: [{source: {namespaces: [%s]}}]}]}"
        there = doc("Namespace", "shop", "{}")
        self.check("IST0101", "error", "shops", [there, doc("AuthorizationPolicy", "a", text % "shops")],
                   [there, doc("AuthorizationPolicy", "a", text % "shop")])
        self.assertEqual(self.only("IST0101", doc("AuthorizationPolicy", "a", text % "shops")).severity, "info")
        self.assertEqual(self.codes(there, doc("AuthorizationPolicy", "a", text % "'sh*'")), [])

    def test_claims_must_be_checked(self):
        claim = "'@request.auth.claims.group'"
        bad = routes(f"{{match: [{{headers: {{{claim}: {{exact: a}}}}}}], {TO_A[1:]}", more=", gateways: [edge]")
        there = [service(), gateway(), bad]
        check = doc("RequestAuthentication", "a", "{selector: {matchLabels: {istio: ingressgateway}}, jwtRules: []}")
        self.check("IST0149", "error", claim, there, [*there, check])
        self.assertIn("IST0149", self.codes(*there, check.replace("istio: ingressgateway", "app: other")))

    def test_logging_needs_a_provider(self):
        text = "{accessLogging: [{%s}]}"
        bad = doc("Telemetry", "a", text % "match: {mode: CLIENT}")
        self.check("IST0157", "warning", "match", [bad], [doc("Telemetry", "a", text % "providers: [{name: envoy}]")])
        self.assertNotIn("IST0157", self.codes(doc("Telemetry", "a", text % "disabled: true")))
        default = doc("MeshConfig", "mesh", "{defaultProviders: {accessLogging: [envoy]}}")
        self.assertNotIn("IST0157", self.codes(bad, default))
