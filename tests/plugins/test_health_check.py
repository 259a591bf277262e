"""The http filter health_check: who answers, and what."""

import unittest

from meshd.api import CONTINUE, STOP, ConfigurationError, flag, health
from meshd.testing.contract.cluster import FakeCluster
from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.contract.kind import endpoints
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.health_check import HealthCheckOptions
from tests.plugins.reading import read

IMMEDIATE, CLUSTER = b"x-envoy-immediate-health-check-fail", b"x-envoy-upstream-healthchecked-cluster"


def build(site=None, **options):
    found = HealthCheckOptions(**{"paths": ("/up",), **options})
    return (site or FakeSite()).make("http_filter", "health_check", found)


def ask(made, path=b"/up?a=1"):
    exchange = FakeExchange(b"GET", path)
    return exchange, exchange.request_phase(made)


class Contract(HttpFilterContract, unittest.TestCase):
    def make(self):
        return build()


class Answers(unittest.TestCase):
    def setUp(self):
        self.cluster = FakeCluster("up", endpoints(4))
        for endpoint in self.cluster.endpoints:
            endpoint.bits = 0
        self.site = FakeSite(clusters={"up": self.cluster})

    def fail(self):
        self.site.world.is_ready = lambda: False

    def test_answers_200_for_its_paths_alone(self):
        exchange, verdict = ask(build())
        self.assertIs(verdict, STOP)
        self.assertEqual((exchange.replies[0].status, exchange.replies[0].header(CLUSTER)), (200, b"meshd"))
        self.assertIs(ask(build(), b"/upper")[1], CONTINUE)

    def test_answers_503_lh_while_no_traffic_should_come(self):
        for passes in (False, True):
            made = build(self.site, pass_through_mode=passes)
            self.site.world.is_ready = lambda: False
            exchange, _ = ask(made)
            self.assertEqual((exchange.replies[0].status, exchange.replies[0].flag), (503, flag.LH))

    def test_other_answers_then_tell_checking_clients_to_stay_away(self):
        made = build(self.site)
        for is_ready, expected in ((True, None), (False, b"true")):
            self.site.world.is_ready = lambda is_ready=is_ready: is_ready
            exchange, _ = ask(made, b"/other")
            exchange.respond(200)
            exchange.response_phase(made)
            self.assertEqual(exchange.response.headers.get(IMMEDIATE), expected)

    def test_answers_503_where_too_few_endpoints_can_be_used(self):
        made = build(self.site, cluster_min_healthy_percentages=(("up", 50.0),))
        for bits, expected in (((0, 0, 0, 0), 200), ((2, 2, 0, 0), 200), ((2, 2, 2, 0), 503)):
            for endpoint, value in zip(self.cluster.endpoints, bits):
                endpoint.bits = value
            self.assertEqual(ask(made)[0].replies[0].status, expected)
        self.assertTrue(health.FAILED & 2)
        with self.assertRaises(ConfigurationError):
            build(self.site, cluster_min_healthy_percentages=(("unknown", 50.0),))

    def test_the_upstream_answers_where_it_is_told_to_and_the_cache_after_it(self):
        made = build(self.site, pass_through_mode=True, cache_time_s=5.0)
        exchange, verdict = ask(made)
        self.assertIs(verdict, CONTINUE)
        exchange.respond(503)
        exchange.response_phase(made)
        self.assertEqual(exchange.response.headers.get(CLUSTER), b"meshd")
        self.site.advance(4.9)
        self.assertEqual(ask(made)[0].replies[0].status, 503)
        self.site.advance(0.2)
        self.assertIs(ask(made)[1], CONTINUE)

    def test_options_that_mean_nothing_together_are_refused(self):
        for text in ("{paths: [/up], cache_time: 5s}",
                     "{paths: [/up], pass_through_mode: true, cluster_min_healthy_percentages: {up: 50}}"):
            self.assertTrue(read(HealthCheckOptions, text)[1], text)
