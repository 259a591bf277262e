"""Services of Kubernetes' documents."""

from unittest import TestCase

from tests.istio.mesh.test_entry import workload
from tests.istio.view import document, mesh

HOST = "web.shop.svc.cluster.local"


def web(*ports, **spec):
    """Return the Service web in the namespace shop."""
    return document("Service", "web", {"ports": list(ports) or [{"port": 80, "name": "http"}], **spec}, "shop")


def slices(name, endpoints, ports=({"name": "http", "port": 8080},), owner="web", namespace="shop"):
    """Return an EndpointSlice."""
    return document("EndpointSlice", name, None, namespace, labels={"kubernetes.io/service-name": owner},
                    addressType="IPv4", endpoints=list(endpoints), ports=list(ports))


def places(*texts, port=0):
    """Return the addresses of the endpoints that serve a port of the Service."""
    found = mesh(*texts).find(HOST)
    wanted = found.ports[port]
    return [one.at(wanted) for one in found.endpoints if one.serves(wanted)]


class Names(TestCase):
    def test_the_host_has_the_namespace_and_the_domain(self):
        found = mesh(web()).find(HOST)
        self.assertEqual((found.namespace, found.aliases), ("shop", ("web.shop.svc", "web.shop", "web")))

    def test_protocols_follow_app_protocol_then_the_name(self):
        found = mesh(web({"port": 1, "name": "a", "appProtocol": "kubernetes.io/h2c"}, {"port": 2, "name": "http-b"},
                         {"port": 3, "name": "c"}, {"port": 4, "name": "http-d", "protocol": "UDP"})).find(HOST)
        self.assertEqual([one.protocol for one in found.ports], ["http2", "http", "", "udp"])

    def test_an_external_name_is_looked_up(self):
        text = web(type="ExternalName", externalName="db.example.com")
        self.assertEqual((places(text), mesh(text).find(HOST).resolution), (["db.example.com:80"], "DNS"))


class Slices(TestCase):
    def test_ready_endpoints_of_the_service_s_slices_are_taken_with_their_ports(self):
        texts = [web(), slices("a", [{"addresses": ["10.0.0.1"]}]),
                 slices("b", [{"addresses": ["10.0.0.2"], "conditions": {"ready": True}, "zone": "z"}]),
                 slices("c", [{"addresses": ["10.0.0.3"], "conditions": {"ready": False}}]),
                 slices("d", [{"addresses": ["10.0.0.4"]}], owner="other"),
                 slices("e", [{"addresses": ["10.0.0.5"]}], namespace="other")]
        self.assertEqual(places(*texts), ["10.0.0.1:8080", "10.0.0.2:8080"])
        self.assertEqual(mesh(*texts).find(HOST).endpoints[1].locality, "/z")

    def test_an_endpoint_without_the_port_does_not_serve_it(self):
        texts = [web({"port": 80, "name": "http"}, {"port": 90, "name": "admin"}),
                 slices("a", [{"addresses": ["10.0.0.1"]}])]
        self.assertEqual(places(*texts, port=1), [])

    def test_unnamed_ports_meet(self):
        texts = [web({"port": 80}), slices("a", [{"addresses": ["10.0.0.1"]}], [{"port": 8080}])]
        self.assertEqual(places(*texts), ["10.0.0.1:8080"])

    def test_endpoints_are_taken_where_there_are_no_slices(self):
        old = document("Endpoints", "web", None, "shop", subsets=[
            {"addresses": [{"ip": "10.0.0.9"}], "notReadyAddresses": [{"ip": "10.0.0.8"}],
             "ports": [{"name": "http", "port": 8080}]}])
        self.assertEqual(places(web(), old), ["10.0.0.9:8080"])
        self.assertEqual(places(web(), old, slices("a", [{"addresses": ["10.0.0.1"]}])), ["10.0.0.1:8080"])


class Workloads(TestCase):
    def test_the_selector_takes_workload_entries(self):
        texts = [web(selector={"app": "web"}), workload("in", "10.0.0.1", {"app": "web"}, namespace="shop"),
                 workload("out", "10.0.0.2", {"app": "x"}, namespace="shop"),
                 workload("far", "10.0.0.3", {"app": "web"})]
        self.assertEqual(places(*texts), ["10.0.0.1:80"])

    def test_without_a_selector_none_is_taken(self):
        self.assertEqual(places(web(), workload("in", "10.0.0.1", {"app": "web"}, namespace="shop")), [])

    def test_a_numbered_target_port_is_the_workload_s_unless_it_maps_the_name(self):
        text = web({"port": 80, "name": "http", "targetPort": 8080}, selector={"app": "web"})
        plain = workload("a", "10.0.0.1", {"app": "web"}, namespace="shop")
        mapped = workload("b", "10.0.0.2", {"app": "web"}, namespace="shop", ports={"http": 9000})
        self.assertEqual(places(text, plain, mapped), ["10.0.0.1:8080", "10.0.0.2:9000"])

    def test_a_named_target_port_must_be_the_workload_s(self):
        text = web({"port": 80, "name": "http", "targetPort": "web"}, selector={"app": "web"})
        plain = workload("a", "10.0.0.1", {"app": "web"}, namespace="shop")
        mapped = workload("b", "10.0.0.2", {"app": "web"}, namespace="shop", ports={"web": 9000})
        self.assertEqual(places(text, plain, mapped), ["10.0.0.2:9000"])
