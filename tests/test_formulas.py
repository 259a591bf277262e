"""docs/formulas.md: each formula stands beside the code's own result on drawn values, and each name leads to code."""

import importlib
import math
import random
import re
from collections.abc import Callable, Iterator
from unittest import TestCase

from meshd.hot.bucket import TokenBucket
from meshd.model.balancing import Distribution, Locality, SlowStart
from meshd.testing.site import FakeSite
from meshd.upstream import load, locality, slow_start, zone
from meshd_plugins import adaptive_concurrency, admission_control, peak_ewma
from meshd_plugins.consistent_hash.table import normalized, ring_scale
from meshd_plugins.discovery.source import retry_bound_s
from meshd_plugins.least_request.balancer import weight_in_force
from meshd_plugins.limits import Budget, Limits
from meshd_plugins.limits.budget import retries_allowed
from meshd_plugins.outlier_detection import formula as outlier
from meshd_plugins.rate_limit.script import take
from meshd_plugins.retry.backoff import backoff_s, rate_limited_s
from meshd_plugins.round_robin.balancer import next_turn
from tests.tree import ROOT

SECTION = re.compile(
    r"(?ms)^### (?P<title>[^\n]+)\n(?P<text>.*?)^Code: `(?P<code>[\w.]+)`\n\n```python\n(?P<formula>.*?)\n```")
DRAWS = 500
Pair = tuple[dict, float]


def sections() -> dict[str, tuple[str, str]]:
    """Return title -> (code, formula)."""
    text = (ROOT / "docs" / "formulas.md").read_text()
    return {one["title"]: (one["code"], one["formula"]) for one in SECTION.finditer(text)}


def counts(draw: random.Random) -> tuple[int, int]:
    """Return (usable, all) endpoints."""
    total = draw.randint(0, 30)
    return draw.randint(0, total), total


def carried(draw: random.Random) -> Pair:
    """Draw a case of what a priority can carry."""
    well, total = counts(draw)
    factor = draw.uniform(1, 3)
    return {"well": well, "total": total, "overprovisioning": factor}, load.availability(well, total, factor)


def panicking(draw: random.Random) -> Pair:
    """Draw a case of panic."""
    well, total = counts(draw)
    threshold = draw.choice((0, 10, 50, 100))
    return {"well": well, "total": total, "threshold": threshold}, load.is_panic(load.Count(total, well, 0), threshold)


def priority_share(draw: random.Random) -> Iterator[Pair]:
    """Draw a row of priorities without panic; yield a case for each of them."""
    pairs = [counts(draw) for _ in range(draw.randint(1, 4))]
    rows = [load.Count(total, well, 0) for well, total in pairs]
    carries = [load.availability(one.healthy, one.total, 1.4) for one in rows]
    if not sum(carries):
        return
    taken: list[float] = []
    for place, share in enumerate(load.shares(rows, 1.4, 0)):
        yield {"carries": carries, "p": place, "taken": list(taken)}, share.healthy
        taken.append(share.healthy)


def distributed(draw: random.Random) -> Iterator[Pair]:
    """Draw a rule whose one target covers all localities of a region."""
    weights = {f"r/{name}": draw.randint(1, 50) for name in "abc"[:draw.randint(1, 3)]}
    policy = Locality(mode="distribute", distribute=(Distribution(source="*", targets=(("r/*", 100),)),))
    found = locality.distribution(weights, "r/a", policy)
    for name, weight in weights.items():
        yield {"percent": 100, "weight": weight, "covered": sum(weights.values())}, found[name]


def zoned(draw: random.Random) -> Pair:
    """Draw a service and an upstream in two zones."""
    here = {"a": draw.randint(1, 9), "b": draw.randint(1, 9)}
    there = {"a": draw.randint(1, 9), "b": draw.randint(1, 9)}
    share = {name: 100 * zones["a"] / sum(zones.values()) for name, zones in (("here", here), ("there", there))}
    return share, zone.zone_shares("a", here, there)["a"]


