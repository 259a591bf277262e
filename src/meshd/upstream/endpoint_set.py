"""The endpoints of a cluster, arranged for picking: by priority, health and locality, with a balancer for each group.

Strategy: whatever decides on a share (priorities, panic, degraded endpoints, locality weights, zones) is worked out
when endpoints or their health change, and flattened into rows of (cumulative percent, group); docs/formulas.md has the
rules. A pick draws one row and asks its balancer; where there is one group only, it is that balancer's own method and
costs nothing more. ``endpoint_set.pxd`` types it for the compiled build, as a thousand endpoints are gone through at
each change.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from meshd.model.balancing import Balancing
from meshd.model.health import DEGRADED, PENDING_CHECK
from meshd.upstream import load, locality, zone

EPSILON = 1e-9
Key = tuple[int, bool, str | None]
"""(priority, whether of degraded endpoints, locality or None for all) of a group."""
Part = tuple[Key, float, tuple[Any, ...]]
"""(key, percent of all requests, endpoints) of a group."""


class Group:
    """Endpoints that one balancer picks from."""

    def __init__(self, balancer: Any) -> None:
        self.balancer = balancer
        self.pick = balancer.pick
        self.endpoints: tuple[Any, ...] | None = None
        self.weights: tuple[float, ...] = ()

    def update(self, endpoints: tuple[Any, ...]) -> None:
        """Tell the balancer, where anything has changed."""
        weights = tuple([endpoint.weight for endpoint in endpoints])
        if endpoints != self.endpoints or weights != self.weights:
            self.endpoints, self.weights = endpoints, weights
            self.balancer.update(endpoints)


class Level:
    """The endpoints of one priority: all of them, those that are well, and those that are usable but degraded."""

    __slots__ = ("all", "well", "degraded", "pending")

    def __init__(self) -> None:
        self.all: list[Any] = []
        self.well: list[Any] = []
        self.degraded: list[Any] = []
        self.pending = 0

    def add(self, endpoint: Any) -> None:
        """Sort an endpoint in; one that waits for its first check does not count in the total."""
        bits = endpoint.bits
        self.all.append(endpoint)
        if not bits:
            self.well.append(endpoint)
        elif endpoint.healthy:
            (self.degraded if bits & DEGRADED else self.well).append(endpoint)
        elif bits & PENDING_CHECK:
            self.pending += 1

    def count(self) -> load.Count:
        """Return the numbers of endpoints."""
        return load.Count(len(self.all) - self.pending, len(self.well), len(self.degraded))


class EndpointSet:
    """``first`` is the cluster's balancer; its ``another()`` gives one of the same settings for each further group.

    One without it has the group with the largest share alone. ``node`` is the model's Node. ``own_service()`` gives the
    endpoints of the cluster that zone-aware routing compares with. ``shares`` are those of the priorities, for people.
    """

    def __init__(self, policy: Balancing, first: Any, random: Any, node: Any,
                 own_service: Callable[[], Iterable[Any]] = tuple) -> None:
        self.policy = policy
        self.node = node
        self.own_service = own_service
        self.key = getattr(first, "key", None)
        self.shares: list[load.Share] = []
        self._another = getattr(first, "another", None)
        self._random = random
        self._groups: dict[Key, Group] = {}
        self._spare: Any = first
        self._levels: list[Level] = []
        self._bounds: list[float] = []
        self._picks: list[Callable[[Any], Any]] = []
        self._priorities: list[int] = []

    def update(self, endpoints: tuple[Any, ...]) -> Callable[[Any], Any]:
        """Arrange ``endpoints`` anew; return the callable(exchange) that picks one of them from now on, or None."""
        levels: dict[int, Level] = defaultdict(Level)
        for endpoint in endpoints:
            levels[endpoint.priority].add(endpoint)
        self._levels = [levels.get(index) or Level() for index in range(max(levels, default=0) + 1)]
        policy = self.policy
        counts = [level.count() for level in self._levels]
        self.shares = load.shares(counts, policy.overprovisioning, policy.panic_threshold)
        parts = self._parts(self.shares)
        used = {key for key, _, _ in parts}
        for key in [key for key in self._groups if key not in used]:
            self._drop(key)
        for key, _, members in parts:
            self._group(key).update(members)
        self._bounds, self._picks, self._priorities = self._rows(parts)
        return self._picks[0] if len(self._picks) == 1 and len(self._levels) == 1 else self._draw

    def groups(self) -> list[dict]:
        """Return what each group gets, for /clusters and explain."""
        return [
            {"priority": key[0], "degraded": key[1], "locality": key[2], "percent": percent,
             "endpoints": len(members)}
            for key, percent, members in self._parts(self.shares)
        ]

    def balancers(self) -> list[Any]:
        """Return the balancers in use."""
        return [group.balancer for group in self._groups.values()]

    def _parts(self, shares: list[load.Share]) -> list[Part]:
        """Return (key, percent, endpoints) of each group that gets something; degraded ones after all healthy ones."""
        healthy: list[Part] = []
        degraded: list[Part] = []
        for index, (share, level) in enumerate(zip(shares, self._levels, strict=True)):
            if share.is_panic:
                members = () if self.policy.fail_on_panic else tuple(level.all)
                healthy.append(((index, False, None), share.healthy + share.degraded, members))
                continue
            healthy += self._spread(index, False, share.healthy, tuple(level.well), level.all)
            degraded += self._spread(index, True, share.degraded, tuple(level.degraded), level.all)
        found = [part for part in healthy + degraded if part[1] > EPSILON] or [((0, False, None), 100.0, ())]
        return found if self._another is not None else [max(found, key=percent_of)]

    def _spread(self, index: int, is_degraded: bool, percent: float, members: tuple[Any, ...],
                everyone: list[Any]) -> list[Part]:
        """Return the groups of one priority and class: one, or one for each locality that has a weight."""
        if percent <= EPSILON:
            return []
        weights = self._weights(index, members, everyone)
        total = sum(weights.values()) if weights else 0.0
        if not weights or not total:
            return [((index, is_degraded, None), percent, members if weights is None else ())]
        by_name = by_locality(members)
        return [
            ((index, is_degraded, name), percent * weight / total, tuple(by_name.get(name, ())))
            for name, weight in weights.items() if weight
        ]

    def _weights(self, index: int, members: tuple[Any, ...], everyone: list[Any]) -> dict[str, float] | None:
        """Return the weight of each locality, None where localities do not count: never where a key decides."""
        policy = self.policy.locality
        if self.key is not None:
            return None
        if locality.is_zone_aware(policy):
            return self._zone_weights(index, members)
        if not locality.is_weighted(policy):
            return None
        there, well = by_locality(everyone), by_locality(members)
        if policy.weights:
            nominal: dict[str, float] | None = {name: float(weight) for name, weight in policy.weights}
        else:
            sums = {name: sum([one.spec.weight for one in ones]) for name, ones in there.items()}
            nominal = locality.distribution(sums, self.node.locality, policy)
        if nominal is None:
            return None
        factor = self.policy.overprovisioning
        return {
            name: nominal.get(name, 0.0) * load.availability(len(well.get(name, ())), len(ones), factor) / 100.0
            for name, ones in there.items()
        }

    def _zone_weights(self, index: int, members: tuple[Any, ...]) -> dict[str, float] | None:
        """Zones count for priority 0 of a cluster that is large enough."""
        settings = self.policy.locality.zone_aware
        if index or settings is None or len(members) < settings.min_cluster_size:
            return None
        there = {name: len(ones) for name, ones in by_locality(members).items()}
        here = {name: len(ones) for name, ones in by_locality(self.own_service()).items()}
        shares = zone.zone_shares(self.node.locality, here, there)
        if shares is None or settings.enabled_percent >= 100.0:
            return shares
        part = settings.enabled_percent / 100.0
        total = sum(there.values())
        return {name: part * share + (1.0 - part) * 100.0 * there[name] / total for name, share in shares.items()}

    def _rows(self, parts: list[Part]) -> tuple[list[float], list[Any], list[int]]:
        bounds, at = [], 0.0
        for _, percent, _ in parts:
            at += percent
            bounds.append(at)
        return bounds, [self._groups[key].pick for key, _, _ in parts], [key[0] for key, _, _ in parts]

    def _draw(self, exchange: Any) -> Any:
        """Draw a row: by the balancer's key where it has one, so that the same key comes to the same endpoint."""
        tried = exchange.tried
        if tried and len(self._levels) > 1:
            return self._again(exchange, tried)
        return self._at(self._bounds, self._picks, exchange)

    def _at(self, bounds: list[float], picks: list[Any], exchange: Any) -> Any:
        key = self.key(exchange) if self.key is not None else None
        share = self._random.random() if key is None else key % 100 / 100.0  # as Envoy draws by a key
        place = bisect_right(bounds, share * bounds[-1] + EPSILON)
        return picks[min(place, len(picks) - 1)](exchange)

    def _again(self, exchange: Any, tried: tuple[Any, ...]) -> Any:
        """Leave out the priorities that earlier attempts had (Envoy's ``previous_priorities``), if the policy asks."""
        every = getattr(getattr(exchange.plan, "retry", None), "reselect_priority_every", 0)
        seen = {one.priority for one in tried[:len(tried) // every * every]} if every else set()
        if not seen or seen >= set(self._priorities):
            return self._at(self._bounds, self._picks, exchange)
        at, bounds, picks, before = 0.0, [], [], 0.0
        for bound, pick, priority in zip(self._bounds, self._picks, self._priorities, strict=True):
            if priority not in seen:
                at += bound - before
                bounds.append(at)
                picks.append(pick)
            before = bound
        return self._at(bounds, picks, exchange)

    def _group(self, key: Key) -> Group:
        found = self._groups.get(key)
        if found is None:
            balancer, self._spare = self._spare, None
            found = self._groups[key] = Group(balancer if balancer is not None else self._another())
        return found

    def _drop(self, key: Key) -> None:
        """A group is not needed any more; one balancer is kept for the next that is."""
        group = self._groups.pop(key)
        group.update(())
        if self._spare is None:
            self._spare = group.balancer


def percent_of(part: Part) -> float:
    """Return a group's share."""
    return part[1]


def by_locality(endpoints: Iterable[Any]) -> dict[str, list[Any]]:
    """Return the endpoints of each locality."""
    found: dict[str, list[Any]] = defaultdict(list)
    for endpoint in endpoints:
        found[endpoint.locality].append(endpoint)
    return found
