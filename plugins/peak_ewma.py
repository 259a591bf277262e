"""The load balancer ``peak_ewma``: the endpoint that will probably answer sooner; clusters ask it for each attempt.

Of two endpoints drawn at random the one of lower cost is picked: its moving average of round-trip times, times what is
in flight to it, as in Finagle and Linkerd (docs/formulas.md). A slow answer counts at once and whole, a fast one by
and by; an error never counts as fast, or an endpoint that fails would draw the traffic. ``endpoint.memo`` keeps the
average.
"""

from math import exp

from zope.interface import implementer

from meshd.api import Duration, ILoadBalancer, PluginType, config, hookimpl, option

RESELECTIONS = 5
"""Picks made to find an endpoint that earlier attempts have not tried (Istio's hostSelectionRetryMaxAttempts)."""


@config
class PeakEwmaOptions:
    """How fast the average forgets. Defaults are Linkerd's."""

    decay_s: float = option(
        Duration(minimum=0.001), default=10.0, doc="after so long 63 % of an old round-trip time is forgotten")
    default_rtt_s: float = option(
        Duration(minimum=0.000001), default=0.03, doc="round-trip time of an endpoint that has not answered yet")


class Rtt:
    """The average round-trip time of one endpoint (seconds), and when it was last told of one (monotonic)."""

    __slots__ = ("average_s", "told")

    def __init__(self, average_s, told):
        self.average_s = average_s
        self.told = told


def peak_average(average_s, sample_s, elapsed_s, decay_s):
    """Return the new average: ``sample`` where it is more, else ``average * w + sample * (1 - w)`` with
    ``w = exp(-elapsed / decay)``. All in seconds.
    """
    if sample_s >= average_s:
        return sample_s
    share = exp(-elapsed_s / decay_s)
    return average_s * share + sample_s * (1.0 - share)


def cost(average_s, elapsed_s, decay_s, active, weight):
    """Return ``average * exp(-elapsed / decay) * (active + 1) / weight``; an endpoint that is not asked is so tried
    again after a while.
    """
    return average_s * exp(-elapsed_s / decay_s) * (active + 1) / weight


@implementer(ILoadBalancer)
class PeakEwma:
    """Picks by expected time."""

    def __init__(self, options, site):
        self._made_of = options, site
        self._decay_s = options.decay_s
        self._default_s = options.default_rtt_s
        self._random = site.random.random
        self._now = site.clock.now
        self._endpoints = ()

    def another(self):
        """Return one for other endpoints."""
        return PeakEwma(*self._made_of)

    def update(self, endpoints):
        """Take the usable endpoints."""
        self._endpoints = endpoints

    def pick(self, exchange):
        """Return an endpoint, or None; one that was tried already only where no other is found."""
        endpoint = self._one()
        tried = exchange.tried
        if tried and endpoint is not None:
            for _ in range(RESELECTIONS):
                if endpoint not in tried:
                    return endpoint
                endpoint = self._one()
            left = [one for one in self._endpoints if one not in tried]
            return min(left, key=self._cost, default=endpoint)
        return endpoint

    def on_result(self, endpoint, outcome):
        """Take the time of an attempt that has ended: to the head of the answer, or to its failure."""
        now, seconds = self._now(), outcome.seconds
        is_error = outcome.status == 0 or outcome.status >= 500
        rtt = endpoint.memo
        if rtt is None:
            endpoint.memo = Rtt(max(seconds, self._default_s) if is_error else seconds, now)
            return
        if is_error:
            seconds = max(seconds, rtt.average_s)
        rtt.average_s = peak_average(rtt.average_s, seconds, now - rtt.told, self._decay_s)
        rtt.told = now

    def _one(self):
        endpoints = self._endpoints
        count = len(endpoints)
        if count < 2:
            return endpoints[0] if endpoints else None
        random = self._random
        place, other = int(random() * count), int(random() * (count - 1))
        first = endpoints[place]
        second = endpoints[other if other < place else other + 1]
        return second if self._cost(second) < self._cost(first) else first

    def _cost(self, endpoint):
        rtt = endpoint.memo
        if rtt is None:
            return self._default_s * (endpoint.active + 1) / endpoint.weight
        return cost(rtt.average_s, self._now() - rtt.told, self._decay_s, endpoint.active, endpoint.weight)


def build(config, site):
    """Return a PeakEwma."""
    return PeakEwma(config or PeakEwmaOptions(), site)


@hookimpl
def meshd_plugins():
    """Offer the balancer."""
    return [
        PluginType(
            kind="load_balancer", name="peak_ewma", config=PeakEwmaOptions, build=build,
            doc="The endpoint that will probably answer sooner, of two drawn at random.",
        )
    ]
