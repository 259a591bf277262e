"""Active health checks of a cluster: how often, and what they decide."""

from meshd.document.option import Boolean, Duration, Integer, Number, PluginOf, config, option
from meshd.model.plugin import Plugin


@config
class HealthCheck:
    """One check; the words are Envoy's (config.core.v3.HealthCheck), as are the defaults that Envoy has.

    Envoy has none for ``timeout``, ``interval`` and the thresholds; the thresholds are those of Kubernetes' probes.
    """

    checker: Plugin = option(PluginOf(kind="health_checker"), doc="how an endpoint is asked")
    interval_s: float = option(Duration(minimum=0.001), default=5.0, doc="time between two checks of an endpoint")
    timeout_s: float = option(Duration(minimum=0.001), default=1.0, doc="until a check has failed")
    healthy_threshold: int = option(
        Integer(minimum=1, maximum=1000), default=1, doc="checks in a row that must pass; the very first decides alone")
    unhealthy_threshold: int = option(
        Integer(minimum=1, maximum=1000), default=3,
        doc="checks in a row that must fail; an answer that says no counts at once")
    initial_jitter_s: float = option(Duration(), default=0.0, doc="the first check comes so much later at most")
    interval_jitter_s: float = option(Duration(), default=0.0, doc="each interval is so much longer at most")
    interval_jitter_percent: float = option(
        Number(maximum=100.0), default=0.0, doc="each interval is so many percent longer at most")
    unhealthy_interval_s: float | None = option(
        Duration(minimum=0.001), default=None, doc="interval of an endpoint that fails (absent: interval)")
    unhealthy_edge_interval_s: float | None = option(
        Duration(minimum=0.001), default=None, doc="while failures are not enough yet (absent: unhealthy_interval)")
    healthy_edge_interval_s: float | None = option(
        Duration(minimum=0.001), default=None, doc="while passed checks are not enough yet (absent: interval)")
    no_traffic_interval_s: float = option(
        Duration(minimum=0.001), default=60.0, doc="interval while the cluster has had no connection yet")
    no_traffic_healthy_interval_s: float | None = option(
        Duration(minimum=0.001), default=None, doc="the same, of endpoints that are well (no_traffic_interval)")
    always_log_health_check_failures: bool = option(
        Boolean(), default=False, doc="log each failed check, not only changes")
    always_log_health_check_success: bool = option(
        Boolean(), default=False, doc="log each check that passes, not only changes")
