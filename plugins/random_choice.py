"""The load balancer ``random``: any endpoint, by weight; clusters ask it for each attempt."""

from bisect import bisect_right
from itertools import accumulate

from zope.interface import implementer

from meshd.api import ILoadBalancer, PluginType, hookimpl

RESELECTIONS = 5
"""Picks made to find an endpoint that earlier attempts have not tried (Istio's hostSelectionRetryMaxAttempts)."""


@implementer(ILoadBalancer)
class RandomChoice:
    """Draws an endpoint: share = weight / sum of weights."""

    def __init__(self, random):
        self._random = random
        self._draw = random.random
        self._endpoints = ()
        self._bounds = None

    def another(self):
        """Return one for other endpoints."""
        return RandomChoice(self._random)

    def update(self, endpoints):
        """Take the usable endpoints."""
        self._endpoints = endpoints
        weights = [endpoint.weight for endpoint in endpoints]
        self._bounds = list(accumulate(weights)) if len(set(weights)) > 1 else None

    def pick(self, exchange):
        """Return an endpoint, or None; one that was tried already only where no other is found."""
        endpoints = self._endpoints
        if not endpoints:
            return None
        endpoint = self._one(endpoints)
        tried = exchange.tried
        if tried:
            for _ in range(RESELECTIONS):
                if endpoint not in tried:
                    return endpoint
                endpoint = self._one(endpoints)
            return next((one for one in endpoints if one not in tried), endpoint)
        return endpoint

    def _one(self, endpoints):
        bounds = self._bounds
        if bounds is None:
            return endpoints[int(self._draw() * len(endpoints))]
        return endpoints[min(bisect_right(bounds, self._draw() * bounds[-1]), len(endpoints) - 1)]


def build(config, site):
    """Return a RandomChoice."""
    return RandomChoice(site.random)


@hookimpl
def meshd_plugins():
    """Offer the balancer."""
    return [PluginType(kind="load_balancer", name="random", build=build, doc="Any endpoint, by weight.")]
