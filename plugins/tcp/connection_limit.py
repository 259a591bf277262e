"""The network filter ``connection_limit``: how many connections may be open at once; Envoy's.

The count is that of all workers of this host together, and connections of before a reload count on.
"""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from meshd.api import CONTINUE, STOP, Duration, INetworkFilter, Integer, config, option

DETAIL = "over_connection_limit"


@config
class ConnectionLimitOptions:
    """The limit, and what becomes of who comes beyond it."""

    max_connections: int = option(Integer(minimum=1, maximum=2**32 - 1), doc="connections open at once")
    delay_s: float = option(
        Duration(maximum=60.0), default=0.0, doc="wait so long before a connection beyond the limit is closed"
    )


@implementer(INetworkFilter)
class ConnectionLimit:
    """Counts in a ledger of the host."""

    def __init__(self, options, site):
        self._limit = options.max_connections
        self._delay_s = options.delay_s
        self._clock = site.clock
        self._ledger = site.ledger(("network_filter", "connection_limit", site.owner, site.name), 1)
        self._labels = (site.owner.removeprefix("listener ").partition(":")[0], site.name)
        self._metrics = site.metrics
        self._limited = site.metrics.counter(
            "envoy_connection_limit_limited_connections", "connections refused by connection_limit",
            ("listener", "filter")).cell(*self._labels)

    def start(self):
        """Show the count in the metrics."""
        ledger = self._ledger
        self._metrics.gauge(
            "envoy_connection_limit_active_connections", "connections that connection_limit counts",
            ("listener", "filter"), "host").function(lambda: ledger.used(0), *self._labels)

    def on_open(self, session):
        """Count it, or refuse it: at once or later."""
        if self._ledger.take(0, self._limit):
            session.at_end(lambda: self._ledger.give(0))
            return CONTINUE
        self._limited.inc()
        if not self._delay_s:
            session.refuse(detail=DETAIL)
            return STOP
        session.detail = DETAIL
        later = Deferred(lambda _: call.cancel())
        call = self._clock.call_later(self._delay_s, later.callback, STOP)
        return later
