"""Istio configurations drawn by chance, as native configuration and back to documents: each time the same routing.

The drawing is that of the comparison with the real Envoy (tests/integration/istio/test_differential.py).
"""

import io
import json
import os
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from unittest import TestCase

from meshd.cli.ctl import main
from meshd.cli.ctl_explain import Asleep
from tests.integration.harness.istio_case import LABELS, PORTS, IstioDrawing, documents, text
from tests.integration.harness.told import told

SEED = 20261
CASES = 25
"""Of each role."""
REQUESTS = 20
BOUND = {port: 12001 + place for place, port in enumerate(PORTS)}
"""Port of the documents -> the one that is bound."""


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
