"""What is known of one source for one cluster: the last good endpoints, how old they are, how the last look went.

A cell of ``site.state``, so that a reload while the source is down loses nothing; made by ``source``, read by the
admin API and the metrics.
"""

from collections.abc import Callable
from typing import Any

from meshd.api import EndpointSpec

from meshd_plugins.discovery.grace import Grace

LABELS = ("cluster_name", "source")


class Known:
    """``specs`` are by address, None before the first answer. Times are monotonic, ``looked_wall`` is epoch seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.specs: dict[str, EndpointSpec] | None = None
        self.good_at = now()
        self.looked_wall = 0.0
        self.error = ""
        self.found = 0
        self.dropped = 0
        self.empty_since: float | None = None
        self.grace = Grace()
        self._now = now

    def publish(self, metrics: Any, cluster: str, source: str) -> None:
        """Show it in ``metrics``; the series end with this object."""
        gauges = (
            ("meshd_discovery_age_seconds", "time since a source's last good answer (since the start without one)",
             self.age_s),
            ("meshd_discovery_stale", "1 while a source fails or is empty and what it said before is kept", self.stale),
            ("meshd_discovery_targets", "endpoints that a source has for a cluster", self.count),
        )
        for name, doc, function in gauges:
            metrics.gauge(name, doc, LABELS, scope="host").function(function, cluster, source)

    def age_s(self) -> float:
        """Return seconds since the last good answer."""
        return self._now() - self.good_at

    def stale(self) -> int:
        """Return 1 where the last look failed, even in part, or where endpoints are kept that the answer lacks."""
        return int(bool(self.error) or self.empty_since is not None or bool(self.grace.until))

    def count(self) -> int:
        """Return how many endpoints are in force."""
        return len(self.specs or ())

    @property
    def state(self) -> str:
        """``waiting`` (nothing is known yet), ``stale``, ``held`` (what an answer lacks is kept) or ``ok``."""
        if self.error:
            return "stale" if self.specs is not None else "waiting"
        if self.empty_since is not None or self.grace.until:
            return "held"
        return "ok" if self.specs is not None else "waiting"
