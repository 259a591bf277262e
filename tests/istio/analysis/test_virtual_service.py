"""VirtualServices: destinations, gateways, rivals, order, parts that do not fit."""

from meshd.config.render import render_fault
from tests.istio.analysis.case import TO_A, AnalysisCase, doc, routes, rule, service

V1 = "subsets: [{name: v1, labels: {version: v1}}]"
TWO_PORTS = ", ports: [{number: 80, name: http}, {number: 81, name: http-b}]"
GATEWAY = doc("Gateway", "edge", "{servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [a.test]}]}")
AT_EDGE = ", gateways: [edge]"
MOCK_UP = """\
error[IST0101]: referenced host+subset not found: "reviews" subset "v3"
  --> 2.yaml:8:44
   |
 8 |     - destination: {host: reviews, subset: v3}
   |                                            ^^ no such subset
  ::: 1.yaml:6:3
 6 |   subsets:
   |   ------- DestinationRule default/reviews defines: v1, v2
   = help: requests matching this route would get 503 (flag NC)
"""


def two_ports():
    return service().replace("ports: [{number: 80, name: http, protocol: HTTP}]", TWO_PORTS[2:])


def to(destination):
    return routes(f"{{route: [{{destination: {destination}}}]}}")


class TestDestination(AnalysisCase):
    def test_a_host_must_exist(self):
        self.check("IST0101", "error", "b.test", [service(), to("{host: b.test}")], [service(), to("{host: a.test}")])

    def test_a_host_that_is_not_exported_is_not_there(self):
        hidden = service(more=", exportTo: ['.']", namespace="other")
        found = self.only("IST0101", hidden, to("{host: a.test}"))
        self.assertEqual((found.hint, found.path), ("not visible here", "spec.http[0].route[0].destination.host"))

    def test_a_wildcard_host_is_a_destination_only_as_it_is_written(self):
        wild = doc("ServiceEntry", "w", "{hosts: ['*.b.test'], ports: [{number: 80, name: http}], resolution: NONE}")
        self.assertEqual(self.only("IST0101", wild, to("{host: x.b.test}")).hint, 'only "*.b.test" is known')
        self.assertEqual(self.codes(wild, to("{host: '*.b.test'}")), [])

    def test_a_mirror_is_a_destination(self):
        bad = routes("{route: [{destination: {host: a.test}}], mirror: {host: b.test}}")
        found = self.only("IST0101", service(), bad)
        self.assertEqual((found.message, found.notes), ('referenced mirror host not found: "b.test"',
                                                        ("no copy would be sent",)))

    def test_a_port_must_exist(self):
        self.check("IST0101", "error", "81", [service(), to("{host: a.test, port: {number: 81}}")],
                   [service(), to("{host: a.test, port: {number: 80}}")])

    def test_a_port_must_be_named_where_there_are_several(self):
        self.check("IST0112", "error", "a.test", [two_ports(), to("{host: a.test}")],
                   [two_ports(), to("{host: a.test, port: {number: 80}}")])

    def test_a_subset_must_exist(self):
        self.check("IST0101", "error", "v2", [service(), rule(V1), to("{host: a.test, subset: v2}")],
                   [service(), rule(V1), to("{host: a.test, subset: v1}")])

    def test_a_subset_may_be_that_of_a_wildcard_rule(self):
        self.assertEqual(self.codes(service(), rule(V1, "'*.test'"), to("{host: a.test, subset: v1}")), [])

    def test_a_short_name_and_the_long_one_of_kubernetes_mean_the_same(self):
        long = rule(V1, "web.default.svc.cluster.local")
        found = [one.message for one in self.read(long, to("{host: web, subset: v1}"))]
        self.assertFalse(any("subset" in one for one in found), found)

    def test_a_missing_subset_looks_as_in_the_mock_up(self):
        there = ("apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: reviews}\nspec:\n"
                 "  host: reviews\n  subsets:\n  - {name: v1, labels: {version: v1}}\n  - {name: v2, labels: {}}\n")
        here = ("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews}\nspec:\n"
                "  hosts: [reviews]\n  http:\n  - route:\n    - destination: {host: reviews, subset: v3}\n")
        found = self.only("IST0101", service("reviews"), there, here)
        self.assertEqual(render_fault(found), MOCK_UP)

    def test_a_short_name_without_kubernetes_is_told_once(self):
        bad = [service("reviews"), to("{host: reviews}"), routes("{route: [{destination: {host: reviews}}]}", name="b")]
        self.check("MSH0410", "info", "reviews", bad, [service(), to("{host: a.test}")])


