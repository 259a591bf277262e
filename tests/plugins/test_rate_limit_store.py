"""rate_limit with a shared store: who waits how long for what, and what becomes of requests without a verdict."""

import types
import unittest

from meshd.api import CONTINUE, STOP, flag
from meshd.testing.contract.http import HttpFilterContract
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.rate_limit import RateLimit, RateLimitFilter
from meshd_plugins.rate_limit.config import Redis, Store
from meshd_plugins.rate_limit.redis import MAX_CALLS, backoff_s
from meshd_plugins.rate_limit.script import SHA, take, ttl_ms
from meshd_plugins.rate_limit.shared import MAX_KEY_BYTES, key_of, server_of
from meshd_plugins.rate_limit.store import Limit
from tests.plugins.reading import read

LOADED = b"$40\r\n" + SHA + b"\r\n"
YES, NO = b"*2\r\n:1\r\n$1\r\n4\r\n", b"*2\r\n:0\r\n$3\r\n0.5\r\n"


class Cluster:
    """A cluster as the store looks at it."""

    name = "redis"

    def __init__(self, *addresses):
        self.endpoints = tuple(types.SimpleNamespace(address=address) for address in addresses)


class Shared:
    """A filter with a store, started; the test plays the server by ``stream.receiver``."""

    def __init__(self, *addresses, site=None, store=(), **options):
        self.cluster = Cluster(*(addresses or ("10.0.0.1:6379",)))
        self.site = site or FakeSite("limit", clusters={"redis": self.cluster}, owner="listener public")
        redis = Redis(cluster="redis", **dict(store))
        config = RateLimit(**{"rate": 1, "burst": 5, "store": Store(redis=redis), **options})
        self.filter = RateLimitFilter(config, self.site)
        self.filter.start()

    @property
    def stream(self):
        return self.site.streams[-1]

    def greet(self):
        """Let the connection be made and the script be loaded."""
        self.stream.receiver.opened()
        self.stream.receiver.received(LOADED)
        return self

    def ask(self, *headers, **attributes):
        exchange = FakeExchange(b"GET", b"/", headers, **attributes)
        exchange.verdict = []
        exchange.waiting = self.filter.on_request(exchange)
        exchange.waiting.addBoth(exchange.verdict.append)
        return exchange

    def say(self, data):
        self.stream.receiver.received(data)

    def count(self, result):
        return self.site.metrics.value("meshd_rate_limit_requests_total", "limit", result)

    def errors(self, reason):
        return self.site.metrics.value("meshd_rate_limit_store_errors_total", "limit", reason)

    def logged(self):
        return [event["reason"] for event in self.site.logged if "reason" in event]


class Contract(HttpFilterContract, unittest.TestCase):
    def make(self):
        site = FakeSite(clusters={"redis": Cluster("10.0.0.1:6379")})
        return RateLimitFilter(RateLimit(rate=3, headers=True, store=Store(redis=Redis(cluster="redis"))), site)


class Verdicts(unittest.TestCase):
    def test_wait_for_the_server(self):
        shared = Shared(headers=True).greet()
        first, second = shared.ask(), shared.ask()
        self.assertEqual(first.verdict + second.verdict, [])
        shared.say(YES + NO)
        self.assertEqual((first.verdict, second.verdict), ([CONTINUE], [STOP]))
        reply = second.replies[0]
        self.assertEqual((reply.status, reply.flag, reply.detail), (429, flag.RL, "request_rate_limited"))
        self.assertEqual((reply.header(b"retry-after"), reply.header(b"x-envoy-ratelimited")), (b"1", b"true"))
        second.response_phase(shared.filter)
        headers = second.response.headers
        self.assertEqual((headers.get(b"x-ratelimit-remaining"), headers.get(b"x-ratelimit-reset")), (b"0", b"5"))
        self.assertEqual((shared.count("ok"), shared.count("limited")), (1, 1))

    def test_the_first_requests_wait_for_the_connection(self):
        shared = Shared()
        exchange = shared.ask()
        self.assertEqual(shared.stream.sent, [])
        shared.greet()
        self.assertIn(b"EVALSHA", shared.stream.sent[-1])
        shared.say(YES)
        self.assertEqual(exchange.verdict, [CONTINUE])

    def test_a_forgotten_script_is_sent_whole_for_the_same_request(self):
        shared = Shared().greet()
        exchange = shared.ask()
        shared.say(b"-NOSCRIPT No matching script.\r\n")
        self.assertIn(b"\r\nEVAL\r\n", shared.stream.sent[-1])
        shared.say(YES)
        self.assertEqual(exchange.verdict, [CONTINUE])

    def test_a_client_that_goes_does_not_disturb_the_others(self):
        shared = Shared().greet()
        first, second = shared.ask(), shared.ask()
        first.waiting.addErrback(lambda failure: None)
        first.waiting.cancel()
        shared.say(NO + YES)
        self.assertEqual((second.verdict, shared.count("limited")), ([CONTINUE], 0))

    def test_shadow_mode_only_counts(self):
        shared = Shared(enforce=False).greet()
        exchange = shared.ask()
        shared.say(NO)
        self.assertEqual((exchange.verdict, shared.count("shadowed")), ([CONTINUE], 1))


