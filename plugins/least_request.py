"""The load balancer ``least_request``: the endpoint with fewer requests in flight; clusters ask it for each attempt.

Equal weights: of ``choice_count`` endpoints drawn at random the one with the fewest. Unequal weights: earliest deadline
first with the weight ``weight / (active + 1) ** active_request_bias``, taken anew at each turn (Envoy's rules).
"""

from heapq import heapify, heapreplace

from zope.interface import implementer

from meshd.api import ILoadBalancer, Integer, Number, PluginType, config, hookimpl, option

RESELECTIONS = 5
"""Picks made to find an endpoint that earlier attempts have not tried (Istio's hostSelectionRetryMaxAttempts)."""


@config
class LeastRequestOptions:
    """How the endpoint with the fewest requests is found."""

    choice_count: int = option(Integer(minimum=2, maximum=1000), default=2, doc="endpoints drawn for each pick")
    active_request_bias: float = option(
        Number(maximum=10.0), default=1.0,
        doc="with unequal weights, how much requests in flight count (0: not at all, as round robin)",
    )


@implementer(ILoadBalancer)
class LeastRequest:
    """Picks by requests in flight from this worker."""

    def __init__(self, options, random):
        self._choices = options.choice_count
        self._bias = options.active_request_bias
        self._random = random.random
        self._endpoints = ()
        self._turns = []
        self._now = 0.0
        self._one = self._nothing

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
        due = {id(endpoint): at for at, _, endpoint in self._turns}
        turns = []
        for order, endpoint in enumerate(endpoints):
            at = due.get(id(endpoint))
            turns.append((self._now + self._random() / self._weight(endpoint) if at is None else at, order, endpoint))
        heapify(turns)
        self._turns = turns

    def _turn(self):
        at, order, endpoint = self._turns[0]
        self._now = at
        heapreplace(self._turns, (at + 1.0 / self._weight(endpoint), order, endpoint))
        return endpoint

    def _weight(self, endpoint):
        """Never below a millionth, so that no endpoint waits for ever whatever the bias."""
        return max(endpoint.weight / (endpoint.active + 1) ** self._bias, 1e-6)


def _active(endpoint):
    return endpoint.active


def build(config, site):
    """Return a LeastRequest."""
    return LeastRequest(config or LeastRequestOptions(), site.random)


@hookimpl
def meshd_plugins():
    """Offer the balancer."""
    return [
        PluginType(
            kind="load_balancer", name="least_request", config=LeastRequestOptions, build=build,
            doc="The endpoint with fewer requests in flight, of some drawn at random.",
        )
    ]
