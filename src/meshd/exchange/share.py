"""Shares: which of the instances of a filter an exchange meets (``percent``, ``canary_of``). Made at build time.

Strategy: chance decides, once for each exchange, when the first of the instances is reached; what was chosen is kept in
the exchange, so all phases agree, also where an instance is bypassed meanwhile. Chance and not a hash of x-request-id:
a client that picks its own ids must not pick its version. A chain without shares has none of this on its road.
"""

from collections.abc import Callable
from typing import Any

from meshd.api.exchange import CONTINUE

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Share:
    """``rows`` are (upper bound in percent, use), ascending; ``base`` takes what they leave, or nobody does (None).

    ``random()`` returns a float in [0, 1).
    """

    def __init__(self, base: Any, uses: tuple, random: Callable[[], float], metrics: Any) -> None:
        self.base = base
        self.random = random
        self.rows: list[tuple[float, Any]] = []
        bound = 0.0
        for use in uses:
            bound += use.plugin.percent
            self.rows.append((bound, use))
        self._answers = metrics.counter(
            "meshd_plugin_requests_total", "Requests that instances with a share took",
            ("plugin", "response_code_class"),
        )
        self._times = metrics.histogram(
            "meshd_plugin_request_duration_seconds", "Time of the requests that instances with a share took",
            ("plugin",), BOUNDS_S,
        )
        for use in ((base,) if base is not None else ()) + uses:
            use.share = self

    def chosen(self, exchange: Any) -> Any:
        """Return the use that ``exchange`` meets, or None; drawn when first asked for."""
        choices = exchange.choices
        if choices is None:
            choices = exchange.choices = {}
        elif self in choices:
            return choices[self]
        found = choices[self] = self.draw()
        return found

    def draw(self) -> Any:
        """Draw; the share of a canary that is called no more goes back to what it is a canary of."""
        point = self.random() * 100.0
        for bound, use in self.rows:
            if point < bound:
                return self.base if use.record.is_bypassed and self.base is not None else use
        return self.base

    def gate(self, call: Callable[[Any], Any], use: Any, phase: str) -> Callable[[Any], Any]:
        """Return ``call`` for the exchanges that meet ``use``."""
        passed = CONTINUE if phase == "on_request" else None

        def on_share(exchange: Any) -> Any:
            return call(exchange) if self.chosen(exchange) is use else passed

        return on_share

    def complete(self, exchange: Any) -> None:
        """Count an exchange that has ended for the use that it met, if any; the chain's last step."""
        use = exchange.choices.get(self) if exchange.choices is not None else None
        if use is None:
            return
        response = exchange.response
        name = use.plugin.name
        self._answers.cell(name, f"{response.status // 100}xx" if response is not None else "none").inc()
        self._times.cell(name).observe(exchange.ended - exchange.started)


def share_out(uses: list, random: Callable[[], float], metrics: Any) -> None:
    """Give the uses of one chain their shares; those without ``percent`` and without a canary get none."""
    by_name = {use.plugin.name: use for use in uses}
    canaries: dict[str, list] = {}
    for use in uses:
        plugin = use.plugin
        if plugin.canary_of:
            canaries.setdefault(plugin.canary_of, []).append(use)
        elif plugin.percent < 100.0:
            Share(None, (use,), random, metrics)
    for name, group in canaries.items():
        Share(by_name[name], tuple(group), random, metrics)
