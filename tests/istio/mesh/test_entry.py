"""Services of ServiceEntry documents."""

from unittest import TestCase

from tests.istio.view import document, mesh, service


def workload(name, address, labels=None, document_labels=None, namespace="", **more):
    """Return a WorkloadEntry."""
    spec = {"address": address, "labels": labels, **more}
    return document("WorkloadEntry", name, {key: value for key, value in spec.items() if value}, namespace,
                    labels=document_labels)


def only(*texts):
    """Return the first service of documents."""
    return mesh(*texts).services[0]


def places(*texts, port=0):
    """Return the addresses of a service's endpoints at one of its ports."""
    found = only(*texts)
    return [one.at(found.ports[port]) for one in found.endpoints]


class Hosts(TestCase):
    def test_every_host_is_a_service(self):
        found = mesh(service("a", hosts=["a.test", "b.test"])).services
        self.assertEqual([one.host for one in found], ["a.test", "b.test"])

    def test_the_protocol_is_the_port_s_or_its_name_s(self):
        ports = [{"number": 1, "name": "x", "protocol": "GRPC"}, {"number": 2, "name": "http-api"},
                 {"number": 3, "name": "grpc-web-x"}, {"number": 4, "name": "thing"}]
        found = only(document("ServiceEntry", "a", {
            "hosts": ["a.test"], "ports": ports, "resolution": "STATIC"}))
        self.assertEqual([one.protocol for one in found.ports], ["grpc", "http", "grpc-web", ""])
        self.assertEqual([one.is_http for one in found.ports], [True, True, True, False])


class Ports(TestCase):
    def entry(self, port, **endpoint):
        return document("ServiceEntry", "a", {
            "hosts": ["a.test"], "resolution": "STATIC", "ports": [{"name": "http", "protocol": "HTTP", **port}],
            "endpoints": [{"address": "10.0.0.1", **endpoint}]})

    def test_an_endpoint_s_port_of_this_name_wins(self):
        text = self.entry({"number": 80, "targetPort": 8080}, ports={"http": 9000})
        self.assertEqual(places(text), ["10.0.0.1:9000"])

    def test_then_the_target_port_then_the_number(self):
        self.assertEqual(places(self.entry({"number": 80, "targetPort": 8080})), ["10.0.0.1:8080"])
        self.assertEqual(places(self.entry({"number": 80})), ["10.0.0.1:80"])

    def test_addresses_of_ip_6_are_bracketed_and_sockets_have_no_port(self):
        self.assertEqual(places(self.entry({"number": 80}, address="fd00::1")), ["[fd00::1]:80"])
        self.assertEqual(places(self.entry({"number": 80}, address="unix:///run/a.sock")), ["unix:/run/a.sock"])


class Resolution(TestCase):
    def test_dns_without_endpoints_is_the_host_itself(self):
        for word in ("DNS", "DNS_ROUND_ROBIN"):
            self.assertEqual(places(service("a.test", endpoints=(), resolution=word)), ["a.test:80"])

    def test_dns_with_endpoints_is_those(self):
        self.assertEqual(places(service("a.test", endpoints=("x.test", "y.test"), resolution="DNS")),
                         ["x.test:80", "y.test:80"])

    def test_none_is_the_default(self):
        text = document("ServiceEntry", "a", {"hosts": ["a.test"], "ports": [{"number": 80, "name": "http"}]})
        self.assertEqual((only(text).resolution, only(text).location), ("NONE", "MESH_EXTERNAL"))


class Workloads(TestCase):
    SELECTOR = {"workloadSelector": {"labels": {"app": "web"}}}

    def entry(self, **more):
        return service("a.test", endpoints=(), **self.SELECTOR, **more)

    def test_a_selector_takes_the_workload_entries_of_its_namespace(self):
        texts = [self.entry(), workload("in", "10.0.0.1", {"app": "web", "version": "v1"}),
                 workload("not", "10.0.0.2", {"app": "db"}), workload("far", "10.0.0.3", {"app": "web"}, None, "far")]
        self.assertEqual(places(*texts), ["10.0.0.1:80"])

    def test_labels_of_the_document_count_and_win(self):
        texts = [self.entry(), workload("in", "10.0.0.1", {"app": "x", "version": "v1"}, {"app": "web"})]
        self.assertEqual(places(*texts), ["10.0.0.1:80"])
        self.assertEqual(dict(only(*texts).endpoints[0].labels), {"app": "web", "version": "v1"})

    def test_weight_locality_and_ports_are_the_workload_s(self):
        texts = [self.entry(), workload("in", "10.0.0.1", {"app": "web", "istio-locality": "r.z"}, weight=3,
                                        ports={"http": 81})]
        found = only(*texts).endpoints[0]
        self.assertEqual((found.weight, found.locality, places(*texts)), (3, "r/z", ["10.0.0.1:81"]))
