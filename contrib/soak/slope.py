"""Whether a number grows: a straight line through samples, with an interval that says how sure the slope is.

Strategy: least squares over the lowest sample of each interval of time, so that what comes and goes (the child of a
reload, say) does not count. The samples are no independent draws: memory moves in steps and stays. So the standard
error is widened by the residuals' autocorrelation, as if there were n (1 - r) / (1 + r) of them. Memory settles for a
while after a start; the caller leaves that part out.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist, fmean

CONFIDENCE = 0.95
PASSED, UNDECIDED, FAILED = "passed", "undecided", "failed"
MIN_POINTS = 5


@dataclass(frozen=True)
class Slope:
    """``per_hour`` and the half-width of its interval, in units an hour; infinite where there are too few points."""

    per_hour: float
    margin: float
    points: int

    @property
    def is_known(self) -> bool:
        """Say whether there were enough points."""
        return not math.isinf(self.margin)

    def verdict(self, limit: float) -> str:
        """Say whether the slope is below ``limit`` for sure, above it for sure, or neither."""
        if self.per_hour + self.margin < limit:
            return PASSED
        return FAILED if self.per_hour - self.margin > limit else UNDECIDED

    def __str__(self) -> str:
        if not self.is_known:
            return f"unknown ({self.points} points)"
        return f"{self.per_hour:+.2f} +- {self.margin:.2f} an hour ({CONFIDENCE:.0%}, {self.points} points)"


def lows(samples: Iterable[tuple[float, float]], every_s: float) -> list[tuple[float, float]]:
    """Return the lowest (time, value) of each ``every_s``; times are seconds."""
    bins: dict[int, tuple[float, float]] = {}
    for at, value in samples:
        place = int(at // every_s)
        if place not in bins or value < bins[place][1]:
            bins[place] = (at, value)
    return [bins[place] for place in sorted(bins)]


def fit(points: list[tuple[float, float]]) -> Slope:
    """Return the slope through (seconds, value) points."""
    count = len(points)
    if count < MIN_POINTS:
        return Slope(0.0, math.inf, count)
    middle_x, middle_y = fmean(x for x, _ in points), fmean(y for _, y in points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    slope = sum((x - middle_x) * (y - middle_y) for x, y in points) / spread
    rest = [y - middle_y - slope * (x - middle_x) for x, y in points]
    variance = sum(one * one for one in rest) / (count - 2)
    error = math.sqrt(variance / spread) * widening(rest, variance)
    return Slope(slope * 3600, quantile(count - 2) * error * 3600, count)


def widening(rest: list[float], variance: float) -> float:
    """Return the factor by which neighbouring residuals that are alike widen the standard error; at least 1."""
    if not variance:
        return 1.0
    alike = sum(one * other for one, other in zip(rest, rest[1:], strict=False)) / sum(one * one for one in rest)
    alike = min(max(alike, 0.0), 0.95)
    return math.sqrt((1 + alike) / (1 - alike))


def quantile(freedom: int) -> float:
    """Return the two-sided quantile of Student's t (Cornish-Fisher expansion, right to 2 % from 3 degrees on)."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    first, second = (z ** 3 + z) / 4, (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96
    third = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384
    return z + first / freedom + second / freedom ** 2 + third / freedom ** 3