class TestGateways(AnalysisCase):
    def test_a_gateway_must_exist(self):
        self.check("IST0101", "error", "edgy", [service(), GATEWAY, routes(TO_A, more=", gateways: [edgy]")],
                   [service(), GATEWAY, routes(TO_A, more=AT_EDGE)])

    def test_a_gateway_of_another_namespace_is_written_with_it(self):
        here = routes(TO_A, more=", gateways: [edge]", namespace="shop")
        there = routes(TO_A, more=", gateways: [default/edge, edge.default.svc.cluster.local]", namespace="shop")
        self.assertIn("IST0101", self.codes(service(), GATEWAY, here))
        self.assertNotIn("IST0101", self.codes(service(), GATEWAY, there))

    def test_a_host_must_be_the_gateways(self):
        self.check("IST0132", "warning", "b.test", [service(), GATEWAY, routes(TO_A, "[a.test, b.test]", AT_EDGE)],
                   [service(), GATEWAY, routes(TO_A, "[a.test]", AT_EDGE)])

    def test_a_host_of_the_mesh_need_not_be_the_gateways(self):
        both = ", gateways: [mesh, edge]"
        self.assertNotIn("IST0132", self.codes(service(), GATEWAY, routes(TO_A, "[a.test, b.test]", both)))
        self.assertIn("IST0132", self.codes(service(), GATEWAY, routes(TO_A, "[b.test]", both)))

    def test_a_gateway_of_the_gateway_api_is_one_too(self):
        text = "{gatewayClassName: meshd, listeners: [{name: a, port: 80, protocol: HTTP, hostname: %s}]}"
        for host, expected in (("a.test", False), ("b.test", True), ("'*.test'", False)):
            there = doc("Gateway", "edge", text % host).replace("networking.istio.io", "gateway.networking.k8s.io")
            found = self.codes(service(), there, routes(TO_A, more=AT_EDGE))
            self.assertEqual("IST0132" in found, expected, host)
            self.assertNotIn("IST0101", found)

    def test_a_server_may_be_for_some_namespace_only(self):
        narrow = GATEWAY.replace("[a.test]", "[shop/a.test]")
        self.assertIn("IST0132", self.codes(service(), narrow, routes(TO_A, more=AT_EDGE)))
        self.assertIn("IST0132", self.codes(service(), GATEWAY.replace("[a.test]", "[./a.test]"),
                                            routes(TO_A, more=", gateways: [default/edge]", namespace="shop")))

    def test_a_delegate_must_exist(self):
        good = doc("VirtualService", "part", f"{{http: [{TO_A}]}}")
        bad = routes("{delegate: {name: parts}}")
        self.check("IST0101", "error", "parts", [service(), good, bad],
                   [service(), good, routes("{delegate: {name: part}}")])

    def test_subset_rules_of_the_mesh_do_not_hold_at_a_gateway(self):
        mesh = to("{host: a.test, subset: v1}")
        bad = routes(TO_A, more=AT_EDGE, name="b")
        good = routes("{route: [{destination: {host: a.test, subset: v1}}]}", more=AT_EDGE, name="b")
        self.check("IST0140", "warning", "a.test", [service(), GATEWAY, rule(V1), mesh, bad],
                   [service(), GATEWAY, rule(V1), mesh, good])


class TestRivals(AnalysisCase):
    def test_two_of_the_mesh_on_one_host(self):
        one, two = routes(TO_A, name="one"), routes(TO_A, name="two")
        self.check("IST0109", "warning", "a.test", [service(), two, one], [service(), one, routes(TO_A, more=AT_EDGE)])
        found = self.only("IST0109", service(), two, one)
        self.assertEqual((found.subject, found.related[0].text),
                         ("VirtualService default/two", "VirtualService default/one comes first"))

    def test_it_is_an_error_where_istios_verdict_is_asked_for(self):
        found = self.only("IST0109", service(), routes(TO_A, name="one"), routes(TO_A, name="two"), is_strict=True)
        self.assertEqual(found.severity, "error")

    def test_the_order_can_be_said(self):
        first = routes(TO_A, name="two", annotations="{meshd.io/priority: '5'}")
        found = self.only("IST0109", service(), routes(TO_A, name="one"), first)
        self.assertEqual(found.subject, "VirtualService default/one")
        self.assertIn("meshd.io/priority 5 against 0", found.notes[0])

    def test_namespaces_that_do_not_see_one_another_do_not_clash(self):
        more = ", exportTo: ['.']"
        pair = (routes(TO_A, more=more), routes(TO_A, more=more, namespace="b"))
        self.assertNotIn("IST0109", self.codes(service(), *pair))

    def test_a_merge_at_a_gateway_says_who_comes_first(self):
        pair = [routes(TO_A, more=AT_EDGE, name=name) for name in ("one", "two")]
        self.check("MSH0413", "info", "a.test", [service(), GATEWAY, *pair], [service(), GATEWAY, pair[0]])


