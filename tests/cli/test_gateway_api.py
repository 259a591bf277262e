"""meshctl gateway-api status: what becomes of documents in files, as a table and as data; no daemon is asked."""

import json
import os
import tempfile
import unittest

from meshd.cli.ctl import main
from tests.cli.console import run

DOCUMENTS = """\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: edge}
spec: {controllerName: meshd.io/gateway}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web}
spec:
  gatewayClassName: edge
  listeners:
  - {name: http, port: 8080, protocol: HTTP}
  - {name: udp, port: 53, protocol: UDP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: web, sectionName: http}, {name: nobody}]
  rules:
  - backendRefs: [{name: shop, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: tls}
spec:
  targetRefs: [{group: "", kind: Service, name: other}]
  validation: {hostname: shop.example, wellKnownCACertificates: System}
"""
NATIVE = "node: {role: sidecar}\n"


class Status(unittest.TestCase):
    def setUp(self):
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        self.path = os.path.join(kept.name, "docs.yaml")
        self.native = os.path.join(kept.name, "native.yaml")
        self.write(self.path, DOCUMENTS)

    @staticmethod
    def write(path, text):
        with open(path, "w") as file:
            file.write(text)

    def rows(self, *arguments):
        code, out, err = run(main, "gateway-api", "status", "-c", self.path, *arguments)
        self.assertEqual((code, err), (0, ""))
        return [line.split("   ") for line in out.splitlines()]

    def test_a_table_has_a_row_for_each_document_and_part(self):
        rows = self.rows("--no-headers")
        found = [[cell.strip() for cell in row if cell.strip()] for row in rows]
        self.assertEqual(found[0], ["GatewayClass", "edge", "-", "True", "-", "-", "-", "-"])
        self.assertEqual([row[:3] for row in found[1:]], [
            ["Gateway", "default/web", "-"], ["Gateway", "default/web", "listener http"],
            ["Gateway", "default/web", "listener udp"], ["HTTPRoute", "default/shop", "Gateway default/web http"],
            ["HTTPRoute", "default/shop", "Gateway default/nobody"], ["BackendTLSPolicy", "default/tls", "-"]])

    def test_a_row_says_why_something_does_not_hold(self):
        rows = ["   ".join(row) for row in self.rows()]
        self.assertRegex(rows[0], r"^KIND +NAME +OF +ACCEPTED +PROGRAMMED +RESOLVED +ROUTES +WHY$")
        self.assertIn("UnsupportedProtocol: UDP is not served", rows[4])
        self.assertIn("NoMatchingParent: there is no Gateway default/nobody", rows[6])
        self.assertIn("TargetNotFound", rows[7])
        self.assertNotIn("CONFLICTED", rows[0])
        self.assertIn("CONFLICTED", "   ".join(self.rows("-o", "wide")[0]))

    def test_data_is_what_a_status_is(self):
        _, out, _ = run(main, "gateway-api", "status", "-c", self.path, "-o", "json")
        items = json.loads(out)["items"]
        self.assertEqual([one["kind"] for one in items], ["GatewayClass", "Gateway", "HTTPRoute", "BackendTLSPolicy"])
        self.assertEqual(items[1]["listeners"][0]["attachedRoutes"], 1)
        self.assertEqual(items[2]["parents"][0]["parentRef"], {
            "group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "default", "name": "web",
            "sectionName": "http"})
        self.assertEqual(items[0]["conditions"], [
            {"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""}])

    def test_the_native_file_says_which_node_looks(self):
        self.write(self.native, NATIVE)
        _, out, _ = run(main, "gateway-api", "status", "-c", self.path, "-c", self.native, "-o", "json")
        programmed = json.loads(out)["items"][1]["conditions"][1]
        self.assertEqual((programmed["type"], programmed["status"]), ("Programmed", "Unknown"))

    def test_bad_documents_are_65_with_their_faults(self):
        self.write(self.path, DOCUMENTS.replace("port: 8080", "port: 0"))
        code, out, err = run(main, "gateway-api", "status", "-c", self.path)
        self.assertEqual((code, out), (65, ""))
        self.assertIn("spec.listeners[0].port", err)

    def test_files_must_be_named(self):
        self.assertEqual(run(main, "gateway-api", "status")[0], 64)
