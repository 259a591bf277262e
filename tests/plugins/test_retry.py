"""The retry policy."""

import unittest

from meshd.api import Headers, flag
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import FakeSite
from meshd_plugins.retry import Retry
from tests.plugins.router_case import faults


class FakeOutcome:
    """How one attempt ended."""

    def __init__(self, status=0, reason="", began=False, flag=0, headers=()):
        self.status = status
        self.headers = Headers.of(*headers) if status else None
        self.flag = flag
        self.began = began
        self.reason = reason


def policy(*on, **options):
    """Build a policy; without ``on``, with the default conditions."""
    if on:
        options["retry_on"] = on
    return FakeSite().make("retry_policy", "retry", Retry(**options))


def judge(policy, method=b"GET", attempts=1, **outcome):
    """Ask the policy about one outcome."""
    return policy.judge(FakeExchange(method, attempts=attempts), FakeOutcome(**outcome))


def is_retried(policy, **outcome):
    """Say whether another attempt is made."""
    return judge(policy, **outcome) is not None


class Defaults(unittest.TestCase):
    def test_retries_what_was_not_processed(self):
        for reason in ("connect-failure", "refused-stream", "reset-before-request"):
            self.assertTrue(is_retried(policy(), reason=reason), reason)

    def test_retries_no_status_and_no_later_failure(self):
        self.assertFalse(is_retried(policy(), status=503, began=True))
        for reason in ("reset", "per-try-timeout", ""):
            self.assertFalse(is_retried(policy(), reason=reason, began=True), reason)

    def test_does_not_ask_to_see_answers(self):
        self.assertFalse(policy().judges_responses)

    def test_once(self):
        self.assertFalse(is_retried(policy(), reason="connect-failure", attempts=2))

    def test_without_configuration_the_same(self):
        found = FakeSite().make("retry_policy", "retry")
        self.assertTrue(is_retried(found, reason="connect-failure"))
        self.assertEqual(found.body_limit_bytes, 65536)


