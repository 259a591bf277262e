"""What stands in a chain's place while the process is overloaded: it refuses every request that begins.

Strategy: as in Envoy, no filter sees the request, so that a refusal costs next to nothing; the sinks hear of it. A
request in flight keeps the chain that it began with.
"""

from typing import Any

from meshd.exchange.chain import Chain, no_match
from meshd.exchange.reply import explain
from meshd.http import flag as flags

DETAIL = "overload"
"""Envoy's response code detail for requests that its overload manager refuses."""
BODY = explain(flags.OM)


class Shed:
    """Has a chain's face towards connections and exchanges. ``refusals`` is a counter's cell; ``overload`` is the
    world's.
    """

    response_steps = ()
    match = staticmethod(no_match)

    def __init__(self, chain: Chain, overload: Any, refusals: Any) -> None:
        self.active = 0
        self._chain = chain
        self._overload = overload
        self._refusals = refusals

    def request(self, exchange: Any) -> None:
        """Answer 503 at once."""
        self._refusals.value += 1
        exchange.reply(503, BODY, self._overload.headers, flags.OM, DETAIL)

    def complete(self, exchange: Any) -> None:
        """Tell the sinks."""
        self.active -= 1
        self._chain.refused(exchange)
