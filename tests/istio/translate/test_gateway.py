"""Listeners of Gateways, and which rules are bound to them."""

from unittest import TestCase

from tests.istio.view import document, gateway, rules, service, view

A = service("a.test")


def to(name, host="a.test"):
    """Return one rule of this name that takes every request."""
    return f"- {{name: {name}, route: [{{destination: {{host: {host}}}}}]}}"


def taken(seen, host="a.test", target="/"):
    """Return the name of the route that a request gets, or None."""
    route = seen.ask(target, host=host).route
    return route.name if route is not None else None


class Selection(TestCase):
    def bound(self, selector, **node):
        return [one.name for one in view(gateway(selector=selector), **node).snapshot.listeners]

    def test_the_selector_is_compared_with_the_node_s_labels(self):
        self.assertEqual(self.bound({"app": "edge"}, labels={"app": "edge", "x": "y"}), ["0.0.0.0_80"])
        self.assertEqual(self.bound({"app": "edge"}, labels={"app": "other"}), [])

    def test_gateways_have_the_label_of_istio_s_own_unless_theirs_say_otherwise(self):
        label = {"istio": "ingressgateway"}
        self.assertEqual(self.bound(label), ["0.0.0.0_80"])
        self.assertEqual(self.bound(label, role="egress"), [])
        self.assertEqual(self.bound({"istio": "egressgateway"}, role="egress"), ["0.0.0.0_80"])
        self.assertEqual(self.bound(label, labels={"istio": "other"}), [])
        self.assertEqual(self.bound(label, role="sidecar"), [])

    def test_no_selector_is_every_node(self):
        self.assertEqual(self.bound({}, role="sidecar"), ["0.0.0.0_80"])


class Ports(TestCase):
    def test_the_node_s_port_map_holds(self):
        seen = view(gateway(), ports={"80": 8080})
        self.assertEqual(seen.listener().address, "0.0.0.0:8080")

    def test_a_server_can_name_its_address(self):
        self.assertEqual(view(gateway(bind="127.0.0.1")).listener().address, "127.0.0.1:80")

    def test_servers_of_several_gateways_share_a_port(self):
        seen = view(gateway("one", ["a.test"]), gateway("two", ["b.test"]), A,
                    rules("a", to("ra"), hosts=["a.test"], gateways=["one"]),
                    rules("b", to("rb"), hosts=["b.test"], gateways=["two"]))
        self.assertEqual(len(seen.snapshot.listeners), 1)
        self.assertEqual([taken(seen, one) for one in ("a.test", "b.test")], ["ra", "rb"])

    def test_a_port_without_a_protocol_follows_its_name(self):
        port = {"number": 80, "name": "http-web"}
        seen = view(document("VirtualGateway", "edge", {"servers": [{"port": port, "hosts": ["*"]}]}))
        self.assertEqual(len(seen.snapshot.listeners), 1)

    def test_browsers_speak_grpc_to_a_port_of_grpc_web(self):
        for port in ({"number": 80, "name": "web", "protocol": "GRPC-WEB"}, {"number": 80, "name": "grpc-web"}):
            seen = view(document("VirtualGateway", "edge", {"servers": [{"port": port, "hosts": ["*"]}]}))
            self.assertEqual([filter.type for filter in seen.listener().filters], ["grpc_web", "grpc_stats", "router"])

    def test_the_first_protocol_of_a_port_has_it(self):
        tcp = {"port": {"number": 80, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]}
        seen = view(gateway("a"), document("Gateway", "b", {"servers": [tcp]}))
        self.assertEqual([[filter.type for filter in one.filters] for one in seen.snapshot.listeners],
                         [["grpc_stats", "router"]])
        self.assertIn("spec.servers[0].port.protocol", [one.path for one in seen.unsupported])


class Hosts(TestCase):
    def pair(self, server, rule, **node):
        return view(gateway(hosts=server), A, rules("r", to("r"), hosts=rule), **node)

    def test_the_narrower_of_both_is_served(self):
        self.assertEqual(self.pair(["*.a.test"], ["x.a.test"]).domains(), ["x.a.test"])
        self.assertEqual(self.pair(["x.a.test"], ["*.a.test"]).domains(), ["x.a.test"])
        self.assertEqual(self.pair(["*"], ["*.a.test"]).domains(), ["*.a.test"])

    def test_hosts_without_each_other_are_not_served(self):
        self.assertEqual(self.pair(["*.a.test"], ["a.test"]).goes(), 404)
        self.assertEqual(self.pair(["b.test"], ["a.test"]).goes(host="b.test"), 404)

    def test_a_wildcard_of_the_rule_serves_every_host_of_the_server(self):
        self.assertEqual(sorted(self.pair(["x.test", "y.test"], ["*.test"]).domains()), ["x.test", "y.test"])

    def test_hosts_are_compared_without_case(self):
        self.assertEqual(taken(self.pair(["X.Test"], ["x.tesT"]), "x.TEST"), "r")

    def test_the_server_can_say_whose_rules_it_takes(self):
        for server, namespace, is_taken in (
            ("*/a.test", "shop", True), ("shop/a.test", "shop", True), ("shop/a.test", "other", False),
            ("./a.test", "default", True), ("./a.test", "other", False), ("a.test", "other", True),
        ):
            with self.subTest(server=server, namespace=namespace):
                seen = view(gateway(hosts=[server]), A,
                            rules("r", to("r"), gateways=["default/edge"], namespace=namespace))
                self.assertEqual(taken(seen), "r" if is_taken else None)

    def test_any_port_in_the_host_is_taken(self):
        self.assertEqual(taken(self.pair(["*"], ["a.test"]), "a.test:8080"), "r")

    def test_the_most_specific_host_is_asked_alone(self):
        seen = view(gateway(), A, rules("all", to("all"), hosts=["*"]),
                    rules("one", "- {name: one, match: [{uri: {prefix: /x}}], route: [{destination: {host: a.test}}]}"))
        self.assertEqual([taken(seen, target=one) for one in ("/x", "/y")], ["one", None])
        self.assertEqual(taken(seen, "other.test", "/y"), "all")

    def test_a_host_without_rules_for_this_proxy_does_not_hide_a_wildcard(self):
        seen = view(gateway(), A, rules("all", to("all"), hosts=["*"]), rules("one", """
            - match: [{sourceNamespace: far}]
              route: [{destination: {host: a.test}}]
            """))
        self.assertEqual(taken(seen), "all")

    def test_without_any_rules_all_is_404(self):
        self.assertEqual(view(gateway()).goes(), 404)


