"""How a DestinationRule balances: simple policies, consistent hashing, localities, warm-up."""

import math

from meshd.api import Boolean, Choice, Integer, ListOf, MapOf, Nested, Number, Text, camel_config, option
from meshd_plugins.istio.schema.common import ANY_TIME, COUNT32, NO_ZONES, ROUGH_TIME, TIME, WORDS, at_most_one
from meshd_plugins.istio.schema.form import deeper

SIZE = Integer()
LONGEST_TABLE = 5_000_011
TOPOLOGY = frozenset((
    "topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone",
))


@camel_config
class RingHash:
    """A ring of hashes (Ketama)."""

    minimum_ring_size: int = option(SIZE, default=0, doc="least entries of the ring (0: 1024)")


@camel_config
class MagLev:
    """Maglev's table."""

    table_size: int = option(SIZE, default=0, doc="entries, a prime (0: 65537)")

    def check(self):
        """Yield faults of Envoy's: a prime below 5000011."""
        if not self.table_size:
            yield "table_size", "expected the table's size, a prime"
        elif self.table_size >= LONGEST_TABLE or not _is_prime(self.table_size):
            yield "table_size", f"expected a prime below {LONGEST_TABLE}, got {self.table_size}"


def _is_prime(number):
    return number in (1, 2, 3) or (number % 2 == 1 and all(number % one for one in range(3, math.isqrt(number) + 1, 2)))


@camel_config
class CookieAttribute:
    """An attribute of a cookie that is made."""

    name: str = option(Text(minimum=1), doc="its name")
    value: str = option(Text(), default="", doc="its value")


@camel_config
class HTTPCookie:
    """A cookie that keeps a client at one endpoint."""

    name: str = option(Text(minimum=1), doc="its name")
    path: str = option(Text(), default="", doc="its path")
    ttl_s: float | None = option(ANY_TIME, default=None, doc="its life (0: a session's); made only when this is given")
    attributes: tuple[CookieAttribute, ...] = option(
        ListOf(item=Nested(CookieAttribute), unique="name"), default=(), doc="further attributes"
    )


@camel_config
class ConsistentHashLB:
    """The same key goes to the same endpoint: one key, one algorithm."""

    http_header_name: str | None = option(Text(), default=None, doc="the key is this field")
    http_cookie: HTTPCookie | None = option(Nested(HTTPCookie), default=None, doc="the key is this cookie")
    use_source_ip: bool | None = option(Boolean(), default=None, doc="the key is the client's address")
    http_query_parameter_name: str | None = option(Text(), default=None, doc="the key is this query parameter")
    ring_hash: RingHash | None = option(Nested(RingHash), default=None, doc="by a ring (the default)")
    maglev: MagLev | None = option(Nested(MagLev), default=None, doc="by Maglev's table")
    minimum_ring_size: int = option(SIZE, default=0, doc="least entries of the ring (deprecated)")

    def check(self):
        """Yield faults between fields."""
        yield from at_most_one(self, ("http_header_name", "http_cookie", "use_source_ip", "http_query_parameter_name"))
        yield from at_most_one(self, ("ring_hash", "maglev"))
        if self.minimum_ring_size and (self.ring_hash is not None or self.maglev is not None):
            yield "minimum_ring_size", "expected at most one of minimumRingSize, ringHash, maglev"


@camel_config
class Distribute:
    """Where the load of one locality goes."""

    from_: str = option(Text(minimum=1), default="", doc="region/zone/subzone of the proxy; * is a wildcard")
    to: tuple[tuple[str, int], ...] = option(MapOf(value=COUNT32), default=(), doc="locality -> percent; 100 in all")


@camel_config
class Failover:
    """Where a region's load goes when it is down."""

    from_: str = option(Text(), default="", doc="region")
    to: str = option(Text(), default="", doc="region")


@camel_config
class LocalityLoadBalancerSetting:
    """Balancing by locality: one of distribute, failover, failoverPriority."""

    distribute: tuple[Distribute, ...] = option(ListOf(item=Nested(Distribute)), default=(), doc="fixed shares")
    failover: tuple[Failover, ...] = option(ListOf(item=Nested(Failover)), default=(), doc="region to region")
    failover_priority: tuple[str, ...] = option(WORDS, default=(), doc="labels by which endpoints are preferred")
    enabled: bool | None = option(Boolean(), default=None, doc="replaces the mesh's setting")

    def check(self):
        """Yield faults between fields."""
        if self.distribute and self.failover:
            yield "failover", "expected at most one of distribute, failover"
            return
        taken = [label for label in self.failover_priority if label in TOPOLOGY]
        if self.failover and taken:
            yield "failover_priority", f"expected no {taken[0]} beside failover"
            return
        for place, one in enumerate(self.distribute):
            yield from deeper(("distribute", place), _share_faults(one))
        yield from deeper("distribute", _locality_faults([one.from_ for one in self.distribute], "from"))
        yield from failover_faults(self.failover)


