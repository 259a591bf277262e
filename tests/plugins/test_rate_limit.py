"""rate_limit: tokens are counted to the unit, kept over reloads, and bounded in number."""

import unittest

from meshd.api import CONTINUE, STOP, Identity, flag
from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.exchange import FakeExchange
from meshd.hot.ledger import LOCKING
from meshd.testing.site import FakeSite, FakeWorld
from meshd_plugins.rate_limit import MAX_KEY_BYTES, RateLimit, RateLimitFilter
from tests.host.workers import Host
from tests.plugins.reading import read


class Limited:
    """One filter and its site."""

    def __init__(self, site=None, **options):
        self.site = site or FakeSite("limit")
        self.filter = RateLimitFilter(RateLimit(**options), self.site)

    def ask(self, *headers, target=b"/", **attributes):
        exchange = FakeExchange(b"GET", target, headers, **attributes)
        exchange.verdict = exchange.request_phase(self.filter)
        return exchange

    def passes(self, *headers, **attributes):
        return self.ask(*headers, **attributes).verdict is CONTINUE

    def count(self, result):
        return self.site.metrics.value("meshd_rate_limit_requests_total", "limit", result)


class Contract(HttpFilterContract, unittest.TestCase):
    def make(self):
        return RateLimitFilter(RateLimit(rate=3, headers=True, key="client_address"), FakeSite())


class Refusal(unittest.TestCase):
    def test_is_429_with_the_flag_and_when_to_come_again(self):
        limited = Limited(rate=1, per_s=10.0)
        self.assertTrue(limited.passes())
        exchange = limited.ask()
        self.assertIs(exchange.verdict, STOP)
        reply = exchange.replies[0]
        self.assertEqual((reply.status, reply.flag, reply.detail), (429, flag.RL, "request_rate_limited"))
        self.assertEqual(reply.header(b"retry-after"), b"10")
        self.assertEqual(reply.header(b"x-envoy-ratelimited"), b"true")

    def test_after_retry_after_the_request_passes(self):
        limited = Limited(rate=1, per_s=3.0)
        limited.passes()
        limited.site.advance(0.5)
        limited.site.advance(int(limited.ask().replies[0].header(b"retry-after")))
        self.assertTrue(limited.passes())

    def test_the_status_can_be_chosen(self):
        limited = Limited(rate=1, status=503)
        limited.passes()
        self.assertEqual(limited.ask().replies[0].status, 503)

    def test_a_call_is_told_that_something_is_exhausted_where_that_is_wanted(self):
        for is_wanted, kind, expected in ((True, b"application/grpc", b"8"), (False, b"application/grpc", None),
                                          (True, b"text/plain", None)):
            filter = RateLimitFilter(RateLimit(rate=1, rate_limited_as_resource_exhausted=is_wanted), FakeSite("limit"))
            exchanges = [FakeExchange(headers=[(b"content-type", kind)]) for _ in range(2)]
            for exchange in exchanges:
                exchange.request_phase(filter)
            self.assertEqual(exchanges[1].replies[0].header(b"grpc-status"), expected)

    def test_shadow_mode_counts_and_lets_pass(self):
        limited = Limited(rate=1, enforce=False)
        self.assertTrue(all(limited.passes() for _ in range(5)))
        self.assertEqual((limited.count("ok"), limited.count("shadowed"), limited.count("limited")), (1, 4, 0))


class Exactness(unittest.TestCase):
    def test_admits_burst_plus_rate_times_time_to_the_unit(self):
        limited = Limited(rate=50, per_s=1.0, burst=20)
        admitted = 0
        for _ in range(2000):
            admitted += limited.passes()
            limited.site.advance(0.005)
        self.assertEqual(admitted, 20 + int(50 * 1999 * 0.005))
        self.assertEqual(limited.count("ok"), admitted)
        self.assertEqual(limited.count("limited"), 2000 - admitted)

    def test_the_burst_is_the_rate_rounded_up_where_none_is_given(self):
        limited = Limited(rate=2.5)
        self.assertEqual(sum(limited.passes() for _ in range(10)), 3)


