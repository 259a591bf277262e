"""The configuration's reader in a real child process, and what happens when that goes wrong."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import TestCase

PROGRAM = """
import random, sys
from twisted.internet import reactor
from twisted.logger import Logger
from meshd.model.plugin import PluginSettings
from meshd.registry import Registry
from meshd.runtime.child import ChildReader
from meshd.runtime.clock import Clock
from meshd.telemetry.metrics import Metrics
from meshd.wire.world import World

registry = Registry.load(PluginSettings(), {})
world = World(reactor, Clock(reactor), random.Random(1), Metrics(), Logger(observer=lambda event: None))
more = {"command": lambda: [sys.executable, "-c", sys.argv[3]]} if sys.argv[3] else {}
reader = ChildReader(world, [sys.argv[1]], PluginSettings(), timeout_s=float(sys.argv[2]), **more)

def end(result):
    loaded = getattr(result, "snapshot", None)
    if loaded is not None:
        print("loaded", loaded.node.id, result.fingerprint == registry.fingerprint)
    else:
        print("refused", result.type.__name__, [fault.code for fault in result.value.faults], result.value)
    reactor.stop()

reactor.callWhenRunning(lambda: reader.read().addBoth(end))
reactor.run()
"""


class ChildTest(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "meshd.yaml")

    def read(self, text, timeout_s=50.0, instead=""):
        self.path.write_text(text)
        environment = {name: value for name, value in os.environ.items() if name != "MESHD_LOAD_PLUGINS"}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(self.path), str(timeout_s), instead],
            capture_output=True, text=True, timeout=90, env=environment,
        )
        self.assertEqual(done.stderr, "")
        return done.stdout.strip()

    def test_brings_the_configuration_and_the_fingerprint(self):
        self.assertEqual(self.read("node: {id: one}\n"), "loaded one True")

    def test_brings_every_fault(self):
        found = self.read("nodee: {id: one}\nadmin: {address: nowhere}\n")
        self.assertIn("refused ConfigurationError ['MSH0104', 'MSH0107']", found)

    def test_a_child_that_dies_is_one_clear_fault(self):
        found = self.read("", instead="import sys; sys.exit('killed by the test')")
        self.assertIn("configuration reader: ", found)
        self.assertIn("killed by the test", found)

    def test_a_child_that_says_something_else_is_refused(self):
        self.assertIn("refused ConfigurationError", self.read("", instead="print('x' * 100)"))

    def test_a_child_that_hangs_is_ended(self):
        found = self.read("", timeout_s=0.5, instead="import time; time.sleep(60)")
        self.assertIn("configuration reader: no answer after 0.5 s", found)