class WithoutAVerdict(unittest.TestCase):
    def test_after_the_budget_requests_pass(self):
        shared = Shared().greet()
        exchange = shared.ask()
        shared.site.advance(0.019)
        self.assertEqual(exchange.verdict, [])
        shared.site.advance(0.002)
        self.assertEqual((exchange.verdict, exchange.flags), ([CONTINUE], 0))
        self.assertEqual((shared.count("failed_open"), shared.errors("timeout")), (1, 1))
        shared.say(NO)
        self.assertEqual(exchange.verdict, [CONTINUE])

    def test_or_are_refused_as_envoy_does(self):
        shared = Shared(store={"on_error": "closed"}).greet()
        exchange = shared.ask()
        shared.site.advance(0.021)
        reply = exchange.replies[0]
        self.assertEqual((reply.status, reply.flag, reply.detail), (500, flag.RLSE, "rate_limiter_error"))
        self.assertEqual(shared.count("failed_closed"), 1)

    def test_one_that_only_counts_refuses_nothing(self):
        shared = Shared(store={"on_error": "closed"}, enforce=False).greet()
        exchange = shared.ask()
        shared.site.advance(0.021)
        self.assertEqual(exchange.verdict, [CONTINUE])

    def test_the_budget_holds_for_each_request(self):
        shared = Shared().greet()
        first = shared.ask()
        shared.site.advance(0.015)
        second = shared.ask()
        shared.site.advance(0.006)
        self.assertEqual((first.verdict, second.verdict), ([CONTINUE], []))
        shared.site.advance(0.015)
        self.assertEqual(second.verdict, [CONTINUE])

    def test_a_lost_connection_answers_at_once_and_is_made_again(self):
        shared = Shared().greet()
        exchange = shared.ask()
        shared.stream.receiver.lost("connection reset by peer")
        self.assertEqual((exchange.verdict, shared.ask().verdict), ([CONTINUE], [CONTINUE]))
        self.assertEqual((len(shared.site.streams), shared.errors("connection")), (1, 2))
        shared.site.advance(0.06)
        self.assertEqual(len(shared.site.streams), 2)
        shared.greet()
        again = shared.ask()
        shared.say(YES)
        self.assertEqual((again.verdict, shared.count("ok")), ([CONTINUE], 1))

    def test_one_that_has_said_nothing_for_a_second_is_given_up(self):
        shared = Shared().greet()
        shared.ask()
        for _ in range(110):
            shared.site.advance(0.01)
        self.assertTrue(shared.site.streams[0].is_closed)
        self.assertEqual(shared.logged()[0], "no answer for 1 s")

    def test_a_wrong_password_is_logged_once_and_again_when_it_was_right_meanwhile(self):
        shared = Shared()
        for _ in range(6):
            shared.stream.receiver.opened()
            shared.say(b"-NOAUTH Authentication required.\r\n")
            shared.site.advance(3)
        self.assertEqual(shared.logged(), ["SCRIPT LOAD was refused: NOAUTH Authentication required."])
        shared.greet()
        self.assertIn("works again", str([event.get("log_format") for event in shared.site.logged]))
        shared.stream.receiver.lost("gone")
        self.assertEqual(len(shared.logged()), 2)

    def test_an_error_of_the_server_costs_one_request(self):
        shared = Shared().greet()
        first, second = shared.ask(), shared.ask()
        shared.say(b"-OOM command not allowed\r\n" + NO)
        self.assertEqual((first.verdict, second.verdict, shared.errors("reply")), ([CONTINUE], [STOP], 1))

    def test_an_answer_that_is_none_ends_the_connection_and_nobody_waits_for_ever(self):
        for data in (b"garbage", b":7\r\n", b"*2\r\n:1\r\n$1\r\nx\r\n", YES * 3):
            shared = Shared().greet()
            first, second = shared.ask(), shared.ask()
            shared.say(data)
            shared.site.advance(0.03)
            self.assertEqual((first.verdict, second.verdict), ([CONTINUE], [CONTINUE]), data)
            self.assertTrue(shared.site.streams[0].is_closed)

    def test_calls_that_wait_are_bounded(self):
        shared = Shared().greet()
        waiting = [shared.ask() for _ in range(MAX_CALLS)]
        self.assertEqual(shared.ask().verdict, [CONTINUE])
        self.assertEqual((shared.errors("overflow"), waiting[0].verdict), (1, []))
        shared.site.advance(0.03)
        self.assertEqual(waiting[-1].verdict, [CONTINUE])

    def test_a_cluster_without_endpoints(self):
        shared = Shared()
        shared.cluster.endpoints = ()
        self.assertEqual(shared.ask().verdict, [CONTINUE])