class Methods(unittest.TestCase):
    def test_post_is_retried_only_where_nothing_was_sent(self):
        self.assertTrue(is_retried(policy(), method=b"POST", reason="connect-failure"))
        self.assertTrue(is_retried(policy(), method=b"POST", reason="reset-before-request"))
        self.assertFalse(is_retried(policy(), method=b"POST", reason="reset-before-request", began=True))
        self.assertFalse(is_retried(policy("5xx"), method=b"POST", status=503, began=True))

    def test_idempotent_methods_are_retried_after_that(self):
        for method in (b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"):
            self.assertTrue(is_retried(policy("5xx"), method=method, status=503, began=True), method)

    def test_other_methods_where_told(self):
        self.assertTrue(is_retried(policy("5xx", methods=("POST",)), method=b"POST", status=503, began=True))


class Conditions(unittest.TestCase):
    def test_statuses(self):
        for word, good, bad in (("5xx", (500, 503, 599), (404, 409)), ("gateway-error", (502, 503, 504), (500, 501)),
                                ("retriable-4xx", (409,), (404, 503)), ("418", (418,), (503,))):
            found = policy(word)
            self.assertTrue(found.judges_responses)
            for status in good:
                self.assertTrue(is_retried(found, status=status, began=True), (word, status))
            for status in bad:
                self.assertFalse(is_retried(found, status=status, began=True), (word, status))

    def test_status_codes_alone_are_enough(self):
        self.assertTrue(is_retried(policy("reset", status_codes=(404,)), status=404, began=True))

    def test_a_reset_is_no_503(self):
        self.assertFalse(is_retried(policy("503"), reason="reset", began=True))

    def test_failures(self):
        table = {
            "connect-failure": ("connect-failure", "reset-before-request", "reset", "5xx", "gateway-error"),
            "reset-before-request": ("reset-before-request", "reset", "5xx", "gateway-error"),
            "refused-stream": ("refused-stream", "reset", "5xx", "gateway-error"),
            "reset": ("reset", "5xx", "gateway-error"),
            "per-try-timeout": ("reset", "5xx", "gateway-error"),
        }
        words = {word for row in table.values() for word in row} | {"retriable-4xx", "envoy-ratelimited"}
        for reason, row in table.items():
            for word in words:
                self.assertEqual(is_retried(policy(word), reason=reason), word in row, (reason, word))

    def test_rate_limited_answers_only_where_told(self):
        limited = {"status": 429, "began": True, "headers": [(b"x-envoy-ratelimited", b"true")]}
        self.assertTrue(is_retried(policy("envoy-ratelimited"), **limited))
        self.assertFalse(is_retried(policy("429"), **limited))

    def test_an_overloaded_upstream_is_left_alone(self):
        self.assertFalse(is_retried(policy("5xx"), status=503, began=True, headers=[(b"x-envoy-overloaded", b"true")]))

    def test_the_routes_own_timeout_is_never_retried(self):
        self.assertFalse(is_retried(policy("5xx", "reset"), reason="reset", flag=flag.UT, began=True))
        self.assertTrue(is_retried(policy("5xx"), reason="per-try-timeout", flag=flag.UT, began=True))

    def test_attempts(self):
        found = policy("5xx", attempts=3)
        self.assertTrue(is_retried(found, status=500, attempts=3))
        self.assertFalse(is_retried(found, status=500, attempts=4))
        off = policy("5xx", attempts=0)
        self.assertFalse(is_retried(off, status=500))
        self.assertFalse(off.judges_responses)


class BackOff(unittest.TestCase):
    def longest(self, number, **options):
        found = policy("5xx", attempts=50, **options)
        found._random = lambda: 0.999999
        return judge(found, status=500, attempts=number)

    def test_grows_with_full_jitter(self):
        for number, bound in ((1, 0.025), (2, 0.075), (3, 0.175)):
            self.assertAlmostEqual(self.longest(number), bound, places=5)
        waits = [judge(policy("5xx"), status=500) for _ in range(50)]
        self.assertTrue(all(0 <= wait < 0.025 for wait in waits))
        low = policy("5xx")
        low._random = lambda: 0.0
        self.assertEqual(judge(low, status=500), 0.0)

    def test_is_capped_at_ten_times_the_base(self):
        self.assertEqual(self.longest(5), 0.25)
        self.assertEqual(self.longest(50, base_s=0.1), 1.0)
        self.assertEqual(self.longest(50, cap_s=3.0), 3.0)


class RetryAfter(unittest.TestCase):
    def wait(self, value, **options):
        return judge(policy("5xx", **options), status=503, headers=[(b"retry-after", value)])

    def test_is_not_heeded_by_default(self):
        self.assertLess(self.wait(b"7"), 1)

    def test_is_heeded_where_told(self):
        self.assertEqual(self.wait(b"7", retry_after=True), 7.0)

    def test_dates_and_too_long_ones_count_as_none(self):
        for value in (b"301", b"Fri, 31 Dec 1999 23:59:59 GMT", b"-1", b"9" * 40):
            self.assertLess(self.wait(value, retry_after=True), 1, value)


class Faults(unittest.TestCase):
    def test_unknown_conditions(self):
        self.assertIn("'sometimes'", faults(Retry(retry_on=("sometimes",)))[0])
        for word in ("99", "600", "²"):
            self.assertTrue(faults(Retry(retry_on=(word,))), word)
        self.assertEqual(faults(Retry(retry_on=("5xx", "503"))), [])

    def test_cap_below_base(self):
        self.assertTrue(faults(Retry(base_s=1.0, cap_s=0.5)))

    def test_retriable_status_codes_without_any(self):
        self.assertTrue(faults(Retry(retry_on=("retriable-status-codes",))))
        self.assertTrue(is_retried(policy("retriable-status-codes", status_codes=(404,)), status=404))
