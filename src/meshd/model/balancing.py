"""How load is shared before a load balancer picks: health, priorities, localities, warm-up. Part of a cluster."""

from meshd.document.option import (
    Boolean, Choice, Duration, Integer, ListOf, MapOf, Nested, Number, Reference, Text, config, option,
)

HEALTH = ("unknown", "healthy", "unhealthy", "degraded", "draining")
OFF, FAILOVER, DISTRIBUTE, WEIGHTED, ZONE_AWARE = "off", "failover", "distribute", "weighted", "zone_aware"


@config
class Failover:
    """Where the traffic of one region goes when its own endpoints fail (Istio's ``failover``)."""

    source: str = option(Text(minimum=1), key="from", doc="region of this proxy")
    target: str = option(Text(minimum=1), key="to", doc="region that comes before the others")


@config
class Distribution:
    """How the traffic of one locality is shared (Istio's ``distribute``)."""

    source: str = option(Text(minimum=1), key="from", doc="locality of this proxy: region/zone/subzone, * for any rest")
    targets: tuple[tuple[str, int], ...] = option(
        MapOf(value=Integer(minimum=1, maximum=100), key=Text(minimum=1)), key="to",
        doc="locality of the endpoints -> percent; those that are not named get nothing",
    )

    def check(self):
        """Yield a fault where the percentages are not a whole."""
        total = sum(percent for _, percent in self.targets)
        if total != 100:
            yield "targets", f"expected percentages that add up to 100, got {total}"


@config
class ZoneAware:
    """Envoy's zone-aware routing: as much as possible stays in this proxy's own zone."""

    local_cluster: str = option(Reference("cluster"), doc="the cluster that this proxy's own service is")
    enabled_percent: float = option(Number(maximum=100.0), default=100.0, doc="share of requests it applies to")
    min_cluster_size: int = option(Integer(minimum=1), default=6, doc="fewer endpoints: not applied")


@config
class Locality:
    """How the localities of the endpoints count."""

    mode: str = option(
        Choice((OFF, FAILOVER, DISTRIBUTE, WEIGHTED, ZONE_AWARE)), default=OFF,
        doc="off; failover: nearest first (needs health or outlier detection to act); distribute: fixed shares; "
            "weighted: by weights; zone_aware: the own zone first",
    )
    failover: tuple[Failover, ...] = option(
        ListOf(item=Nested(Failover), maximum=100, unique="source"), default=(), doc="failover: preferred regions")
    failover_priority: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1), maximum=100), default=(),
        doc="failover: labels (KEY, or KEY=VALUE) that endpoints have in common with this proxy, most important first",
    )
    distribute: tuple[Distribution, ...] = option(
        ListOf(item=Nested(Distribution), maximum=100, unique="source"), default=(),
        doc="distribute: the first that matches this proxy's locality counts")
    weights: tuple[tuple[str, int], ...] = option(
        MapOf(value=Integer(minimum=0, maximum=2**32 - 1), key=Text()), default=(),
        doc="weighted: locality -> weight; those that are not named get nothing (Envoy's load_balancing_weight)",
    )
    zone_aware: ZoneAware | None = option(Nested(ZoneAware), default=None, doc="zone_aware: its settings")

    def check(self):
        """Yield a fault for what the mode does not use, and for what it lacks."""
        used = {FAILOVER: ("failover", "failover_priority"), DISTRIBUTE: ("distribute",), WEIGHTED: ("weights",),
                ZONE_AWARE: ("zone_aware",)}
        for mode, names in used.items():
            for name in names:
                if getattr(self, name) and self.mode != mode:
                    yield name, f"expected mode {mode}, got {self.mode}"
        if self.mode == ZONE_AWARE and self.zone_aware is None:
            yield "zone_aware", "expected the settings of mode zone_aware"


@config
class SlowStart:
    """The load of an endpoint that is new, or well again, grows over ``window`` (round_robin, least_request)."""

    window_s: float = option(Duration(minimum=0.001), doc="how long it takes")
    min_weight_percent: float = option(
        Number(maximum=100.0), default=10.0, doc="share of its weight that it begins with (Envoy's default)")
    aggression: float = option(
        Number(minimum=0.01, maximum=100.0), default=1.0, doc="1: linear; above, faster at first (Envoy's default)")


@config
class Balancing:
    """What surrounds the load balancer. Figures are Envoy's defaults."""

    panic_threshold: float = option(
        Number(maximum=100.0), default=50.0,
        doc="percent of usable endpoints below which health does not count any more (0: never)")
    fail_on_panic: bool = option(Boolean(), default=False, doc="below it, answer 503 UH in place of using all")
    overprovisioning: float = option(
        Number(minimum=1.0, maximum=100.0), default=1.4, doc="so much more than its share a priority can carry")
    locality: Locality = option(Nested(Locality, word="mode"), default=Locality(), doc="how localities count")
    slow_start: SlowStart | None = option(Nested(SlowStart), default=None, doc="warm-up of endpoints")
