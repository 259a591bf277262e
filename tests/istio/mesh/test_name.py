"""Host names: short ones, wildcards, gateways."""

from unittest import TestCase

from meshd_plugins.istio.mesh.name import covers, overlap, qualified, specificity


class Wildcards(TestCase):
    def test_a_wildcard_covers_what_stands_under_it_and_not_the_domain_itself(self):
        self.assertTrue(covers("*.a.test", "x.a.test"))
        self.assertFalse(covers("*.a.test", "a.test"))
        self.assertTrue(covers("*", "a.test"))

    def test_a_wildcard_covers_a_narrower_one(self):
        self.assertTrue(covers("*.test", "*.a.test"))
        self.assertFalse(covers("*.a.test", "*.test"))

    def test_the_overlap_of_two_hosts_is_the_narrower(self):
        self.assertEqual(overlap("*.a.test", "x.a.test"), "x.a.test")
        self.assertEqual(overlap("x.a.test", "*"), "x.a.test")
        self.assertIsNone(overlap("a.test", "*.a.test"))

    def test_exact_hosts_come_first_then_longer_wildcards(self):
        self.assertEqual(sorted(["*", "*.test", "a.test", "*.a.test"], key=specificity),
                         ["a.test", "*.a.test", "*.test", "*"])


class GatewayNames(TestCase):
    def test_a_short_name_is_of_the_rule_s_namespace(self):
        self.assertEqual(qualified(["edge", "mesh", "./side"], "shop"), {"shop/edge", "mesh", "shop/side"})

    def test_another_namespace_is_named_with_a_slash_or_as_of_old_with_a_dot(self):
        self.assertEqual(qualified(["web/edge"], "shop"), {"web/edge"})
        self.assertEqual(qualified(["edge.web", "edge.web.svc.cluster.local"], "shop"), {"web/edge"})
