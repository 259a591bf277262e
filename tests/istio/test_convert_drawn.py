"""Istio configurations drawn by chance, as native configuration and back to documents: each time the same routing.

The drawing is that of the comparison with the real Envoy (tests/integration/istio/test_differential.py).
"""

import io
import json
import os
import random
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from unittest import TestCase

from meshd.cli.ctl import main
from meshd.cli.ctl_explain import Asleep
from tests.integration.harness.istio_case import LABELS, PORTS, IstioDrawing, document, documents, text
from tests.integration.harness.told import told

SEED = 20261
CASES = 25
"""Of each role."""
REQUESTS = 20
BOUND = {port: 12001 + place for place, port in enumerate(PORTS)}
"""Port of the documents -> the one that is bound."""


HOSTS = 60
"""Services of the drawn policies."""


class Policies:
    """Draws what a DestinationRule and an HTTP rule may say of failures."""

    def __init__(self, seed):
        self._random = random.Random(seed)

    def some(self, **parts):
        """Return each part with a probability of one half."""
        return {name: one for name, one in parts.items() if self._random.random() < 0.5}

    def one(self, *choices):
        """Return one of these."""
        return self._random.choice(choices)

    def balancer(self):
        """Return a loadBalancer."""
        key = self.one({"useSourceIp": True}, {"httpHeaderName": "x-user"}, {"httpQueryParameterName": "q"}, {
            "httpCookie": {"name": "c", **self.some(ttl="0s", path="/p", attributes=[{"name": "A", "value": "b"}])}})
        table = self.one({}, {"ringHash": {"minimumRingSize": 64}}, {"maglev": {"tableSize": 251}})
        near = self.one({"failover": [{"from": "r1", "to": "r2"}]}, {"enabled": False}, {"failoverPriority": ["app"]},
                        {"distribute": [{"from": "r1/z1/*", "to": {"r1/z1/*": 80, "r2/*": 20}}]})
        return self.one({"consistentHash": {**key, **table}}, {"simple": "RANDOM"}, {
            "simple": self.one("ROUND_ROBIN", "LEAST_REQUEST"), **self.some(
                localityLbSetting=near, warmup={"duration": "9s", "minimumPercent": 20, "aggression": 1.5})})

    def policy(self):
        """Return a trafficPolicy."""
        local = self.one({}, {"splitExternalLocalOriginErrors": True, "consecutiveLocalOriginFailures": 3})
        return {"connectionPool": {"tcp": {"connectTimeout": "3s", **self.some(
                    maxConnections=5, maxConnectionDuration="60s", tcpKeepalive=self.one(
                        {"probes": 2}, {"time": "9s", "interval": "3s"}))},
                    "http": self.some(http2MaxRequests=7, maxRetries=2, idleTimeout="9s")},
                **self.some(loadBalancer=self.balancer(), outlierDetection={
                    **self.some(consecutive5xxErrors=self.one(0, 3, 5), consecutiveGatewayErrors=self.one(0, 2),
                                interval="2s", baseEjectionTime="7s", maxEjectionPercent=100, minHealthPercent=30,
                                outlierDetectionHttpErrorCodes=[429, 500]), **local},
                    retryBudget={"percent": 30, **self.some(minRetryConcurrency=9, budgetInterval="5s")})}

    def rule(self, host):
        """Return an HTTP rule."""
        again = self.one({"attempts": 0}, {"attempts": 3, **self.some(
            retryOn="5xx,503,unavailable", perTryTimeout="1s", backoff="40ms", retryIgnorePreviousHosts=self.one(
                True, False), retryRemoteLocalities=True)})
        share = {"percentage": {"value": self.one(100, 50, 0.5)}}
        fault = self.one({"delay": {"fixedDelay": "2s", **share}}, {"abort": {"httpStatus": 503, **share}},
                         {"abort": {"grpcStatus": "UNAVAILABLE", **share}, "delay": {"fixedDelay": "20ms", **share}})
        copies = [{"destination": {"host": "s0.test", "port": {"number": 80}}, **self.one({}, share)}]
        return {"name": host, "match": [{"uri": {"exact": f"/{host}"}}],
                "route": [{"destination": {"host": host, "port": {"number": 80}}}],
                **self.some(retries=again, fault=fault, mirrors=copies, timeout="4s")}

    def entry(self, host, number):
        """Return a ServiceEntry's spec."""
        place = self.one("r1/z1", "r2/z2", "")
        rows = [{"address": self.one(f"10.0.0.{number + 1}", "a.b.test"), **({"locality": place} if place else {})}]
        is_name = rows[0]["address"] == "a.b.test"
        return {"hosts": [host], "location": "MESH_INTERNAL",
                "resolution": self.one("DNS", "DNS_ROUND_ROBIN") if is_name else "STATIC", "endpoints": rows,
                "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]}


class DrawnConvertTest(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def file(self, name, words):
        """Write a file; return its path."""
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(words)
        return path

    def convert(self, *arguments):
        """Return what is printed; fails where something cannot be said."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main(["convert", *arguments])
        self.assertEqual((code, err.getvalue()), (0, ""))
        return out.getvalue()

    def asleep(self, *paths):
        """Return the built configuration."""
        found = Asleep(list(paths))
        self.assertTrue(found.is_valid, [str(one) for one in found.faults])
        return found

    def compare(self, tables, drawing):
        """Convert the documents of one node there and back; ask each what becomes of requests."""
        node = {"id": "test", "role": tables[0].role, "labels": LABELS}
        ports = {str(port): bound for port, bound in BOUND.items()}
        mesh = self.file("mesh.yaml", text(documents(tables, tuple(range(9001, 9001 + len(PORTS))))))
        first = self.asleep(self.file("node.yaml", json.dumps({"node": {**node, "ports": ports}})), mesh)
        native = self.file("native.yaml", self.convert(os.path.join(self.folder, "node.yaml"), mesh))
        second = self.asleep(native)
        self.assertEqual(second.loaded.snapshot, first.loaded.snapshot)
        back = self.file("back.yaml", self.convert(native, "--to", "istio"))
        third = self.asleep(self.file("me.yaml", json.dumps({"node": node})), back)
        for table in tables:
            for _ in range(REQUESTS):
                request, bound = drawing.request_to(table), BOUND[table.port]
                here, _ = told(first.runtime, table.listener, bound, request)
                there, _ = told(third.runtime, f"{table.bind}_{bound}", bound, request)
                self.assertEqual(there, here, (table.name, request))

    def test_gateways_there_and_back_route_the_same(self):
        drawing = IstioDrawing(SEED)
        self.compare([drawing.table(number, "ingress") for number in range(CASES)], drawing)

    def test_listeners_of_a_sidecar_there_and_back_route_the_same(self):
        drawing = IstioDrawing(SEED)
        self.compare([drawing.table(number, "sidecar") for number in range(CASES)], drawing)

    def test_what_is_done_about_failures_is_the_same_there_and_back(self):
        drawing, hosts = Policies(SEED), [f"s{number}.test" for number in range(HOSTS)]
        rows = [("Gateway", "edge", {"selector": {"istio": "ingressgateway"}, "servers": [
            {"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]})]
        rows += [("ServiceEntry", host, drawing.entry(host, number)) for number, host in enumerate(hosts)]
        rows += [("DestinationRule", host, {"host": host, "trafficPolicy": drawing.policy()}) for host in hosts]
        rows.append(("VirtualService", "all", {
            "hosts": ["*"], "gateways": ["edge"], "http": [drawing.rule(host) for host in hosts]}))
        node = {"id": "test", "role": "ingress", "locality": "r1/z1", "labels": {"app": "edge"}}
        mesh = self.file("mesh.yaml", text([document(kind, name, "default", spec) for kind, name, spec in rows]))
        me = self.file("me.yaml", json.dumps({"node": node}))
        first = self.asleep(me, mesh).loaded.snapshot
        back = self.file("back.yaml", self.convert(self.file("native.yaml", self.convert(me, mesh)), "--to", "istio"))
        again = self.asleep(me, back).loaded.snapshot
        found = {one.name: one for one in again.clusters}
        self.assertEqual(len(first.clusters), HOSTS)
        for one in first.clusters:
            self.assertEqual(found[one.name], one)
        mine, theirs = (one.listeners[0].filters[-1].config.virtual_hosts[0].routes for one in (first, again))
        for one, other in zip(mine, theirs, strict=True):
            self.assertEqual(other, one)
