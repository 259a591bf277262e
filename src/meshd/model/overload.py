"""Overload protection: which resource, from which pressure on, makes the process refuse what. Defaults are ours."""

from meshd.document.option import Duration, Nested, Number, Size, config, option

OFF = "0: never"
SHARE = Number(minimum=0.0, maximum=1.0)
LAG = Duration(maximum=60.0)


@config
class LagThresholds:
    """How long what is ready waits for its turn in the reactor: the least of four measures in a row, so that one long
    pause is none. Envoy has no such monitor; a process that only works to capacity stays far below these.
    """

    disable_http_keepalive_s: float = option(
        LAG, default=0.0, doc=f"answers end their connections ({OFF}; new connections cost more than requests)"
    )
    stop_accepting_connections_s: float = option(LAG, default=1.0, doc=f"new clients wait ({OFF})")
    stop_accepting_requests_s: float = option(LAG, default=2.0, doc=f"new requests are answered 503 ({OFF})")


@config
class DescriptorThresholds:
    """Shares of the descriptors that clients may have: RLIMIT_NOFILE less 64 (less a quarter where there are few). What
    is kept back, for upstreams, the admin API, logs and reloads, is never given to clients, whatever stands here.
    """

    disable_http_keepalive: float = option(SHARE, default=0.90, doc=f"answers end their connections ({OFF})")
    stop_accepting_connections: float = option(SHARE, default=0.95, doc=f"new clients wait ({OFF})")
    stop_accepting_requests: float = option(
        SHARE, default=0.0, doc=f"new requests are answered 503 ({OFF}; they need few)"
    )


@config
class MemoryThresholds:
    """Shares of the memory that this process may use: the limits of its cgroups (memory.max and memory.high, or version
    1's limit_in_bytes; caches of files do not count) and ``limit``. Nothing happens where there is neither.
    """

    limit_bytes: int | None = option(
        Size(minimum=1024 * 1024), default=None, doc="resident memory of this process that counts as all of it"
    )
    shrink_heap: float = option(SHARE, default=0.90, doc=f"unused memory goes back to the system ({OFF})")
    disable_http_keepalive: float = option(
        SHARE, default=0.90, doc=f"answers end their connections ({OFF}; Envoy's example: 0.92)"
    )
    stop_accepting_requests: float = option(
        SHARE, default=0.95, doc=f"new requests are answered 503 ({OFF}; Envoy's example: 0.95)"
    )
    stop_accepting_connections: float = option(SHARE, default=0.98, doc=f"new clients wait ({OFF}; Envoy's: 0.95)")
    recycle_bytes: int | None = option(
        Size(minimum=1024 * 1024), default=None, doc="resident memory at which a fresh process is asked for"
    )


@config
class Overload:
    """What the process does before it breaks; each worker judges by its own figures."""

    interval_s: float = option(
        Duration(minimum=0.01, maximum=60.0), default=0.25, doc="how often is looked (Envoy's example: 250ms)"
    )
    retry_after_s: float = option(
        Duration(minimum=1.0, maximum=3600.0), default=1.0, doc="the Retry-After of a 503 (as Kubernetes' API server)"
    )
    max_wait_s: float = option(
        Duration(maximum=3600.0), default=5.0, doc="none is accepted for so long, then who comes is answered 503"
    )
    lag: LagThresholds = option(Nested(LagThresholds), default=LagThresholds(), doc="the reactor is late")
    descriptors: DescriptorThresholds = option(
        Nested(DescriptorThresholds), default=DescriptorThresholds(), doc="open files and sockets"
    )
    memory: MemoryThresholds = option(Nested(MemoryThresholds), default=MemoryThresholds(), doc="memory")
