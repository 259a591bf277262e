"""The benchmark's instruments and configurations, without running it."""

import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from unittest import TestCase

from meshd.cli.daemon import main
from meshd.hot import COMPILED, compiled
from tests.tree import ROOT

WRK = """
  Latency Distribution
     50%    1.50ms
     75%    2.00ms
     99%  900.00us
Requests/sec:  35313.98
"""


def load(name: str):
    """Load one module of contrib/bench under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", ROOT / "contrib" / "bench" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class TestMeasure(TestCase):
    def setUp(self):
        self.measure = load("measure")

    def test_reads_percentiles_of_wrk_in_milliseconds(self):
        self.assertEqual(self.measure.percentile(WRK, "50%"), 1.5)
        self.assertEqual(self.measure.percentile(WRK, "99%"), 0.9)

    def test_refuses_output_without_a_figure(self):
        with self.assertRaisesRegex(self.measure.LoadFault, "unable to connect"):
            self.measure.find(r"Requests/sec:\s+([\d.]+)", "unable to connect")

    def test_reads_the_memory_and_the_cpu_time_of_a_process(self):
        memory = self.measure.memory_kib(os.getpid())
        self.assertGreaterEqual(memory["rss_kib"], memory["pss_kib"])
        self.assertGreater(memory["pss_kib"], 1000)
        self.assertGreater(self.measure.cpu_seconds(os.getpid()), 0)

    def test_reads_how_busy_a_core_is(self):
        busy, total = self.measure.core_jiffies(0)
        self.assertLessEqual(busy, total)


class TestPeers(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.peer = load("peer")
        self.ground = self.peer.Ground(Path(folder.name))

    def test_the_configuration_of_meshd_passes_the_check(self):
        for name in ("meshd", "meshd-pure"):
            command = self.peer.PEERS[name].command(self.ground)
            self.assertEqual(main(["--check", *command[command.index("-c"):]]), 0)

    def test_the_example_runs_on_free_ports(self):
        self.peer.example(self.ground)
        text = (self.ground.folder / "example.yaml").read_text()
        self.assertNotIn(":8080", text)
        self.assertIn(f":{self.ground.ports['example']}", text)

    def test_a_use_keeps_its_port(self):
        self.assertEqual(self.ground.port("a"), self.ground.port("a"))
        self.assertNotEqual(self.ground.port("a"), self.ground.port("b"))


class TestWire(TestCase):
    """The proxies of TLS and gRPC."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = list(sys.path)
        self.addCleanup(lambda: sys.path.__setitem__(slice(None), path))
        self.addCleanup(lambda: [sys.modules.pop(name, None) for name in ("peer", "secure", "call")])
        sys.path.insert(0, str(ROOT / "contrib" / "bench"))
        self.secure, self.call = importlib.import_module("secure"), importlib.import_module("call")
        self.ground = importlib.import_module("peer").Ground(Path(folder.name))

    def test_the_configurations_of_meshd_pass_the_check(self):
        for name, peer in (self.secure.PEERS | self.call.PEERS).items():
            if name.startswith("meshd"):
                command = peer.command(self.ground)
                self.assertEqual(main(["--check", *command[command.index("-c"):]]), 0, name)

    def test_one_certificate_serves_all(self):
        first = self.secure.certificate(self.ground)
        kept = Path(first[0]).read_bytes()
        self.assertEqual(self.secure.certificate(self.ground), first)
        self.assertEqual(Path(first[0]).read_bytes(), kept)

    def test_calls_go_to_their_own_servers(self):
        port = self.ground.port("grpc-0")
        self.assertIn(f"127.0.0.1:{port}", self.call.call_meshd(self.ground, "meshd-grpc"))
        self.assertNotEqual(port, self.ground.backend[0])


class TestSampling(TestCase):
    def setUp(self):
        self.loop = f"{type(self).__qualname__}.test_counts_each_function_of_a_stack_once bench/test_bench.py"
        self.sampler = load("sampling").Sampler(self.loop)

    def below(self, depth):
        if depth:
            self.below(depth - 1)
        else:
            self.sampler.take(sys._getframe())

    def test_counts_each_function_of_a_stack_once(self):
        for _ in range(3):
            self.below(4)
        name = "TestSampling.below bench/test_bench.py"
        self.assertEqual((self.sampler.samples, self.sampler.inner[name], self.sampler.outer[name]), (3, 3, 3))
        self.assertIn(f"100.0 %  {name}", self.sampler.report())

    def test_counts_nothing_outside_the_loop(self):
        self.below(1)
        self.assertEqual(self.sampler.samples, 0)


class TestPicking(TestCase):
    """Five times what is promised of a compiled build (docs/performance.md), so that other work does not matter."""

    def setUp(self):
        self.picking = load("picking")
        self.times = 5 if set(compiled().values()) == {COMPILED} else 50

    def test_a_change_of_a_thousand_endpoints_keeps_the_reactor_no_longer_than_it_may(self):
        for name in self.picking.BALANCERS:
            for kind, spent_ms in self.picking.changes(name, 3).items():
                self.assertLess(spent_ms, 5.0 * self.times, f"{name}: {kind}")

    def test_a_pick_costs_no_more_than_it_may(self):
        for name in self.picking.BALANCERS:
            for count, limit_us in ((1000, 3.0), (10_000, 5.0)):
                cluster, _ = self.picking.live(name, self.picking.specs(count, weights=3))
                self.assertLess(self.picking.pick_us(cluster), limit_us * self.times, f"{name}: {count}")
