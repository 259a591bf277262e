"""The endpoint with fewer requests in flight: the balancer itself; clusters ask it for each attempt.

Equal weights: of ``choice_count`` endpoints drawn at random the one with the fewest. Unequal weights: earliest deadline
first with the weight ``weight / (active + 1) ** active_request_bias``, taken anew at each turn (Envoy's rules). Where a
weight changes (warm-up does it step by step), the wait that is left is scaled by old / new weight. ``balancer.pxd``
types it for the compiled build.
"""

from heapq import heapify, heapreplace

from zope.interface import classImplements

from meshd.api import ILoadBalancer

RESELECTIONS = 5
"""Picks made to find an endpoint that earlier attempts have not tried (Istio's hostSelectionRetryMaxAttempts)."""


LEAST_SHARE = 1e-6
"""Part of its weight that an endpoint keeps whatever the bias, so that none waits for ever."""


def weight_in_force(weight, active, bias):
    """Return the weight with ``active`` requests in flight. docs/formulas.md has the rule."""
    return weight * max((active + 1) ** -bias, LEAST_SHARE)


class LeastRequest:
    """Picks by requests in flight from this worker."""

    def __init__(self, options, random):
        self._made_of = options, random
        self._choices = options.choice_count
        self._bias = options.active_request_bias
        self._random = random.random
        self._endpoints = ()
        self._turns = []
        self._now = 0.0
        self._one = self._nothing

    def another(self):
        """Return one for other endpoints."""
        return LeastRequest(*self._made_of)

    def update(self, endpoints):
        """Take the usable endpoints; with unequal weights those that stay keep their turn."""
        self._endpoints = endpoints
        if len({endpoint.weight for endpoint in endpoints}) > 1:
            self._schedule(endpoints)
            self._one = self._turn
            return
        self._turns = []
        if len(endpoints) < 2:
            self._one = self._only if endpoints else self._nothing
        elif self._choices >= len(endpoints) > 2:
            self._one = self._fewest
        else:
            self._one = self._draw_two if self._choices == 2 or len(endpoints) == 2 else self._draw_many

    def pick(self, exchange):
        """Return an endpoint, or None; one that was tried already only where no other is found."""
        endpoint = self._one()
        tried = exchange.tried
        if tried and endpoint is not None:
            for _ in range(RESELECTIONS):
                if endpoint not in tried:
                    return endpoint
                endpoint = self._one()
            return self._untried(tried) or endpoint
        return endpoint

    def _untried(self, tried):
        """A full scan finds the rare last one: the fewest requests do not move while a pick is repeated."""
        return min((item for item in self._endpoints if item not in tried), key=_active, default=None)

    def _nothing(self):
        return None

    def _only(self):
        return self._endpoints[0]

    def _fewest(self):
        """Every endpoint is looked at, from a random one on, so that equals share."""
        endpoints = self._endpoints
        start = int(self._random() * len(endpoints))
        return min(endpoints[start:] + endpoints[:start], key=_active)

    def _draw_two(self):
        endpoints = self._endpoints
        count = len(endpoints)
        random = self._random
        place = int(random() * count)
        other = int(random() * (count - 1))
        first = endpoints[place]
        second = endpoints[other if other < place else other + 1]
        return second if second.active < first.active else first

    def _draw_many(self):
        endpoints, random = self._endpoints, self._random
        count = len(endpoints)
        return min([endpoints[int(random() * count)] for _ in range(self._choices)], key=_active)

    def _schedule(self, endpoints):
        due = {id(turn[2]): turn for turn in self._turns}
        turns, now = [], self._now
        for order, endpoint in enumerate(endpoints):
            turn, weight = due.get(id(endpoint)), endpoint.weight
            if turn is None:
                wait = self._random() / weight_in_force(weight, endpoint.active, self._bias)
            else:
                wait = (turn[0] - now) * turn[3] / weight
            turns.append((now + wait, order, endpoint, weight))
        heapify(turns)
        self._turns = turns

    def _turn(self):
        at, order, endpoint, weight = self._turns[0]
        self._now = at
        following = at + 1.0 / weight_in_force(weight, endpoint.active, self._bias)
        heapreplace(self._turns, (following, order, endpoint, weight))
        return endpoint


def _active(endpoint):
    return endpoint.active


classImplements(LeastRequest, ILoadBalancer)
