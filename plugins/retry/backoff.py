"""How long to wait before another attempt: the formulas (docs/formulas.md), and what an answer says
about it. The policy asks.
"""

import email.utils

CAP_FACTOR = 10
"""Envoy's default: the longest back-off is ten times the base."""
JITTER = 0.5
"""Envoy's: a wait that was asked for is drawn out by up to half of it (JitteredLowerBoundBackOffStrategy)."""
LARGEST_SHIFT = 32
MAX_DIGITS = 12


def backoff_s(number, base_s, cap_s, share):
    """Return the seconds before retry ``number`` (1 is the first): ``min(share * (2**number - 1) * base_s, cap_s)``.

    ``share`` is drawn from [0, 1) (full jitter). Source: Envoy's router filter, x-envoy-max-retries, and its
    JitteredExponentialBackOffStrategy.
    """
    return min(share * ((1 << min(number, LARGEST_SHIFT)) - 1) * base_s, cap_s)


def rate_limited_s(asked_s, share):
    """Return the seconds before a retry that was asked to wait ``asked_s``: ``asked_s * (1 + share / 2)``.

    Nobody comes too early, and not all at once. ``share`` is drawn from [0, 1). Source: Envoy's
    rate_limited_retry_back_off.
    """
    return asked_s * (1.0 + share * JITTER)


def asked_s(headers, fields, max_s, wall):
    """Return the seconds that an answer asks to wait, None where it asks for none or for longer than ``max_s``.

    ``fields`` are (lower-case name, whether it is a time and not a span); ``wall`` returns seconds since 1970, or is
    None where there is no clock.
    """
    for name, is_time in fields:
        value = headers.get(name)
        seconds = None if value is None else _seconds(value.strip(), is_time, wall)
        if seconds is not None and 0.0 <= seconds <= max_s:
            return seconds
    return None


def _seconds(value, is_time, wall):
    if value.isdigit():
        if len(value) > MAX_DIGITS:
            return None
        if not is_time:
            return float(value)
        return None if wall is None else float(value) - wall()
    return None if is_time or wall is None else _until(value, wall)


def _until(value, wall):
    """Return the seconds until an HTTP date (RFC 9110 10.2.3), or None."""
    try:
        return email.utils.parsedate_to_datetime(value.decode("ascii")).timestamp() - wall()
    except (ValueError, TypeError, OverflowError):
        return None
