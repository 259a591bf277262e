"""The http filter ``health_check``: answers a load balancer's question how this proxy is, on a path."""

from meshd.api import (
    CONTINUE, STOP, Boolean, ConfigurationError, Duration, ListOf, MapOf, Need, Number, PluginType, Text, config, flag,
    health, hookimpl, option,
)

IMMEDIATE, CLUSTER, DEGRADED = (
    b"x-envoy-immediate-health-check-fail", b"x-envoy-upstream-healthchecked-cluster", b"x-envoy-degraded")
DETAIL, CACHED, MINIMUM = "health_check_failed", "health_check_cached", "health_check_cluster_min"


@config
class HealthCheckOptions:
    """Which requests are health checks, and who answers them (Envoy's filters.http.health_check)."""

    paths: tuple[str, ...] = option(
        ListOf(item=Text(minimum=1, pattern=r"/[!-~]*"), minimum=1, maximum=100),
        doc="paths, without the query, that are health checks")
    pass_through_mode: bool = option(
        Boolean(), default=False, doc="let the upstream answer; else it is answered here, 200 while all is well")
    cache_time_s: float = option(
        Duration(), default=0.0, doc="with pass_through_mode: answer so long with the last status (0: never)")
    cluster_min_healthy_percentages: tuple[tuple[str, float], ...] = option(
        MapOf(value=Number(maximum=100.0), key=Text(minimum=1)), default=(),
        doc="answered here: cluster -> percent of its endpoints that must be usable, or 503")

    def check(self):
        """Yield faults between fields."""
        if self.cache_time_s and not self.pass_through_mode:
            yield "cache_time_s", "expected pass_through_mode beside it"
        if self.cluster_min_healthy_percentages and self.pass_through_mode:
            yield "cluster_min_healthy_percentages", "expected no pass_through_mode beside it"


class HealthCheckFilter:
    """``is_ready()`` says whether traffic should come here: no drain, no /healthcheck/fail."""

    def __init__(self, options, site):
        self._paths = frozenset(path.encode() for path in options.paths)
        self._passes = options.pass_through_mode
        self._cache_s = options.cache_time_s
        self._is_ready = site.is_ready
        self._now = site.clock.now
        self._fields = ((CLUSTER, site.node.id.encode()),)
        self._known = None
        try:
            self._minimums = [
                (site.cluster(name), percent) for name, percent in options.cluster_min_healthy_percentages]
        except KeyError as error:
            raise ConfigurationError(f"cluster_min_healthy_percentages: {error}: expected a cluster") from None

    def on_request(self, exchange):
        """Answer a health check."""
        if exchange.request.path not in self._paths:
            return CONTINUE
        if not self._is_ready():
            exchange.reply(503, headers=self._fields, flag=flag.LH, detail=DETAIL)
            return STOP
        if self._passes:
            return self._from_cache(exchange)
        is_well = all(usable(cluster, percent) for cluster, percent in self._minimums)
        exchange.reply(200 if is_well else 503, headers=self._fields, flag=0 if is_well else flag.LH,
                       detail="" if is_well else MINIMUM)
        return STOP

    def _from_cache(self, exchange):
        if self._known is None or self._now() - self._known[0] >= self._cache_s:
            return CONTINUE
        _, status, is_degraded = self._known
        fields = (*self._fields, (DEGRADED, b"true")) if is_degraded else self._fields
        exchange.reply(status, headers=fields, flag=0 if status == 200 else flag.LH, detail=CACHED)
        return STOP

    def on_response(self, exchange):
        """Name this proxy on answers to health checks; on others, tell checking clients at once to stay away."""
        headers = exchange.response.headers
        if exchange.request.path in self._paths:
            if exchange.is_local_reply:
                return
            headers.set(CLUSTER, self._fields[0][1])
            if self._passes and self._cache_s:
                self._known = self._now(), exchange.response.status, DEGRADED in headers
        elif not self._is_ready():
            headers.set(IMMEDIATE, b"true")

    def explain(self, exchange):
        """Say what would happen to a request."""
        is_check = exchange.request.path in self._paths
        self.on_request(exchange)
        return "a health check" if is_check else "no health check"


def usable(cluster, percent):
    """Say whether so many percent of the endpoints may be used; of none, none has to be (Envoy's rule)."""
    endpoints = cluster.endpoints
    if not endpoints:
        return percent == 0
    well = sum(not one.bits & health.FAILED for one in endpoints)
    return 100.0 * well >= percent * len(endpoints)


def references(config):
    """Yield the clusters that are counted."""
    for name, _ in config.cluster_min_healthy_percentages:
        yield Need("cluster", name, f"cluster_min_healthy_percentages.{name}")


@hookimpl
def meshd_plugins():
    """Offer the filter."""
    return [
        PluginType(
            kind="http_filter", name="health_check", config=HealthCheckOptions, build=HealthCheckFilter,
            doc="Answers health checks of this proxy, or lets the upstream answer them.", references=references,
        )
    ]
