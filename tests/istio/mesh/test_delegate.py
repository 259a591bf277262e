"""Rules that another VirtualService holds."""

from unittest import TestCase

from meshd_plugins.istio.mesh.delegate import rules_of
from tests.istio.view import document, faults_of, mesh, rules

INNER = "- name: inner\n  route: [{destination: {host: b.test}}]\n"


def delegate(http=INNER, name="inner", namespace="", **more):
    """Return a VirtualService without hosts."""
    return rules(name, http, hosts=(), gateways=(), namespace=namespace, **more)


def root(match="", more="", **options):
    """Return a VirtualService that delegates one rule."""
    match = f"  match: {match}\n" if match else ""
    return rules("root", f"- name: outer\n{match}  delegate: {{name: inner}}\n{more}", **options)


def merged(*texts):
    """Return [(rule, name of its VirtualService)] of the document ``root``."""
    index = mesh(*texts)
    found = next(one for one in index.of("VirtualService") if one.name == "root")
    return [(rule, owner.name) for rule, owner in rules_of(found, index)]


def blocks(outer, inner):
    """Return the match blocks of a root with these under a delegate with those, or None where the rule is void."""
    found = merged(root(outer), delegate(f"- match: {inner}\n  route: [{{destination: {{host: b.test}}}}]\n"))
    return found[0][0].match if found else None


class Place(TestCase):
    def test_the_delegate_s_rules_stand_where_the_root_s_was(self):
        texts = [root(more="- {name: last, route: [{destination: {host: a.test}}]}\n"),
                 delegate(INNER + "- name: second\n  route: [{destination: {host: c.test}}]\n")]
        self.assertEqual([(rule.name, owner) for rule, owner in merged(*texts)],
                         [("outer-inner", "inner"), ("outer-second", "inner"), ("last", "root")])

    def test_without_the_delegate_only_that_rule_is_left_out(self):
        found = merged(root(more="- {name: last, route: [{destination: {host: a.test}}]}\n"))
        self.assertEqual([rule.name for rule, _ in found], ["last"])

    def test_a_virtual_service_with_hosts_is_no_delegate(self):
        self.assertEqual(merged(root(), rules("inner", INNER, hosts=("b.test",))), [])

    def test_a_namespace_can_be_named(self):
        text = rules("root", "- delegate: {name: inner, namespace: far}\n")
        self.assertEqual(len(merged(text, delegate(namespace="far"))), 1)
        self.assertEqual(len(merged(text, delegate())), 0)

    def test_delegates_do_not_delegate(self):
        texts = [root(), delegate("- delegate: {name: deep}\n"), delegate(name="deep")]
        self.assertIn("spec.http[0].delegate", [one.path for one in faults_of(*texts)])

    def test_a_delegate_must_be_exported_to_the_root(self):
        text = rules("root", "- delegate: {name: inner, namespace: far}\n")
        self.assertEqual(merged(text, delegate(namespace="far", exportTo=["."])), [])
        self.assertEqual(len(merged(text, delegate(namespace="far", exportTo=["default"]))), 1)

    def test_the_mesh_config_s_default_export_counts(self):
        text = rules("root", "- delegate: {name: inner, namespace: far}\n")
        config = document("MeshConfig", "mesh", {"defaultVirtualServiceExportTo": ["."]})
        self.assertEqual(merged(text, delegate(namespace="far"), config), [])


class Fields(TestCase):
    def test_what_the_delegate_leaves_out_is_the_root_s(self):
        text = rules("root", """
            - delegate: {name: inner}
              timeout: 3s
              rewrite: {uri: /x}
              headers: {request: {set: {a: outer}}}
            """)
        inner = delegate("""
            - route: [{destination: {host: b.test}}]
              timeout: 1s
            - route: [{destination: {host: b.test}}]
            """)
        first, second = (rule for rule, _ in merged(text, inner))
        self.assertEqual((first.timeout_s, second.timeout_s), (1.0, 3.0))
        self.assertEqual((first.rewrite.uri, dict(first.headers.request.set)), ("/x", {"a": "outer"}))

    def test_names_are_joined_where_both_are_there(self):
        texts = [root(), delegate("- {route: [{destination: {host: b.test}}]}\n")]
        self.assertEqual(merged(*texts)[0][0].name, "outer")


