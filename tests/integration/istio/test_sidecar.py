"""A sidecar without capture: ports of its own towards the mesh, one towards the workload, and an HTTP proxy."""

import subprocess

import pytest

from tests.integration.istio.bookinfo import Proxy

DOCUMENTS = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: productpage}}
spec:
  workloadSelector: {{labels: {{app: productpage}}}}
  ingress:
  - port: {{number: 8080, protocol: HTTP, name: http}}
    bind: 127.0.0.1
    captureMode: NONE
    defaultEndpoint: 127.0.0.1:{workload}
  egress:
  - port: {{number: 9080, protocol: HTTP, name: http}}
    bind: 127.0.0.1
    captureMode: NONE
    hosts: ["./reviews.default.svc.cluster.local", "*/details.default.svc.cluster.local"]
  - hosts: ["*/*"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews}}
spec:
  hosts: [reviews]
  http:
  - match: [{{sourceLabels: {{app: productpage}}, headers: {{end-user: {{exact: jason}}}}}}]
    route: [{{destination: {{host: reviews, subset: v2}}}}]
  - match: [{{sourceLabels: {{app: other}}}}]
    directResponse: {{status: 418}}
  - route: [{{destination: {{host: reviews, subset: v3}}}}]
---
apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: {{name: mesh}}
spec: {{proxyHttpPort: 15007}}
"""
EGRESS, INGRESS, PROXY = 9080, 8080, 15007


class Sidecar(Proxy):
    """The proxy beside productpage."""

    def write(self, configuration):
        """Write who it is with its labels."""
        super().write({"node": {"id": "productpage-1", "role": "sidecar", "labels": {"app": "productpage"},
                                "ports": {str(key): value for key, value in self.own.items()}},
                       "documents": ["mesh.d"]})


@pytest.fixture(scope="module")
def sidecar(mesh):
    """Return productpage's sidecar."""
    text = DOCUMENTS.format(workload=mesh.servers["productpage", "v1"].server_port)
    with Sidecar([text], mesh.cluster(), port=EGRESS, more_ports=(INGRESS, PROXY)) as proxy:
        yield proxy


def test_the_mesh_s_rules_hold_for_what_the_workload_asks(sidecar):
    assert sidecar.get("/", host="reviews")[2]["version"] == "v3"
    assert sidecar.get("/", {"end-user": "jason"}, host="reviews:9080")[2]["version"] == "v2"


def test_a_service_without_rules_is_reached(sidecar):
    assert sidecar.get("/", host="details")[2]["service"] == "details"


def test_what_the_listener_does_not_name_is_unknown(sidecar):
    assert sidecar.get("/", host="ratings")[0] == 404


def test_requests_for_the_workload_arrive(sidecar):
    status, _, said = sidecar.get("/hello", host="anything.test", port=sidecar.own[INGRESS])
    assert (status, said["service"], said["headers"]["host"]) == (200, "productpage", "anything.test")


def curl(sidecar, url, *options):
    """Return (status, body) of curl with the sidecar as its HTTP proxy."""
    command = ["curl", "-sS", "--noproxy", "", "-x", f"http://127.0.0.1:{sidecar.own[PROXY]}", "-w", "\n%{http_code}",
               *options, url]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    body, _, status = said.rpartition("\n")
    return int(status), body


def test_it_is_an_http_proxy_for_the_whole_mesh(sidecar):
    status, body = curl(sidecar, "http://ratings:9080/x?y=1")
    assert (status, '"service": "ratings"' in body, '"path": "/x?y=1"' in body) == (200, True, True)


def test_rules_hold_through_the_proxy_port_too(sidecar):
    assert '"version": "v2"' in curl(sidecar, "http://reviews:9080/", "-H", "end-user: jason")[1]
    assert '"version": "v3"' in curl(sidecar, "http://reviews:9080/")[1]


def test_the_proxy_port_knows_no_other_hosts(sidecar):
    assert curl(sidecar, "http://elsewhere.test/")[0] == 404
