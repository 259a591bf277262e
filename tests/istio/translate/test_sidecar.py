"""Listeners of a sidecar without capture."""

from unittest import TestCase

from tests.istio.view import document, rules, service, sidecar, versions, view

HTTP = {"number": 80, "protocol": "HTTP", "name": "http"}


def to(name, host="a.test", match=""):
    """Return one rule of this name."""
    return f"- {{name: {name}, {f'match: [{match}], ' if match else ''}route: [{{destination: {{host: {host}}}}}]}}"


def egress(*hosts, port=80, **more):
    """Return an egress listener."""
    return {"port": {"number": port, "protocol": "HTTP", "name": "http"}, "hosts": list(hosts) or ["*/*"],
            "captureMode": "NONE", **more}


def seen(*texts, **node):
    """Return a sidecar's view."""
    return view(*texts, **{"role": "sidecar", **node})


def taken(found, host="a.test", target="/", **options):
    """Return the name of the route that a request gets, or None."""
    route = found.ask(target, host=host, **options).route
    return route.name if route is not None else None


class Documents(TestCase):
    def name(self, *texts, **node):
        """Return the port of the Sidecar that holds."""
        return [one.address for one in seen(*texts, **node).snapshot.listeners]

    def test_without_a_sidecar_document_nothing_is_bound(self):
        self.assertEqual(self.name(service("a.test")), [])

    def test_a_gateway_binds_none(self):
        self.assertEqual(self.name(sidecar(80), role="ingress"), [])

    def test_the_one_that_picks_the_workload_wins_then_the_namespace_s_then_the_root_s(self):
        texts = [sidecar(81, "some", workloadSelector={"labels": {"app": "web"}}), sidecar(82, "all"),
                 sidecar(83, "root", namespace="istio-system")]
        self.assertEqual(self.name(*texts, labels={"app": "web", "x": "y"}), ["127.0.0.1:81"])
        self.assertEqual(self.name(*texts, labels={"app": "db"}), ["127.0.0.1:82"])
        self.assertEqual(self.name(*texts, namespace="far"), ["127.0.0.1:83"])

    def test_one_of_another_namespace_is_for_nobody_here(self):
        self.assertEqual(self.name(sidecar(80, namespace="far")), [])