class Keys(unittest.TestCase):
    def test_each_client_address_has_its_own_bucket(self):
        limited = Limited(rate=1, key="client_address")
        clients = ("10.0.0.1", "10.0.0.2", "10.0.0.1")
        self.assertEqual([limited.passes(client=client) for client in clients], [True, True, False])

    def test_one_ipv6_network_is_one_client(self):
        limited = Limited(rate=1, key="client_address")
        clients = ("2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1", "::ffff:10.0.0.1", "10.0.0.1")
        self.assertEqual([limited.passes(client=client) for client in clients], [True, False, True, True, False])

    def test_header_values_have_buckets_and_requests_without_share_one(self):
        limited = Limited(rate=1, key="header", header="x-tenant")
        rows = ([(b"x-tenant", b"a")], [(b"x-tenant", b"b")], [(b"x-tenant", b"a")], [], [])
        self.assertEqual([limited.passes(*row) for row in rows], [True, True, False, True, False])

    def test_path_prefixes_are_whole_segments(self):
        limited = Limited(rate=1, key="path_prefix")
        targets = (b"/a", b"/a/b?c", b"/ab", b"/", b"/a?x=/b")
        self.assertEqual([limited.passes(target=target) for target in targets], [True, False, True, True, False])

    def test_identities_have_buckets(self):
        limited = Limited(rate=1, key="identity")
        ann, bob = (Identity(name=name, method="basic") for name in ("ann", "bob"))
        self.assertEqual([limited.passes(identity=one) for one in (ann, bob, ann, None)], [True, True, False, True])

    def test_the_number_of_buckets_is_bounded_and_evictions_are_counted(self):
        limited = Limited(rate=1, key="header", header="x-tenant", max_keys=10)
        for number in range(100):
            limited.passes((b"x-tenant", b"%d" % number))
        self.assertEqual(limited.site.metrics.value("meshd_rate_limit_buckets", "limit"), 10)
        self.assertEqual(limited.site.metrics.value("meshd_rate_limit_evictions_total", "limit"), 90)

    def test_the_bucket_used_last_stays(self):
        limited = Limited(rate=1, key="header", header="x-tenant", max_keys=2)
        for name in (b"a", b"b", b"a", b"c"):
            limited.passes((b"x-tenant", name))
        self.assertFalse(limited.passes((b"x-tenant", b"a")))
        self.assertTrue(limited.passes((b"x-tenant", b"b")))

    def test_long_keys_are_kept_short(self):
        limited = Limited(rate=1, key="header", header="x-tenant")
        self.assertTrue(limited.passes((b"x-tenant", b"k" * 50_000)))
        self.assertFalse(limited.passes((b"x-tenant", b"k" * 50_000)))
        self.assertTrue(all(len(key) <= MAX_KEY_BYTES for key in limited.filter._buckets.by_key))


class Reload(unittest.TestCase):
    def after(self, first, second, advance_s=0.0, **site):
        before = Limited(rate=10, **first)
        for _ in range(10):
            before.passes()
        before.site.advance(advance_s)
        next_site = FakeSite("limit", table=before.site.table, world=before.site.world, **site)
        after = Limited(next_site, **{"rate": 10, **second})
        before.site.release()
        return sum(after.passes() for _ in range(100))

    def test_keeps_the_tokens(self):
        self.assertEqual(self.after({}, {}), 0)
        self.assertEqual(self.after({}, {}, 0.5), 5)

    def test_a_new_rate_applies_at_once_to_kept_tokens(self):
        self.assertEqual(self.after({}, {"rate": 100, "burst": 50}), 0)
        self.assertEqual(self.after({}, {"rate": 1, "burst": 3}, 1.0), 3)

    def test_another_meaning_or_owner_starts_anew(self):
        self.assertEqual(self.after({}, {"key": "client_address"}), 10)
        self.assertEqual(self.after({}, {}, owner="listener other"), 10)

    def test_a_named_bucket_is_shared(self):
        self.assertEqual(self.after({"bucket": "all"}, {"bucket": "all"}, owner="listener other"), 0)


