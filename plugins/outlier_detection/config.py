"""The options of outlier detection: Envoy's words and defaults (config.cluster.v3.OutlierDetection)."""

from meshd.api import Boolean, Duration, Integer, ListOf, Text, config, option

PERCENT = Integer(maximum=100)
COUNT = Integer(maximum=1_000_000)
CODES = r"[1-5][0-9]{2}(-[1-5][0-9]{2})?"


@config
class OutlierOptions:
    """When an endpoint is ejected, and for how long. Figures are Envoy's defaults."""

    consecutive_5xx: int = option(COUNT, default=5, doc="5xx in a row until it is ejected (0: never)")
    consecutive_gateway_failure: int = option(
        COUNT, default=5, doc="502, 503 and 504 in a row, failures to connect included (0: never)")
    consecutive_local_origin_failure: int = option(
        COUNT, default=5, doc="with split_external_local_origin_errors: failures in a row without an answer (0: never)")
    split_external_local_origin_errors: bool = option(
        Boolean(), default=False, doc="count failures without an answer apart, not as 503 and 504")
    interval_s: float = option(Duration(minimum=0.001), default=10.0, doc="time between sweeps")
    base_ejection_time_s: float = option(
        Duration(minimum=0.001), default=30.0, doc="an ejection lasts so long times how often there was one")
    max_ejection_time_s: float | None = option(
        Duration(minimum=0.001), default=None, doc="and never longer (absent: 300s, or base_ejection_time if longer)")
    max_ejection_time_jitter_s: float = option(Duration(), default=0.0, doc="at most so much longer, drawn")
    max_ejection_percent: int = option(
        PERCENT, default=10, doc="of the cluster's endpoints; 10 of fewer than ten endpoints ejects none")
    always_eject_one_host: bool = option(
        Boolean(), default=False, doc="the first ejection does not ask max_ejection_percent")
    enforcing_consecutive_5xx: int = option(PERCENT, default=100, doc="percent of what is found that is ejected")
    enforcing_consecutive_gateway_failure: int = option(PERCENT, default=0, doc="the same, of this kind")
    enforcing_consecutive_local_origin_failure: int = option(PERCENT, default=100, doc="the same, of this kind")
    enforcing_success_rate: int = option(PERCENT, default=100, doc="the same, of this kind")
    enforcing_local_origin_success_rate: int = option(PERCENT, default=100, doc="the same, of this kind")
    enforcing_failure_percentage: int = option(PERCENT, default=0, doc="the same, of this kind")
    enforcing_failure_percentage_local_origin: int = option(PERCENT, default=0, doc="the same, of this kind")
    success_rate_minimum_hosts: int = option(COUNT, default=5, doc="endpoints with enough requests to compare them")
    success_rate_request_volume: int = option(COUNT, default=100, doc="requests in an interval that are enough")
    success_rate_stdev_factor: int = option(
        COUNT, default=1900, doc="thousandths of a standard deviation below the mean that make an outlier")
    failure_percentage_threshold: int = option(PERCENT, default=85, doc="percent of failures that make an outlier")
    failure_percentage_minimum_hosts: int = option(COUNT, default=5, doc="endpoints with enough requests")
    failure_percentage_request_volume: int = option(COUNT, default=50, doc="requests in an interval that are enough")
    successful_active_health_check_uneject_host: bool = option(
        Boolean(), default=True, doc="an active check that passes ends an ejection")
    http_error_codes: tuple[str, ...] = option(
        ListOf(item=Text(pattern=CODES), maximum=100), default=(),
        doc="statuses or ranges (429, 500-599) that count as errors (absent: 500-599)")

    def check(self):
        """Yield faults between fields."""
        if self.max_ejection_time_s is not None and self.max_ejection_time_s < self.base_ejection_time_s:
            yield "max_ejection_time_s", "expected no less than base_ejection_time"

    @property
    def max_s(self):
        """The longest ejection without jitter, in seconds."""
        return max(300.0, self.base_ejection_time_s) if self.max_ejection_time_s is None else self.max_ejection_time_s

    @property
    def errors(self):
        """The statuses that count as errors."""
        found = set()
        for text in self.http_error_codes or ("500-599",):
            first, _, last = text.partition("-")
            found |= set(range(int(first), int(last or first) + 1))
        return frozenset(found)
