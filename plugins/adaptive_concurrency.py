"""The http filter ``adaptive_concurrency``: finds out how many requests may be in flight, by their latency.

Strategy: Envoy's gradient controller (docs/formulas.md). From time to time the limit goes down to ``min_concurrency``
until some requests have shown the latency without queueing (minRTT). After each update interval the latency of its
requests (sampleRTT) is compared with that, and the limit follows. Times are looked at when requests come and go:
without traffic nothing runs. Each worker has a controller of its own, which outlives reloads.
"""

import math

from meshd.api import (
    CONTINUE, STOP, Duration, Integer, Nested, Number, PluginType, config, hookimpl, option,
)

DETAIL = "reached_concurrency_limit"
BODY = b"reached concurrency limit"
"""Envoy's response code detail and body; it sets no flag."""

MIN_GRADIENT = 0.5
"""Envoy's: the limit is at most halved in one step."""
STUCK = 5
"""Steps at the lowest limit until minRTT is measured anew (Envoy's)."""
MAX_SAMPLES = 10_000
"""Latencies kept of one interval; more change nothing."""
PERCENT = Number(maximum=100.0)


@config
class ConcurrencyLimitParams:
    """How the limit moves."""

    max_concurrency_limit: int = option(
        Integer(minimum=1, maximum=1_000_000), default=1000, doc="the highest limit (Envoy's default)"
    )
    concurrency_update_interval_s: float = option(
        Duration(minimum=0.001, maximum=3600.0), default=0.1, doc="time between two looks at the latency"
    )
    max_gradient: float = option(
        Number(minimum=1.0, maximum=100.0), default=2.0, doc="factor that a step raises the limit by at most (Envoy: 2)"
    )


@config
class MinRttCalcParams:
    """How the latency without queueing is measured."""

    interval_s: float = option(
        Duration(minimum=0.001, maximum=86_400.0), default=60.0, doc="time between two measurements"
    )
    request_count: int = option(
        Integer(minimum=1, maximum=MAX_SAMPLES), default=50, doc="requests of one measurement (Envoy's default)"
    )
    jitter: float = option(PERCENT, default=15.0, doc="percent of the interval that is added by chance, at most")
    min_concurrency: int = option(
        Integer(minimum=1, maximum=1_000_000), default=3, doc="the limit while measuring, and the lowest (Envoy: 3)"
    )
    buffer: float = option(
        PERCENT, default=25.0, doc="percent of the measured latency that is still taken for no queueing"
    )


@config
class AdaptiveConcurrency:
    """A limit of requests in flight that follows the latency."""

    sample_aggregate_percentile: float = option(
        Number(minimum=1.0, maximum=100.0), default=50.0, doc="the percentile that stands for many latencies"
    )
    concurrency_limit_params: ConcurrencyLimitParams = option(
        Nested(ConcurrencyLimitParams), default=ConcurrencyLimitParams(), doc="how the limit moves"
    )
    min_rtt_calc_params: MinRttCalcParams = option(
        Nested(MinRttCalcParams), default=MinRttCalcParams(), doc="how the latency without queueing is measured"
    )
    concurrency_limit_exceeded_status: int = option(
        Integer(minimum=400, maximum=599), default=503, doc="status of a refused request"
    )

    def check(self):
        """Yield faults between fields."""
        lowest, highest = self.min_rtt_calc_params.min_concurrency, self.concurrency_limit_params.max_concurrency_limit
        if lowest > highest:
            yield "min_rtt_calc_params", f"expected min_concurrency of at most max_concurrency_limit ({highest})"


def gradient(min_rtt_s, sample_rtt_s, buffer, highest):
    """Return by which factor the limit should change: ``(minRTT * (1 + buffer)) / sampleRTT`` in [0.5, ``highest``].

    Times in seconds, ``buffer`` a share. Source: Envoy's gradient controller.
    """
    return max(MIN_GRADIENT, min(highest, min_rtt_s * (1 + buffer) / sample_rtt_s))


def headroom(limit):
    """Return how many requests more than ``limit`` are allowed as a burst: its square root. Source: Envoy's."""
    return math.sqrt(limit)


def new_limit(limit, factor, lowest, highest):
    """Return the next limit, a whole number: ``limit * gradient + headroom``, within the bounds. Source: Envoy's."""
    scaled = limit * factor
    return max(lowest, min(highest, int(scaled + headroom(scaled))))