class Workers(unittest.TestCase):
    """Two workers of one host; the time is the same for both."""

    def setUp(self):
        self.host = Host(self, locking=LOCKING)

    def workers(self, **options):
        found = []
        for _ in range(2):
            site = FakeSite("limit", world=FakeWorld())
            site.world.arena = self.host.worker()
            self.addCleanup(site.release)
            found.append(Limited(site, **options))
        return found

    def test_tokens_are_those_of_all_workers_together(self):
        for options in ({}, {"key": "client_address"}):
            one, other = self.workers(rate=10, burst=4, **options)
            self.assertEqual([worker.passes() for worker in (one, other) * 3], [True] * 4 + [False] * 2)
            for worker in (one, other):
                worker.site.advance(0.3)
            self.assertEqual([worker.passes() for worker in (one, other) * 2], [True] * 3 + [False])

    def test_the_refusal_says_when_to_come_again_and_what_is_left(self):
        one, other = self.workers(rate=1, per_s=10.0, headers=True)
        self.assertTrue(one.passes())
        exchange = other.ask()
        exchange.response_phase(other.filter)
        headers = exchange.response.headers
        self.assertEqual(headers.get(b"retry-after"), b"10")
        self.assertEqual((headers.get(b"x-ratelimit-remaining"), headers.get(b"x-ratelimit-reset")), (b"0", b"10"))

    def test_buckets_are_bounded_and_each_worker_counts_its_evictions(self):
        workers = self.workers(rate=1, key="header", header="x-tenant", max_keys=10)
        for number in range(100):
            workers[number % 2].passes((b"x-tenant", b"%d" % number))
        metrics = [worker.site.metrics for worker in workers]
        self.assertEqual([one.value("meshd_rate_limit_buckets", "limit") for one in metrics], [10, 10])
        self.assertEqual(sum(one.value("meshd_rate_limit_evictions_total", "limit") for one in metrics), 90)

    def test_a_reload_keeps_the_tokens(self):
        one, other = self.workers(rate=10)
        self.assertEqual(sum(one.passes() for _ in range(7)), 7)
        next_site = FakeSite("limit", table=one.site.table, world=one.site.world)
        new = Limited(next_site, rate=10)
        one.site.release()
        self.assertEqual(sum(new.passes() + other.passes() for _ in range(10)), 3)
        next_site.release()


class Headers(unittest.TestCase):
    def answer(self, limited):
        exchange = limited.ask()
        if exchange.verdict is CONTINUE:
            exchange.respond(200)
        exchange.response_phase(limited.filter)
        names = (b"x-ratelimit-limit", b"x-ratelimit-remaining", b"x-ratelimit-reset")
        return tuple(exchange.response.headers.get(name) for name in names)

    def test_tell_limit_rest_and_reset_also_with_the_refusal(self):
        limited = Limited(rate=2, per_s=4.0, headers=True)
        self.assertEqual(self.answer(limited), (b"2, 2;w=4", b"1", b"2"))
        self.assertEqual(self.answer(limited), (b"2, 2;w=4", b"0", b"4"))
        self.assertEqual(self.answer(limited), (b"2, 2;w=4", b"0", b"4"))

    def test_are_not_there_by_default(self):
        self.assertFalse(hasattr(Limited(rate=1).filter, "on_response"))


class Configuration(unittest.TestCase):
    def test_rate_and_interval_are_read(self):
        config, faults = read(RateLimit, "rate: 100\nper: 1m\nkey: header\nheader: X-Tenant")
        self.assertEqual((config.rate_per_s, config.size, config.header, faults), (100 / 60, 100, "x-tenant", []))

    def test_a_header_without_its_key_and_the_reverse_are_faults(self):
        for text in ("rate: 1\nheader: x-a", "rate: 1\nkey: header"):
            with self.subTest(text):
                self.assertIn("together", str(read(RateLimit, text)[1]))

    def test_a_rate_of_nothing_is_a_fault(self):
        for text in ("rate: 0", "rate: -1", "rate: 0.001\nper: 1h"):
            with self.subTest(text):
                self.assertEqual(len(read(RateLimit, text)[1]), 1)


class Explained(unittest.TestCase):
    def said(self, limited):
        exchange = FakeExchange()
        return limited.filter.explain(exchange), exchange

    def test_no_token_is_taken_and_no_bucket_made(self):
        limited = Limited(rate=2)
        for _ in range(5):
            self.assertEqual(self.said(limited)[0], "takes a token: 2 of 2 tokens are left for all requests")
        self.assertEqual(len(limited.filter._buckets), 0)
        self.assertEqual(sum(limited.passes() for _ in range(5)), 2)

    def test_an_empty_bucket_refuses_as_the_filter_does(self):
        limited = Limited(rate=1, key="client_address")
        limited.passes()
        text, exchange = self.said(limited)
        self.assertEqual(text, "refuses: 0 of 1 tokens are left for client 192.0.2.1")
        self.assertEqual((exchange.replies[0].status, exchange.replies[0].header(b"retry-after")), (429, b"1"))

    def test_one_that_only_counts_says_so(self):
        limited = Limited(rate=1, enforce=False)
        limited.passes()
        text, exchange = self.said(limited)
        self.assertIn("would refuse, but only counts", text)
        self.assertEqual(exchange.replies, [])
