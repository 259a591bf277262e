"""The soak's instruments: what grows is found, what only moves is not, and what cannot be known is called so."""

import argparse
import http.server
import importlib.util
import os
import random
import ssl
import subprocess
import sys
import tempfile
import threading
from unittest import TestCase

from tests.tree import ROOT


def load(name: str):
    """Load one module of contrib/soak under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"soak_{name}", ROOT / "contrib" / "soak" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def minutes(count, per_hour, noise, seed=1):
    """Yield a value each minute that grows by ``per_hour`` and moves by ``noise``."""
    draw = random.Random(seed)
    for number in range(count):
        yield number * 60.0, 50 + per_hour * number / 60 + draw.gauss(0, noise)


class TestSlope(TestCase):
    def setUp(self):
        self.slope = load("slope")

    def fit(self, *args, **options):
        return self.slope.fit(list(minutes(*args, **options)))

    def test_a_leak_is_found(self):
        found = self.fit(60, 4.0, 0.2)
        self.assertAlmostEqual(found.per_hour, 4.0, delta=0.5)
        self.assertEqual(found.verdict(1.0), self.slope.FAILED)

    def test_noise_without_growth_passes(self):
        verdicts = [self.fit(60, 0.0, 0.2, seed=seed).verdict(1.0) for seed in range(20)]
        self.assertEqual(set(verdicts), {self.slope.PASSED})

    def test_a_run_that_is_too_short_for_its_noise_is_undecided(self):
        verdicts = [self.fit(8, 0.0, 1.0, seed=seed).verdict(1.0) for seed in range(20)]
        self.assertGreater(verdicts.count(self.slope.UNDECIDED), 15)

    def test_the_interval_has_the_true_slope_in_it_as_often_as_it_says(self):
        hits = 0
        for seed in range(200):
            found = self.fit(30, 2.0, 0.3, seed=seed)
            hits += abs(found.per_hour - 2.0) <= found.margin
        self.assertGreater(hits, 180)

    def test_steps_that_stay_make_the_interval_wider(self):
        walk, value, draw = [], 0.0, random.Random(3)
        for number in range(60):
            value = 0.9 * value + draw.gauss(0, 0.2)
            walk.append((number * 60.0, value))
        shuffled = list(zip((x for x, _ in walk), draw.sample([y for _, y in walk], 60), strict=True))
        self.assertGreater(self.slope.fit(walk).margin, 1.5 * self.slope.fit(shuffled).margin)

    def test_few_points_say_nothing(self):
        found = self.fit(4, 100.0, 0.0)
        self.assertFalse(found.is_known)
        self.assertEqual(found.verdict(1.0), self.slope.UNDECIDED)

    def test_what_stands_still_has_no_margin(self):
        found = self.fit(20, 0.0, 0.0)
        self.assertEqual((found.per_hour, found.margin, found.verdict(1.0)), (0.0, 0.0, self.slope.PASSED))

    def test_the_lowest_of_each_interval_counts(self):
        samples = [(0.0, 5), (3.0, 2), (9.9, 7), (10.0, 3), (25.0, 1)]
        self.assertEqual(self.slope.lows(samples, 10.0), [(3.0, 2), (10.0, 3), (25.0, 1)])

    def test_quantiles_are_those_of_student(self):
        for freedom, value in ((3, 3.182), (5, 2.571), (10, 2.228), (30, 2.042)):
            self.assertAlmostEqual(self.slope.quantile(freedom), value, delta=0.02 * value)


class TestWatch(TestCase):
    def setUp(self):
        self.watch = load("watch")

    def test_counts_the_whole_tree(self):
        code = "import os, sys; f = [open(os.devnull) for _ in range(40)]; print(flush=True); sys.stdin.read()"
        with tempfile.TemporaryFile():
            before = self.watch.take(os.getpid(), 0.0)
            child = subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            child.stdout.readline()
            after = self.watch.take(os.getpid(), 1.0)
            child.communicate()
        self.assertEqual(after.processes, before.processes + 1)
        self.assertGreaterEqual(after.descriptors, before.descriptors + 43)
        self.assertGreater(after.resident_mib, before.resident_mib + 3)

    def test_a_process_that_has_ended_counts_nothing(self):
        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        self.assertEqual(self.watch.take(child.pid, 0.0), self.watch.Sample(0.0, 0.0, 0, 0.0, 0))


class TestOptions(TestCase):
    def test_defaults_are_those_of_the_documentation(self):
        options = load("soak").parse([])
        self.assertEqual(options, argparse.Namespace(
            minutes=60, load="half", reload=60, kill=300, churn=10, renew=60, sample=5, print=60, json=None,
            strict=False))


class Stubborn(http.server.BaseHTTPRequestHandler):
    """Answers as ``inner`` does; its server never looks at its certificate again."""

    body = b"word 0 for By=spiffe://mesh;Hash=" + b"0" * 64

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args):
        """Say nothing."""


class TestRenewal(TestCase):
    def setUp(self):
        self.renewal = load("renewal")
        self.renewal.SEEN_S = 0.0

    def faults(self, renews):
        """Return the faults that are found with a server that keeps the certificate which it began with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with self.renewal.Renewal() as run, http.server.HTTPServer(("127.0.0.1", 0), Stubborn) as server:
            context.load_cert_chain(*run.mesh.files("server"))
            server.socket = context.wrap_socket(server.socket, server_side=True)
            run.ports["secure"] = server.server_port
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            if renews:
                run.renew()
            run.start()
            while run.answered < 3:
                threading.Event().wait(0.01)
            run.stop()
            server.shutdown()
            return run.judged()

    def test_a_certificate_that_stays_is_found(self):
        text = "\n".join(self.faults(True))
        self.assertIn("certificate of the server shown", text)
        self.assertIn("the newest certificate was not seen", text)

    def test_what_fails_is_found_and_the_rest_is_not(self):
        self.assertEqual({fault.partition(": ")[2].partition(":")[0] for fault in self.faults(False)}, {"by_http2"})


class TestVerdict(TestCase):
    def setUp(self):
        self.soak = load("soak")

    def run_of(self, grown):
        """Return a run of an hour whose memory is ``grown(minute)`` MiB more than at its start."""
        samples = [self.soak.watch.Sample(60.0 * minute, 50 + grown(minute), 40, 0.0, 1) for minute in range(60)]
        return self.soak.Soak(self.soak.parse([]), None, [], None, {}, samples)

    def test_one_arena_is_no_slope(self):
        self.assertEqual(self.run_of(lambda minute: float(minute > 35)).verdict(), "undecided")

    def test_a_leak_is_one(self):
        self.assertEqual(self.run_of(lambda minute: minute / 10).verdict(), "failed")

    def test_growth_in_the_warm_up_does_not_count(self):
        self.assertEqual(self.run_of(lambda minute: min(minute, 10)).verdict(), "passed")

    def test_a_fault_fails_whatever_the_memory_says(self):
        run = self.run_of(lambda minute: 0)
        run.faults.append("meshd ended")
        self.assertEqual(run.verdict(), "failed")