class TestReach(AnalysisCase):
    def rules(self, *matches):
        return [service(), routes(", ".join(f"{{match: [{one}], {TO_A[1:]}" if one else TO_A for one in matches))]

    def test_behind_a_rule_for_everything_nothing_is_reached(self):
        self.check("IST0130", "warning", "match", self.rules("", "{uri: {exact: /a}}"),
                   self.rules("{uri: {exact: /a}}", ""))

    def test_a_prefix_covers_what_is_below_it(self):
        for wide, narrow in (
            ("uri: {prefix: /a}", "uri: {prefix: /ab}"), ("uri: {prefix: /a/}", "uri: {exact: /a/b}"),
            ("uri: {prefix: /}", "uri: {exact: /x}, headers: {a: {exact: b}}"),
            ("port: 80", "port: 80, method: {exact: GET}"), ("headers: {a: {}}", "headers: {A: {regex: x}}"),
            ("uri: {prefix: /A}, ignoreUriCase: true", "uri: {prefix: /a/b}"),
            ("uri: {regex: /a.*}", "uri: {regex: /a.*}, scheme: {exact: http}"), ("sourceLabels: {a: b}",) * 2,
            ("withoutHeaders: {a: {}}", "withoutHeaders: {a: {}, b: {}}"), ("gateways: [mesh, a]", "gateways: [mesh]"),
        ):
            with self.subTest(wide=wide, narrow=narrow):
                self.assertIn("IST0130", self.codes(*self.rules(f"{{{wide}}}", f"{{{narrow}}}", "")))

    def test_what_may_let_something_through_covers_nothing(self):
        for wide, narrow in (
            ("uri: {prefix: /a/}", "uri: {prefix: /a}"), ("uri: {prefix: /A}", "uri: {prefix: /a/b}"),
            ("uri: {prefix: /a}, headers: {a: {exact: b}}", "uri: {prefix: /a/b}"), ("port: 80", "port: 81"),
            ("uri: {exact: /a}", "uri: {exact: /a}, ignoreUriCase: true"),
            ("headers: {a: {exact: b}}", "headers: {a: {}}"),
            ("uri: {regex: /a.*}", "uri: {exact: /ab}"), ("sourceLabels: {a: b}", "port: 80"),
            ("withoutHeaders: {a: {}}", "port: 80"), ("gateways: [mesh]", "port: 80"),
            ("sourceNamespace: a", "port: 80"),
            ("queryParams: {a: {exact: b}}", "queryParams: {b: {exact: b}}"),
        ):
            with self.subTest(wide=wide, narrow=narrow):
                found = self.codes(*self.rules(f"{{{wide}}}", f"{{{narrow}}}", ""))
                self.assertFalse({"IST0130", "IST0131"} & set(found))

    def test_a_delegating_rule_covers_nothing(self):
        part = doc("VirtualService", "part", f"{{http: [{TO_A}]}}")
        self.assertNotIn("IST0130", self.codes(service(), part, routes(f"{{delegate: {{name: part}}}}, {TO_A}")))

    def test_one_of_several_matches_has_no_effect(self):
        both = "{uri: {exact: /a}}, {uri: {exact: /b}}"
        self.check("IST0131", "info", "uri", self.rules("{uri: {exact: /a}}", both, ""),
                   self.rules("{uri: {exact: /c}}", both, ""))

    def test_server_names_of_tls_are_covered_by_wildcards(self):
        text = ("{hosts: ['*.a.test'], tls: [{match: [{sniHosts: ['%s']}], route: [{destination: {host: a.test}}]}, "
                "{match: [{sniHosts: [x.a.test]}], route: [{destination: {host: a.test}}]}]}")
        found = self.codes(service(), doc("VirtualService", "web", text % "*.a.test"))
        self.assertIn("IST0130", found)
        self.assertNotIn("IST0130", self.codes(service(), doc("VirtualService", "web", text % "y.a.test")))

    def test_many_matches_take_no_time_to_speak_of(self):
        matches = [f"headers: {{a: {{exact: '{n}'}}}}" for n in range(1500)]
        self.assertNotIn("IST0130", self.codes(*self.rules(*(f"{{{one}}}" for one in matches), "")))