def _share_faults(one):
    wrong = [locality for locality, weight in one.to if not 1 <= weight <= 100]
    if wrong:
        yield ("to", wrong[0]), "expected a share from 1 to 100"
    elif sum(weight for _, weight in one.to) != 100:
        yield "to", f"expected shares with the sum 100, got {sum(weight for _, weight in one.to)}"
    else:
        for (place, _), message in _locality_faults([locality for locality, _ in one.to], ""):
            yield ("to", one.to[place][0]), message


def _locality_faults(localities, key):
    """Yield faults of form, and of a locality that another one before it contains."""
    before = []
    for place, locality in enumerate(localities):
        steps = tuple(locality.split("/", 2))
        if "*" in locality[:-1]:
            yield (place, key), f"expected * only at the end, got {locality!r}"
        elif "" in steps:
            yield (place, key), f"expected REGION/ZONE/SUBZONE without an empty part, got {locality!r}"
        elif any(_overlap(steps, other) for other in before):
            yield (place, key), f"expected localities that do not overlap, got {locality!r} after another"
        before.append(steps)


def _overlap(one, other):
    """Say whether one of two localities contains the other."""
    return other == ("*",) or all(left == right or right == "*" for left, right in zip(one, other))


def failover_faults(failover):
    """Yield the faults of pairs of regions."""
    for place, pair in enumerate(failover):
        if pair.from_ == pair.to:
            yield ("failover", place), "expected two regions that differ"
        for key, region in (("from", pair.from_), ("to", pair.to)):
            if "/" in region or "*" in region:
                yield ("failover", place, key), f"expected a region, got {region!r}"


@camel_config
class ZoneAwareLoadBalancerSetting:
    """Balancing that keeps to its zone as far as the zone can carry it."""

    enabled: bool | None = option(Boolean(), default=None, doc="replaces the mesh's setting")
    failover: tuple[Failover, ...] = option(ListOf(item=Nested(Failover)), default=(), doc="region to region")
    failover_priority: tuple[str, ...] = option(WORDS, default=(), doc="labels by which endpoints are preferred")
    min_cluster_size: int | None = option(Integer(minimum=1), default=None, doc="fewer endpoints: not by zone")

    def check(self):
        """Yield faults between fields."""
        for place, label in enumerate(self.failover_priority):
            if label in TOPOLOGY:
                yield ("failover_priority", place), f"expected no {label}: regions and zones are seen to by itself"
        yield from failover_faults(self.failover)


@camel_config
class WarmupConfiguration:
    """A new endpoint's share grows slowly."""

    duration_s: float = option(TIME, doc="until the share is full")
    minimum_percent: float | None = option(Number(maximum=100.0), default=None, doc="share at the start (10)")
    aggression: float | None = option(Number(), default=None, doc="curve: 1 is a line (1)")

    def check(self):
        """Yield a fault of a curve that is none."""
        if self.aggression == 0:
            yield "aggression", "expected more than 0"


@camel_config
class BackendUtilization:
    """Endpoints say how busy they are (ORCA)."""

    error_utilization_penalty_percent: int = option(COUNT32, default=0, doc="what errors add, percent")
    metric_names_for_computing_utilization: tuple[str, ...] = option(WORDS, default=(), doc="metrics")
    weight_expiration_period_s: float | None = option(ANY_TIME, default=None, doc="how long a report is good")
    weight_stabilization_period_s: float | None = option(ANY_TIME, default=None, doc="until a first report counts")
    weight_update_period_s: float | None = option(ANY_TIME, default=None, doc="between computations")


@camel_config
class LoadBalancerSettings:
    """One policy, and what goes with any of them."""

    simple: str | None = option(
        Choice(("UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST")),
        default=None, doc="a policy without options (LEAST_REQUEST)"
    )
    consistent_hash: ConsistentHashLB | None = option(
        Nested(ConsistentHashLB), default=None, doc="by a key"
    )
    backend_utilization: BackendUtilization | None = option(
        Nested(BackendUtilization), default=None, doc="by reports", unsupported="endpoints' reports are not read"
    )
    locality_lb_setting: LocalityLoadBalancerSetting | None = option(
        Nested(LocalityLoadBalancerSetting), default=None, doc="by locality"
    )
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = option(
        Nested(ZoneAwareLoadBalancerSetting), default=None, doc="zone-aware", unsupported=NO_ZONES
    )
    warmup_duration_secs_s: float | None = option(
        ROUGH_TIME, default=None, doc="warm-up of new endpoints (deprecated)"
    )
    warmup: WarmupConfiguration | None = option(
        Nested(WarmupConfiguration), default=None, doc="warm-up of new endpoints"
    )

    def check(self):
        """Yield faults between fields."""
        yield from at_most_one(self, ("simple", "consistent_hash", "backend_utilization"))
        yield from at_most_one(self, ("locality_lb_setting", "zone_aware_lb_setting"))
        yield from at_most_one(self, ("warmup_duration_secs_s", "warmup"))