class Runtimes(unittest.TestCase):
    def test_filters_of_one_server_share_the_connection_also_over_a_reload(self):
        before = Shared().greet()
        site = FakeSite("limit", clusters={"redis": before.cluster}, table=before.site.table, world=before.site.world)
        after = Shared(site=site)
        self.assertEqual((len(before.site.streams), len(site.streams)), (1, 0))
        before.site.release()
        self.assertFalse(before.stream.is_closed)
        after.ask()
        self.assertIn(b"EVALSHA", before.stream.sent[-1])
        site.release()
        self.assertTrue(before.stream.is_closed)
        self.assertEqual(site.world.reactor.getDelayedCalls(), [])

    def test_endpoints_that_go_lose_their_connection_and_new_ones_get_one(self):
        shared = Shared("10.0.0.1:1", "10.0.0.2:1")
        self.assertEqual([one.address for one in shared.site.streams], ["10.0.0.1:1", "10.0.0.2:1"])
        shared.cluster.endpoints = Cluster("10.0.0.2:1", "10.0.0.3:1").endpoints
        shared.ask()
        self.assertEqual([one.is_closed for one in shared.site.streams], [True, False, False])
        self.assertEqual(shared.site.streams[2].address, "10.0.0.3:1")


class Keys(unittest.TestCase):
    def test_are_bounded(self):
        limit = Limit("listener public/limit", "header(x-tenant)", 1.0, 5)
        self.assertEqual(key_of(b"p:", limit, b"ann"), b"p:listener public/limit:header(x-tenant)=ann")
        self.assertEqual(key_of(b"p:", limit, None), b"p:listener public/limit:header(x-tenant)")
        long = Limit("n" * 400, "none", 1.0, 5)
        self.assertLessEqual(len(key_of(b"p" * 128, long, b"x" * 64)), MAX_KEY_BYTES)
        self.assertNotEqual(key_of(b"p:", long, b"a"), key_of(b"p:", long, b"b"))

    def test_an_absent_value_an_empty_one_and_numbers_are_apart(self):
        limit = Limit("a", "k", 1.0, 5)
        self.assertEqual(len({key_of(b"", limit, value) for value in (None, b"", "10.0.0.1", 255)}), 4)

    def test_each_has_a_server_and_few_move_when_one_goes(self):
        servers = [f"10.0.0.{number}:6379" for number in range(5)]
        keys = [b"key %d" % number for number in range(2000)]
        before = {key: server_of(key, servers) for key in keys}
        shares = [list(before.values()).count(one) / 2000 for one in servers]
        self.assertTrue(all(0.15 < share < 0.25 for share in shares), shares)
        after = {key: server_of(key, servers[1:]) for key in keys}
        self.assertTrue(all(after[key] == before[key] for key in keys if before[key] != servers[0]))


class Formulas(unittest.TestCase):
    def test_backoff_doubles_within_its_bound_and_has_jitter(self):
        self.assertEqual([backoff_s(number, 1.0) for number in (1, 2, 3)], [0.05, 0.1, 0.2])
        self.assertEqual((backoff_s(1, 0.0), backoff_s(500, 0.0), backoff_s(500, 1.0)), (0.025, 1.0, 2.0))

    def test_a_bucket_admits_burst_plus_rate_times_time_to_the_unit(self):
        state, admitted = None, 0
        for number in range(20_000):
            is_admitted, level, state = take(state, 50.0, 20, 10**15 + number * 500)
            admitted += is_admitted
            self.assertTrue(0 <= level <= 20)
        self.assertEqual(admitted, 20 + int(50 * 19_999 * 0.0005))

    def test_a_changed_limit_keeps_the_level(self):
        state = None
        for _ in range(10):
            _, _, state = take(state, 10.0, 10, 0)
        self.assertEqual(take(state, 100.0, 50, 0)[0], False)
        self.assertAlmostEqual(take(state, 1.0, 3, 1_000_000)[1], 2.0)

    def test_a_clock_that_is_set_back_gives_nothing_away_and_takes_little(self):
        _, _, state = take(None, 10.0, 10, 10**15)
        self.assertEqual(take(state, 10.0, 10, 0)[1], 8)

    def test_a_key_is_kept_until_its_bucket_is_full(self):
        self.assertEqual((ttl_ms(4.0, 2.0, 5), ttl_ms(5.0, 2.0, 5)), (501, 1))


class Configuration(unittest.TestCase):
    def test_is_read(self):
        config, faults = read(RateLimit, "rate: 1\nstore: {redis: {cluster: r, timeout: 50ms, on_error: closed}}")
        self.assertEqual((config.store.redis.timeout_s, config.store.redis.on_error, faults), (0.05, "closed", []))

    def test_a_user_without_a_password_is_a_fault(self):
        self.assertEqual(len(read(RateLimit, "rate: 1\nstore: {redis: {cluster: r, username: a}}")[1]), 1)

    def test_explains_whom_it_asks(self):
        self.assertEqual(Shared().filter.explain(FakeExchange()),
                         "asks redis at cluster redis for a token: 1 tokens a second, 5 at once")
