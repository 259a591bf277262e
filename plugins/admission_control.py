"""The http filter ``admission_control``: refuses a share of the requests while too few of them succeed.

Strategy: Envoy's filter of the same name, which is client-side throttling (Google's SRE book, chapter 21). Answers are
counted in slices of a second over a sliding window. Refused requests are not counted, so that the window tells how
those fare that go through, and the share falls as they succeed again. The counts are each worker's own and outlive
reloads.
"""

from collections import deque

from meshd.api import (
    CONTINUE, STOP, Duration, Integer, ListOf, Nested, Number, PluginType, config, grpc, hookimpl, option,
)

DETAIL = "denied_by_admission_control"
"""Envoy's response code detail; it sets no flag either."""

SLICE_S = 1.0
GRPC_SUCCESS = (0, 1, 3, 5, 6, 7, 9, 11, 12, 16)
"""Envoy's default: statuses that are no fault of the server."""


@config
class StatusRange:
    """Statuses from ``start`` (in) to ``end`` (out)."""

    start: int = option(Integer(minimum=100, maximum=599), doc="first status")
    end: int = option(Integer(minimum=101, maximum=600), doc="first status after them")

    def check(self):
        """Yield a fault for an empty range."""
        if self.end <= self.start:
            yield "end", f"expected more than start ({self.start}), got {self.end}"


@config
class SuccessCriteria:
    """Which answers are a success."""

    http_success_status: tuple[StatusRange, ...] = option(
        ListOf(item=Nested(StatusRange), minimum=1, maximum=100), default=(StatusRange(start=100, end=500),),
        doc="of HTTP (all but 5xx when absent, Envoy's default)",
    )
    grpc_success_status: tuple[int, ...] = option(
        ListOf(item=Integer(maximum=16), minimum=1, maximum=17), default=GRPC_SUCCESS,
        doc="of gRPC calls (those that blame the caller when absent, Envoy's default)",
    )


@config
class AdmissionControl:
    """Refuses with 503 by the success rate of the last seconds."""

    success_criteria: SuccessCriteria = option(
        Nested(SuccessCriteria), default=SuccessCriteria(), doc="which answers are a success"
    )
    sampling_window_s: float = option(
        Duration(minimum=1.0, maximum=3600.0, step=1.0), default=30.0,
        doc="how far back the success rate looks, in whole seconds (Envoy's default: 30 s)",
    )
    sr_threshold: float = option(
        Number(minimum=1.0, maximum=100.0), default=95.0, doc="percent of success below which requests are refused"
    )
    aggression: float = option(
        Number(minimum=1.0, maximum=1000.0), default=1.0, doc="1: the share grows in a line; more: it grows sooner"
    )
    rps_threshold: int = option(
        Integer(maximum=10**9), default=5, doc="requests a second below which nothing is refused (Envoy's default: 5)"
    )
    max_rejection_probability: float = option(
        Number(maximum=100.0), default=80.0, doc="percent of the requests that are refused at most (Envoy's default)"
    )


def rejection_probability(total, successes, sr_threshold, aggression, maximum):
    """Return the probability (0.0 to ``maximum``) that a request is refused.

        min(maximum, (max(0, total - successes / sr_threshold) / (total + 1)) ^ (1 / aggression))

    ``total`` and ``successes`` are requests of the window, ``sr_threshold`` and ``maximum`` are shares from 0 to 1.
    Source: Envoy's admission control filter (docs/formulas.md).
    """
    excess = max(0.0, total - successes / sr_threshold) / (total + 1)
    return min(maximum, excess ** (1.0 / aggression))


class Window:
    """Requests and successes of the last ``window_s`` seconds, in slices; ``ids`` are the requests in flight."""

    def __init__(self):
        self.window_s = 30.0
        self.total = self.successes = 0
        self.ids = set()
        self._slices = deque()

    def move(self, now):
        """Forget what is older than the window. ``now`` is monotonic seconds."""
        slices = self._slices
        while slices and slices[0][0] <= now - self.window_s:
            _, total, successes = slices.popleft()
            self.total -= total
            self.successes -= successes

    def record(self, now, is_success):
        """Count one answer."""
        self.move(now)
        slices = self._slices
        if not slices or now - slices[-1][0] >= SLICE_S:
            slices.append([now, 0, 0])
        slices[-1][1] += 1
        self.total += 1
        if is_success:
            slices[-1][2] += 1
            self.successes += 1

    @property
    def average_rps(self):
        """Requests a second over the whole window."""
        return self.total / self.window_s


class AdmissionControlFilter:
    """Draws for each request by the window's success rate, and counts how those end that pass."""

    def __init__(self, config, site):
        self._now = site.clock.now
        self._random = site.random.random
        self._threshold = config.sr_threshold / 100
        self._maximum = config.max_rejection_probability / 100
        self._aggression = config.aggression
        self._rps_threshold = config.rps_threshold
        ranges = config.success_criteria.http_success_status
        self._successes = frozenset(status for one in ranges for status in range(one.start, one.end))
        self._grpc = frozenset(config.success_criteria.grpc_success_status)
        owner = site.owner.partition(": route ")[0]
        self._window = site.state("worker", ("admission_control", owner, site.name), Window)
        self._window_s = config.sampling_window_s
        self._rejected, self._success, self._failure = (
            site.metrics.counter(f"envoy_http_admission_control_rq_{name}", doc, ("filter",)).cell(site.name)
            for name, doc in (("rejected", "requests that admission control refused"),
                              ("success", "answers that admission control counts as a success"),
                              ("failure", "answers that admission control counts as a failure"))
        )
        self._gauge = site.metrics.gauge(
            "meshd_admission_control_rejection_probability", "share of the requests that would be refused now",
            ("filter",), "host").cell(site.name)

    def on_request(self, exchange):
        """Refuse, or let pass."""
        window = self._window
        if self._random() < self._probability():
            self._rejected.inc()
            exchange.reply(503, b"", detail=DETAIL)
            return STOP
        window.ids.add(exchange.stream_id)
        return CONTINUE

    def on_complete(self, exchange):
        """Count how a request has ended that had passed; one without an answer counts as a failure (Envoy's)."""
        window = self._window
        if exchange.stream_id not in window.ids:
            return
        window.ids.discard(exchange.stream_id)
        response = exchange.response
        is_success = response is not None and self._is_success(response, exchange.trailers)
        window.record(self._now(), is_success)
        (self._success if is_success else self._failure).inc()

    def _probability(self):
        window = self._window
        window.window_s = self._window_s
        window.move(self._now())
        if window.successes == window.total or window.average_rps < self._rps_threshold:
            share = 0.0
        else:
            share = rejection_probability(
                window.total, window.successes, self._threshold, self._aggression, self._maximum)
        self._gauge.set(share)
        return share

    def _is_success(self, response, trailers):
        """Judge by the gRPC status, where the answer is one of gRPC: in its head, else in its trailers."""
        if not grpc.is_grpc_answer(response):
            return response.status in self._successes
        status = grpc.status_in(response.headers)
        return (grpc.status_in(trailers) if status is None else status) in self._grpc

    def explain(self, exchange):
        """Say how likely a refusal is now."""
        share = self._probability()
        window = self._window
        rate = f"{window.successes} of {window.total} requests in {window.window_s:g} s succeeded"
        return f"refuses {100 * share:.4g} % of requests: {rate}"


@hookimpl
def meshd_plugins():
    """Offer the filter."""
    return [
        PluginType(
            kind="http_filter", name="admission_control", config=AdmissionControl, build=AdmissionControlFilter,
            doc="Refuses a share of the requests while too few succeed.",
        )
    ]
