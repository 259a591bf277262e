"""A split with shares that are more than a cluster: answers and rewrites of one share. The build makes it.

A split of plain clusters is drawn by the exchange; here each share is what it would be as a whole route.
"""

import attrs

from meshd_plugins.router.config import REWRITES
from meshd_plugins.router.match_config import given


def alone_with(route, share):
    """Return the route (configuration) that ``share`` (WeightedCluster) is, as if it got everything."""
    if share.name is None:
        return attrs.evolve(route, weighted_clusters=None, direct_response=share.direct_response,
                            redirect=share.redirect)
    changes = {name: getattr(share, name) for name in given(share, REWRITES)}
    if share.prefix_rewrite is not None or share.path_rewrite is not None:
        changes = {"prefix_rewrite": None, "path_rewrite": None, "regex_rewrite": None, **changes}
    if share.host_rewrite is not None:
        changes["host_rewrite_header"] = None
    plain = attrs.evolve(share, weight=1, **dict.fromkeys(REWRITES))
    return attrs.evolve(route, weighted_clusters=(plain,), **changes)


class Split:
    """Draws one of ``rows``: (cumulative weight, Plan or None, answer or None). Called with an exchange."""

    __slots__ = ("_rows", "_total", "_random")

    def __init__(self, rows, random):
        self._rows = rows
        self._total = rows[-1][0]
        self._random = random

    def __call__(self, exchange):
        """Forward or answer."""
        point = self._random() * self._total
        _, plan, answer = next((row for row in self._rows if point < row[0]), self._rows[-1])
        if plan is not None:
            exchange.forward(plan)
        else:
            answer(exchange)

    def outcomes(self):
        """Yield (percent, callable(exchange)) of each share, for ``explain``: nothing is drawn."""
        before = 0
        for bound, plan, answer in self._rows:
            yield 100.0 * (bound - before) / self._total, answer if plan is None else _forward(plan)
            before = bound


def _forward(plan):
    return lambda exchange: exchange.forward(plan)
