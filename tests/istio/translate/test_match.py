"""Conditions of rules: which requests a block takes, as the real router sees it."""

from unittest import TestCase

from tests.istio.view import faults_of, gateway, rules, service, view

HTTP = "- name: hit\n  match: [{block}]\n  route: [{{destination: {{host: a.test}}}}]\n"


def matcher(block):
    """Return taken(target, headers, **options) for one block: whether the router takes a request."""
    seen = view(gateway(), service("a.test"), rules("r", HTTP.format(block=block)))

    def taken(target="/", headers=(), **options):
        route = seen.ask(target, headers, **options).route
        return route is not None and route.name == "hit"

    return taken


class Paths(TestCase):
    def test_exact_is_the_whole_path_without_the_query(self):
        taken = matcher("{uri: {exact: /a}}")
        self.assertEqual([taken(one) for one in ("/a", "/a?q=1", "/a/", "/ab", "/A")],
                         [True, True, False, False, False])

    def test_prefix_is_plain_text(self):
        taken = matcher("{uri: {prefix: /foo}}")
        self.assertEqual([taken(one) for one in ("/foo", "/foobar", "/foo/x", "/fo")], [True, True, True, False])

    def test_regex_is_the_whole_path_without_the_query(self):
        taken = matcher("{uri: {regex: '/[0-9]+'}}")
        self.assertEqual([taken(one) for one in ("/12", "/12?q=x", "/12/x", "/x")], [True, True, False, False])

    def test_ignore_uri_case_is_for_exact_and_prefix(self):
        self.assertTrue(matcher("{uri: {exact: /aB}, ignoreUriCase: true}")("/Ab"))
        self.assertTrue(matcher("{uri: {prefix: /aB}, ignoreUriCase: true}")("/AbC"))
        self.assertFalse(matcher("{uri: {regex: /ab}, ignoreUriCase: true}")("/AB"))

    def test_a_path_that_no_request_can_have_is_never_taken(self):
        self.assertFalse(matcher("{uri: {exact: a}}")("/a"))
        self.assertFalse(matcher("{uri: {prefix: a}}")("/a"))

    def test_without_a_uri_every_path_is_taken(self):
        self.assertTrue(matcher("{headers: {x: {}}}")("/any", {"x": "1"}))


class Fields(TestCase):
    def test_exact_prefix_and_whole_regex(self):
        for value, yes, no in (("{exact: jason}", "jason", "Jason"), ("{prefix: ja}", "jason", "raja"),
                               ("{regex: 'ja.*'}", "jason", "a-jason")):
            with self.subTest(value=value):
                taken = matcher("{headers: {end-user: %s}}" % value)
                self.assertEqual([taken("/", {"end-user": one}) for one in (yes, no)] + [taken()],
                                 [True, False, False])

    def test_an_empty_condition_asks_for_presence(self):
        taken = matcher("{headers: {x: {}}}")
        self.assertEqual([taken("/", {"x": "any"}), taken("/", {"x": ""}), taken()], [True, True, False])

    def test_the_regex_star_is_refused_as_istiod_refuses_it(self):
        texts = gateway(), rules("r", HTTP.format(block="{headers: {x: {regex: '*'}}}"))
        self.assertEqual([one.path for one in faults_of(*texts)], ["spec.http[0].match[0].headers.x.regex"])

    def test_several_conditions_hold_together(self):
        taken = matcher("{headers: {a: {exact: '1'}, b: {exact: '2'}}}")
        self.assertEqual([taken("/", {"a": "1", "b": "2"}), taken("/", {"a": "1"})], [True, False])

    def test_names_of_other_conditions_are_ignored(self):
        self.assertTrue(matcher("{uri: {prefix: /a}, headers: {method: {exact: PUT}}}")("/a"))

    def test_without_headers_takes_what_has_not_the_value_or_not_the_field(self):
        taken = matcher("{withoutHeaders: {x: {exact: '1'}}}")
        self.assertEqual([taken("/", {"x": "1"}), taken("/", {"x": "2"}), taken()], [False, True, True])

    def test_without_headers_that_may_be_empty_takes_no_missing_field(self):
        taken = matcher("{withoutHeaders: {x: {regex: '.*'}}}")
        self.assertEqual([taken("/", {"x": "1"}), taken()], [False, False])

    def test_without_headers_and_no_condition_takes_what_has_not_the_field(self):
        taken = matcher("{withoutHeaders: {x: {}}}")
        self.assertEqual([taken("/", {"x": "1"}), taken()], [False, True])


