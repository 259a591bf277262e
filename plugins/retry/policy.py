"""The policy as built from its configuration: judges how attempts ended. It keeps nothing of a request."""

from zope.interface import implementer

from meshd.api import IRetryPolicy, flag, header_test
from meshd_plugins.retry.asked import with_fields
from meshd_plugins.retry.backoff import CAP_FACTOR, asked_s, backoff_s, rate_limited_s
from meshd_plugins.retry.condition import grpc_of, reasons_of, statuses_of

EXHAUSTED = -1.0
"""``judge``: another attempt would be made were there one left."""
HEDGE = "hedge"
KEPT = 64
"""Policies made of requests' fields that are remembered."""


@implementer(IRetryPolicy)
class RetryPolicy:
    """``judges_responses`` says whether any status can lead to a retry; the exchange does not ask otherwise.

    ``wall()`` returns seconds since 1970; without it, waits that an answer gives as a time do not count.
    """

    def __init__(self, options, random, wall=None):
        self.body_limit_bytes = options.body_limit_bytes
        self.keeps_hosts = not options.previous_hosts
        self.host_selection_attempts = options.host_selection_retry_max_attempts if options.previous_hosts else 0
        self.reselect_priority_every = options.reselect_priority_every
        self._options = options
        self._attempts = options.attempts
        self._source = random
        self._random = random.random
        self._wall = wall
        self._methods = frozenset(method.encode() for method in options.methods)
        self._is_any_method = "*" in options.methods
        self._reasons = reasons_of(options.retry_on)
        self._statuses = statuses_of(options)
        self._grpc = grpc_of(options.retry_on)
        self._is_rate_limited_retried = "envoy-ratelimited" in options.retry_on
        judged = options.retriable_headers if "retriable-headers" in options.retry_on else ()
        self._headers = tuple(map(header_test, judged))
        self._requests = tuple(map(header_test, options.retriable_request_headers))
        self._looks_at_fields = bool(self._is_rate_limited_retried or self._grpc or self._headers)
        self.judges_responses = bool(self._attempts and (self._statuses or self._looks_at_fields))
        self.judges_trailers = bool(self._attempts and self._grpc)
        self._base_s = options.base_s
        self._cap_s = options.base_s * CAP_FACTOR if options.cap_s is None else options.cap_s
        self._max_s = options.retry_after_max_s
        self._resets = ((b"retry-after", False),) if options.retry_after else ()
        self._resets += tuple((one.name.lower().encode(), one.format != "seconds") for one in options.reset_headers)
        self._asked = {}

    def judge(self, exchange, outcome):
        """Return seconds to wait, None to let ``outcome`` stand, EXHAUSTED where no attempt is left."""
        if not self._attempts or not self.wants(exchange, outcome):
            return None
        return EXHAUSTED if exchange.attempts > self._attempts else self._delay(exchange.attempts, outcome)

    def wants(self, exchange, outcome):
        """Say whether another attempt would be made, were there one left."""
        if not (self._wants_status(outcome) if outcome.status else self._wants_failure(outcome)):
            return False
        request = exchange.request
        if outcome.began and not self._is_any_method and request.method not in self._methods:
            return False
        return not self._requests or any(matches(request.headers) for matches in self._requests)

    def asked(self, fields):
        """Return the policy for a request with these ``x-envoy-*`` fields (dict of lower-case name to bytes)."""
        key = tuple(sorted(fields.items()))
        found = self._asked.get(key)
        if found is None:
            if len(self._asked) >= KEPT:
                self._asked.clear()
            found = self._asked[key] = RetryPolicy(with_fields(self._options, fields), self._source, self._wall)
        return found

    def _wants_failure(self, outcome):
        """The route's own timeout (UT without the per-try reason) is never retried; a hedge always may be."""
        if outcome.reason == HEDGE:
            return True
        if outcome.flag == flag.UT and outcome.reason != "per-try-timeout":
            return False
        return outcome.reason in self._reasons

    def _wants_status(self, outcome):
        """An upstream that says it is overloaded is left alone (Envoy's RetryStateImpl::wouldRetryFromHeaders)."""
        is_wanted = outcome.status in self._statuses
        headers = outcome.headers
        if headers is None or not (is_wanted or self._looks_at_fields):
            return is_wanted
        if not is_wanted and self._grpc:
            is_wanted = headers.get(b"grpc-status") in self._grpc
        if not is_wanted and self._headers:
            is_wanted = any(matches(headers) for matches in self._headers)
        if not is_wanted and not self._is_rate_limited_retried or b"x-envoy-overloaded" in headers:
            return False
        return self._is_rate_limited_retried if b"x-envoy-ratelimited" in headers else is_wanted

    def _delay(self, number, outcome):
        """Return the seconds before retry ``number``: what the answer asks for, else the back-off."""
        if self._resets and outcome.headers is not None:
            wanted_s = asked_s(outcome.headers, self._resets, self._max_s, self._wall)
            if wanted_s is not None:
                return rate_limited_s(wanted_s, self._random())
        return backoff_s(number, self._base_s, self._cap_s, self._random())
