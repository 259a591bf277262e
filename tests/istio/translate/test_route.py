"""What a rule does with the requests that it takes."""

import base64
from unittest import TestCase

from tests.istio.view import document, gateway, rules, service, versions, view

TO_A = "route: [{destination: {host: a.test}}]"


def seen(http, *more, texts=None, **node):
    """Return the view of a gateway with these rules for a.test, which has the versions v1 and v2."""
    return view(gateway(), *(texts or [versions("a.test", "v1", "v2")]), rules("r", http), *more, **node)


class Names(TestCase):
    def test_a_route_is_called_by_its_rule_and_its_block(self):
        found = seen("""
            - name: rule
              match: [{name: one, uri: {prefix: /1}}, {uri: {prefix: /2}}]
              route: [{destination: {host: a.test}}]
            """)
        self.assertEqual([found.ask(one).route.name for one in ("/1", "/2")], ["rule.one", "rule"])


class Destinations(TestCase):
    def test_the_cluster_has_port_subset_and_host_in_its_name(self):
        self.assertEqual(seen("- route: [{destination: {host: a.test, subset: v2}}]").goes(),
                         "outbound|80|v2|a.test")

    def test_shares_are_by_weight_and_0_gets_nothing(self):
        found = seen("""
            - route:
              - {destination: {host: a.test, subset: v1}, weight: 3}
              - {destination: {host: a.test}, weight: 0}
              - {destination: {host: a.test, subset: v2}, weight: 1}
            """)
        self.assertEqual(found.goes(), [(3, "outbound|80|v1|a.test"), (1, "outbound|80|v2|a.test")])

    def test_a_single_destination_takes_all_whatever_its_weight(self):
        self.assertEqual(seen("- route: [{destination: {host: a.test}, weight: 7}]").goes(), "outbound|80||a.test")

    def test_the_only_port_of_a_service_needs_no_name(self):
        texts = [service("a.test", ports=[(8080, "http")])]
        self.assertEqual(seen(f"- {TO_A}", texts=texts).goes(), "outbound|8080||a.test")

    def test_of_several_ports_that_of_the_listener_is_taken_or_the_one_that_is_named(self):
        texts = [service("a.test", ports=[(80, "http"), (8080, "http-alt")])]
        self.assertEqual(seen(f"- {TO_A}", texts=texts).goes(), "outbound|80||a.test")
        named = "- route: [{destination: {host: a.test, port: {number: 8080}}}]"
        self.assertEqual(seen(named, texts=texts).goes(), "outbound|8080||a.test")

    def test_a_short_name_is_of_the_rule_s_namespace(self):
        texts = [document("Service", "web", {"ports": [{"port": 80, "name": "http"}]}, "shop"), gateway(),
                 rules("r", "- route: [{destination: {host: web}}]", gateways=("default/edge",), namespace="shop")]
        self.assertEqual(view(*texts).goes(), "outbound|80||web.shop.svc.cluster.local")

    def test_unknown_hosts_ports_and_subsets_are_missing_clusters(self):
        for destination in ("{host: nobody.test}", "{host: a.test, subset: v9}", "{host: a.test, port: {number: 81}}"):
            with self.subTest(destination=destination):
                found = seen(f"- route: [{{destination: {destination}}}]")
                self.assertTrue(found.cluster(found.goes()).missing)

    def test_a_host_that_is_not_exported_to_this_node_is_missing(self):
        texts = [service("a.test", namespace="far", exportTo=["."])]
        found = seen(f"- {TO_A}", texts=texts)
        self.assertTrue(found.cluster(found.goes()).missing)


