"""The formulas of outlier detection, each pure; the detector asks them. docs/health.md has them in words,
docs/formulas.md with units and sources."""

from math import sqrt


def success_rate_threshold(rates, stdev_factor):
    """Return (mean, threshold) of success rates in percent: an endpoint below the threshold is an outlier.

    threshold = mean - stdev_factor / 1000 * standard deviation, over the whole population (Envoy, "Outlier detection",
    Success rate). Rates 50, 100, 100, 100, 100 and a factor of 1900: 90 and 52. ``rates`` must not be empty.
    """
    mean = sum(rates) / len(rates)
    variance = sum((rate - mean) ** 2 for rate in rates) / len(rates)
    return mean, mean - stdev_factor / 1000.0 * sqrt(variance)


def is_failing(rate, threshold):
    """Say whether an endpoint of this success rate fails too often: 100 - rate >= threshold, in percent (Envoy)."""
    return 100.0 - rate >= threshold


def may_eject(active, total, max_percent, always_one):
    """Say whether one more of ``total`` endpoints may be ejected while ``active`` are.

    100 * (active + 1) / total <= max_percent (Envoy's ``max_ejection_percent``); with ``always_one`` the first may in
    any case (``always_eject_one_host``). Without it, 10 % of fewer than ten endpoints is none.
    """
    if always_one and active == 0:
        return True
    return total > 0 and 100.0 * (active + 1) / total <= min(max_percent, 100)


def ejection_s(backoff, base_s, max_s, jitter_s=0.0):
    """Return how long an ejection lasts: min(base * backoff, max) + jitter, in seconds (Envoy).

    ``backoff`` grows by one with each ejection (``grown``) and shrinks by one with each sweep that finds the endpoint
    well.
    """
    return min(base_s * backoff, max_s) + jitter_s


def grown(backoff, base_s, max_s):
    """Return the backoff of one more ejection; it grows no more once the time has reached its maximum (Envoy)."""
    return backoff + 1 if backoff * base_s < max_s + base_s else backoff