def percentile(samples, percent):
    """Return the ``percent``-th percentile of ``samples``, by the nearest rank."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


class Controller:
    """The limit of one worker, and what it follows from; ``began`` maps requests in flight to their beginnings.

    Times are monotonic seconds, latencies seconds. ``min_rtt_s`` is 0.0 until it has been measured first.
    """

    def __init__(self, config):
        self.config = config
        self.limit = self._restored = config.min_rtt_calc_params.min_concurrency
        self.began = {}
        self.min_rtt_s = self.sample_rtt_s = 0.0
        self.factor = 1.0
        self.is_measuring = True
        self._samples = []
        self._epoch = self._update_at = self._measure_at = 0.0
        self._stuck = 0

    def admit(self, key, now, random):
        """Say whether one more request may be in flight, and count it. ``random`` is a function of [0, 1)."""
        self.follow(now, random)
        if len(self.began) >= self.limit:
            return False
        self.began[key] = now
        return True

    def end(self, key, now, is_sample, random):
        """A request has ended; ``is_sample`` says whether its latency tells anything."""
        began = self.began.pop(key, None)
        if began is None or not is_sample or began < self._epoch:
            return
        samples = self._samples
        if len(samples) < MAX_SAMPLES:
            samples.append(max(now - began, 1e-6))
        if self.is_measuring and len(samples) >= self.config.min_rtt_calc_params.request_count:
            self._measured(now, random)

    def follow(self, now, random):
        """Do what is due at ``now``."""
        if self.is_measuring:
            return
        if now >= self._measure_at:
            self._measure(now)
        elif now >= self._update_at:
            self._update_at = now + self.config.concurrency_limit_params.concurrency_update_interval_s
            if self._samples:
                self._update(now)

    def _measure(self, now):
        """Go down to the lowest limit until minRTT is known anew; what began before does not count."""
        self.is_measuring = True
        self._restored = self.limit
        self.limit = self.config.min_rtt_calc_params.min_concurrency
        self._samples = []
        self._epoch = now
        self._stuck = 0

    def _measured(self, now, random):
        params = self.config.min_rtt_calc_params
        self.min_rtt_s = percentile(self._samples, self.config.sample_aggregate_percentile)
        self._samples = []
        self.is_measuring = False
        self.limit = self._restored
        self._measure_at = now + params.interval_s * (1 + params.jitter / 100 * random())
        self._update_at = now + self.config.concurrency_limit_params.concurrency_update_interval_s

    def _update(self, now):
        params, limits = self.config.min_rtt_calc_params, self.config.concurrency_limit_params
        self.sample_rtt_s = percentile(self._samples, self.config.sample_aggregate_percentile)
        self._samples = []
        self.factor = gradient(self.min_rtt_s, self.sample_rtt_s, params.buffer / 100, limits.max_gradient)
        before, lowest = self.limit, params.min_concurrency
        self.limit = new_limit(before, self.factor, lowest, limits.max_concurrency_limit)
        self._stuck = self._stuck + 1 if before == self.limit == lowest else 0
        if self._stuck >= STUCK:
            self._measure_at = now


GAUGES = (
    ("concurrency_limit", "requests that may be in flight", lambda one: one.limit),
    ("gradient", "last factor of the limit, times 1000", lambda one: round(1000 * one.factor)),
    ("burst_queue_size", "requests allowed beyond the limit as a burst", lambda one: int(headroom(one.limit))),
    ("min_rtt_msecs", "latency without queueing, in ms", lambda one: round(1000 * one.min_rtt_s)),
    ("sample_rtt_msecs", "latency of the last interval, in ms", lambda one: round(1000 * one.sample_rtt_s)),
    ("min_rtt_calculation_active", "1 while min_rtt is measured", lambda one: int(one.is_measuring)),
)
PREFIX = "envoy_http_adaptive_concurrency_gradient_controller_"


class AdaptiveConcurrencyFilter:
    """Asks the controller for each request."""

    def __init__(self, config, site):
        self._now = site.clock.now
        self._random = site.random.random
        self._status = config.concurrency_limit_exceeded_status
        owner = site.owner.partition(": route ")[0]
        self._controller = site.state(
            "worker", ("adaptive_concurrency", owner, site.name), lambda: Controller(config))
        self._config = config
        self._blocked = site.metrics.counter(
            PREFIX + "rq_blocked", "requests refused by the adaptive limit", ("filter",)).cell(site.name)
        controller = self._controller
        for name, doc, read in GAUGES:
            family = site.metrics.gauge(PREFIX + name, doc, ("filter",))
            family.function(lambda read=read: read(controller), site.name)

    def start(self):
        """Put this configuration in force on the kept controller."""
        self._controller.config = self._config

    def on_request(self, exchange):
        """Refuse what is more than the limit."""
        if self._controller.admit(exchange.stream_id, self._now(), self._random):
            return CONTINUE
        self._blocked.inc()
        exchange.reply(self._status, BODY, detail=DETAIL)
        return STOP

    def on_complete(self, exchange):
        """Take the latency of what the upstream answered whole; our own answers and cut ones tell nothing."""
        response = exchange.response
        is_sample = exchange.detail == "via_upstream" and response is not None and response.status != 101
        self._controller.end(exchange.stream_id, self._now(), is_sample, self._random)

    def explain(self, exchange):
        """Say whether there is room now."""
        controller = self._controller
        verdict = "refuses" if len(controller.began) >= controller.limit else "passes"
        what = "while measuring the latency without queueing" if controller.is_measuring else "by the latency"
        return f"{verdict}: {len(controller.began)} of {controller.limit} requests are in flight, {what}"


@hookimpl
def meshd_plugins():
    """Offer the filter."""
    return [
        PluginType(
            kind="http_filter", name="adaptive_concurrency", config=AdaptiveConcurrency,
            build=AdaptiveConcurrencyFilter, doc="Limits the requests in flight by their latency.",
        )
    ]
