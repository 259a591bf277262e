"""adaptive_concurrency: the limit follows the latency, by Envoy's gradient controller."""

import unittest

from meshd.api import CONTINUE, STOP
from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.adaptive_concurrency import (
    AdaptiveConcurrency, AdaptiveConcurrencyFilter, Controller, MinRttCalcParams, gradient, headroom, new_limit,
    percentile,
)
from tests.plugins.reading import read


class Contract(HttpFilterContract, unittest.TestCase):
    def make(self):
        return AdaptiveConcurrencyFilter(AdaptiveConcurrency(), FakeSite())


class Formulas(unittest.TestCase):
    def test_gradient(self):
        self.assertAlmostEqual(gradient(0.1, 0.1, 0.25, 2.0), 1.25)
        self.assertEqual(gradient(0.1, 1.0, 0.25, 2.0), 0.5)
        self.assertEqual(gradient(1.0, 0.1, 0.25, 2.0), 2.0)

    def test_headroom_and_limit(self):
        self.assertEqual(headroom(100), 10)
        self.assertEqual(new_limit(80, 1.25, 3, 1000), 110)
        self.assertEqual((new_limit(3, 0.5, 3, 1000), new_limit(900, 2.0, 3, 1000)), (3, 1000))

    def test_percentile_is_the_nearest_rank(self):
        samples = [4, 1, 3, 2]
        self.assertEqual([percentile(samples, one) for one in (1, 25, 50, 75, 100)], [1, 1, 2, 3, 4])
        self.assertEqual(percentile([7], 50), 7)


def half():
    return 0.5


class Following(unittest.TestCase):
    def setUp(self):
        self.now = 100.0
        self.number = 0
        self.controller = Controller(AdaptiveConcurrency())

    def serve(self, count, latency_s):
        """Let requests come as many at once as may, until ``count`` have ended."""
        done = 0
        while done < count:
            keys = []
            while self.controller.admit(self.number, self.now, half):
                keys.append(self.number)
                self.number += 1
            self.now += latency_s
            for key in keys:
                self.controller.end(key, self.now, True, half)
            done += len(keys)

    def test_measures_with_the_lowest_limit_first(self):
        admitted = sum(self.controller.admit(number, self.now, half) for number in range(10))
        self.assertEqual((admitted, self.controller.is_measuring), (3, True))

    def test_after_that_a_fast_upstream_gets_more_and_more(self):
        self.serve(60, 0.01)
        self.assertEqual((round(self.controller.min_rtt_s, 6), self.controller.is_measuring), (0.01, False))
        self.serve(5000, 0.01)
        self.assertGreater(self.controller.limit, 50)

    def test_a_slower_upstream_gets_less(self):
        self.serve(60, 0.01)
        self.serve(2000, 0.01)
        before = self.controller.limit
        self.serve(before * 5, 0.1)  # much later it takes the new latency for that without queueing
        self.assertLess(self.controller.limit, before)

    def test_measures_again_after_the_interval_and_its_jitter(self):
        self.serve(60, 0.01)
        limit = self.controller.limit
        self.now += 60 * 1.075
        self.controller.follow(self.now, half)
        self.assertEqual((self.controller.is_measuring, self.controller.limit), (True, 3))
        self.serve(60, 0.01)
        self.assertGreaterEqual(self.controller.limit, limit)

    def test_what_began_before_a_measurement_tells_nothing_of_it(self):
        self.serve(60, 0.01)
        self.controller.admit("old", self.now, half)
        self.now += 65
        self.serve(51, 0.01)
        self.controller.end("old", self.now, True, half)
        self.assertAlmostEqual(self.controller.min_rtt_s, 0.01)

    def test_stuck_at_the_lowest_limit_it_measures_again(self):
        self.serve(60, 0.01)
        began = self.now
        while not self.controller.is_measuring:
            self.serve(1, 0.2)
        self.assertLess(self.now - began, 10)


class Filtering(unittest.TestCase):
    def test_refuses_with_envoys_words(self):
        site = FakeSite("adaptive")
        one = AdaptiveConcurrency(min_rtt_calc_params=MinRttCalcParams(min_concurrency=1))
        made = AdaptiveConcurrencyFilter(one, site)
        first, second = FakeExchange(stream_id=1), FakeExchange(stream_id=2)
        self.assertEqual((first.request_phase(made), second.request_phase(made)), (CONTINUE, STOP))
        reply = second.replies[0]
        self.assertEqual((reply.status, reply.body, reply.detail),
                         (503, b"reached concurrency limit", "reached_concurrency_limit"))
        self.assertIn("refuses: 1 of 1", made.explain(second))
        second.complete(made)
        first.respond()
        first.complete(made)
        self.assertEqual((len(made._controller.began), len(made._controller._samples)), (0, 1))
        self.assertEqual(site.metrics.value(
            "envoy_http_adaptive_concurrency_gradient_controller_rq_blocked", "adaptive"), 1)

    def test_our_own_answers_tell_nothing_of_the_latency(self):
        made = AdaptiveConcurrencyFilter(AdaptiveConcurrency(), FakeSite())
        exchange = FakeExchange()
        exchange.request_phase(made)
        exchange.reply(503, detail="no_healthy_upstream")
        exchange.complete(made)
        self.assertEqual((made._controller.began, made._controller._samples), ({}, []))

    def test_a_reload_keeps_the_controller_and_takes_the_new_settings(self):
        site = FakeSite("adaptive")
        before = AdaptiveConcurrencyFilter(AdaptiveConcurrency(), site)
        after = AdaptiveConcurrencyFilter(
            AdaptiveConcurrency(sample_aggregate_percentile=90.0),
            FakeSite("adaptive", table=site.table, world=site.world))
        after.start()
        self.assertIs(before._controller, after._controller)
        self.assertEqual(before._controller.config.sample_aggregate_percentile, 90.0)


class Configuration(unittest.TestCase):
    def test_bounds_that_cross_are_a_fault(self):
        text = "min_rtt_calc_params: {min_concurrency: 10}\nconcurrency_limit_params: {max_concurrency_limit: 5}"
        self.assertEqual(len(read(AdaptiveConcurrency, text)[1]), 1)
