"""Documents as native configuration and back: what is converted means the same."""

import io
import os
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from unittest import TestCase

import yaml

from meshd.cli.check import Checked
from meshd.cli.ctl import main
from tests.tree import ROOT

MESH = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.test]
  gateways: [edge]
  http:
  - name: canary
    match: [{headers: {x-beta: {exact: "1"}}, uri: {prefix: /api/}}]
    rewrite: {uri: /, authority: api.test}
    route: [{destination: {host: api.test, subset: v2}}]
    timeout: 2s
    headers: {request: {set: {x-by: edge}}, response: {remove: [server]}}
  - name: moved
    match: [{uri: {exact: /old}}]
    redirect: {uri: /new, redirectCode: 308}
  - name: split
    route:
    - {destination: {host: api.test, subset: v1}, weight: 95}
    - {destination: {host: api.test, subset: v2}, weight: 5}
    retries: {attempts: 3, retryOn: "503,connect-failure"}
    corsPolicy: {allowOrigins: [{exact: "https://a.test"}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api}
spec:
  hosts: [api.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints:
  - {address: 10.0.0.1, ports: {http: 8001}, labels: {version: v1}}
  - {address: 10.0.0.2, ports: {http: 8002}, labels: {version: v2}, weight: 3}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api}
spec:
  host: api.test
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: meshd.io/v1alpha1
kind: RateLimitPolicy
metadata: {name: edge}
spec:
  targetRef: {kind: Gateway, name: edge}
  limits: [{requests: 5, per: 1s, burst: 9, key: {clientAddress: {}}}]
"""

LOSSY = """\
node: {id: a, role: ingress}
probe: {checker: {tcp: {}}, address: "127.0.0.1:8000"}
listeners:
- name: edge
  address: 0.0.0.0:8080
  filters:
  - fault: {}
  - router:
      virtual_hosts:
      - name: all
        domains: ["*"]
        include_request_attempt_count: true
        routes:
        - name: a
          match: {prefix: /}
          cluster: checked
          priority: high
          hedge_policy: {hedge_on_per_try_timeout: true}
          retry: {retry: {retry_on: [5xx], retry_after: true, cap: 1s}}
          mirror: [{cluster: found, host_rewrite: b.test}]
          filters: {fault: {fault: {abort: {header_abort: true, percentage: {numerator: 5}}}}}
clusters:
- {name: plain, endpoints: [{address: "10.0.0.2:80"}]}
- name: checked
  endpoints: [{address: "10.0.0.1:80", priority: 1, health: degraded}]
  health_checks: [{checker: {tcp: {}}}]
  load_balancer: {maglev: {hash: [{header: x-a}, {query: b}], hash_key_label: pod}}
  balancing: {overprovisioning: 2, panic_threshold: 10, locality: {mode: weighted, weights: {a: 1}}}
  outlier_detection: {outlier_detection: {max_ejection_time: 40s, consecutive_gateway_failure: 3}}
  circuit_breaker: {limits: {high: {}, max_pending: 0}}
  pool: {max_idle: 5}
- name: found
  discovery: {file: {files: ["/etc/meshd/targets.json"]}}
  load_balancer: {least_request: {choice_count: 3}}
  balancing: {locality: failover, slow_start: {window: 5s}}
"""
LOST = [
    "probe: a WorkloadGroup's is written by hand",
    "listener edge: virtual host all: include_request_attempt_count has no field of Istio's",
    "listener edge: virtual host all: route a: priority has no field of Istio's",
    "listener edge: virtual host all: route a: hedge_policy has no field of Istio's",
    "listener edge: virtual host all: route a: retry: cap has no field of Istio's",
    "listener edge: virtual host all: route a: retry: retry_after has no field of Istio's",
    "listener edge: virtual host all: route a: retry: methods have no field of Istio's: all are retried",
    "listener edge: virtual host all: route a: mirror: host_rewrite has no field of Istio's",
    "listener edge: virtual host all: route a: fault: abort by header has no field of Istio's",
    "cluster checked: health_checks has no field of Istio's",
    "cluster checked: endpoint 10.0.0.1:80: priorities follow from localities alone",
    "cluster checked: endpoint 10.0.0.1:80: health has no field of Istio's",
    "cluster checked: pool: max_idle has no field of Istio's",
    "cluster checked: circuit_breaker: high has no field of Istio's",
    "cluster checked: circuit_breaker: max_pending 0 cannot be said: there is no limit then",
    "cluster checked: maglev: only one hash rule can be said: the first is",
    "cluster checked: maglev: hash_key_label has no field of Istio's",
    "cluster checked: balancing: overprovisioning has no field of Istio's",
    "cluster checked: balancing: localities do not count beside consistent hashing",
    "cluster checked: outlier_detection: max_ejection_time has no field of Istio's",
    "cluster checked: outlier_detection: success rates never eject by Istio's documents",
    "cluster found: discovery file: endpoints are written by hand",
    "cluster found: least_request: choice_count has no field of Istio's",
    "cluster found: balancing: locality: failover needs outlier_detection in Istio's documents",
]


class ConvertTest(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def convert(self, *arguments):
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main(["convert", *arguments])
        return code, out.getvalue(), err.getvalue()

    def snapshot(self, path):
        checked = Checked([path])
        self.assertTrue(checked.is_valid, [str(one) for one in checked.faults])
        return checked.loaded.snapshot

    def routes(self, snapshot):
        router = snapshot.listeners[0].filters[-1].config
        return [(route.name, route.match, route.cluster, route.redirect, route.timeout_s, route.prefix_rewrite,
                 route.host_rewrite, route.request_headers, route.response_headers,
                 [(one.name, one.weight) for one in route.weighted_clusters or ()])
                for host in router.virtual_hosts for route in host.routes]

    def limit(self, snapshot):
        found = next(one.config for one in snapshot.listeners[0].filters if one.type == "rate_limit")
        return found.rate, found.per_s, found.burst, found.key, found.headers

    def test_documents_become_native_configuration_that_is_the_same(self):
        path = self.file("mesh.yaml", MESH)
        code, out, err = self.convert(path)
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(self.snapshot(self.file("native.yaml", out)), self.snapshot(path))

    def test_there_and_back_routes_the_same(self):
        path = self.file("mesh.yaml", MESH)
        native = self.file("native.yaml", self.convert(path)[1])
        code, out, err = self.convert(native, "--to", "istio")
        self.assertEqual((code, err), (0, ""))
        again, first = self.snapshot(self.file("again.yaml", out)), self.snapshot(path)
        self.assertEqual(self.routes(again), self.routes(first))
        self.assertEqual({one.name: one.endpoints for one in again.clusters},
                         {one.name: one.endpoints for one in first.clusters})
        self.assertEqual(self.limit(again), self.limit(first))

    def test_the_shipped_native_file_becomes_documents_and_what_is_lost_is_said(self):
        path = str(ROOT / "etc" / "meshd.yaml")
        code, out, err = self.convert(path, "--to", "istio")
        kinds = [one["kind"] for one in yaml.safe_load_all(out)]
        self.assertEqual((code, sorted(set(kinds))),
                         (0, ["DestinationRule", "Gateway", "RateLimitPolicy", "ServiceEntry", "VirtualService"]))
        self.assertIn("filter header_mutation has no document of Istio's\n", err)
        self.assertEqual(self.convert(path, "--to", "istio", "--strict")[0], 1)
        self.snapshot(self.file("istio.yaml", out))

    def test_what_istio_has_no_field_for_is_named_one_by_one(self):
        out, err = self.convert(self.file("native.yaml", LOSSY), "--to", "istio")[1:]
        said = [line.removeprefix("!! ") for line in err.splitlines()]
        self.assertEqual(said, LOST)
        self.snapshot(self.file("istio.yaml", out))

    def test_limits_that_are_not_given_are_envoy_s_and_said(self):
        out = self.convert(self.file("native.yaml", LOSSY), "--to", "istio")[1]
        rule = next(one for one in yaml.safe_load_all(out) if one["kind"] == "DestinationRule"
                    and one["spec"]["host"] == "plain")
        self.assertEqual(rule["spec"]["trafficPolicy"]["connectionPool"]["http"]["maxRetries"], 3)

    def test_an_invalid_file_is_65_and_an_unknown_dialect_64(self):
        self.assertEqual(self.convert(self.file("bad.yaml", "listeners: 5"))[0], 65)
        self.assertEqual(self.convert(self.file("good.yaml", MESH), "--to", "envoy")[0], 64)

    def test_json_is_one_document(self):
        import json
        self.assertIn("listeners", json.loads(self.convert(self.file("mesh.yaml", MESH), "-o", "json")[1]))