class TestRoute(AnalysisCase):
    def timed(self, timeout, each, attempts):
        return [service(), routes(f"{{{TO_A[1:-1]}, timeout: {timeout}, retries: {{attempts: {attempts}, "
                                  f"perTryTimeout: {each}}}}}")]

    def test_retries_must_fit_into_the_timeout(self):
        self.check("MSH0403", "warning", "1s", self.timed("2s", "1s", 3), self.timed("10s", "1s", 3))
        self.assertIn("at most 1 can begin", self.only("MSH0403", *self.timed("2s", "1s", 3)).message)
        self.assertIn("at most 0 can begin", self.only("MSH0403", *self.timed("2s", "5s", 1)).message)

    def test_without_a_timeout_all_fit(self):
        text = "retries: {attempts: 3, perTryTimeout: 1s}"
        self.assertNotIn("MSH0403", self.codes(service(), routes(f"{{{TO_A[1:-1]}, {text}}}")))
        self.assertNotIn("MSH0403", self.codes(
            service(), routes(f"{{{TO_A[1:-1]}, retries: {{attempts: 3, perTryTimeout: 1s}}}}")))

    def test_a_fault_needs_a_percentage(self):
        text = "{route: [{destination: {host: a.test}}], fault: {abort: {httpStatus: 503%s}}}"
        self.check("MSH0404", "warning", "abort", [service(), routes(text % "")],
                   [service(), routes(text % ", percentage: {value: 5}")])

    def test_a_delay_is_no_part_of_the_timeout(self):
        text = "{route: [{destination: {host: a.test}}], timeout: %s, fault: {delay: {fixedDelay: 7s, percentage: " \
               "{value: 100}}}}"
        self.check("MSH0417", "info", "7s", [service(), routes(text % "5s")], [service(), routes(text % "9s")])

    def test_a_mirror_should_be_another_one(self):
        text = "{route: [{destination: {host: a.test}}], mirror: {host: %s}}"
        both = [service(), service("b.test")]
        self.check("MSH0418", "warning", "a.test", [*both, routes(text % "a.test")], [*both, routes(text % "b.test")])
        many = "{route: [{destination: {host: a.test}}], mirrors: [{destination: {host: a.test}}]}"
        self.assertEqual(self.only("MSH0418", *both, routes(many)).path, "spec.http[0].mirrors[0].destination.host")

    def test_a_prefix_should_end_at_a_segment(self):
        text = "{match: [{uri: {prefix: %s}}], route: [{destination: {host: a.test}}]}"
        self.check("MSH0405", "info", "/foo", [service(), routes(text % "/foo")], [service(), routes(text % "/foo/")])

    def test_a_share_needs_a_weight_where_another_has_one(self):
        text = "{route: [{destination: {host: a.test}, weight: 100}, {destination: {host: b.test}%s}]}"
        both = [service(), service("b.test")]
        found = self.only("MSH0406", *both, routes(text % ""))
        self.assertEqual((found.severity, found.hint), ("warning", "no weight"))
        self.assertEqual(self.only("MSH0406", *both, routes(text % ", weight: 0")).severity, "info")
        self.assertNotIn("MSH0406", self.codes(*both, routes(text % ", weight: 5")))

    def test_deprecated_fields_are_named_with_their_heirs(self):
        text = "{route: [{destination: {host: a.test}}], fault: {delay: {fixedDelay: 1s, %s}}}"
        self.check("IST0002", "warning", "percent", [service(), routes(text % "percent: 5")],
                   [service(), routes(text % "percentage: {value: 5}")])
        found = self.only("IST0002", service(), routes("{corsPolicy: {allowOrigin: ['*']}, " + TO_A[1:]))
        self.assertEqual(found.hint, "write allowOrigins")
