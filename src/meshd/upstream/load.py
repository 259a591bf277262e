"""How much of the traffic each priority gets, from how many of its endpoints are well; asked at each change.

The rules are Envoy's (arch_overview/upstream/load_balancing: priority levels, degraded endpoints, panic threshold);
shares are percentages of all requests, and add up to 100. docs/formulas.md has them with their sources.
"""

from collections.abc import Sequence

import attrs


@attrs.frozen
class Count:
    """Endpoints of one priority; those that were never checked yet (``pending``) do not count in ``total``."""

    total: int
    healthy: int
    degraded: int


@attrs.frozen
class Share:
    """What one priority gets: percent for its healthy and its degraded endpoints; ``is_panic``: health is ignored."""

    healthy: float
    degraded: float
    is_panic: bool


def availability(well: int, total: int, overprovisioning: float) -> float:
    """Return what a priority can carry in percent: ``min(100, overprovisioning * 100 * well / total)``, 0 for none."""
    return min(100.0, overprovisioning * 100.0 * well / total) if total else 0.0


def shares(counts: Sequence[Count], overprovisioning: float, panic_threshold: float) -> list[Share]:
    """Return the share of each priority, the first being priority 0.

    With ``a_p`` the availability of the healthy endpoints of priority p and ``A = min(100, sum of a_p and d_p)``, a
    priority gets ``a_p * 100 / A`` of what the ones before have left; degraded endpoints (``d_p``) come after all
    healthy ones. Panic: only where A < 100, a priority with less than ``panic_threshold`` percent of usable endpoints
    ignores health; where all of them do, they share by their numbers of endpoints.
    """
    healthy = [availability(one.healthy, one.total, overprovisioning) for one in counts]
    degraded = [availability(one.degraded, one.total, overprovisioning) for one in counts]
    normal = min(100.0, sum(healthy) + sum(degraded))
    panics = [normal < 100.0 and is_panic(one, panic_threshold) for one in counts]
    if counts and all(panics):
        return [Share(part, 0.0, True) for part in by_number(counts)]
    if not normal:
        return [Share(0.0 if index else 100.0, 0.0, panic) for index, panic in enumerate(panics)]
    left = 100.0
    parts = []
    for one in healthy + degraded:
        part = min(left, one * 100.0 / normal)
        left -= part
        parts.append(part)
    count = len(counts)
    return [Share(parts[index], parts[index + count], panics[index]) for index in range(count)]


def is_panic(count: Count, threshold: float) -> bool:
    """Say whether a priority has fewer usable endpoints than ``threshold`` percent of all; an empty one with any."""
    usable = 100.0 * (count.healthy + count.degraded) / count.total if count.total else 0.0
    return usable < threshold


def by_number(counts: Sequence[Count]) -> list[float]:
    """Return the shares where all priorities are in panic: percent of all endpoints."""
    total = sum(one.total for one in counts)
    if not total:
        return [0.0 if index else 100.0 for index in range(len(counts))]
    return [100.0 * one.total / total for one in counts]