class Matches(TestCase):
    def test_both_sides_hold_together(self):
        found = blocks("[{name: o, uri: {prefix: /a}, headers: {x: {exact: '1'}}}]",
                       "[{name: i, uri: {prefix: /a/b}, method: {exact: GET}}]")
        self.assertEqual((found[0].name, found[0].uri.prefix, found[0].method.exact), ("o-i", "/a/b", "GET"))
        self.assertEqual([name for name, _ in found[0].headers], ["x"])

    def test_without_blocks_the_other_s_hold(self):
        self.assertEqual(merged(root("[{uri: {prefix: /a}}]"), delegate())[0][0].match[0].uri.prefix, "/a")
        self.assertIsNotNone(blocks("[]", "[{uri: {prefix: /b}}]"))

    def test_every_block_is_put_under_every_one_that_it_fits(self):
        found = blocks("[{uri: {prefix: /a}}, {uri: {prefix: /b}}, {method: {exact: GET}}]",
                       "[{uri: {prefix: /a/x}}, {uri: {prefix: /b/x}}]")
        self.assertEqual([(one.uri.prefix, one.method is not None) for one in found],
                         [("/a/x", False), ("/a/x", True), ("/b/x", False), ("/b/x", True)])

    def test_one_block_that_fits_nowhere_voids_the_rule(self):
        self.assertIsNone(blocks("[{uri: {prefix: /a}}]", "[{uri: {prefix: /a/x}}, {uri: {prefix: /c}}]"))

    def test_narrower_is_known_of_exact_and_prefix_alone(self):
        for outer, inner, is_narrower in (
            ("{prefix: /a}", "{prefix: /a/b}", True), ("{prefix: /a}", "{prefix: /a}", True),
            ("{prefix: /a/b}", "{prefix: /a}", False), ("{prefix: /a}", "{exact: /ab}", True),
            ("{prefix: /a}", "{exact: /b}", False), ("{exact: /a}", "{exact: /a}", True),
            ("{exact: /a}", "{exact: /b}", False), ("{exact: /a}", "{prefix: /a}", False),
            ("{regex: /a.*}", "{exact: /ab}", False), ("{prefix: /a}", "{regex: /a.*}", False),
            ("{regex: /a.*}", "{regex: /a.*}", False),
        ):
            with self.subTest(outer=outer, inner=inner):
                self.assertEqual(blocks(f"[{{uri: {outer}}}]", f"[{{uri: {inner}}}]") is not None, is_narrower)

    def test_fields_and_queries_are_compared_by_name(self):
        self.assertIsNone(blocks("[{headers: {a: {exact: x}}}]", "[{headers: {a: {exact: y}}}]"))
        self.assertIsNotNone(blocks("[{headers: {a: {exact: x}}}]", "[{headers: {b: {exact: y}}}]"))
        self.assertIsNone(blocks("[{queryParams: {a: {prefix: x}}}]", "[{queryParams: {a: {prefix: y}}}]"))
        self.assertIsNone(blocks("[{headers: {a: {}}}]", "[{headers: {a: {exact: y}}}]"))

    def test_ports_case_sources_and_gateways_must_agree(self):
        for outer, inner, is_narrower in (
            ("port: 80", "port: 80", True), ("port: 80", "port: 81", False), ("port: 80", "name: x", True),
            ("uri: {prefix: /a}, ignoreUriCase: true", "uri: {prefix: /a}", False),
            ("sourceLabels: {a: x}", "sourceLabels: {a: y}", False),
            ("sourceLabels: {a: x}", "sourceLabels: {b: y}", True),
            ("sourceNamespace: a", "sourceNamespace: b", False),
            ("gateways: [a, b]", "gateways: [a]", True), ("gateways: [a]", "gateways: [c]", False),
        ):
            with self.subTest(outer=outer, inner=inner):
                self.assertEqual(blocks(f"[{{{outer}}}]", f"[{{{inner}}}]") is not None, is_narrower)
