"""Gateway API documents in a real daemon: what small services get over sockets, and what clients get back."""

import contextlib
import http.client
import time
from collections import Counter

import pytest

from tests.integration.istio.bookinfo import Bookinfo, Proxy
from tests.integration.process import wait_for

API = "apiVersion: gateway.networking.k8s.io/v1\n"
GATEWAY = API + """\
kind: Gateway
metadata: {name: web}
spec:
  gatewayClassName: meshd
  listeners:
  - {name: all, port: 80, protocol: HTTP}
  - {name: other, port: 80, protocol: HTTP, hostname: other.example.com}
"""
ROUTES = API + """\
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: web, sectionName: all}]
  rules:
  - backendRefs: [{name: v1, port: 80}]
  - matches: [{path: {value: /v2}}, {headers: [{name: version, value: two}]}]
    backendRefs: [{name: v2, port: 80}]
  - matches: [{path: {value: /split}}]
    backendRefs: [{name: v1, port: 80, weight: 3}, {name: nobody, port: 80}]
  - matches: [{path: {value: /old}}]
    filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]
  - matches: [{path: {value: /rewrite}}]
    filters:
    - {type: URLRewrite, urlRewrite: {hostname: inner.example, path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-set, value: a}], remove: [x-gone]}}
    - {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: x-answer, value: b}]}}
    backendRefs: [{name: v1, port: 80}]
  - matches: [{path: {value: /share}}]
    backendRefs:
    - name: v2
      port: 80
      filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /whole}}}]
  - matches: [{path: {value: /empty}}]
    backendRefs: [{name: empty, port: 80}]
  - matches: [{path: {value: /broken}}]
    backendRefs: [{name: nobody, port: 80}]
  - matches: [{path: {value: /slow}}]
    timeouts: {request: 300ms}
    backendRefs: [{name: v1, port: 80}]
  - matches: [{path: {value: /retried}}]
    retry: {codes: [503], attempts: 2, backoff: 1ms}
    backendRefs: [{name: v3, port: 80}]
  - matches: [{path: {value: /cors}}]
    filters: [{type: CORS, cors: {allowOrigins: ["https://*.example.com"], allowMethods: [PUT]}}]
    backendRefs: [{name: v1, port: 80}]
"""
CALLS = API + """\
kind: GRPCRoute
metadata: {name: calls}
spec:
  parentRefs: [{name: web, sectionName: other}]
  rules:
  - matches: [{method: {service: shop.Orders, method: Buy}}]
    backendRefs: [{name: v2, port: 80}]
"""


def documents(mesh):
    """Yield Service and EndpointSlice documents for each version, and a Service without endpoints."""
    for (_, version), server in mesh.servers.items():
        yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": version},
               "spec": {"ports": [{"name": "http", "port": 80}]}}
        yield {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
               "metadata": {"name": version, "labels": {"kubernetes.io/service-name": version}},
               "ports": [{"name": "http", "port": server.server_port}], "endpoints": [{"addresses": ["127.0.0.1"]}]}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "empty"}, "spec": {"ports": [{"port": 80}]}}


@pytest.fixture(scope="module")
def mesh():
    with contextlib.closing(Bookinfo({"shop": ("v1", "v2", "v3")})) as found:
        yield found


@pytest.fixture(scope="module")
def proxy(mesh):
    with Proxy([GATEWAY, ROUTES, CALLS], documents(mesh)) as found:
        yield found


@pytest.mark.parametrize("path, headers, version", [
    ("/", {}, "v1"), ("/v2", {}, "v2"), ("/v2/x?y=z", {}, "v2"), ("/v2x", {}, "v1"), ("/", {"Version": "two"}, "v2"),
])
def test_requests_find_their_backend(proxy, path, headers, version):
    status, _, found = proxy.get(path, headers)
    assert (status, found["version"], found["path"]) == (200, version, path)


def test_a_broken_share_is_500_and_the_rest_is_served(proxy):
    found = Counter(proxy.get("/split")[0] for _ in range(200))
    assert set(found) == {200, 500}
    assert 20 <= found[500] <= 90


def test_a_redirect_leads_to_the_port_that_was_asked_for(proxy):
    status, headers, _ = proxy.get("/old/a?b=c", host=f"shop.example.com:{proxy.port}")
    assert (status, headers["location"]) == (302, f"http://shop.example.com:{proxy.port}/new/a?b=c")


