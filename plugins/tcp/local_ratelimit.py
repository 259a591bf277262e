"""The network filter ``local_ratelimit``: how many connections may begin in what time; Envoy's.

Tokens are those of all workers of this host together, and outlive a reload. They do not come in steps: a bucket of
``max_tokens`` gains ``tokens_per_fill`` evenly over each ``fill_interval``.
"""

from zope.interface import implementer

from meshd.api import CONTINUE, STOP, Duration, INetworkFilter, Integer, Nested, config, flag, option

DETAIL = "local_ratelimit_close"


@config
class ConnectionBucket:
    """Tokens, one for each connection (Envoy's TokenBucket)."""

    max_tokens: int = option(Integer(minimum=1, maximum=2**31), doc="connections in one go")
    tokens_per_fill: int = option(Integer(minimum=1, maximum=2**31), default=1, doc="tokens gained in fill_interval")
    fill_interval_s: float = option(Duration(minimum=0.05), doc="in which they are gained")


@config
class LocalRateLimitOptions:
    """The limit."""

    token_bucket: ConnectionBucket = option(Nested(ConnectionBucket), doc="connections that may begin")


@implementer(INetworkFilter)
class LocalRateLimit:
    """Takes a token for each connection."""

    def __init__(self, options, site):
        bucket = options.token_bucket
        self._rate, self._burst = bucket.tokens_per_fill / bucket.fill_interval_s, bucket.max_tokens
        self._now = site.clock.now
        self._buckets = site.buckets(("network_filter", "local_ratelimit", site.owner, site.name), 1)
        self._limited = site.metrics.counter(
            "envoy_tcp_local_ratelimit_rate_limited", "connections refused by local_ratelimit",
            ("listener", "filter")).cell(site.owner.removeprefix("listener ").partition(":")[0], site.name)

    def on_open(self, session):
        """Take a token, or refuse."""
        now = self._now()
        if self._buckets.find(None, self._rate, self._burst, now).take(now):
            return CONTINUE
        self._limited.inc()
        session.refuse(flag.RL, DETAIL)
        return STOP
