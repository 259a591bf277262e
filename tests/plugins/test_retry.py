"""The retry policy."""

import email.utils
import unittest

from meshd.api import HeaderMatch, Headers, flag
from meshd.testing.exchange import FakeExchange
from meshd.testing.site import EPOCH_S, FakeSite
from meshd_plugins.retry import Retry
from meshd_plugins.retry.backoff import backoff_s, rate_limited_s
from meshd_plugins.retry.config import ResetHeader
from tests.plugins.router_case import faults


class FakeOutcome:
    """How one attempt ended."""

    def __init__(self, status=0, reason="", began=False, flag=0, headers=()):
        self.status = status
        self.headers = Headers.of(*headers) if status else None
        self.flag = flag
        self.began = began
        self.reason = reason


def http_date(seconds):
    """Return the HTTP date so many seconds from now."""
    return email.utils.formatdate(EPOCH_S + seconds, usegmt=True).encode()


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
    answer = judge(policy, **outcome)
    return answer is not None and answer >= 0


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
        self.assertTrue(all(7.0 <= self.wait(b"7", retry_after=True) < 10.5 for _ in range(20)))

    def test_past_dates_and_too_long_ones_count_as_none(self):
        for value in (b"301", b"soon", b"Fri, 31 Dec 1999 23:59:59 GMT", b"-1", b"9" * 40):
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

    def test_retriable_headers_and_their_conditions_go_together(self):
        match = HeaderMatch(name="x-a")
        self.assertTrue(faults(Retry(retry_on=("retriable-headers",))))
        self.assertTrue(faults(Retry(retriable_headers=(match,))))
        self.assertEqual(faults(Retry(retry_on=("retriable-headers",), retriable_headers=(match,))), [])

    def test_two_conditions_on_one_value(self):
        self.assertTrue(faults(HeaderMatch(name="x-a", exact="1", prefix="1")))

    def test_what_has_no_effect_is_accepted(self):
        self.assertEqual(faults(Retry(retry_on=("http3-post-connect-failure",))), [])


class Grpc(unittest.TestCase):
    def test_status_in_the_head_alone(self):
        table = {"cancelled": b"1", "deadline-exceeded": b"4", "resource-exhausted": b"8", "internal": b"13",
                 "unavailable": b"14"}
        for word, code in table.items():
            found = policy(word)
            self.assertTrue(found.judges_responses)
            for other in (*table.values(), b"0", b"2", b"99"):
                is_wanted = is_retried(found, status=200, headers=[(b"grpc-status", other)])
                self.assertEqual(is_wanted, other == code, (word, other))
            self.assertFalse(is_retried(found, status=200))
            self.assertFalse(is_retried(found, status=503))


class HeaderConditions(unittest.TestCase):
    def test_fields_of_the_answer(self):
        for match, value, wanted in (
            (HeaderMatch(name="x-a"), b"", True), (HeaderMatch(name="x-b"), b"1", False),
            (HeaderMatch(name="X-A", exact="1"), b"1", True), (HeaderMatch(name="x-a", exact="1"), b"11", False),
            (HeaderMatch(name="x-a", prefix="ab"), b"abc", True), (HeaderMatch(name="x-a", suffix="ab"), b"abc", False),
            (HeaderMatch(name="x-a", contains="b"), b"abc", True), (HeaderMatch(name="x-a", regex="a.c"), b"abc", True),
            (HeaderMatch(name="x-a", regex="a.c"), b"abcd", False),
            (HeaderMatch(name="x-b", invert=True), b"", True),
            (HeaderMatch(name="x-a", exact="1", invert=True), b"1", False),
        ):
            found = policy("retriable-headers", retriable_headers=(match,))
            self.assertEqual(is_retried(found, status=200, headers=[(b"x-a", value)]), wanted, match)

    def test_lines_are_joined(self):
        found = policy("retriable-headers", retriable_headers=(HeaderMatch(name="x-a", exact="1, 2"),))
        self.assertTrue(is_retried(found, status=200, headers=[(b"x-a", b"1"), (b"x-a", b"2")]))

    def test_fields_of_the_request(self):
        found = policy("5xx", retriable_request_headers=(HeaderMatch(name="x-safe"), HeaderMatch(name="x-also")))
        for headers, wanted in (((), False), ([(b"x-also", b"1")], True)):
            exchange = FakeExchange(b"GET", headers=headers, attempts=1)
            self.assertEqual(found.judge(exchange, FakeOutcome(500)) is not None, wanted)

    def test_an_overloaded_answer_is_left_alone_whatever_else_it_has(self):
        found = policy("retriable-headers", "unavailable", retriable_headers=(HeaderMatch(name="x-a"),))
        fields = [(b"x-a", b"1"), (b"grpc-status", b"14"), (b"x-envoy-overloaded", b"true")]
        self.assertFalse(is_retried(found, status=200, headers=fields))