def test_a_rewrite_and_edits_both_ways(proxy):
    status, headers, found = proxy.get("/rewrite/one/two?q=1", {"x-gone": "1", "x-set": "0"})
    assert (status, found["path"], found["headers"]["host"]) == (200, "/one/two?q=1", "inner.example")
    assert (found["headers"]["x-set"], "x-gone" in found["headers"], headers["x-answer"]) == ("a", False, "b")


def test_the_prefix_itself_is_rewritten_to_the_root(proxy):
    assert [proxy.get(path)[2]["path"] for path in ("/rewrite", "/rewrite/")] == ["/", "/"]


def test_a_share_has_a_rewrite_of_its_own(proxy):
    _, _, found = proxy.get("/share/a?b=c")
    assert (found["version"], found["path"]) == ("v2", "/whole?b=c")


def test_backends_that_are_not_there(proxy):
    assert [proxy.get(path)[0] for path in ("/broken", "/empty")] == [500, 503]


def test_a_request_timeout_is_504(proxy):
    began = time.monotonic()
    assert proxy.get("/slow/delay/5000")[0] == 504
    assert 0.25 <= time.monotonic() - began < 4


def test_statuses_are_retried(proxy, mesh):
    server = mesh.servers["shop", "v3"]
    before = server.asked
    assert proxy.get("/retried/status/503")[0] == 503
    assert server.asked - before == 3
    assert proxy.get("/retried/status/500", method="POST", body=b"x")[0] == 500
    assert server.asked - before == 4


def test_a_preflight_is_answered_and_other_routes_are_left_alone(proxy):
    asked = {"origin": "https://a.b.example.com", "access-control-request-method": "PUT"}
    status, headers, _ = proxy.get("/cors", asked, method="OPTIONS")
    assert (status, headers["access-control-allow-origin"], headers["access-control-allow-methods"]) == (
        200, "https://a.b.example.com", "PUT")
    status, headers, _ = proxy.get("/cors", {**asked, "origin": "https://evil.org"}, method="OPTIONS")
    assert (status, "access-control-allow-origin" in headers) == (200, False)
    assert "access-control-allow-origin" not in proxy.get("/", {"origin": "https://a.b.example.com"})[1]


def test_a_listener_with_a_hostname_has_no_other_routes(proxy):
    assert proxy.get("/v2", host="other.example.com")[0] == 404
    status, _, found = proxy.get("/shop.Orders/Buy", method="POST", host="other.example.com")
    assert (status, found["version"]) == (200, "v2")


def test_a_reload_takes_a_new_route_without_closing_a_connection(mesh):
    with Proxy([GATEWAY, ROUTES], documents(mesh)) as proxy:
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)

        def version():
            connection.request("GET", "/v2", headers={"host": "shop.example.com"})
            return connection.getresponse().read().partition(b'"version": "')[2][:2]

        assert version() == b"v2"
        socket = connection.sock
        proxy.apply("001", ROUTES.replace("value: two}]}]\n    backendRefs: [{name: v2,",
                                          "value: two}]}]\n    backendRefs: [{name: v3,"))
        wait_for(lambda: version() == b"v3", "the new route")
        assert connection.sock is socket
        connection.close()


SERVICE_ROUTE = API + """\
kind: HTTPRoute
metadata: {name: canary}
spec:
  parentRefs: [{group: "", kind: Service, name: v1}]
  rules:
  - matches: [{headers: [{name: canary, value: "yes"}]}]
    backendRefs: [{name: v2, port: 80}]
  - backendRefs: [{name: v1, port: 80}]
"""
CONFIG = """\
apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: {name: mesh}
spec: {proxyHttpPort: 80}
"""


def test_a_route_of_a_service_holds_in_a_sidecar(mesh):
    with Proxy([SERVICE_ROUTE, CONFIG], documents(mesh), role="sidecar") as proxy:
        host = "v1.default.svc.cluster.local"
        found = [proxy.get("/", headers, host=host)[2]["version"] for headers in ({}, {"canary": "yes"})]
        assert found == ["v1", "v2"]
        assert proxy.get("/", {"canary": "yes"}, host="v3.default.svc.cluster.local")[2]["version"] == "v3"
