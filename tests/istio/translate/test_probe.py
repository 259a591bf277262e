"""The probe of the local workload: of its WorkloadGroup, else of the mesh."""

from unittest import TestCase

from tests.istio.view import document, view

ME = {"role": "sidecar", "labels": {"app": "web", "version": "v1"}}


def group(probe, labels=None, name="web", namespace="", **more):
    """Return a WorkloadGroup."""
    return document("WorkloadGroup", name, {"template": {"labels": labels or {"app": "web"}}, "probe": probe, **more},
                    namespace)


def probe(*texts, **node):
    """Return the probe that a node has of documents."""
    return view(*texts, **{**ME, **node}).snapshot.probe


class Probes(TestCase):
    def test_by_http_with_kubernetes_statuses(self):
        found = probe(group({"httpGet": {"path": "ready", "port": 8000, "httpHeaders": [
            {"name": "x-a", "value": "b"}, {"name": "Host", "value": "web.test"}]}}))
        options = found.checker.config
        self.assertEqual((found.address, options.path, options.host, options.request_headers_to_add,
                          options.expected_statuses),
                         ("127.0.0.1:8000", "/ready", "web.test", (("x-a", "b"),), ("200-399",)))

    def test_by_a_connect_or_a_command(self):
        found = probe(group({"tcpSocket": {"port": 9, "host": "10.0.0.1"}}))
        self.assertEqual((found.checker.type, found.address), ("tcp", "10.0.0.1:9"))
        self.assertEqual(probe(group({"exec": {"command": ["true"]}})).checker.config.command, ("true",))

    def test_by_grpc(self):
        found = probe(group({"grpc": {"port": 9000, "service": "shop.Cart"}}))
        self.assertEqual((found.checker.type, found.address), ("grpc", "127.0.0.1:9000"))
        self.assertEqual((found.checker.config.service_name, found.checker.config.authority),
                         ("shop.Cart", "127.0.0.1:9000"))
        self.assertEqual(probe(group({"grpc": {"port": 1}})).checker.config.service_name, "")

    def test_figures_that_are_not_given_are_kubernetes(self):
        found = probe(group({"tcpSocket": {"port": 9}}))
        self.assertEqual((found.initial_delay_s, found.timeout_s, found.period_s, found.success_threshold,
                          found.failure_threshold, found.clusters), (0.0, 1.0, 10.0, 1, 3, ()))
        found = probe(group({"tcpSocket": {"port": 9}, "initialDelaySeconds": 4, "timeoutSeconds": 2,
                             "periodSeconds": 5, "successThreshold": 6, "failureThreshold": 7}))
        self.assertEqual((found.initial_delay_s, found.timeout_s, found.period_s, found.success_threshold,
                          found.failure_threshold), (4.0, 2.0, 5.0, 6, 7))

    def test_the_group_must_be_the_node_s(self):
        tcp = {"tcpSocket": {"port": 9}}
        self.assertIsNone(probe(group(tcp, {"app": "other"})))
        self.assertIsNone(probe(group(tcp, metadata={"labels": {"version": "v2"}})))
        self.assertIsNone(probe(group(tcp, namespace="elsewhere")))
        self.assertIsNone(probe(document("WorkloadGroup", "any", {"template": {}, "probe": tcp})))
        self.assertIsNone(probe(group(tcp), role="ingress"))

    def test_the_mesh_s_probe_is_for_those_without_one(self):
        mesh = document("MeshConfig", "mesh", {"defaultConfig": {"readinessProbe": {"tcpSocket": {"port": 5}}}})
        self.assertEqual(probe(mesh).address, "127.0.0.1:5")
        self.assertEqual(probe(mesh, group({"tcpSocket": {"port": 9}})).address, "127.0.0.1:9")

    def test_https_is_warned_of_and_asks_by_a_connect(self):
        seen = view(group({"httpGet": {"port": 443, "scheme": "HTTPS"}}), **ME)
        self.assertEqual(([one.path for one in seen.unsupported], seen.snapshot.probe.checker.type),
                         (["spec.probe.httpGet.scheme"], "tcp"))
