"""The retry policy ``retry``: which failed attempts are made again, and when; routes name it, attempts ask it."""

from zope.interface import implementer

from meshd.api import (
    Boolean, Duration, Integer, IRetryPolicy, ListOf, PluginType, Size, Text, config, flag, hookimpl, option,
)

ANY_FAILURE = frozenset(("5xx", "gateway-error", "reset"))
REASONS = {
    "connect-failure": ANY_FAILURE | {"connect-failure", "reset-before-request"},
    "reset": ANY_FAILURE,
    "reset-before-request": ANY_FAILURE | {"reset-before-request"},
    "per-try-timeout": ANY_FAILURE,
    "refused-stream": ANY_FAILURE | {"refused-stream"},
}
"""What happened -> the conditions that it meets (Envoy's RetryStateImpl::wouldRetryFromReset)."""
STATUSES = {
    "5xx": range(500, 600),
    "gateway-error": (502, 503, 504),
    "retriable-4xx": (409,),
}
WORDS = (
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "refused-stream", "retriable-4xx",
    "retriable-status-codes", "envoy-ratelimited",
)
CAP_FACTOR = 10
"""Envoy's default: the longest back-off is ten times the base."""


@config
class Retry:
    """Another attempt at another endpoint. The defaults retry only what has certainly not been processed."""

    retry_on: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1), maximum=50), default=("connect-failure", "refused-stream", "reset-before-request"),
        doc="conditions, any of: " + ", ".join(WORDS) + "; a number is a status code",
    )
    attempts: int = option(Integer(maximum=100), default=1, doc="retries: up to this many requests more (0: none)")
    status_codes: tuple[int, ...] = option(
        ListOf(item=Integer(minimum=100, maximum=599), maximum=100), default=(),
        doc="statuses received from upstream that are retried",
    )
    methods: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1, maximum=64), maximum=50),
        default=("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"),
        doc="methods retried although a part of the request was sent (RFC 9110's idempotent ones; *: all, as Envoy "
            "has it); others only before",
    )
    base_s: float = option(Duration(minimum=0.001, maximum=60.0), default=0.025, doc="base of the back-off (Envoy's)")
    cap_s: float | None = option(
        Duration(minimum=0.001, maximum=600.0), default=None, doc="longest back-off (ten times the base when absent)"
    )
    retry_after: bool = option(Boolean(), default=False, doc="wait as the answer's Retry-After says, in seconds")
    retry_after_max_s: float = option(
        Duration(maximum=3600.0), default=300.0, doc="a longer Retry-After counts as none (Envoy's default)"
    )
    body_limit_bytes: int = option(Size(maximum=2**26), default=65536, doc="longer request bodies are not sent again")

    def check(self):
        """Yield a fault for each unknown condition."""
        for word in self.retry_on:
            if word not in WORDS and not (word.isascii() and word.isdecimal() and 100 <= int(word) <= 599):
                yield "retry_on", f"expected a status code or one of {', '.join(WORDS)}, got {word!r}"
        if self.cap_s is not None and self.cap_s < self.base_s:
            yield "cap", f"expected at least base ({self.base_s:g} s), got {self.cap_s:g} s"
        if "retriable-status-codes" in self.retry_on and not self.status_codes:
            yield "status_codes", "expected at least one status code with retriable-status-codes"


@implementer(IRetryPolicy)
class RetryPolicy:
    """``judges_responses`` says whether any status can lead to a retry; the exchange does not ask otherwise."""

    def __init__(self, options, random):
        self.body_limit_bytes = options.body_limit_bytes
        self._attempts = options.attempts
        self._random = random.random
        self._methods = frozenset(method.encode() for method in options.methods)
        self._is_any_method = "*" in options.methods
        self._reasons = frozenset(reason for reason, words in REASONS.items() if words & set(options.retry_on))
        self._statuses = _statuses(options)
        self._is_rate_limited_retried = "envoy-ratelimited" in options.retry_on
        self.judges_responses = bool(self._attempts and (self._statuses or self._is_rate_limited_retried))
        self._base_s = options.base_s
        self._cap_s = options.base_s * CAP_FACTOR if options.cap_s is None else options.cap_s
        self._retry_after_max_s = options.retry_after_max_s if options.retry_after else -1.0

    def judge(self, exchange, outcome):
        """Return seconds to wait, or None to let ``outcome`` stand."""
        if exchange.attempts > self._attempts:
            return None
        if not (self._wants_status(outcome) if outcome.status else self._wants_failure(outcome)):
            return None
        if outcome.began and not self._is_any_method and exchange.request.method not in self._methods:
            return None
        return self._delay(exchange.attempts, outcome)

    def _wants_failure(self, outcome):
        """The route's own timeout (UT without the per-try reason) is never retried."""
        if outcome.flag == flag.UT and outcome.reason != "per-try-timeout":
            return False
        return outcome.reason in self._reasons

    def _wants_status(self, outcome):
        """An upstream that says it is overloaded is left alone (Envoy's RetryStateImpl::wouldRetryFromHeaders)."""
        if not (outcome.status in self._statuses or self._is_rate_limited_retried):
            return False
        headers = outcome.headers
        if headers is not None:
            if b"x-envoy-overloaded" in headers:
                return False
            if b"x-envoy-ratelimited" in headers:
                return self._is_rate_limited_retried
        return outcome.status in self._statuses

    def _delay(self, number, outcome):
        """Full jitter: retry N waits a random time in [0, (2 ** N - 1) * base), at most the cap (Envoy)."""
        asked_s = self._asked(outcome)
        if asked_s is not None:
            return asked_s
        return min(self._random() * ((1 << min(number, 32)) - 1) * self._base_s, self._cap_s)

    def _asked(self, outcome):
        if self._retry_after_max_s < 0 or outcome.headers is None:
            return None
        value = outcome.headers.get(b"retry-after")
        if value is None or not value.isdigit() or len(value) > 9 or int(value) > self._retry_after_max_s:
            return None
        return float(value)


def _statuses(options):
    """Return the frozenset of statuses that are retried; a number alone is enough."""
    statuses = {int(word) for word in options.retry_on if word.isdecimal()} | set(options.status_codes)
    for word in options.retry_on:
        statuses.update(STATUSES.get(word, ()))
    return frozenset(statuses)


def build(config, site):
    """Return a RetryPolicy; without a configuration, the default one."""
    return RetryPolicy(config or Retry(), site.random)


@hookimpl
def meshd_plugins():
    """Offer the policy."""
    return [
        PluginType(
            kind="retry_policy", name="retry", config=Retry, build=build,
            doc="Retries by condition, with jittered exponential back-off.",
        )
    ]
