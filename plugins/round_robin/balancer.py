"""The rotation of one cluster: whose turn it is; asked for each attempt.

Equal weights are a rotating index. Unequal weights are earliest deadline first (EDF, as in Envoy): each endpoint's next
turn is 1 / weight after its last, kept in a heap. The start is random, or every proxy would begin with the first one.
Where a weight changes (warm-up does it step by step), the wait that is left is scaled by old / new weight.
``balancer.pxd`` types it for the compiled build.
"""

from heapq import heapify, heappop, heappush, heapreplace

from zope.interface import classImplements

from meshd.api import ILoadBalancer

RESELECTIONS = 5
"""Endpoints looked at beyond the next to find one that was not tried (Istio's hostSelectionRetryMaxAttempts)."""


def next_turn(at, weight):
    """Return when an endpoint has its turn after the one ``at`` (virtual time). docs/formulas.md has the rule."""
    return at + 1.0 / weight


class RoundRobin:
    """Picks in turn. ``update`` goes on where it stood."""

    def __init__(self, random):
        self._random = random
        self._endpoints = ()
        self._next = 0
        self._turns = []
        self._now = 0.0

    def another(self):
        """Return one for other endpoints."""
        return RoundRobin(self._random)

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
        due = {id(turn[2]): turn for turn in self._turns}
        turns, now = [], self._now
        for order, endpoint in enumerate(endpoints):
            turn, weight = due.get(id(endpoint)), endpoint.weight
            wait = self._random.random() / weight if turn is None else (turn[0] - now) * turn[3] / weight
            turns.append((now + wait, order, endpoint, weight))
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
        if self._turns:
            return self._untried_turn(tried)
        endpoints, place = self._endpoints, self._next
        following = endpoints[place:place + RESELECTIONS + 1]
        following += endpoints[:min(place, RESELECTIONS + 1 - len(following))]
        for endpoint in following:
            if endpoint not in tried:
                return endpoint
        return following[0] if following else None

    def _untried_turn(self, tried):
        """Go through the heap from its top, soonest turn first: below each entry stand two later ones."""
        turns = self._turns
        nearest = [(turns[0], 0)]
        for _ in range(RESELECTIONS + 1):
            turn, place = heappop(nearest)
            if turn[2] not in tried:
                return turn[2]
            for below in (2 * place + 1, 2 * place + 2):
                if below < len(turns):
                    heappush(nearest, (turns[below], below))
            if not nearest:
                break
        return turns[0][2]

    def _weighted(self):
        at, order, endpoint, weight = self._turns[0]
        self._now = at
        heapreplace(self._turns, (next_turn(at, weight), order, endpoint, weight))
        return endpoint


classImplements(RoundRobin, ILoadBalancer)