class Egress(TestCase):
    def test_a_host_without_rules_goes_to_its_service(self):
        found = seen(service("a.test"), sidecar(80))
        self.assertEqual((found.goes(), taken(found)), ("outbound|80||a.test", "default"))

    def test_rules_of_the_mesh_hold(self):
        found = seen(versions("a.test", "v1"), sidecar(80),
                     rules("r", "- route: [{destination: {host: a.test, subset: v1}}]", gateways=()))
        self.assertEqual(found.goes(), "outbound|80|v1|a.test")

    def test_rules_of_gateways_alone_do_not(self):
        self.assertEqual(taken(seen(service("a.test"), sidecar(80), rules("r", to("r")))), "default")
        both = rules("r", to("r"), gateways=["edge", "mesh"])
        self.assertEqual(taken(seen(service("a.test"), sidecar(80), both)), "r")

    def test_unknown_hosts_are_404(self):
        self.assertEqual(seen(service("a.test"), sidecar(80)).goes(host="b.test"), 404)

    def test_where_only_the_registry_may_be_asked_unknown_hosts_are_502(self):
        found = seen(service("a.test"), sidecar(80, outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}))
        self.assertEqual((found.goes(host="b.test"), taken(found)), (502, "default"))
        config = document("MeshConfig", "mesh", {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}})
        self.assertEqual(seen(service("a.test"), sidecar(80), config).goes(host="b.test"), 502)
        own = sidecar(80, outboundTrafficPolicy={"mode": "ALLOW_ANY"})
        self.assertEqual(seen(service("a.test"), own, config).goes(host="b.test"), 404)

    def test_only_services_with_this_port_are_there(self):
        found = seen(service("a.test", ports=[(80, "http"), (8080, "http-alt")]),
                     service("b.test", ports=[(81, "http")]), sidecar(8080))
        self.assertEqual([found.goes(), found.goes(host="b.test")], ["outbound|8080||a.test", 404])

    def test_tcp_services_are_not_and_unnamed_protocols_are(self):
        found = seen(service("a.test", ports=[(80, "tcp")]), document(
            "ServiceEntry", "b", {"hosts": ["b.test"], "resolution": "STATIC", "ports": [{"number": 80, "name": "x"}],
                                  "endpoints": [{"address": "10.0.0.1"}]}), sidecar(80))
        self.assertEqual([found.goes(), found.goes(host="b.test")], [404, "outbound|80||b.test"])

    def test_a_bind_and_a_port_map_change_the_address(self):
        found = seen(sidecar([egress(bind="127.0.0.9")]), ports={"80": 8080})
        self.assertEqual(found.listener().address, "127.0.0.9:8080")

    def test_a_unix_socket_serves_every_port(self):
        found = seen(service("a.test", ports=[(80, "http"), (8080, "http-alt")]),
                     sidecar([{"port": {"number": 0, "protocol": "HTTP", "name": "u"}, "bind": "unix:///run/a.sock",
                               "hosts": ["*/*"]}]))
        self.assertEqual(found.listener().address, "unix:/run/a.sock")
        self.assertEqual([found.goes(host=one) for one in ("a.test", "a.test:8080")],
                         ["outbound|80||a.test", "outbound|8080||a.test"])

    def test_a_proxy_port_serves_every_port_too(self):
        port = {"number": 3128, "protocol": "HTTP_PROXY", "name": "p"}
        found = seen(service("a.test", ports=[(8080, "http")]), sidecar([{"port": port, "hosts": ["*/*"]}]))
        self.assertEqual(found.goes(host="a.test:8080"), "outbound|8080||a.test")

    def test_a_tcp_listener_without_services_of_its_port_is_not_bound(self):
        found = seen(sidecar([{"port": {"number": 9000, "protocol": "TCP", "name": "t"}, "hosts": ["*/*"]}]))
        self.assertEqual((found.snapshot.listeners, found.unsupported), ((), ()))


class Scope(TestCase):
    """The ``hosts`` of an egress listener."""

    def known(self, *hosts, **node):
        found = seen(service("a.test"), service("b.test", namespace="far"), service("c.org", namespace="far"),
                     sidecar([egress(*hosts)], namespace=node.get("namespace", "")), **node)
        return [one for one in ("a.test", "b.test", "c.org") if found.goes(host=one) != 404]

    def test_namespaces_and_hosts_are_filtered(self):
        for hosts, wanted in (
            (["*/*"], ["a.test", "b.test", "c.org"]), (["./*"], ["a.test"]), (["far/*"], ["b.test", "c.org"]),
            (["*/*.test"], ["a.test", "b.test"]), (["far/b.test"], ["b.test"]), (["./b.test"], []),
            (["./*", "far/c.org"], ["a.test", "c.org"]),
        ):
            with self.subTest(hosts=hosts):
                self.assertEqual(self.known(*hosts), wanted)

    def test_a_tilde_takes_out_again(self):
        self.assertEqual(self.known("~/*"), [])
        self.assertEqual(self.known("*/*", "~far/*.org"), ["a.test", "b.test"])

    def test_the_dot_is_the_proxy_s_namespace(self):
        self.assertEqual(self.known("./*", namespace="far"), ["b.test", "c.org"])

    def test_rules_are_filtered_by_their_own_namespace(self):
        texts = [service("a.test"), rules("r", to("r"), gateways=(), namespace="far")]
        self.assertEqual(taken(seen(*texts, sidecar([egress("./*")]))), "default")
        self.assertEqual(taken(seen(*texts, sidecar([egress("./*", "far/a.test")]))), "r")

    def test_rules_must_be_exported(self):
        texts = [service("a.test"), rules("r", to("r"), gateways=(), namespace="far", exportTo=["."]), sidecar(80)]
        self.assertEqual(taken(seen(*texts)), "default")

    def test_services_must_be_exported(self):
        self.assertEqual(seen(service("a.test", namespace="far", exportTo=["."]), sidecar(80)).goes(), 404)

    def test_of_one_host_in_two_namespaces_the_own_is_taken(self):
        found = seen(service("a.test", namespace="another"), service("a.test", endpoints=["10.9.9.9"]), sidecar(80))
        self.assertEqual(found.addresses(found.goes()), ["10.9.9.9:80"])


