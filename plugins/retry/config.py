"""The configuration of the retry policy."""

from meshd.api import (
    Boolean, Choice, Duration, HeaderMatch, HeaderName, Integer, ListOf, Nested, Size, Text, config, option,
)
from meshd_plugins.retry.condition import WORDS, is_status


@config
class ResetHeader:
    """A field of an answer that says when to come again."""

    name: str = option(HeaderName(), doc="field name: retry-after, x-ratelimit-reset, ...")
    format: str = option(
        Choice(("seconds", "unix_timestamp")), default="seconds",
        doc="what it says: seconds from now (of Retry-After also a date), or the time itself in seconds since 1970")


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
    retriable_headers: tuple[HeaderMatch, ...] = option(
        ListOf(item=Nested(HeaderMatch), maximum=100), default=(),
        doc="retriable-headers: answers with one of these fields are retried")
    retriable_request_headers: tuple[HeaderMatch, ...] = option(
        ListOf(item=Nested(HeaderMatch), maximum=100), default=(),
        doc="only requests with one of these fields are retried (any, when empty)")
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
    retry_after: bool = option(
        Boolean(), default=False, doc="wait as the answer's Retry-After says, in seconds or as a date")
    reset_headers: tuple[ResetHeader, ...] = option(
        ListOf(item=Nested(ResetHeader), maximum=20), default=(),
        doc="other fields that say how long to wait; the first that is valid counts")
    retry_after_max_s: float = option(
        Duration(maximum=3600.0), default=300.0, doc="a longer wait that was asked for counts as none (Envoy's default)"
    )
    body_limit_bytes: int = option(Size(maximum=2**26), default=65536, doc="longer request bodies are not sent again")
    previous_hosts: bool = option(
        Boolean(), default=True, doc="leave out endpoints that failed before (Envoy's previous_hosts predicate)")
    host_selection_retry_max_attempts: int = option(
        Integer(maximum=100), default=5, doc="times that a balancer is asked again for another endpoint (Istio's)")
    reselect_priority_every: int = option(
        Integer(maximum=100), default=0,
        doc="leave out the priorities of earlier attempts after every so many (Envoy's previous_priorities; 0: never)")

    def check(self):
        """Yield a fault for each unknown condition, and for what does not go together."""
        for word in self.retry_on:
            if word not in WORDS and not is_status(word):
                yield "retry_on", f"expected a status code or one of {', '.join(WORDS)}, got {word!r}"
        if self.cap_s is not None and self.cap_s < self.base_s:
            yield "cap", f"expected at least base ({self.base_s:g} s), got {self.cap_s:g} s"
        if "retriable-status-codes" in self.retry_on and not self.status_codes:
            yield "status_codes", "expected at least one status code with retriable-status-codes"
        if ("retriable-headers" in self.retry_on) != bool(self.retriable_headers):
            has = bool(self.retriable_headers)
            yield (("retry_on", "expected retriable-headers beside the conditions in retriable_headers") if has else
                   ("retriable_headers", "expected at least one condition with retriable-headers"))
