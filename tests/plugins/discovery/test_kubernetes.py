"""Kubernetes: what is listed and watched, which endpoints take load, and what is listed again."""

import json
import subprocess
import sys
import tempfile
import unittest
from urllib.parse import parse_qs, urlsplit

from meshd.testing.contract.cluster import DiscoveryContract
from meshd.testing.site import FakeSite
from meshd.model.snapshot import Node
from meshd_plugins.discovery import kubernetes
from meshd_plugins.discovery.kubernetes import KubernetesOptions
from tests.plugins.discovery.remote_case import RemoteCase

SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
SERVICES = "/api/v1/namespaces/default/services"
HTTP = {"name": "http", "port": 8080, "protocol": "TCP"}


def pod(address, ready=True, **more):
    """Return an endpoint of a slice."""
    return {"addresses": [address], "conditions": {"ready": ready}, **more}


def piece(*endpoints, name="web-1", ports=(HTTP,), version="10", kind="IPv4"):
    """Return an EndpointSlice."""
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": kind,
        "metadata": {"name": name, "namespace": "default", "resourceVersion": version, "generation": 3,
                     "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": list(endpoints), "ports": list(ports),
    }


def service(ports=((("http", 80)),), version="9", **spec):
    """Return a Service."""
    return {
        "metadata": {"name": "web", "namespace": "default", "resourceVersion": version},
        "spec": {"clusterIP": "10.96.0.7", "ports": [{"name": name, "port": port} for name, port in ports], **spec},
    }


class KubernetesCase(RemoteCase):
    module = kubernetes
    options = KubernetesOptions

    def watch(self, **options):
        """Begin with a Service."""
        return super().watch(**{"service": "web", **options})

    def last(self, path, **query):
        """Return the last open call of a path whose query has these values."""
        for call in reversed(self.open):
            parts = urlsplit(call.request.target.decode())
            found = {key: values[0] for key, values in parse_qs(parts.query).items()}
            if parts.path == path and query.items() <= found.items():
                call.query = found
                return call
        raise AssertionError(f"no open call of {path} {query}: {[call.request.target for call in self.open]}")

    def listed(self, path, *items, version="100", **meta):
        """Answer a list."""
        body = {"kind": "List", "metadata": {"resourceVersion": version, **meta}, "items": list(items)}
        self.last(path).answer(200, json.dumps(body).encode())
        self.settle()

    def begin(self, *slices, **options):
        """Begin and get as far as the watches."""
        self.watch(**options)
        self.listed(SLICES, *(slices or (piece(pod("10.0.0.1"), pod("10.0.0.2")),)))
        self.listed(SERVICES, service())

    def tell(self, kind, item, path=SLICES):
        """Send an event."""
        self.last(path, watch="1").send(json.dumps({"type": kind, "object": item}).encode() + b"\n")
        self.settle()


class ContractTest(DiscoveryContract, unittest.TestCase):
    def make(self):
        self.site = FakeSite("users")
        return self.site.make("discovery", "kubernetes", KubernetesOptions(cluster="servers", service="web"))

    def find(self, discovery):
        case = KubernetesCase()
        case.site = self.site
        if len(self.site.calls) == 2:
            case.listed(SLICES, piece(pod("a"), pod("a")))
            case.listed(SERVICES, service())
        self.site.advance(1)


class ListTest(KubernetesCase):
    def test_lists_the_slices_and_the_service(self):
        self.watch(token_env="TOKEN", host="kubernetes.default.svc")
        slices, services = self.last(SLICES), self.last(SERVICES)
        self.assertEqual(slices.query, {"labelSelector": "kubernetes.io/service-name=web", "limit": "500"})
        self.assertEqual(services.query, {"fieldSelector": "metadata.name=web", "limit": "500"})
        self.assertEqual(slices.header(b"authorization"), b"Bearer s3cret")
        self.assertEqual(slices.request.host, b"kubernetes.default.svc")

    def test_other_namespaces(self):
        self.watch(namespace="shop")
        self.last("/api/v1/namespaces/shop/services")

    def test_watches_both_from_the_versions_of_their_lists(self):
        self.begin()
        self.assertEqual(self.addresses, ["10.0.0.1:8080", "10.0.0.2:8080"])
        for path in (SLICES, SERVICES):
            call = self.last(path, watch="1")
            self.assertEqual((call.query["resourceVersion"], call.query["allowWatchBookmarks"]), ("100", "true"))
            self.assertAlmostEqual(call.request.idle_s, float(call.query["timeoutSeconds"]) + 30, delta=1)
            self.assertTrue(240 < int(call.query["timeoutSeconds"]) < 300)

    def test_a_list_in_pieces(self):
        self.watch()
        self.listed(SERVICES, service())
        self.listed(SLICES, piece(pod("10.0.0.1")), **{"continue": "abc"})
        self.assertEqual(self.last(SLICES).query["continue"], "abc")
        self.listed(SLICES, piece(pod("10.0.0.2"), name="web-2"), version="101")
        self.assertEqual(len(self.addresses), 2)
        self.assertEqual(self.last(SLICES, watch="1").query["resourceVersion"], "101")

    def test_a_list_whose_continuation_has_expired_begins_anew(self):
        self.watch()
        self.listed(SERVICES, service())
        self.listed(SLICES, piece(pod("10.0.0.1")), **{"continue": "abc"})
        self.last(SLICES).answer(410, b"{}")
        self.assertNotIn("continue", self.last(SLICES).query)

    def test_what_is_forbidden_is_told(self):
        self.watch()
        self.last(SERVICES).answer(403, b'{"message": "services is forbidden"}')
        self.assertIn("status 403", self.error)
        self.assertEqual(self.open, [])

    def test_a_service_that_is_not_there_is_told(self):
        self.watch()
        self.listed(SLICES)
        self.listed(SERVICES)
        self.assertEqual(self.error, "no Service default/web")


