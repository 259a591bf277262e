"""A proxy pays only for the kinds of documents that it has: their classes are imported when they are read."""

import json
import subprocess
import sys
from unittest import TestCase

from tests.tree import ROOT

PROGRAM = """
import json, sys
from meshd.cli.check import Checked
assert Checked([sys.argv[1]], builds=False).is_valid
json.dump(sorted(one for one in sys.modules if one.startswith("meshd_plugins.istio")), sys.stdout)
"""


def imported(file):
    """Return the modules of the dialect that a check of a file imports, in a fresh process."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(ROOT / "etc" / file)], capture_output=True, text=True,
                          timeout=60, cwd=ROOT, check=True)
    return json.loads(done.stdout)


class ImportTest(TestCase):
    def test_a_native_file_needs_nothing_of_it(self):
        self.assertEqual(imported("meshd.yaml"), ["meshd_plugins.istio"])

    def test_documents_need_the_classes_of_their_kinds(self):
        found = imported("examples/istio.yaml")
        self.assertIn("meshd_plugins.istio.schema.virtual_service", found)
        for name in ("schema.telemetry", "schema.mesh_config", "schema.sidecar", "gateway_api.schema.http_route",
                     "gateway_api.plan", "write"):
            self.assertNotIn(f"meshd_plugins.istio.{name}", found)
