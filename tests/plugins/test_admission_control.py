"""admission_control: the share that is refused follows the success rate, by Envoy's formula."""

import unittest

from meshd.api import CONTINUE, STOP, Headers
from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.admission_control import AdmissionControl, AdmissionControlFilter, Window, rejection_probability
from tests.plugins.reading import read


class Contract(HttpFilterContract, unittest.TestCase):
    def make(self):
        return AdmissionControlFilter(AdmissionControl(), FakeSite())


class Formula(unittest.TestCase):
    def test_nothing_is_refused_at_the_threshold_and_above(self):
        self.assertEqual(rejection_probability(1000, 950, 0.95, 1.0, 0.8), 0.0)
        self.assertEqual(rejection_probability(1000, 1000, 0.95, 2.0, 0.8), 0.0)
        self.assertEqual(rejection_probability(0, 0, 0.95, 1.0, 0.8), 0.0)

    def test_half_of_the_successes(self):
        self.assertAlmostEqual(rejection_probability(999, 475, 0.95, 1.0, 0.8), 0.499)

    def test_aggression_is_a_root(self):
        self.assertAlmostEqual(rejection_probability(999, 712.5, 0.95, 2.0, 0.8), 0.249 ** 0.5)

    def test_has_a_maximum(self):
        self.assertEqual(rejection_probability(1000, 0, 0.95, 1.0, 0.8), 0.8)


class Sliding(unittest.TestCase):
    def test_forgets_slice_by_slice(self):
        window = Window()
        window.window_s = 3.0
        for now, is_success in ((0.0, True), (0.5, False), (1.2, True), (2.5, True)):
            window.record(now, is_success)
        self.assertEqual((window.total, window.successes), (4, 3))
        window.move(3.1)
        self.assertEqual((window.total, window.successes), (2, 2))
        window.move(9.0)
        self.assertEqual((window.total, window.successes), (0, 0))


class Filtering(unittest.TestCase):
    def setUp(self):
        self.site = FakeSite("admission")
        self.filter = AdmissionControlFilter(AdmissionControl(rps_threshold=1), self.site)
        self.number = 0

    def ask(self, status=200, headers=(), length=None, trailer=None):
        self.number += 1
        exchange = FakeExchange(stream_id=self.number)
        verdict = exchange.request_phase(self.filter)
        if verdict is CONTINUE and status:
            exchange.respond(status, headers, length)
            exchange.trailers = Headers.of((b"grpc-status", trailer)) if trailer else None
        exchange.complete(self.filter)
        return verdict, exchange

    def test_a_failing_upstream_gets_ever_fewer_requests_up_to_the_maximum(self):
        for _ in range(60):
            self.ask(503)
        refused = sum(self.ask(503)[0] is STOP for _ in range(4000))
        self.assertAlmostEqual(refused / 4000, 0.8, delta=0.03)

    def test_the_refusal_is_envoys(self):
        for _ in range(400):
            verdict, exchange = self.ask(503)
        refused = next(exchange for verdict, exchange in iter(lambda: self.ask(503), None) if verdict is STOP)
        reply = refused.replies[0]
        self.assertEqual((reply.status, reply.flag, reply.detail), (503, 0, "denied_by_admission_control"))

    def test_refused_requests_are_not_counted(self):
        for _ in range(500):
            self.ask(503)
        total = self.filter._window.total
        count = self.site.metrics.value("envoy_http_admission_control_rq_rejected", "admission")
        self.assertEqual(total + count, 500)
        self.assertGreater(count, 0)

    def test_client_errors_are_a_success_and_no_answer_is_a_failure(self):
        self.ask(404)
        self.ask(0)
        self.assertEqual((self.filter._window.total, self.filter._window.successes), (2, 1))

    def test_how_a_grpc_call_ended(self):
        kind = (b"content-type", b"application/grpc")
        for pairs, length, trailer, is_success in (
            ([(b"grpc-status", b"14")], 0, None, False), ([(b"grpc-status", b"5")], 0, None, True),
            ([kind], None, b"14", False), ([kind], None, b"5", True), ([kind], None, None, False),
            ([(b"content-type", b"text/plain")], None, b"14", True),
        ):
            before = self.filter._window.successes
            self.ask(200, pairs, length, trailer)
            self.assertEqual(self.filter._window.successes - before, is_success, (pairs, trailer))

    def test_below_the_requests_a_second_nothing_is_refused(self):
        for _ in range(29):
            self.ask(503)
        self.assertEqual(self.filter._probability(), 0.0)
        self.ask(503)
        self.assertGreater(self.filter._probability(), 0.5)

    def test_recovers_when_the_window_has_passed(self):
        for _ in range(500):
            self.ask(503)
        self.site.advance(31)
        self.assertIs(self.ask()[0], CONTINUE)

    def test_a_reload_keeps_the_window(self):
        for _ in range(60):
            self.ask(503)
        after = AdmissionControlFilter(
            AdmissionControl(rps_threshold=1), FakeSite("admission", table=self.site.table, world=self.site.world))
        self.assertGreater(after._probability(), 0.5)

    def test_explains_without_counting(self):
        self.ask(503)
        text = self.filter.explain(FakeExchange())
        self.assertEqual(text, "refuses 0 % of requests: 0 of 1 requests in 30 s succeeded")


class Configuration(unittest.TestCase):
    def test_what_is_wrong(self):
        for text in ("success_criteria: {http_success_status: [{start: 300, end: 200}]}", "sampling_window: 500ms",
                     "sr_threshold: 0", "aggression: 0.5"):
            with self.subTest(text):
                self.assertEqual(len(read(AdmissionControl, text)[1]), 1)