class Names(TestCase):
    def web(self, namespace):
        return document("Service", "web", {"ports": [{"port": 80, "name": "http"}]}, namespace)

    def test_a_kubernetes_service_is_asked_for_by_any_of_its_names(self):
        found = seen(self.web("default"), self.web("far"), sidecar(80))
        own, far = ("outbound|80||web.%s.svc.cluster.local" % one for one in ("default", "far"))
        for host, cluster in (("web", own), ("web:80", own), ("web.default", own), ("web.default.svc:80", own),
                              ("web.far", far), ("web.far.svc.cluster.local", far)):
            self.assertEqual(found.goes(host=host), cluster)

    def test_another_service_of_this_very_name_has_it_for_itself(self):
        found = seen(self.web("default"), service("web"), sidecar(80))
        self.assertEqual([found.goes(host=one) for one in ("web", "web.default")],
                         ["outbound|80||web", "outbound|80||web.default.svc.cluster.local"])


class Rules(TestCase):
    def test_a_wildcard_holds_for_every_service_under_it_and_the_closest_wins(self):
        found = seen(service("a.test"), service("b.test"), sidecar(80),
                     rules("all", to("all"), hosts=["*"], gateways=()),
                     rules("test", to("test"), hosts=["*.test"], gateways=["mesh"]),
                     rules("a", to("a"), hosts=["a.test"], gateways=["mesh"]))
        self.assertEqual([taken(found, one) for one in ("a.test", "b.test", "x.test", "other.org")],
                         ["a", "test", "test", "all"])

    def test_rules_whose_blocks_are_for_others_leave_the_host_as_it_is(self):
        found = seen(service("a.test"), sidecar(80),
                     rules("r", to("r", match="{sourceLabels: {app: db}}"), gateways=()))
        self.assertEqual(taken(found), "default")

    def test_blocks_for_this_workload_hold(self):
        texts = [service("a.test"), sidecar(80),
                 rules("r", to("r", match="{sourceLabels: {app: web}}"), gateways=())]
        self.assertEqual(taken(seen(*texts, labels={"app": "web"})), "r")

    def test_blocks_for_another_port_do_not(self):
        found = seen(service("a.test", ports=[(80, "http"), (81, "http-b")]), sidecar([egress(), egress(port=81)]),
                     rules("r", to("r", match="{port: 81}"), gateways=()))
        self.assertEqual([taken(found, listener=f"127.0.0.1_{one}") for one in (80, 81)], ["default", "r"])

    def test_several_documents_of_one_host_are_merged_as_at_gateways(self):
        found = seen(service("a.test"), sidecar(80), rules("a", to("all"), gateways=()),
                     rules("b", to("b", match="{uri: {prefix: /x}}"), gateways=()))
        self.assertEqual([taken(found, target=one) for one in ("/x", "/")], ["b", "all"])

    def test_hosts_that_no_registry_knows_are_there_too(self):
        found = seen(service("a.test"), sidecar(80), rules("r", to("r"), hosts=["b.test"], gateways=()))
        self.assertEqual(found.goes(host="b.test"), "outbound|80||a.test")


