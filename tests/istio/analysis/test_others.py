"""EnvoyFilters, WasmPlugins, annotations, unusual settings; what all analyzers share."""

import re
from unittest import mock

from meshd.api import CODES as OWN
from meshd_plugins.istio.analysis.codes import CODES
from tests.istio.analysis.case import TO_A, AnalysisCase, doc, routes, service
from tests.tree import ROOT

HTTP_FILTER = "{name: envoy.filters.http.%s}"


def patch(value, operation="INSERT_FIRST", kind="HTTP_FILTER", match="", more=""):
    text = f"applyTo: {kind}{match}, patch: {{operation: {operation}, value: {value}}}"
    return doc("EnvoyFilter", "a", f"{{configPatches: [{{{text}}}]{more}}}")


class TestEnvoy(AnalysisCase):
    def test_the_native_replacement_is_named(self):
        for value, words in (
            (HTTP_FILTER % "local_ratelimit", "RateLimitPolicy"), (HTTP_FILTER % "lua", "header_mutation"),
            (HTTP_FILTER % "ext_authz", "authentication"), (HTTP_FILTER % "compressor", "compression"),
            (HTTP_FILTER % "buffer", "body_limit"), (HTTP_FILTER % "jwt_authn", "RequestAuthentication"),
            (HTTP_FILTER % "rbac", "AuthorizationPolicy"), (HTTP_FILTER % "own", "meshctl plugins new"),
        ):
            found = self.only("MSH0411", patch(value))
            self.assertIn(words, found.help, value)
            self.assertEqual((found.severity, found.path), ("warning", "spec.configPatches[0]"))

    def test_settings_of_envoy_have_native_ones(self):
        for value, kind, words in (
            ("{typed_config: {stream_idle_timeout: 5s}}", "NETWORK_FILTER", "timeouts of a listener"),
            ("{typed_config: {access_log: [{name: x}]}}", "NETWORK_FILTER", "access_log"),
            ("{per_connection_buffer_limit_bytes: 5}", "LISTENER", "limits.buffer_high"),
            ("{circuit_breakers: {thresholds: []}}", "CLUSTER", "connectionPool"),
            ("{typed_per_filter_config: {envoy.filters.http.local_ratelimit: {}}}", "VIRTUAL_HOST", "RateLimitPolicy"),
        ):
            self.assertIn(words, self.only("MSH0411", patch(value, "MERGE", kind)).help, value)

    def test_the_filter_that_is_changed_counts_and_that_beside_which_one_is_put_does_not(self):
        match = ", match: {listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, " \
                "subFilter: {name: envoy.filters.http.cors}}}}}"
        self.assertIn("corsPolicy", self.only("MSH0411", patch("{}", "MERGE", match=match)).help)
        found = self.only("MSH0411", patch(HTTP_FILTER % "own", "INSERT_BEFORE", match=match))
        self.assertNotIn("corsPolicy", found.help)

    def test_operations_that_envoy_does_not_do(self):
        good = patch(HTTP_FILTER % "own")
        for code, severity, operation, kind in (
            ("IST0151", "warning", "INSERT_BEFORE", "HTTP_FILTER"), ("IST0152", "error", "REPLACE", "CLUSTER"),
            ("IST0153", "error", "ADD", "HTTP_ROUTE"), ("IST0154", "error", "REMOVE", "HTTP_ROUTE"),
        ):
            self.check(code, severity, "applyTo", [patch(HTTP_FILTER % "own", operation, kind)], [good])
        self.assertNotIn("IST0151", self.codes(patch(HTTP_FILTER % "own", "INSERT_BEFORE", more=", priority: 5")))

    def test_a_relative_patch_beside_one_for_a_version(self):
        match = ", match: {proxy: {proxyVersion: '1.*'}}"
        first = patch(HTTP_FILTER % "own", match=match)
        second = patch(HTTP_FILTER % "own", "INSERT_BEFORE").replace("name: a,", "name: b,")
        self.check("IST0155", "warning", "applyTo", [first, second], [second])

    def test_a_wasm_plugin_is_not_run(self):
        text = "{url: 'oci://x/%s'}"
        found = self.only("MSH0412", doc("WasmPlugin", "a", text % "ratelimit"))
        self.assertEqual((found.severity, found.help), ("warning", "in its place: a RateLimitPolicy document"))
        self.assertIn("meshctl plugins new", self.only("MSH0412", doc("WasmPlugin", "a", text % "own")).help)


