"""The circuit breaker of limits."""

import unittest

from meshd.hot.ledger import LOCKING
from meshd.telemetry.writer import expose
from meshd.testing.site import FakeSite, FakeWorld
from meshd_plugins.limits import Budget, High, Limits, PerHost
from meshd_plugins.limits.budget import retries_allowed
from tests.host.workers import Host

NAMES = ("connections", "pending", "requests", "retries")
VERBS = ("connection", "pending", "request", "retry")


def breaker(site=None, name="users", **limits):
    """Build the breaker of the cluster ``name``."""
    return (site or FakeSite()).make("circuit_breaker", "limits", Limits(**limits), name=name)


def text_of(site):
    """Return the lines of the metrics."""
    return b"".join(expose(site.metrics)).decode().splitlines()


class Admission(unittest.TestCase):
    def test_each_resource_has_its_own_limit(self):
        for verb, name in zip(VERBS, NAMES):
            found = breaker(**{f"max_{name}": 2})
            admit, release = getattr(found, f"admit_{verb}"), getattr(found, f"release_{verb}")
            self.assertEqual([admit(), admit(), admit()], [True, True, False], name)
            self.assertEqual(found.state()[name], (2, 2))
            release()
            self.assertEqual([admit(), admit()], [True, False], name)

    def test_defaults_are_envoys(self):
        found = FakeSite().make("circuit_breaker", "limits")
        self.assertEqual(
            found.state(), {"connections": (0, 1024), "pending": (0, 1024), "requests": (0, 1024), "retries": (0, 3)}
        )

    def test_zero_admits_nothing(self):
        self.assertFalse(breaker(max_retries=0).admit_retry())


class Reloads(unittest.TestCase):
    def test_counts_are_kept_and_new_limits_apply_at_once(self):
        old_site = FakeSite()
        old = breaker(old_site, max_requests=5)
        self.assertTrue(all(old.admit_request() for _ in range(5)))
        new = breaker(FakeSite(table=old_site.table), max_requests=3)
        self.assertEqual(new.state()["requests"], (5, 3))
        for expected in (False, False, False, True):
            self.assertEqual(new.admit_request(), expected)
            old.release_request()
        self.assertEqual(new.state()["requests"], (2, 3))

    def test_clusters_are_counted_apart(self):
        site = FakeSite()
        one, other = breaker(site, max_requests=1), breaker(site, "beta", max_requests=1)
        self.assertTrue(one.admit_request())
        self.assertTrue(other.admit_request())


class Workers(unittest.TestCase):
    def setUp(self):
        self.host = Host(self, locking=LOCKING)

    def worker(self):
        site = FakeSite(world=FakeWorld())
        site.world.arena = self.host.worker()
        self.addCleanup(site.release)
        return site

    def test_limits_are_those_of_all_workers_together(self):
        one, other = (breaker(self.worker(), max_requests=3, max_retries=1) for _ in range(2))
        self.assertEqual([one.admit_request(), other.admit_request(), one.admit_request()], [True] * 3)
        self.assertEqual((one.admit_request(), other.admit_request(), other.admit_retry()), (False, False, True))
        self.assertEqual(one.state(), other.state())
        self.assertEqual((one.state()["requests"], one.state()["retries"]), ((3, 3), (1, 1)))
        one.release_request()
        self.assertTrue(other.admit_request())

    def test_a_reload_in_one_worker_keeps_the_counts_of_all(self):
        site = self.worker()
        one, other = breaker(site, max_requests=5), breaker(self.worker(), max_requests=5)
        self.assertTrue(one.admit_request() and other.admit_request())
        next_site = FakeSite(table=site.table, world=site.world)
        new = breaker(next_site, max_requests=3)
        site.release()
        self.assertEqual(new.state()["requests"], (2, 3))
        one.release_request()
        self.assertEqual((new.state()["requests"], other.state()["requests"]), ((1, 3), (1, 5)))
        next_site.release()

    def test_what_ends_after_its_cluster_is_counted_nowhere(self):
        site = self.worker()
        one, other = breaker(site), breaker(self.worker())
        self.assertTrue(one.admit_connection() and other.admit_connection())
        site.release()
        one.release_connection()
        self.assertEqual(other.state()["connections"], (1, 1024))