class Binding(TestCase):
    def is_taken(self, names, namespace="default", where="default", **more):
        return taken(view(gateway(namespace=where), A,
                          rules("r", to("r"), gateways=names, namespace=namespace, **more))) == "r"

    def test_names_are_of_the_rule_s_namespace_unless_they_have_one(self):
        self.assertTrue(self.is_taken(["edge"]))
        self.assertFalse(self.is_taken(["edge"], "shop"))
        self.assertTrue(self.is_taken(["default/edge"], "shop"))
        self.assertTrue(self.is_taken(["edge", "mesh"]))
        self.assertFalse(self.is_taken(["mesh"]))

    def test_rules_without_gateways_are_for_the_mesh_alone(self):
        self.assertFalse(self.is_taken([]))

    def test_the_host_star_without_gateways_is_bound_to_virtual_gateways(self):
        for kind, name in (("VirtualGateway", "r"), ("Gateway", None)):
            seen = view(gateway(kind=kind), A, rules("r", to("r"), hosts=["*"], gateways=()))
            self.assertEqual(taken(seen), name)

    def test_rules_must_be_exported_to_the_proxy_s_namespace(self):
        self.assertFalse(self.is_taken(["default/edge"], "shop", exportTo=["."]))
        self.assertTrue(self.is_taken(["default/edge"], "shop", exportTo=["default"]))

    def test_the_mesh_config_gives_the_default(self):
        config = document("MeshConfig", "mesh", {"defaultVirtualServiceExportTo": ["."]})
        seen = view(gateway(), A, config, rules("r", to("r"), gateways=["default/edge"], namespace="shop"))
        self.assertIsNone(taken(seen))


class Merging(TestCase):
    def test_several_documents_of_one_host_are_put_together_in_their_order(self):
        texts = [rules("b", "- {name: b, match: [{uri: {prefix: /x}}], route: [{destination: {host: a.test}}]}"),
                 rules("a", "- {name: a, match: [{uri: {prefix: /}, method: {exact: GET}}], "
                            "route: [{destination: {host: a.test}}]}")]
        self.assertEqual(taken(view(gateway(), A, *texts), target="/x"), "a")
        texts[0] = texts[0].replace('"name": "b"}', '"name": "b", "annotations": {"meshd.io/priority": "1"}}')
        self.assertEqual(taken(view(gateway(), A, *texts), target="/x"), "b")

    def test_the_older_is_first(self):
        rule = "- {{name: {0}, match: [{{uri: {{prefix: /x}}}}], route: [{{destination: {{host: a.test}}}}]}}"
        texts = [rules("a", rule.format("a"), created="2024-01-01T00:00:00Z"),
                 rules("b", rule.format("b"), created="2023-01-01T00:00:00Z")]
        self.assertEqual(taken(view(gateway(), A, *texts), target="/x"), "b")

    def test_what_takes_every_request_comes_last_and_the_first_of_them_holds(self):
        texts = [rules("a", to("all-a")), rules("b", to("all-b")),
                 rules("c", "- {name: c, match: [{uri: {prefix: /x}}], route: [{destination: {host: a.test}}]}")]
        seen = view(gateway(), A, *texts)
        self.assertEqual([taken(seen, target=one) for one in ("/x", "/")], ["c", "all-a"])

    def test_also_where_two_gateways_share_the_port(self):
        texts = [gateway("one"), gateway("two"), A, rules("a", to("all"), gateways=["one"]), rules(
            "b", "- {name: b, match: [{uri: {prefix: /x}}], route: [{destination: {host: a.test}}]}", gateways=["two"])]
        self.assertEqual(taken(view(*texts), target="/x"), "b")


class HttpsRedirect(TestCase):
    TLS = {"tls": {"httpsRedirect": True}}

    def test_every_host_of_the_server_is_sent_to_https(self):
        seen = view(gateway(hosts=["a.test", "shop/*.b.test"], **self.TLS), A, rules("r", to("r")))
        for host in ("a.test", "x.b.test"):
            answer = seen.ask("/x?q", host=host).replies[-1]
            self.assertEqual((answer.status, answer.header(b"location")), (301, b"https://%b/x?q" % host.encode()))
        self.assertEqual(seen.goes(host="c.test"), 404)

    def test_hosts_of_rules_under_it_too(self):
        seen = view(gateway("secure", ["*.test"], **self.TLS), gateway("plain", ["*"]), A,
                    rules("r", to("r"), gateways=["secure", "plain"]),
                    rules("s", to("s"), hosts=["b.org"], gateways=["plain"]))
        self.assertEqual((seen.goes(), taken(seen, "b.org")), (301, "s"))
