"""Warm-up: the weight of an endpoint that is new, or well again, grows over a window (docs/formulas.md)."""

from typing import Any

from meshd.model.balancing import SlowStart

TICKS = 20
"""So many steps in a window, at most one in ``STEP_S`` seconds."""
STEP_S = 0.1
YOUNGEST_S = 0.001
"""No endpoint counts as younger, so that none has no weight at all (Envoy's)."""


def factor(age_s: float, policy: SlowStart) -> float:
    """Return the share of its weight that an endpoint of this age has: Envoy's
    ``max(min_weight_percent / 100, (age / window) ** (1 / aggression))``, 1 after the window.
    """
    if age_s >= policy.window_s:
        return 1.0
    grown = (max(age_s, YOUNGEST_S) / policy.window_s) ** (1.0 / policy.aggression)
    return max(policy.min_weight_percent / 100.0, grown)


def warm(endpoints: tuple[Any, ...], policy: SlowStart, now: float) -> bool:
    """Set the weights in force at ``now`` (monotonic seconds); say whether any endpoint is still warming up."""
    is_warming = False
    for endpoint in endpoints:
        if endpoint.warm_from:
            share = factor(now - endpoint.warm_from, policy)
            endpoint.weight = endpoint.spec.weight * share
            if share >= 1.0:
                endpoint.warm_from = 0.0
            else:
                is_warming = True
    return is_warming


def step_s(policy: SlowStart) -> float:
    """Return the seconds between two looks."""
    return max(STEP_S, policy.window_s / TICKS)
