"""How a DestinationRule balances: simple policies, consistent hashing, localities, warm-up."""

from meshd.api import Boolean, Choice, Integer, ListOf, MapOf, Nested, Number, Text, camel_config, option
from meshd_plugins.istio.schema.common import COUNT32, NO_LOCALITIES, TIME, WORDS

SIZE = Integer()


@camel_config
class RingHash:
    """A ring of hashes (Ketama)."""

    minimum_ring_size: int = option(SIZE, default=0, doc="least entries of the ring (0: 1024)")


@camel_config
class MagLev:
    """Maglev's table."""

    table_size: int = option(SIZE, default=0, doc="entries, a prime (0: 65537)")


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
    ttl_s: float | None = option(TIME, default=None, doc="its life (0: a session's); made only when this is given")
    attributes: tuple[CookieAttribute, ...] = option(
        ListOf(item=Nested(CookieAttribute)), default=(), doc="further attributes"
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


@camel_config
class Distribute:
    """Where the load of one locality goes."""

    from_: str = option(Text(minimum=1), default="", doc="region/zone/subzone of the proxy; * is a wildcard")
    to: tuple[tuple[str, int], ...] = option(MapOf(value=COUNT32), default=(), doc="locality -> percent; 100 in all")


@camel_config
class Failover:
    """Where a region's load goes when it is down."""

    from_: str = option(Text(minimum=1), default="", doc="region")
    to: str = option(Text(minimum=1), default="", doc="region")


@camel_config
class LocalityLoadBalancerSetting:
    """Balancing by locality: one of distribute, failover, failoverPriority."""

    distribute: tuple[Distribute, ...] = option(ListOf(item=Nested(Distribute)), default=(), doc="fixed shares")
    failover: tuple[Failover, ...] = option(ListOf(item=Nested(Failover)), default=(), doc="region to region")
    failover_priority: tuple[str, ...] = option(WORDS, default=(), doc="labels by which endpoints are preferred")
    enabled: bool | None = option(Boolean(), default=None, doc="replaces the mesh's setting")


@camel_config
class ZoneAwareLoadBalancerSetting:
    """Balancing that keeps to its zone as far as the zone can carry it."""

    enabled: bool | None = option(Boolean(), default=None, doc="replaces the mesh's setting")
    failover: tuple[Failover, ...] = option(ListOf(item=Nested(Failover)), default=(), doc="region to region")
    failover_priority: tuple[str, ...] = option(WORDS, default=(), doc="labels by which endpoints are preferred")
    min_cluster_size: int | None = option(Integer(minimum=1), default=None, doc="fewer endpoints: not by zone")


@camel_config
class WarmupConfiguration:
    """A new endpoint's share grows slowly."""

    duration_s: float = option(TIME, doc="until the share is full")
    minimum_percent: float | None = option(Number(maximum=100.0), default=None, doc="share at the start (10)")
    aggression: float | None = option(Number(minimum=1.0), default=None, doc="curve: 1 is a line (1)")


@camel_config
class LoadBalancerSettings:
    """One policy, and what goes with any of them."""

    simple: str | None = option(
        Choice(("UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST")),
        default=None, doc="a policy without options (LEAST_REQUEST)"
    )
    consistent_hash: ConsistentHashLB | None = option(
        Nested(ConsistentHashLB), default=None, doc="by a key", unsupported="there is no balancing by hash yet"
    )
    locality_lb_setting: LocalityLoadBalancerSetting | None = option(
        Nested(LocalityLoadBalancerSetting), default=None, doc="by locality", unsupported=NO_LOCALITIES
    )
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = option(
        Nested(ZoneAwareLoadBalancerSetting), default=None, doc="zone-aware", unsupported=NO_LOCALITIES
    )
    warmup_duration_secs_s: float | None = option(
        TIME, default=None, doc="warm-up of new endpoints (deprecated)", unsupported="there is no warm-up yet"
    )
    warmup: WarmupConfiguration | None = option(
        Nested(WarmupConfiguration), default=None, doc="warm-up of new endpoints", unsupported="there is no warm-up yet"
    )
