"""The rotation of one cluster: whose turn it is; asked for each attempt.

Equal weights are a rotating index. Unequal weights are earliest deadline first (EDF, as in Envoy): each endpoint's next
turn is 1 / weight after its last, kept in a heap. The start is random, or every proxy would begin with the first one.
``balancer.pxd`` types it for the compiled build.
"""

from heapq import heapify, heapreplace, nsmallest

from zope.interface import classImplements

from meshd.api import ILoadBalancer

RESELECTIONS = 5
"""Endpoints looked at beyond the next to find one that was not tried (Istio's hostSelectionRetryMaxAttempts)."""


class RoundRobin:
    """Picks in turn. ``update`` goes on where it stood."""

    def __init__(self, random):
        self._random = random
        self._endpoints = ()
        self._next = 0
        self._turns = []
        self._now = 0.0

    def update(self, endpoints):
        """Take the usable endpoints; those that stay keep their turn."""
        following = self._endpoints[self._next:] + self._endpoints[:self._next]
        had_any = bool(self._endpoints)
        self._endpoints = endpoints
        if len({endpoint.weight for endpoint in endpoints}) > 1:
            self._schedule(endpoints)
            return
        self._turns = []
        places = {id(endpoint): place for place, endpoint in enumerate(endpoints)}
        stayed = [places[id(endpoint)] for endpoint in following if id(endpoint) in places]
        if stayed and had_any:
            self._next = stayed[0]
        else:
            self._next = int(self._random.random() * len(endpoints))

    def _schedule(self, endpoints):
        self._next = 0
        due = {id(endpoint): (at, endpoint.weight) for at, _, endpoint in self._turns}
        turns = []
        for order, endpoint in enumerate(endpoints):
            at, weight = due.get(id(endpoint), (0.0, 0))
            if weight != endpoint.weight:
                at = self._now + self._random.random() / endpoint.weight
            turns.append((at, order, endpoint))
        heapify(turns)
        self._turns = turns

    def pick(self, exchange):
        """Return the endpoint whose turn it is, or None; one that was tried already only where no other is found."""
        tried = exchange.tried
        if tried:
            return self._untried(tried)
        if self._turns:
            return self._weighted()
        endpoints = self._endpoints
        place = self._next
        if place + 1 < len(endpoints):
            self._next = place + 1
            return endpoints[place]
        self._next = 0
        return endpoints[place] if endpoints else None

    def _untried(self, tried):
        """Look for a retry's endpoint, without taking a turn.

        If a retry took one, then of two endpoints of which one is dead every request would begin with the dead one.
        """
        first = None
        for endpoint in self._following():
            if endpoint not in tried:
                return endpoint
            first = first or endpoint
        return first

    def _following(self):
        """Return the endpoints whose turns are next, soonest first."""
        if self._turns:
            return [turn[2] for turn in nsmallest(RESELECTIONS + 1, self._turns)]
        endpoints, place = self._endpoints, self._next
        following = endpoints[place:place + RESELECTIONS + 1]
        return following + endpoints[:min(place, RESELECTIONS + 1 - len(following))]

    def _weighted(self):
        at, order, endpoint = self._turns[0]
        self._now = at
        heapreplace(self._turns, (at + 1.0 / endpoint.weight, order, endpoint))
        return endpoint


classImplements(RoundRobin, ILoadBalancer)
