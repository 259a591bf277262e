"""One endpoint under one active check: what its results make of it, and when it is asked again (Envoy's rules).

Nothing here waits or opens anything; ``upstream/checks.py`` does.
"""

from random import Random
from typing import Any

from meshd.model.health import Checked
from meshd.model.health_check import HealthCheck

UNCHANGED, PENDING, CHANGED = "unchanged", "pending", "changed"
"""What a result did: nothing, it counts towards a change, it was the change."""


class CheckState:
    """``is_first``: nothing is known yet, so that the next result decides alone. ``reason`` says why it failed last."""

    __slots__ = ("is_first", "is_failed", "is_immediate", "is_degraded", "passed", "failed", "reason", "since_s")

    def __init__(self) -> None:
        self.is_first = True
        self.is_failed = True
        self.is_immediate = False
        self.is_degraded = False
        self.passed = self.failed = 0
        self.reason = ""
        self.since_s = 0.0

    def know(self, is_failed: bool, reason: str = "") -> None:
        """Go on from what is known of the endpoint already."""
        self.is_first = False
        self.is_failed = is_failed
        self.passed = self.failed = 0
        self.is_immediate = self.is_immediate and is_failed
        self.reason = reason

    def judge(self, found: Checked, settings: HealthCheck) -> str:
        """Take a result; return UNCHANGED, PENDING or CHANGED.

        The first result decides alone. Later, ``healthy_threshold`` checks in a row must pass, and
        ``unhealthy_threshold`` must fail where nobody answered; an answer that says no counts at once.
        """
        is_first, self.is_first = self.is_first, False
        is_degraded = found.is_well and found.is_degraded
        was_degraded, self.is_degraded = self.is_degraded, is_degraded
        change = self._pass(is_first, settings) if found.is_well else self._fail(is_first, found, settings)
        return CHANGED if change == UNCHANGED and is_degraded != was_degraded else change

    def _pass(self, is_first: bool, settings: HealthCheck) -> str:
        self.failed = 0
        if not self.is_failed:
            return UNCHANGED
        self.passed += 1
        if not is_first and self.passed < settings.healthy_threshold:
            return PENDING
        self.passed = 0
        self.is_failed = self.is_immediate = False
        self.reason = ""
        return CHANGED

    def _fail(self, is_first: bool, found: Checked, settings: HealthCheck) -> str:
        self.passed = 0
        self.reason = found.reason
        if found.is_immediate:
            self.is_immediate = True
        if self.is_failed:
            return CHANGED if is_first else UNCHANGED
        self.failed += 1
        if not found.is_final and not found.is_immediate and self.failed < settings.unhealthy_threshold:
            return PENDING
        self.failed = 0
        self.is_failed = True
        return CHANGED


def interval_s(settings: HealthCheck, is_well: bool, change: str, has_traffic: bool, random: Random) -> float:
    """Return the seconds until the next check after a result.

    The edge intervals hold while a change is pending. A cluster that has never had a connection is asked more seldom
    (``no_traffic_interval``). Then the jitter: up to ``interval_jitter`` and up to ``interval_jitter_percent`` more.
    """
    unhealthy_s = settings.interval_s if settings.unhealthy_interval_s is None else settings.unhealthy_interval_s
    if not has_traffic:
        base_s = settings.no_traffic_interval_s
        if is_well and change != PENDING and settings.no_traffic_healthy_interval_s is not None:
            base_s = settings.no_traffic_healthy_interval_s
    elif is_well:
        base_s = _first(settings.healthy_edge_interval_s if change == PENDING else None, settings.interval_s)
    else:
        base_s = _first(settings.unhealthy_edge_interval_s if change == PENDING else None, unhealthy_s)
    jitter_s = settings.interval_jitter_s + base_s * settings.interval_jitter_percent / 100.0
    return base_s + (random.random() * jitter_s if jitter_s else 0.0)


def _first(value: Any, other: float) -> float:
    return other if value is None else value