class Edits(TestCase):
    def test_fields_of_the_request_are_set_added_and_removed(self):
        found = seen(f"- {TO_A}\n  headers: {{request: {{set: {{a: x}}, add: {{b: '2'}}, remove: [c]}}}}")
        headers = found.sent("/", {"a": "old", "b": "1", "c": "gone"}).headers
        self.assertEqual((headers.get_all(b"a"), headers.get_all(b"b"), headers.get_all(b"c")),
                         ([b"x"], [b"1", b"2"], []))

    def test_a_single_destination_s_edits_come_after_the_rule_s(self):
        found = seen("""
            - headers: {request: {set: {a: rule, b: rule}}, response: {set: {c: rule}}}
              route:
              - destination: {host: a.test}
                headers: {request: {set: {a: destination}}, response: {set: {c: destination}}}
            """)
        headers = found.sent().headers
        self.assertEqual((headers.get(b"a"), headers.get(b"b")), (b"destination", b"rule"))
        self.assertEqual(found.routes()[0].response_headers.set, (("c", "destination"),))

    def test_what_the_rule_adds_comes_after_what_the_destination_sets(self):
        found = seen("""
- headers: {request: {add: {a: rule}}}
  route: [{destination: {host: a.test}, headers: {request: {set: {a: own}}}}]
""")
        self.assertEqual(found.sent().headers.get_all(b"a"), [b"own", b"rule"])

    def test_every_share_has_its_own(self):
        found = seen("""
            - route:
              - {destination: {host: a.test, subset: v1}, weight: 1, headers: {request: {set: {x: one}}}}
              - {destination: {host: a.test, subset: v2}, weight: 1, headers: {response: {remove: [y]}}}
            """)
        first, second = found.routes()[0].weighted_clusters
        self.assertEqual((first.request_headers.set, second.response_headers.remove), ((("x", "one"),), ("y",)))

    def test_host_is_rewritten_by_set_by_add_and_by_rewrite(self):
        for more in ("headers: {request: {set: {Host: b.test}}}", "headers: {request: {set: {':authority': b.test}}}",
                     "headers: {request: {add: {host: b.test}}}", "rewrite: {authority: b.test}"):
            with self.subTest(more=more):
                self.assertEqual(seen(f"- {TO_A}\n  {more}").sent().headers.get(b"host"), b"b.test")

    def test_where_a_delegate_brings_both_the_rewrite_holds(self):
        inner = rules("inner", f"- {TO_A}\n  headers: {{request: {{set: {{Host: b.test}}}}}}", hosts=(), gateways=())
        found = seen("- {delegate: {name: inner}, rewrite: {authority: c.test}}", inner)
        self.assertEqual(found.sent().headers.get(b"host"), b"c.test")

    def test_a_share_s_host_holds_where_the_rule_has_none(self):
        shares = """
  route:
  - {destination: {host: a.test, subset: v1}, weight: 1, headers: {request: {set: {Host: s.test}}}}
  - {destination: {host: a.test, subset: v2}, weight: 1}
"""
        self.assertEqual(seen(f"- name: x{shares}").sent().headers.get(b"host"), b"s.test")
        self.assertEqual(seen(f"- rewrite: {{authority: r.test}}{shares}").sent().headers.get(b"host"), b"r.test")

    def test_a_single_destination_s_host_too(self):
        found = seen("- route: [{destination: {host: a.test}, headers: {request: {set: {Host: s.test}}}}]")
        self.assertEqual(found.sent().headers.get(b"host"), b"s.test")

    def test_fields_of_the_connection_are_left_out_with_a_warning(self):
        found = seen(f"- {TO_A}\n  headers: {{request: {{set: {{content-length: '3'}}}}}}")
        self.assertIsNone(found.sent("/a").headers.get(b"content-length"))
        self.assertEqual([one.code for one in found.unsupported], ["MSH0118"])


class Rewrites(TestCase):
    def sent(self, match, rewrite, target):
        return seen(f"- match: [{match}]\n  {TO_A}\n  rewrite: {rewrite}").sent(target).target

    def test_a_prefix_is_replaced_as_plain_text(self):
        self.assertEqual(self.sent("{uri: {prefix: /foo/}}", "{uri: /}", "/foo/baz?q"), b"/baz?q")
        self.assertEqual(self.sent("{uri: {prefix: /foo}}", "{uri: /}", "/foo/baz"), b"//baz")

    def test_after_an_exact_or_regex_match_the_whole_path_is_replaced(self):
        self.assertEqual(self.sent("{uri: {exact: /foo}}", "{uri: /bar}", "/foo?q"), b"/bar?q")

    def test_without_a_match_the_slash_is_the_prefix(self):
        self.assertEqual(seen(f"- {TO_A}\n  rewrite: {{uri: /v1/}}").sent("/a").target, b"/v1/a")

    def test_a_pattern_rewrites_with_groups(self):
        self.assertEqual(
            self.sent("{uri: {prefix: /}}", r"{uriRegexRewrite: {match: '/u/([^/]+)/(.*)', rewrite: '/\2/of/\1'}}",
                      "/u/7/x"), b"/x/of/7")

    def test_the_old_path_goes_along(self):
        found = seen(f"- {TO_A}\n  rewrite: {{uri: /v1/}}").sent("/a?q")
        self.assertEqual(found.headers.get(b"x-envoy-original-path"), b"/a?q")