class Metrics(unittest.TestCase):
    def values(self, site):
        rows = {}
        for name in ("rq_open", "remaining_rq", "cx_open", "rq_pending_open", "rq_retry_open", "remaining_retries"):
            family = site.metrics.gauge(f"envoy_cluster_circuit_breakers_default_{name}", "", ("cluster_name",))
            rows[name] = family.cell("users").value
        return rows

    def test_shows_what_is_open_and_what_remains(self):
        site = FakeSite()
        found = breaker(site, max_requests=2, max_retries=1)
        found.start()
        found.admit_request()
        self.assertEqual((self.values(site)["rq_open"], self.values(site)["remaining_rq"]), (0, 1))
        found.admit_request()
        found.admit_retry()
        values = self.values(site)
        self.assertEqual((values["rq_open"], values["remaining_rq"]), (1, 0))
        self.assertEqual((values["rq_retry_open"], values["remaining_retries"], values["cx_open"]), (1, 0, 0))

    def test_the_started_one_is_shown(self):
        site = FakeSite()
        breaker(site, max_requests=2).start()
        breaker(site, max_requests=9)
        self.assertEqual(self.values(site)["remaining_rq"], 2)
        breaker(site, max_requests=7).start()
        self.assertEqual(self.values(site)["remaining_rq"], 7)


class Budgets(unittest.TestCase):
    def test_the_formula_as_docs_retries_has_it(self):
        for percent, least, requests, wanted in (
            (20.0, 3, 0, 3), (20.0, 3, 15, 3), (20.0, 3, 50, 10), (20.0, 3, 54, 10), (50.0, 0, 1, 0), (0.0, 0, 1000, 0),
            (100.0, 0, 7, 7),
        ):
            self.assertEqual(retries_allowed(percent, least, requests), wanted)

    def test_takes_the_place_of_max_retries(self):
        found = breaker(max_retries=0, budget=Budget(percent=20.0, min_retry_concurrency=1))
        for _ in range(11):
            found.admit_request()
        self.assertEqual([found.admit_retry() for _ in range(3)], [True, True, False])
        self.assertEqual(found.state()["retries"], (2, 1))
        for _ in range(9):
            found.release_request()
        self.assertEqual(found.state()["retries"], (2, 1))
        self.assertFalse(found.admit_retry())

    def test_an_interval_counts_what_began_within_it(self):
        site = FakeSite()
        found = breaker(site, budget=Budget(percent=20.0, min_retry_concurrency=0, interval_s=10.0))
        for _ in range(20):
            self.assertTrue(found.admit_request())
            found.release_request()
        self.assertEqual(found.state()["retries"], (0, 4))
        for _ in range(99):
            site.advance(0.1)
        self.assertEqual(found.state()["retries"], (0, 4))
        for _ in range(22):
            site.advance(0.1)
        self.assertEqual(found.state()["retries"], (0, 0))
        self.assertEqual(site.world.clock.timers, [])

    def test_gauges(self):
        site = FakeSite()
        found = breaker(site, budget=Budget(percent=100.0, min_retry_concurrency=0))
        found.start()
        lines = text_of(site)
        self.assertIn('envoy_cluster_circuit_breakers_default_rq_retry_open{cluster_name="users"} 1', lines)
        self.assertIn('envoy_cluster_circuit_breakers_default_remaining_retries{cluster_name="users"} 0', lines)
        found.admit_request()
        self.assertIn('envoy_cluster_circuit_breakers_default_rq_retry_open{cluster_name="users"} 0', text_of(site))


class Priorities(unittest.TestCase):
    def test_high_is_counted_apart_and_shown_apart(self):
        site = FakeSite()
        found = breaker(site, max_requests=1, high=High(max_requests=1))
        self.assertTrue(found.admit_request())
        self.assertTrue(found.high.admit_request())
        self.assertFalse(found.high.admit_request())
        self.assertEqual(found.state()["high_requests"], (1, 1))
        found.start()
        self.assertIn('envoy_cluster_circuit_breakers_high_rq_open{cluster_name="users"} 1', text_of(site))

    def test_without_figures_there_is_none(self):
        self.assertIsNone(breaker().high)

    def test_limits_of_one_endpoint(self):
        self.assertEqual(breaker().max_connections_per_endpoint, 0)
        found = breaker(per_host_thresholds=PerHost(max_connections=7))
        self.assertEqual(found.max_connections_per_endpoint, 7)

    def test_what_is_left_is_shown_unless_told(self):
        site = FakeSite()
        breaker(site, track_remaining=False).start()
        self.assertNotIn("remaining", "".join(text_of(site)))