class EndpointTest(KubernetesCase):
    def test_only_what_is_ready(self):
        unknown = {"addresses": ["10.0.0.3"], "conditions": {}}
        self.begin(piece(pod("10.0.0.1"), pod("10.0.0.2", ready=False), unknown))
        self.assertEqual(self.addresses, ["10.0.0.1:8080", "10.0.0.3:8080"])

    def test_what_still_serves_where_none_is_ready(self):
        ending = {"ready": False, "serving": True, "terminating": True}
        gone = {"ready": False, "serving": False, "terminating": True}
        self.begin(piece({"addresses": ["10.0.0.1"], "conditions": ending},
                         {"addresses": ["10.0.0.2"], "conditions": gone}))
        self.assertEqual(self.addresses, ["10.0.0.1:8080"])
        self.tell("MODIFIED", piece({"addresses": ["10.0.0.1"], "conditions": ending}, pod("10.0.0.9")))
        self.assertEqual(self.addresses, ["10.0.0.9:8080"])

    def test_where_it_runs(self):
        self.begin(piece(pod("10.0.0.1", zone="eu-1a", nodeName="n1", targetRef={"kind": "Pod", "name": "web-x"})),
                   region="eu")
        one, = self.reports[-1]
        self.assertEqual((one.locality, one.labels), ("eu/eu-1a", (("node", "n1"), ("pod", "web-x"))))

    def test_the_region_is_the_nodes_own_by_default(self):
        self.site = FakeSite("users", node=Node(locality="us/us-b"))
        self.begin(piece(pod("10.0.0.1", zone="us-a")))
        self.assertEqual(self.reports[-1][0].locality, "us/us-a")

    def test_prometheus_labels_are_there_for_relabelling(self):
        self.begin(piece(pod("10.0.0.1", zone="a", nodeName="n1")))
        rows = []
        self.discovery.find().addCallback(lambda found: rows.extend(found[0]))
        labels = rows[0].labels
        self.assertEqual(labels["__meta_kubernetes_namespace"], "default")
        self.assertEqual(labels["__meta_kubernetes_endpointslice_endpoint_conditions_ready"], "true")
        self.assertEqual(labels["__meta_kubernetes_endpointslice_port_name"], "http")

    def test_the_same_endpoints_by_another_family_are_left_out(self):
        self.watch()
        self.listed(SLICES, piece(pod("10.0.0.1")), piece(pod("fd00::1"), name="web-6", kind="IPv6"))
        self.listed(SERVICES, service(ipFamilies=["IPv6", "IPv4"]))
        self.assertEqual(self.addresses, ["[fd00::1]:8080"])


class PortTest(KubernetesCase):
    PORTS = (HTTP, {"name": "admin", "port": 9090}, {"name": "dns", "port": 53, "protocol": "UDP"})

    def found(self, port, ports=PORTS, of_service=(("http", 80), ("admin", 90))):
        """Return the addresses, or what is wrong."""
        self.setUp()
        self.watch(port=port)
        self.listed(SLICES, piece(pod("10.0.0.1"), ports=ports))
        self.listed(SERVICES, service(of_service))
        return self.addresses[0] if self.reports and self.addresses else self.error

    def test_by_name(self):
        self.assertEqual(self.found("admin"), "10.0.0.1:9090")

    def test_by_the_number_that_the_service_has(self):
        self.assertEqual(self.found("80"), "10.0.0.1:8080")
        self.assertEqual(self.found("7", ({"name": None, "port": 70},), (("", 7),)), "10.0.0.1:70")

    def test_the_only_one(self):
        self.assertEqual(self.found("", (HTTP,)), "10.0.0.1:8080")

    def test_several(self):
        self.assertEqual(self.found(""), "several ports: expected port to be one of: http, admin")

    def test_one_that_is_not_there(self):
        self.assertEqual(self.found("grpc"), "port 'grpc': web-1 has no such port: expected one of: http, admin")
        self.assertEqual(self.found("8080"), "port 8080: the Service has no such port: expected one of: 80, 90")
        self.assertEqual(self.found("", ()), "web-1 has no port for TCP")


