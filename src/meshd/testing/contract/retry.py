"""What a retry policy must keep to."""

import math

from meshd.api import Headers, flag
from meshd.testing.contract.kind import KindContract, Outcome
from meshd.testing.exchange import FakeExchange

ODD_HEADERS = (None, Headers(), Headers.of((b"retry-after", b"soon"), (b"grpc-status", b"\xff")))


class RetryPolicyContract(KindContract):
    """For ``retry_policy``: no outcome makes it raise, attempts end, and it keeps nothing of a request."""

    kind = "retry_policy"

    def outcomes(self):
        """Yield every kind of outcome, odd ones too."""
        for headers in ODD_HEADERS:
            for status in (0, 200, 409, 429, 500, 502, 503, 504, 599):
                for began in (False, True):
                    yield Outcome(status, headers, 0 if status else flag.UF, began, "" if status else "connect refused")

    def test_answers_seconds_or_none_to_every_outcome(self):
        policy = self.make()
        for outcome in self.outcomes():
            exchange = FakeExchange()
            exchange.attempts = 1
            answer = policy.judge(exchange, outcome)
            self.assertTrue(answer is None or math.isfinite(answer), f"got {answer!r}")

    def test_gives_up_in_the_end(self):
        policy = self.make()
        for outcome in self.outcomes():
            exchange = FakeExchange()
            exchange.attempts = 1_000_000
            answer = policy.judge(exchange, outcome)
            self.assertTrue(answer is None or answer < 0, f"got {answer!r}")

    def test_lets_a_good_answer_stand(self):
        exchange = FakeExchange()
        exchange.attempts = 1
        self.assertIsNone(self.make().judge(exchange, Outcome(200, Headers(), 0, True)))

    def test_its_bound_on_kept_bodies_is_a_number_of_bytes(self):
        limit = self.make().body_limit_bytes
        self.assertIsInstance(limit, int)
        self.assertGreaterEqual(limit, 0)