class TestAnnotation(AnalysisCase):
    def noted(self, text, make=service):
        return make(annotations=f"{{{text}}}")

    def test_unknown_ones_of_istio_and_of_ours_have_no_effect(self):
        bad = self.noted("networking.istio.io/exportTos: a")
        self.check("IST0108", "warning", "networking.istio.io/exportTos", [bad], [self.noted("example.com/a: b")])
        self.assertEqual(self.only("IST0108", bad).hint, 'did you mean "networking.istio.io/exportTo"?')

    def test_one_for_another_kind(self):
        bad = self.noted("networking.istio.io/exportTo: a")
        self.check("IST0107", "warning", "networking.istio.io/exportTo", [bad],
                   [doc("Service", "a", "{ports: [{name: http, port: 80}]}",
                        annotations="{networking.istio.io/exportTo: a}")])

    def test_a_priority_is_a_whole_number(self):
        self.check("IST0125", "warning", "meshd.io/priority", [self.noted("meshd.io/priority: high")],
                   [self.noted("meshd.io/priority: '-5'")])

    def test_a_deprecated_one(self):
        self.check("IST0135", "info", "sidecar.istio.io/inject", [self.noted("sidecar.istio.io/inject: 'yes'")],
                   [self.noted("istio.io/rev: a")])


class TestUnusual(AnalysisCase):
    def check_both(self, caret, bad, good):
        self.check("IST0133", "warning", caret, [service(), bad], [service(), good])

    def test_an_old_gateway_name(self):
        self.check_both("edge.default.svc.cluster.local",
                        routes(TO_A, more=", gateways: [edge.default.svc.cluster.local]"), routes(TO_A))

    def test_an_abort_without_a_status(self):
        text = "{fault: {abort: {percentage: {value: 5}%s}}, " + TO_A[1:]
        self.check_both("abort", routes(text % ""), routes(text % ", httpStatus: 503"))

    def test_a_selector_without_labels(self):
        text = "{workloadSelector: {labels: {%s}}, egress: [{hosts: ['./*']}]}"
        self.check_both("workloadSelector", doc("Sidecar", "a", text % ""), doc("Sidecar", "a", text % "a: b"))

    def test_a_redirect_to_https_from_https(self):
        text = "{servers: [{port: {number: 80, name: p, protocol: %s}, hosts: ['*'], tls: {httpsRedirect: true}}]}"
        self.check_both("httpsRedirect", doc("Gateway", "a", text % "TLS"), doc("Gateway", "a", text % "HTTP"))

    def test_a_certificate_that_is_not_used(self):
        text = "{servers: [{port: {number: 80, name: p, protocol: TLS}, hosts: ['*'], " \
               "tls: {mode: %s, credentialName: c}}]}"
        self.check_both("credentialName", doc("Gateway", "a", text % "PASSTHROUGH"),
                        doc("Gateway", "a", text % "SIMPLE"))

    def test_an_egress_host_that_another_one_covers(self):
        text = "{egress: [{hosts: ['./*', %s]}]}"
        self.check_both("./a.test", doc("Sidecar", "a", text % "./a.test"), doc("Sidecar", "a", text % "b/a.test"))

    def test_a_workload_selector_that_selects_nothing(self):
        text = "{hosts: [b.test], resolution: %s, workloadSelector: {labels: {a: b}}, " \
               "ports: [{number: 80, name: http}]}"
        self.check_both("workloadSelector", doc("ServiceEntry", "b", text % "NONE"),
                        doc("ServiceEntry", "b", text % "STATIC"))

    def test_a_large_body(self):
        text = "{directResponse: {status: 200, body: {string: %s}}}"
        self.check_both("body", routes(text % ("x" * 110_000)), routes(text % "x"))


class TestReport(AnalysisCase):
    def test_a_document_can_ask_to_be_spared(self):
        for text, expected in (("IST0101", []), ("'IST0002, IST0101'", []), ("'*'", []), ("IST0102", ["IST0101"])):
            noted = routes(TO_A, annotations=f"{{galley.istio.io/analyze-suppress: {text}}}")
            self.assertEqual(self.codes(noted), expected)

    def test_a_bug_of_an_analyzer_stops_neither_the_others_nor_the_daemon(self):
        with mock.patch("meshd_plugins.istio.analysis.reach.analyze", side_effect=KeyError("x")):
            found = self.read(routes(TO_A))
        self.assertEqual(sorted(one.code for one in found), ["IST0001", "IST0101"])
        self.assertIn("analyzer reach failed: KeyError('x')", found[0].message)

    def test_a_good_mesh_has_nothing_to_be_said_of(self):
        self.assertEqual(self.codes(service(), routes(TO_A)), [])

    def test_the_page_knows_every_code_and_its_severity(self):
        text = (ROOT / "docs" / "analysis.md").read_text()
        rows = dict(re.findall(r"(?m)^\| (IST\d{4}|MSH04\d\d) \|[^|]*\| (\w+)", text))
        own = {code: one for code, one in OWN.items() if code.startswith("MSH04")}
        for code, one in {**CODES, **own}.items():
            self.assertEqual(rows.get(code), one.severity, code)
        listed = set(rows) - set(own)
        self.assertEqual(len(listed), 68)
        self.assertTrue(all(rows[code] == "no" for code in listed - set(CODES)))