class Parts(TestCase):
    def test_query_parameters(self):
        for value, yes, no in (("{exact: v2}", "/?v=v2", "/?v=v1"), ("{prefix: v}", "/?v=v9", "/?v=9"),
                               ("{regex: '[0-9]+'}", "/?v=12", "/?v=1x"), ("{exact: ''}", "/?v", "/?v=1"),
                               ("{}", "/?v=x", "/?w=x")):
            with self.subTest(value=value):
                taken = matcher("{queryParams: {v: %s}}" % value)
                self.assertEqual([taken(yes), taken(no), taken("/")], [True, False, False])

    def test_method(self):
        taken = matcher("{method: {regex: 'GET|HEAD'}}")
        self.assertEqual([taken(method=one) for one in ("GET", "HEAD", "POST")], [True, True, False])

    def test_authority(self):
        taken = matcher("{authority: {prefix: a.}}")
        self.assertEqual([taken(host="a.test"), matcher("{authority: {exact: b.test}}")()], [True, False])

    def test_scheme(self):
        self.assertEqual([matcher("{scheme: {exact: %s}}" % one)() for one in ("http", "https")], [True, False])

    def test_all_conditions_of_a_block_hold_together(self):
        taken = matcher("{uri: {prefix: /a}, method: {exact: GET}, queryParams: {q: {exact: '1'}}}")
        self.assertEqual([taken("/a?q=1"), taken("/a?q=2"), taken("/b?q=1"), taken("/a?q=1", method="PUT")],
                         [True, False, False, False])

    def test_the_port_is_the_server_s(self):
        self.assertEqual([matcher("{uri: {prefix: /}, port: %d}" % one)() for one in (80, 81)], [True, False])


class Sources(TestCase):
    """Which proxies get a rule at all."""

    def is_there(self, block, gateways=("edge",), **node):
        seen = view(gateway(), service("a.test"), rules("r", HTTP.format(block=block), gateways=gateways), **node)
        return seen.ask().route is not None

    def test_source_labels_are_the_proxy_s(self):
        block = "{sourceLabels: {app: web}}"
        self.assertTrue(self.is_there(block, labels={"app": "web", "x": "y"}))
        self.assertFalse(self.is_there(block, labels={"app": "db"}))

    def test_the_source_namespace_is_the_proxy_s(self):
        self.assertTrue(self.is_there("{sourceNamespace: shop}", ("default/edge",), namespace="shop"))
        self.assertFalse(self.is_there("{sourceNamespace: shop}"))

    def test_gateways_of_a_block_replace_the_rule_s_and_its_sources(self):
        self.assertTrue(self.is_there("{gateways: [edge]}", ("edge", "mesh")))
        self.assertFalse(self.is_there("{gateways: [mesh]}", ("edge", "mesh")))
        self.assertTrue(self.is_there("{gateways: [edge], sourceLabels: {app: none}}"))


class CatchAll(TestCase):
    def names(self, *blocks):
        http = "".join(f"- name: r{place}\n  match: [{block}]\n  route: [{{destination: {{host: a.test}}}}]\n"
                       for place, block in enumerate(blocks))
        return [one.name for one in view(gateway(), service("a.test"), rules("r", http)).routes()]

    def test_what_takes_every_request_ends_the_list(self):
        for block in ("{uri: {prefix: /}}", "{uri: {regex: '.*'}}", "{name: x}",
                      "{uri: {prefix: /}, headers: {method: {exact: PUT}}}"):
            with self.subTest(block=block):
                self.assertEqual(len(self.names(block, "{uri: {prefix: /a}}")), 1)

    def test_what_has_another_condition_does_not(self):
        for block in ("{uri: {prefix: /}, headers: {x: {}}}", "{uri: {prefix: /}, method: {exact: GET}}",
                      "{withoutHeaders: {x: {}}}", "{queryParams: {q: {}}}", "{uri: {prefix: /a}}"):
            with self.subTest(block=block):
                self.assertEqual(len(self.names(block, "{uri: {prefix: /a}}")), 2)

    def test_the_first_that_matches_is_taken_whatever_is_more_specific(self):
        seen = view(gateway(), service("a.test"), rules("r", """
            - name: short
              match: [{uri: {prefix: /a}}]
              route: [{destination: {host: a.test}}]
            - name: long
              match: [{uri: {exact: /a/b}}]
              route: [{destination: {host: a.test}}]
            """))
        self.assertEqual(seen.ask("/a/b").route.name, "short")