def warmed(draw: random.Random) -> Pair:
    """Draw an age in a window."""
    values = {"window": draw.uniform(1, 100), "min_weight_percent": draw.uniform(0, 50),
              "aggression": draw.uniform(0.2, 5)}
    age = draw.uniform(0, 120)
    policy = SlowStart(window_s=values["window"], min_weight_percent=values["min_weight_percent"],
                       aggression=values["aggression"])
    return {**values, "age": age}, slow_start.factor(age, policy)


def tokens(draw: random.Random) -> Pair:
    """Draw a bucket from which something was taken."""
    rate, burst, age = draw.uniform(0.1, 50), draw.randint(1, 50), draw.uniform(0, 2)
    bucket = TokenBucket(rate, burst, 100.0)
    taken = draw.randint(0, burst)
    if taken:
        bucket.take(100.0, taken)
    return {"rate": rate, "burst": burst, "age": age, "taken": taken}, bucket.available(100.0 + age)


def called(function: Callable[..., float], **ranges: tuple[float, float] | tuple[int, int]) -> Callable:
    """Return what draws each argument of ``function`` between two bounds: a whole number where these are."""
    def case(draw: random.Random) -> Pair:
        values = {name: draw.randint(*bounds) if isinstance(bounds[0], int) else draw.uniform(*bounds)
                  for name, bounds in ranges.items()}
        return values, function(**values)
    return case


def ringed(draw: random.Random) -> Pair:
    """Draw endpoints of a ring."""
    weights = normalized([draw.randint(1, 50) for _ in range(draw.randint(1, 20))])
    minimum, maximum = draw.randint(1, 2000), draw.randint(1, 5000)
    return {"weights": weights, "minimum": minimum, "maximum": maximum}, ring_scale(weights, minimum, maximum)


def ejected(draw: random.Random) -> Pair:
    """Draw success rates of a cluster."""
    rates = [draw.uniform(0, 100) for _ in range(draw.randint(1, 20))]
    factor = draw.randint(0, 4000)
    mean, threshold = outlier.success_rate_threshold(rates, factor)
    return {"rates": rates, "stdev_factor": factor, "mean": sum(rates) / len(rates)}, threshold


def begun(draw: random.Random) -> Pair:
    """Draw requests of some slices of a second; the interval is ten seconds."""
    budget = Budget(percent=100.0, min_retry_concurrency=0, interval_s=10.0)
    site = FakeSite()
    breaker = site.make("circuit_breaker", "limits", Limits(budget=budget))
    counts = [draw.randint(1, 3) for _ in range(draw.randint(1, 14))]
    for place, count in enumerate(counts):
        if place:
            site.advance(1.0)
        for _ in range(count):
            breaker.admit_request()
            breaker.release_request()
    return {"begun": counts}, breaker.requests()


def shared_tokens(draw: random.Random) -> Pair:
    """Draw a bucket in Redis, and whether it has a token."""
    rate, burst, full = draw.uniform(0.1, 50), float(draw.randint(1, 50)), draw.randint(0, 10**9)
    values = {"rate_per_s": rate, "burst": burst, "full_at_us": full, "taken": float(draw.randint(0, int(burst))),
              "now_us": full + draw.randint(0, 2 * 10**6)}
    is_admitted, level, _ = take((full, values["taken"], rate, burst), rate, burst, values["now_us"])
    return values, level + is_admitted