class Exhausted(unittest.TestCase):
    def test_says_that_it_would_have_retried(self):
        found = policy("503")
        self.assertLess(judge(found, status=503, attempts=2), 0)
        self.assertIsNone(judge(found, status=500, attempts=2))
        self.assertIsNone(judge(policy("503", attempts=0), status=503, attempts=2))


class Hedges(unittest.TestCase):
    def test_need_no_condition_but_an_idempotent_method(self):
        found = policy("connect-failure")
        self.assertTrue(is_retried(found, reason="hedge", flag=flag.UT, began=True))
        self.assertFalse(is_retried(found, method=b"POST", reason="hedge", flag=flag.UT, began=True))


class Waits(unittest.TestCase):
    def wait(self, *fields, resets=(), **options):
        options["reset_headers"] = tuple(ResetHeader(name=name, format=form) for name, form in resets)
        return judge(policy("5xx", base_s=0.001, **options), status=503, headers=fields)

    def assert_waits(self, seconds, got):
        self.assertTrue(seconds <= got < 1.5 * seconds + 0.01, got)

    def test_a_date(self):
        self.assert_waits(30, self.wait((b"retry-after", http_date(30)), retry_after=True))

    def test_a_date_that_has_passed_or_is_too_late_counts_as_none(self):
        for seconds in (-10, 301):
            self.assertLess(self.wait((b"retry-after", http_date(seconds)), retry_after=True), 0.01)

    def test_seconds_and_times_of_other_fields(self):
        resets = (("x-ratelimit-reset", "unix_timestamp"), ("x-wait", "seconds"))
        self.assert_waits(20, self.wait((b"x-ratelimit-reset", b"%d" % (EPOCH_S + 20)), resets=resets))
        self.assert_waits(9, self.wait((b"x-wait", b"9"), resets=resets))

    def test_the_first_that_is_valid_counts(self):
        resets = (("a", "seconds"), ("b", "seconds"))
        self.assert_waits(5, self.wait((b"a", b"later"), (b"b", b"5"), resets=resets))
        self.assert_waits(2, self.wait((b"b", b"5"), (b"a", b"2"), resets=resets))

    def test_the_longest(self):
        self.assertLess(self.wait((b"retry-after", b"11"), retry_after=True, retry_after_max_s=10.0), 0.01)


class Formulas(unittest.TestCase):
    def test_the_back_off_as_docs_retries_has_it(self):
        self.assertEqual([backoff_s(number, 0.025, 0.25, 1.0) for number in (1, 2, 3, 4, 5)],
                         [0.025, 0.025 * 3, 0.025 * 7, 0.25, 0.25])
        self.assertEqual(backoff_s(10**6, 0.025, 0.25, 0.0), 0.0)

    def test_what_was_asked_for_and_up_to_half_more(self):
        self.assertEqual((rate_limited_s(4.0, 0.0), rate_limited_s(4.0, 0.5)), (4.0, 5.0))


class Asked(unittest.TestCase):
    def asked(self, base, **fields):
        return base.asked({b"x-envoy-" + name.replace("_", "-").encode(): value for name, value in fields.items()})

    def test_conditions_are_added(self):
        found = self.asked(policy("connect-failure"), retry_on=b"5xx, retriable-4xx")
        for outcome in ({"status": 500}, {"status": 409}, {"reason": "connect-failure"}):
            self.assertTrue(is_retried(found, **outcome), outcome)
        self.assertTrue(is_retried(self.asked(policy(), retry_grpc_on=b"internal"), status=200,
                                   headers=[(b"grpc-status", b"13")]))

    def test_a_policy_without_attempts_adds_none_of_its_own(self):
        found = self.asked(policy("reset", attempts=0), retry_on=b"409")
        self.assertTrue(is_retried(found, status=409))
        self.assertFalse(is_retried(found, reason="reset"))

    def test_the_number_takes_the_place_of_the_policys(self):
        for value, wanted in ((b"3", 3), (b"0", 0), (b"1000000000000", 100), (b"x", 2), (b"-1", 2)):
            found = self.asked(policy("5xx", attempts=2), max_retries=value)
            self.assertEqual(sum(is_retried(found, status=500, attempts=number) for number in range(1, 200)), wanted)

    def test_statuses_and_names_count_only_with_their_condition(self):
        found = self.asked(policy(), retriable_status_codes=b"404", retriable_header_names=b"x-a")
        self.assertFalse(is_retried(found, status=404, headers=[(b"x-a", b"")]))

    def test_the_methods_are_the_policys(self):
        found = self.asked(policy(), retry_on=b"5xx")
        self.assertFalse(is_retried(found, method=b"POST", status=500, began=True))

    def test_equal_wishes_get_the_same_policy_and_few_are_remembered(self):
        base = policy()
        self.assertIs(self.asked(base, retry_on=b"5xx"), self.asked(base, retry_on=b"5xx"))
        for number in range(1000):
            self.asked(base, max_retries=b"%d" % number)
        self.assertLess(len(base._asked), 100)
