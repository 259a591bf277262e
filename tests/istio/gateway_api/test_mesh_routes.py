"""Routes whose parent is a Service: for which clients and ports they hold in a sidecar."""

import unittest

from meshd.model.snapshot import Node
from tests.istio.gateway_api.case import Loaded, gateway, route, service

TWO = service("two", ports="[{name: a, port: 80}, {name: b, port: 81}]")
HOST = "v1.default.svc.cluster.local"


def parent(name="v1", more=""):
    return f"[{{group: '', kind: Service, name: {name}{more}}}]"


def to(number, head=""):
    return f"- {head}backendRefs: [{{name: v{number}, namespace: default, port: 80}}]\n"


class ServiceParents(unittest.TestCase):
    def routes(self, text, namespace="default"):
        self.loaded = Loaded(text, Node(role="sidecar", namespace=namespace))
        self.assertEqual(self.loaded.errors, [])
        return self.loaded.mesh_routes()

    def clusters(self, text, namespace="default"):
        return {key: [one.cluster.split("|")[3].partition(".")[0] for one in found]
                for key, found in self.routes(text, namespace).items()}

    def test_a_route_of_a_service(self):
        self.assertEqual(self.clusters(route(to(2), parents=parent())), {(HOST, 80): ["v2"]})
        self.assertEqual(self.loaded.parent()["Accepted"], ("True", "Accepted"))

    def test_matches_are_sorted(self):
        text = to(1) + to(2, "matches: [{path: {type: Exact, value: /a}}]\n  ")
        self.assertEqual(self.clusters(route(text, parents=parent())), {(HOST, 80): ["v2", "v1"]})

    def test_a_service_with_several_ports(self):
        host = "two.default.svc.cluster.local"
        for more, ports in (("", (80, 81)), (", port: 81", (81,)), (", sectionName: a", (80,)), (", port: 82", ())):
            found = self.clusters(TWO + route(to(1), parents=parent("two", more)))
            self.assertEqual(found, {(host, port): ["v1"] for port in ports})
        self.assertEqual(self.loaded.parent()["Accepted"], ("False", "NoMatchingParent"))

    def test_a_service_that_is_not_there(self):
        self.assertEqual(self.routes(route(to(1), parents=parent("nobody"))), {})
        self.assertEqual(self.loaded.parent()["Accepted"], ("False", "NoMatchingParent"))

    def test_a_route_of_another_namespace_holds_for_clients_of_that_namespace(self):
        grant = ("---\napiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\nmetadata: {name: g}\nspec:\n"
                 "  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: client}]\n"
                 "  to: [{group: '', kind: Service}]\n")
        text = grant + route(to(2), parents=parent()) + route(
            to(3), name="c", namespace="client", parents=parent(more=", namespace: default"))
        self.assertEqual(self.clusters(text), {(HOST, 80): ["v2"]})
        self.assertEqual(self.clusters(text, "client"), {(HOST, 80): ["v3"]})
        self.assertEqual(self.clusters(text, "third"), {(HOST, 80): ["v2"]})

    def test_a_redirect_keeps_the_port_that_was_asked_for(self):
        text = "- filters: [{type: RequestRedirect, requestRedirect: {hostname: a.org}}]"
        found = self.routes(route(text, parents=parent()))[HOST, 80][0].redirect
        self.assertEqual((found.port, found.strip_port, found.host), (None, False, "a.org"))

    def test_grpc_and_http_routes_of_a_service_are_not_merged(self):
        text = route(to(1), name="a", parents=parent()) + route(to(2), name="b", kind="GRPCRoute", parents=parent())
        self.assertEqual(self.clusters(text), {(HOST, 80): ["v1"]})

    def test_a_gateway_does_not_take_them(self):

        self.assertEqual(Loaded(gateway() + route(to(1), parents=parent())).where(), 404)

    def test_a_sidecars_proxy_port_has_them_and_a_virtual_service_goes_before(self):
        config = ("---\napiVersion: mesh.istio.io/v1alpha1\nkind: MeshConfig\nmetadata: {name: m}\n"
                  "spec: {proxyHttpPort: 15080}\n")
        rule = ("---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: s}\nspec:\n"
                f"  hosts: [{HOST}]\n  http: [{{route: [{{destination: {{host: v3.default.svc.cluster.local}}}}]}}]\n")
        text = config + route(to(2), parents=parent())
        for more, backend in (("", "v2"), (rule, "v3")):
            loaded = Loaded(text + more, Node(role="sidecar"))
            self.assertEqual(loaded.where(host=HOST, port=15080), backend)
            self.assertEqual(loaded.where(host="v1.default.svc.cluster.local:80", port=15080), backend)