CASES: dict[str, Callable[[random.Random], Pair | Iterator[Pair]]] = {
    "What a priority can carry": carried,
    "Shares of priorities": priority_share,
    "Panic": panicking,
    "Share of a locality under `distribute`": distributed,
    "Zone-aware routing": zoned,
    "Warm-up": warmed,
    "Token bucket": tokens,
    "Token bucket between machines": shared_tokens,
    "Turns by weight": called(next_turn, at=(0.0, 1000.0), weight=(0.01, 100.0)),
    "Weight with requests in flight": called(
        weight_in_force, weight=(0.01, 100.0), active=(0, 500), bias=(0.0, 3.0)),
    "Average round-trip time": called(
        peak_ewma.peak_average, average_s=(0.0, 1.0), sample_s=(0.0, 1.0), elapsed_s=(0.0, 30.0), decay_s=(0.1, 20.0)),
    "Cost of an endpoint": called(
        peak_ewma.cost, average_s=(0.0, 1.0), elapsed_s=(0.0, 30.0), decay_s=(0.1, 20.0), active=(0, 99),
        weight=(0.1, 9.0)),
    "Nodes of a ring": ringed,
    "Success-rate ejection": ejected,
    "Failure percentage": called(outlier.is_failing, rate=(0, 100), threshold=(0, 100)),
    "How many may be ejected": called(
        outlier.may_eject, active=(0, 20), total=(0, 20), max_percent=(0, 100), always_one=(0, 1)),
    "Ejection time": called(
        outlier.ejection_s, backoff=(1, 20), base_s=(0.1, 60.0), max_s=(1.0, 300.0), jitter_s=(0.0, 5.0)),
    "Back-off of retries": called(
        backoff_s, number=(1, 9), base_s=(0.001, 1.0), cap_s=(0.01, 5.0), share=(0.0, 1.0)),
    "Back-off that an answer asks for": called(rate_limited_s, asked_s=(0.0, 60.0), share=(0.0, 1.0)),
    "Retry budget": called(retries_allowed, percent=(0, 100), min_retry_concurrency=(0, 9), requests=(0, 9999)),
    "Requests of an interval": begun,
    "Back-off of discovery": called(retry_bound_s, failures=(1, 12), base_s=(0.1, 5.0), max_s=(1.0, 120.0)),
    "Rejection by success rate": called(
        admission_control.rejection_probability, total=(1, 999), successes=(0, 500), sr_threshold=(0.01, 1.0),
        aggression=(1.0, 5.0), maximum=(0.0, 1.0)),
    "Gradient": called(
        adaptive_concurrency.gradient, min_rtt_s=(0.001, 1.0), sample_rtt_s=(0.001, 1.0), buffer=(0.0, 1.0),
        highest=(1.0, 3.0)),
    "Headroom": called(adaptive_concurrency.headroom, limit=(1, 1000)),
    "Next limit": called(
        adaptive_concurrency.new_limit, limit=(1, 1000), factor=(0.5, 2.0), lowest=(1, 5), highest=(5, 900)),
}
"""Title -> what draws (values of the formula's names, the code's result), one or several."""
ELSEWHERE = {"Weight of a locality": "tests/upstream/test_endpoint_set.py"}
"""Formulas that only show in what is picked, and the tests that count picks."""


def found(code: str) -> object:
    """Return what a dotted name leads to."""
    module, _, name = code.rpartition(".")
    return getattr(importlib.import_module(module), name)


class Formulas(TestCase):
    def test_every_formula_is_the_codes(self):
        for title, (_, formula) in sections().items():
            if title in ELSEWHERE:
                continue
            draw = random.Random(title)
            for _ in range(DRAWS):
                drawn = CASES[title](draw)
                for values, result in [drawn] if isinstance(drawn, tuple) else drawn:
                    expected = eval(formula, {"math": math, **values})
                    self.assertAlmostEqual(expected, result, 6, (title, values))

    def test_every_name_leads_to_code_that_names_the_page(self):
        for title, (code, _) in sections().items():
            module = importlib.import_module(code.rpartition(".")[0])
            text = f"{found(code).__doc__} {module.__doc__}"
            self.assertIn("docs/formulas.md", text, title)

    def test_no_formula_is_left_out(self):
        self.assertEqual(set(sections()), set(CASES) | set(ELSEWHERE))
        text = (ROOT / "docs" / "formulas.md").read_text()
        self.assertEqual(text.count("\n### "), len(sections()))
        for place in ELSEWHERE.values():
            self.assertTrue((ROOT / place).exists(), place)