class ProxyPort(TestCase):
    CONFIG = document("MeshConfig", "mesh", {"proxyHttpPort": 15007})

    def test_every_port_of_every_service_is_asked_for_by_host_and_port(self):
        found = seen(self.CONFIG, service("a.test", ports=[(80, "http"), (8080, "http-b")]),
                     service("b.test", ports=[(9080, "http")]), ports={"15007": 7777})
        self.assertEqual(found.listener().address, "127.0.0.1:7777")
        for host, cluster in (("a.test", "outbound|80||a.test"), ("a.test:8080", "outbound|8080||a.test"),
                              ("b.test:9080", "outbound|9080||b.test"), ("b.test", "outbound|9080||b.test")):
            self.assertEqual(found.goes(host=host), cluster)

    def test_rules_hold_and_their_ports_are_the_service_s(self):
        found = seen(self.CONFIG, service("a.test", ports=[(80, "http"), (81, "http-b")]),
                     rules("r", to("r", match="{port: 81}"), gateways=()))
        self.assertEqual([taken(found, one) for one in ("a.test", "a.test:81")], ["default", "r"])

    def test_the_listener_without_a_port_says_which_hosts(self):
        texts = [self.CONFIG, service("a.test"), service("b.test")]
        found = seen(*texts, sidecar([egress("*/b.test", port=81), {"hosts": ["*/a.test"]}]))
        self.assertEqual([found.goes(host=one, listener="127.0.0.1_15007") for one in ("a.test", "b.test")],
                         ["outbound|80||a.test", 404])

    def test_one_host_of_two_namespaces_stands_once(self):
        found = seen(self.CONFIG, service("a.test"), service("a.test", namespace="far"))
        self.assertEqual(found.goes(), "outbound|80||a.test")


class Ingress(TestCase):
    def listener(self, spec=None, **more):
        return seen(sidecar([], ingress=[{"port": {"number": 9080, "protocol": "HTTP", "name": "h"}, **(spec or {})}],
                            **more))

    def test_requests_go_to_the_workload(self):
        for endpoint, address in (("127.0.0.1:8080", "127.0.0.1:8080"), ("0.0.0.0:8080", "127.0.0.1:8080"),
                                  ("[::1]:8080", "[::1]:8080"), ("[::]:8080", "[::1]:8080"),
                                  ("unix:///run/a.sock", "unix:/run/a.sock")):
            with self.subTest(endpoint=endpoint):
                found = self.listener({"defaultEndpoint": endpoint})
                self.assertEqual((found.goes(host="any"), found.addresses("inbound|9080||")),
                                 ("inbound|9080||", [address]))

    def test_a_bind_is_where_it_listens(self):
        self.assertEqual(self.listener({"bind": "10.0.0.1", "defaultEndpoint": "127.0.0.1:80"}).listener().address,
                         "10.0.0.1:9080")

    def test_only_what_was_not_read_is_tried_again_and_there_is_no_time_out(self):
        route = self.listener({"defaultEndpoint": "127.0.0.1:80"}).routes()[0]
        self.assertEqual((route.retry.config.retry_on, route.retry.config.attempts, route.timeout_s),
                         (("reset-before-request",), 2, 0.0))

    def test_limits_are_the_port_s_else_the_document_s_else_the_mesh_s(self):
        def limit(spec=None, *texts, **more):
            port = {"port": {"number": 9080, "protocol": "HTTP", "name": "h"}, "defaultEndpoint": "127.0.0.1:80"}
            found = seen(sidecar([], ingress=[{**port, **(spec or {})}], **more), *texts)
            return found.cluster("inbound|9080||").circuit_breaker.config.max_connections

        one, two, three = ({"tcp": {"maxConnections": number}} for number in (1, 2, 3))
        mesh = document("MeshConfig", "mesh", {"defaultTrafficPolicy": {"connectionPool": three}})
        self.assertEqual(limit({"connectionPool": one}, mesh, inboundConnectionPool=two), 1)
        self.assertEqual(limit(None, mesh, inboundConnectionPool=two), 2)
        self.assertEqual([limit(None, mesh), limit()], [3, 2**32 - 1])
