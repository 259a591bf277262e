"""Localities: which priority an endpoint has for this proxy, and which weight its locality (docs/formulas.md).

Pure rules, Istio's. A locality is text, ``region/zone/subzone``; parts at the end may be missing. Clusters ask when
endpoints change.
"""

from collections.abc import Iterable
from typing import Any

from meshd.model.balancing import DISTRIBUTE, FAILOVER, WEIGHTED, ZONE_AWARE, Locality

REGIONS = 5
"""Steps of nearness: subzone, zone, region, elsewhere, and elsewhere without preference where a failover is set."""


def nearness(own: str, other: str, preferred: str | None) -> int:
    """Return Istio's failover priority: 0 same subzone, 1 same zone, 2 same region, 3 elsewhere.

    ``preferred``: the region that this one fails over to, None where nothing is set; regions that are not it are 4.
    """
    mine, its = parts(own), parts(other)
    if mine == its:
        return 0
    if mine[:2] == its[:2]:
        return 1
    if mine[0] == its[0]:
        return 2
    return 3 if preferred is None or its[0] == preferred else 4


def parts(locality: str) -> tuple[str, str, str]:
    """Return (region, zone, subzone), "" for what is missing."""
    region, _, rest = locality.partition("/")
    zone, _, subzone = rest.partition("/")
    return region, zone, subzone


def common_labels(keys: Iterable[str], own: dict[str, str], other: dict[str, str]) -> int:
    """Return how many of ``keys`` (KEY or KEY=VALUE) are the same here and there, counted up to the first that is not.

    N keys give priorities 0 (all are the same) to N.
    """
    count = 0
    for key in keys:
        name, has_value, value = key.partition("=")
        wanted = value if has_value else own.get(name)
        if wanted is None or other.get(name) != wanted:
            break
        count += 1
    return count


def priorities(specs: Iterable[Any], node: Any, policy: Locality) -> list[int]:
    """Return the priority of each endpoint under ``failover``, without gaps; the specs' own count first."""
    preferred = next((one.target for one in policy.failover if one.source == parts(node.locality)[0]), None)
    labels = dict(node.labels)
    keys = policy.failover_priority
    found = []
    for spec in specs:
        near = nearness(node.locality, spec.locality, preferred)
        if keys:
            missing = len(keys) - common_labels(keys, labels, dict(spec.labels))
            near = missing * REGIONS + near if policy.failover else missing
        found.append((spec.priority, near))
    order = {value: index for index, value in enumerate(sorted(set(found)))}
    return [order[value] for value in found]


def matches(pattern: str, locality: str) -> bool:
    """Say whether ``pattern`` (``region/zone/*``, ``region``, ``*``) covers a locality: parts are compared in order."""
    its = locality.split("/")
    for index, part in enumerate(pattern.split("/")):
        if part == "*":
            return True
        if index >= len(its) or its[index] != part:
            return False
    return True


def distribution(weights: dict[str, int], own: str, policy: Locality) -> dict[str, float] | None:
    """Return the share of each locality under ``distribute``, None where no rule is for this proxy.

    ``weights`` is locality -> sum of its endpoints' weights. The first rule whose ``from`` matches counts. A target
    that covers several localities is split by these weights, each share rounded up (Istio's).
    """
    rule = next((one for one in policy.distribute if matches(one.source, own)), None)
    if rule is None:
        return None
    found = dict.fromkeys(weights, 0.0)
    taken: set[str] = set()
    for pattern, percent in rule.targets:
        covered = [name for name in weights if name not in taken and matches(pattern, name)]
        total = sum(weights[name] for name in covered)
        for name in covered:
            found[name] = float(-(-percent * weights[name] // total))
        taken.update(covered)
    return found


def is_ranked(policy: Locality) -> bool:
    """Say whether nearness decides on priorities."""
    return policy.mode == FAILOVER


def is_weighted(policy: Locality) -> bool:
    """Say whether localities have weights."""
    return policy.mode in (DISTRIBUTE, WEIGHTED)


def is_zone_aware(policy: Locality) -> bool:
    """Say whether the own zone comes first."""
    return policy.mode == ZONE_AWARE
