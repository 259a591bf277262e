"""Look-ups over all documents: services, who sees what, DestinationRules."""

from unittest import TestCase

from tests.istio.view import document, gateway, mesh, rules, service


def rule(name, host="a.test", namespace="default", **spec):
    """Return a DestinationRule with a subset of its own name."""
    return document("DestinationRule", name, {"host": host, "subsets": [{"name": name}], **spec}, namespace)


def found(texts, client="default", owner="default", host="a.test", labels=()):
    """Return the names of the DestinationRules that hold."""
    return [one.name for one in mesh(*texts).destination_rule(host, owner, client, tuple(dict(labels).items()))]


class ShortNames(TestCase):
    def test_a_short_name_is_the_kubernetes_service_of_the_rule_s_namespace(self):
        index = mesh(document("Service", "web", {"ports": [{"port": 80}]}, "shop"))
        self.assertEqual(index.resolve("web", "shop"), "web.shop.svc.cluster.local")

    def test_it_is_a_serviceentry_s_host_where_that_is_spelt_so(self):
        index = mesh(service("web"))
        self.assertEqual(index.resolve("web", "shop"), "web")

    def test_the_kubernetes_service_wins_over_the_serviceentry(self):
        index = mesh(service("web"), document("Service", "web", {"ports": [{"port": 80}]}, "shop"))
        self.assertEqual(index.resolve("web", "shop"), "web.shop.svc.cluster.local")
        self.assertEqual(index.resolve("web", "other"), "web")

    def test_a_name_that_nobody_knows_stays(self):
        self.assertEqual(mesh(service("web")).resolve("Other", "shop"), "other")

    def test_names_with_dots_and_wildcards_stay(self):
        index = mesh(service("web"))
        self.assertEqual([index.resolve(one, "shop") for one in ("A.test", "*", "*.x")], ["a.test", "*", "*.x"])

    def test_hosts_are_compared_without_case(self):
        self.assertEqual(mesh(service("a", hosts=["A.Test"])).find("a.tesT").host, "a.test")


class Visibility(TestCase):
    def seen_from(self, namespace, config=None, **spec):
        texts = [service("a.test", namespace="shop", **spec)]
        texts += [document("MeshConfig", "mesh", config)] if config else []
        return mesh(*texts).find("a.test", namespace) is not None

    def test_a_service_is_seen_everywhere_unless_it_says_otherwise(self):
        self.assertTrue(self.seen_from("other"))
        self.assertTrue(self.seen_from("other", exportTo=["*"]))

    def test_a_dot_is_its_own_namespace_and_names_are_namespaces(self):
        self.assertEqual([self.seen_from(one, exportTo=["."]) for one in ("shop", "other")], [True, False])
        self.assertEqual([self.seen_from(one, exportTo=["other"]) for one in ("shop", "other")], [False, True])

    def test_a_tilde_is_nobody(self):
        self.assertFalse(self.seen_from("shop", exportTo=["~"]))

    def test_the_mesh_config_gives_the_default(self):
        config = {"defaultServiceExportTo": ["."]}
        self.assertEqual([self.seen_from(one, config) for one in ("shop", "other")], [True, False])
        self.assertTrue(self.seen_from("other", config, exportTo=["*"]))

    def test_kubernetes_services_say_it_with_an_annotation(self):
        index = mesh(document("Service", "web", {"ports": [{"port": 80}]}, "shop",
                              annotations={"networking.istio.io/exportTo": "., other"}))
        host = "web.shop.svc.cluster.local"
        self.assertEqual([index.find(host, one) is not None for one in ("shop", "other", "third")],
                         [True, True, False])

    def test_of_one_host_in_two_namespaces_the_nearer_is_found(self):
        index = mesh(service("a.test", namespace="a"), service("a.test", namespace="b"))
        self.assertEqual([index.find("a.test", one).namespace for one in ("a", "b")], ["a", "b"])


class DestinationRules(TestCase):
    def test_the_client_s_namespace_comes_before_the_service_s_and_the_root(self):
        texts = [rule("client", namespace="client"), rule("owner", namespace="owner"),
                 rule("root", namespace="istio-system")]
        self.assertEqual(found(texts, "client", "owner"), ["client"])
        self.assertEqual(found(texts[1:], "client", "owner"), ["owner"])
        self.assertEqual(found(texts[2:], "client", "owner"), ["root"])

    def test_a_rule_of_a_third_namespace_holds_nowhere_else(self):
        self.assertEqual(found([rule("third", namespace="third")], "client", "owner"), [])

    def test_a_client_in_the_root_namespace_asks_the_service_s_first(self):
        texts = [rule("root", namespace="istio-system"), rule("owner", namespace="owner")]
        self.assertEqual(found(texts, "istio-system", "owner"), ["owner"])
        private = rule("private", namespace="istio-system", exportTo=["."])
        self.assertEqual(found([*texts, private], "istio-system", "owner"), ["private"])

    def test_the_root_namespace_can_be_another(self):
        texts = [document("MeshConfig", "mesh", {"rootNamespace": "base"}), rule("root", namespace="base")]
        self.assertEqual(found(texts, "client", "owner"), ["root"])

    def test_the_most_specific_host_wins(self):
        texts = [rule("all", "*"), rule("domain", "*.test"), rule("exact", "a.test")]
        self.assertEqual(found(texts), ["exact"])
        self.assertEqual(found(texts, host="b.test"), ["domain"])
        self.assertEqual(found(texts, host="b.org"), ["all"])

    def test_a_wildcard_of_the_client_hides_the_service_s_exact_rule(self):
        texts = [rule("client", "*.test", namespace="client"), rule("owner", namespace="owner")]
        self.assertEqual(found(texts, "client", "owner"), ["client"])

    def test_rules_of_one_host_hold_together(self):
        self.assertEqual(found([rule("b"), rule("a")]), ["a", "b"])

    def test_a_rule_that_is_not_exported_is_the_owner_s_alone(self):
        texts = [rule("private", namespace="owner", exportTo=["."])]
        self.assertEqual(found(texts, "owner", "owner"), ["private"])
        self.assertEqual(found(texts, "client", "owner"), [])

    def test_the_mesh_config_gives_the_default_of_rules(self):
        texts = [document("MeshConfig", "mesh", {"defaultDestinationRuleExportTo": ["."]}),
                 rule("owner", namespace="owner")]
        self.assertEqual(found(texts, "client", "owner"), [])

    def test_a_workload_selector_holds_in_place_of_the_others_and_in_its_namespace_only(self):
        texts = [rule("all"), rule("some", workloadSelector={"matchLabels": {"app": "web"}})]
        self.assertEqual(found(texts), ["all"])
        self.assertEqual(found(texts, labels={"app": "web", "version": "v1"}), ["some"])
        self.assertEqual(found(texts, client="other", labels={"app": "web"}), ["all"])

    def test_short_hosts_are_of_the_rule_s_namespace(self):
        texts = [document("Service", "web", {"ports": [{"port": 80}]}, "shop"), rule("web", "web", namespace="shop")]
        self.assertEqual(found(texts, "shop", "shop", host="web.shop.svc.cluster.local"), ["web"])


class Kinds(TestCase):
    def test_virtual_gateways_stand_among_the_gateways_in_order(self):
        index = mesh(gateway("b"), gateway("a", kind="VirtualGateway"))
        self.assertEqual([one.name for one in index.gateways], ["a", "b"])

    def test_a_kind_of_which_there_is_none_is_empty(self):
        self.assertEqual(mesh(rules("a", "- {route: [{destination: {host: a}}]}")).of("Sidecar"), ())
