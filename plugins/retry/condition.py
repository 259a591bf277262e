"""The words of ``retry_on`` and what they mean (Envoy's RetryStateImpl). The configuration and the policy use them."""

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
GRPC = {
    "cancelled": b"1", "deadline-exceeded": b"4", "internal": b"13", "resource-exhausted": b"8", "unavailable": b"14",
}
"""Condition -> gRPC status, looked for in the head of an answer alone (trailers-only answers), as in Envoy."""
NO_EFFECT = ("http3-post-connect-failure",)
"""Accepted for Envoy's sake; there is no HTTP/3 here."""
WORDS = (
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "refused-stream", "retriable-4xx",
    "retriable-status-codes", "retriable-headers", "envoy-ratelimited", *GRPC, *NO_EFFECT,
)


def is_status(word):
    """Say whether a word is a status code."""
    return len(word) == 3 and word.isascii() and word.isdecimal() and 100 <= int(word) <= 599


def known(words):
    """Return those of ``words`` that mean something."""
    return tuple(word for word in words if word in WORDS or is_status(word))


def statuses_of(options):
    """Return the frozenset of statuses that are retried; a number alone is enough."""
    statuses = {int(word) for word in options.retry_on if is_status(word)} | set(options.status_codes)
    for word in options.retry_on:
        statuses.update(STATUSES.get(word, ()))
    return frozenset(statuses)


def reasons_of(words):
    """Return the frozenset of reasons of a failure that are retried."""
    return frozenset(reason for reason, wanted in REASONS.items() if wanted & set(words))


def grpc_of(words):
    """Return the frozenset of values of ``grpc-status`` that are retried."""
    return frozenset(GRPC[word] for word in words if word in GRPC)