class Redirects(TestCase):
    def location(self, redirect, target="/old?q=1", match="{uri: {prefix: /old}}", **options):
        found = seen(f"- match: [{match}]\n  redirect: {redirect}").ask(target, **options).replies[-1]
        return found.status, found.header(b"location")

    def test_the_uri_replaces_the_whole_path(self):
        self.assertEqual(self.location("{uri: /new}"), (301, b"http://a.test/new?q=1"))

    def test_a_prefix_rewrite_replaces_the_prefix(self):
        self.assertEqual(self.location("{prefixRewrite: /new}", "/old/x"), (301, b"http://a.test/new/x"))

    def test_authority_scheme_code_and_port(self):
        self.assertEqual(self.location("{authority: b.test, scheme: https, redirectCode: 308, port: 8443}", "/old"),
                         (308, b"https://b.test:8443/old"))

    def test_the_scheme_s_own_port_is_not_written(self):
        self.assertEqual(self.location("{authority: b.test, port: 80}", "/old")[1], b"http://b.test/old")
        self.assertEqual(self.location("{authority: b.test, scheme: https, port: 443}", "/old")[1],
                         b"https://b.test/old")

    def test_the_port_is_derived_from_the_listener_or_the_scheme(self):
        texts = [gateway(port=8080), service("a.test"), rules("r", """
            - match: [{uri: {prefix: /a}}]
              redirect: {authority: b.test, derivePort: FROM_REQUEST_PORT}
            - redirect: {authority: b.test, scheme: https, derivePort: FROM_PROTOCOL_DEFAULT}
            """)]
        found = view(*texts)
        self.assertEqual([found.ask(one, host="a.test:8080").replies[-1].header(b"location") for one in ("/a", "/b")],
                         [b"http://b.test:8080/a", b"https://b.test/b"])

    def test_edits_of_the_response_hold(self):
        found = seen("- redirect: {uri: /new}\n  headers: {response: {set: {x: y}}}").ask().replies[-1]
        self.assertEqual(found.header(b"x"), b"y")


class DirectResponses(TestCase):
    def answer(self, text):
        found = seen(f"- directResponse: {text}").ask().replies[-1]
        return found.status, found.body

    def test_text_is_taken_as_it_is(self):
        self.assertEqual(self.answer("{status: 418, body: {string: '100 % %REQ(x)%'}}"), (418, b"100 % %REQ(x)%"))

    def test_bytes_are_in_base64(self):
        word = base64.b64encode(b"caf\xc3\xa9").decode()
        self.assertEqual(self.answer(f"{{status: 200, body: {{bytes: {word}}}}}"), (200, b"caf\xc3\xa9"))

    def test_bytes_that_are_no_text_are_warned_of(self):
        word = base64.b64encode(b"\xff\xfe").decode()
        found = seen(f"- directResponse: {{status: 200, body: {{bytes: {word}}}}}")
        self.assertEqual([one.code for one in found.unsupported], ["MSH0118"])

    def test_a_status_alone(self):
        self.assertEqual(self.answer("{status: 503}"), (503, b""))


class Times(TestCase):
    def test_there_is_no_time_out_unless_one_is_given(self):
        self.assertEqual(seen(f"- {TO_A}").ask().plan.timeouts.request_s, 0)
        self.assertEqual(seen(f"- {TO_A}\n  timeout: 1.5s").ask().plan.timeouts.request_s, 1.5)

    def test_the_deadline_of_a_call_is_heeded_within_the_timeout(self):
        self.assertEqual(seen(f"- {TO_A}").ask().plan.calls.timeout_max_s, 0)
        self.assertEqual(seen(f"- {TO_A}\n  timeout: 1.5s").ask().plan.calls.timeout_max_s, 1.5)


class Delegates(TestCase):
    def test_a_delegate_s_short_names_are_of_its_own_namespace(self):
        texts = [gateway(), *(document("Service", "web", {"ports": [{"port": 80, "name": "http"}]}, one)
                              for one in ("default", "far")),
                 rules("root", "- match: [{uri: {prefix: /x}}]\n  delegate: {name: inner, namespace: far}"),
                 rules("inner", "- {name: in, route: [{destination: {host: web}}]}", hosts=(), gateways=(),
                       namespace="far")]
        found = view(*texts)
        self.assertEqual(found.goes("/x/1"), "outbound|80||web.far.svc.cluster.local")
        self.assertEqual(found.goes("/y"), 404)