class WatchTest(KubernetesCase):
    def test_changes_of_slices(self):
        self.begin()
        self.tell("ADDED", piece(pod("10.0.0.3"), name="web-2", version="101"))
        self.assertEqual(len(self.addresses), 3)
        self.tell("MODIFIED", piece(pod("10.0.0.1"), version="102"))
        self.assertEqual(self.addresses, ["10.0.0.1:8080", "10.0.0.3:8080"])
        self.tell("DELETED", piece(name="web-2", version="103"))
        self.assertEqual(self.addresses, ["10.0.0.1:8080"])

    def test_changes_of_the_service(self):
        self.watch(port="80")
        self.listed(SLICES, piece(pod("10.0.0.1"), ports=(HTTP, {"name": "next", "port": 8081})))
        self.listed(SERVICES, service())
        self.tell("MODIFIED", service((("next", 80),), version="101"), SERVICES)
        self.assertEqual(self.addresses, ["10.0.0.1:8081"])

    def test_the_next_watch_goes_on_from_the_last_event_or_bookmark(self):
        self.begin()
        self.tell("MODIFIED", piece(pod("10.0.0.1"), version="105"))
        self.tell("BOOKMARK", {"kind": "Service", "metadata": {"resourceVersion": "107"}}, SERVICES)
        self.last(SLICES, watch="1").answer(200)
        self.settle()
        self.assertEqual(self.last(SLICES, watch="1").query["resourceVersion"], "105")
        self.assertEqual(self.last(SERVICES, watch="1").query["resourceVersion"], "107")
        self.assertEqual((len(self.open), self.error), (2, ""))

    def test_a_bookmark_shows_that_nothing_is_old(self):
        self.begin()
        self.site.advance(60)
        self.tell("BOOKMARK", {"metadata": {"resourceVersion": "107"}})
        self.assertLess(self.discovery.known.age_s(), 1)

    def gone(self, how):
        """Let the version be gone: all is listed again, which is no failure."""
        self.begin()
        how()
        self.settle()
        self.assertEqual((self.error, len(self.open)), ("", 2))
        self.listed(SLICES, piece(pod("10.0.0.1"), pod("10.0.0.2"), pod("10.0.0.3")), version="200")
        self.listed(SERVICES, service(), version="200")
        self.assertEqual(len(self.addresses), 3)

    def test_410_as_an_answer(self):
        self.gone(lambda: self.last(SLICES, watch="1").answer(410, b"{}"))

    def test_410_as_an_event(self):
        self.gone(lambda: self.tell("ERROR", {"kind": "Status", "code": 410, "message": "too old resource version"}))

    def broken(self, text, how):
        """Break a watch: a failure, the endpoints stay, and all is listed again."""
        self.begin()
        how()
        self.settle()
        self.assertRegex(self.error, text)
        self.assertEqual(len(self.addresses), 2)
        self.site.advance(1.1)
        self.last(SLICES, limit="500")
        self.assertEqual(len(self.open), 2)

    def test_another_error_event(self):
        self.broken("watch: etcd is away", lambda: self.tell("ERROR", {"code": 500, "message": "etcd is away"}))

    def test_a_connection_that_breaks(self):
        self.broken("closed by upstream", lambda: self.last(SERVICES, watch="1").fail("closed by upstream"))

    def test_what_is_no_event(self):
        self.broken("answer: ", lambda: self.last(SLICES, watch="1").send(b"<html>\n"))

    def test_an_object_of_another_shape(self):
        self.broken("Expected `array", lambda: self.tell("ADDED", {"metadata": {"name": "a"}, "endpoints": "none"}))

    def test_a_server_that_forgets_all_does_not_empty_the_cluster(self):
        self.begin()
        self.last(SLICES, watch="1").fail("closed by upstream")
        self.settle()
        self.site.advance(1.1)
        self.listed(SLICES, version="3")
        self.listed(SERVICES, service(), version="3")
        self.assertEqual((len(self.addresses), self.discovery.known.state), (2, "held"))

    def test_nothing_is_left_after_the_end(self):
        self.begin()
        self.discovery.stop()
        self.assertEqual((self.open, self.site.world.clock.timers), ([], []))


PROGRAM = """
import json, sys
from meshd.cli.check import Checked
assert Checked([sys.argv[1]]).is_valid
json.dump(sorted(name for name in sys.modules if "discovery.kubernetes_" in name), sys.stdout)
"""
MESH = """
clusters:
  - name: servers
    endpoints: [{address: "127.0.0.1:8001"}]
  - name: web
    discovery: {%s}
"""
NONE = 'static: {endpoints: [{address: "127.0.0.1:8002"}]}'
ONE = "kubernetes: {cluster: servers, service: web}"


class ImportTest(unittest.TestCase):
    def imported(self, discovery):
        """Return the modules of this discovery that a check of a configuration imports, in a fresh process."""
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(MESH % discovery)
            file.flush()
            done = subprocess.run([sys.executable, "-c", PROGRAM, file.name], capture_output=True, text=True,
                                  timeout=60, check=True)
        return json.loads(done.stdout)

    def test_what_watches_is_imported_only_where_it_is_configured(self):
        self.assertEqual(self.imported(NONE), [])
        self.assertIn("meshd_plugins.discovery.kubernetes_source", self.imported(ONE))
